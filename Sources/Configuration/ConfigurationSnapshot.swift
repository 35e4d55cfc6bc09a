/// The bytes of everything that a parse read, so that it can be repeated elsewhere and later with
/// the same outcome: by the controller, and by a master that replaced itself.
///
/// Certificates are not part of it, since their files may hold private keys. Of the environment
/// only the variables that the files asked for are.
public struct ConfigurationSnapshot: Equatable, Sendable {
  /// A file that was read.
  public struct File: Equatable, Sendable {
    public enum Role: UInt8, Sendable {
      /// A configuration file, or a member of a directory of them.
      case configuration = 1
      /// A pattern file of an ACL: `-f`.
      case patterns = 2
    }

    /// As the command line or the configuration names it.
    public var path: String
    public var role: Role
    public var bytes: [UInt8]

    public init(path: String, role: Role, bytes: [UInt8]) {
      self.path = path
      self.role = role
      self.bytes = bytes
    }
  }

  /// Configuration files first, in their order; then what they refer to, in the order of reading.
  /// `SourcePosition.file` is an index into it.
  public var files: [File]
  public var environment: [String: String]

  public init(files: [File] = [], environment: [String: String] = [:]) {
    self.files = files
    self.environment = environment
  }

  /// FNV-1a, 64 bits, over the bytes of every file in order.
  public var hash: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for file in files {
      for byte in file.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    return hash
  }

  /// The bytes of a line without its end, or nil if there is no such line.
  func line(at position: SourcePosition) -> ArraySlice<UInt8>? {
    guard files.indices.contains(position.file) else { return nil }
    var lines = SourceLines(files[position.file].bytes)
    for _ in 1..<max(position.line, 1) {
      guard lines.next() != nil else { return nil }
    }
    return lines.next()
  }
}

/// The lines of a snapshot's files, found without going through a file for each.
public struct SourceText {
  private let snapshot: ConfigurationSnapshot
  /// By file: where its lines begin.
  private var lines: [Int: [ArraySlice<UInt8>]] = [:]

  public init(_ snapshot: ConfigurationSnapshot) { self.snapshot = snapshot }

  /// The bytes of a line without its end, or nil if there is no such line.
  public mutating func line(at position: SourcePosition) -> ArraySlice<UInt8>? {
    guard snapshot.files.indices.contains(position.file) else { return nil }
    let known = lines[position.file] ?? Array(SourceLines(snapshot.files[position.file].bytes))
    lines[position.file] = known
    return known.indices.contains(position.line - 1) ? known[position.line - 1] : nil
  }

  /// `sluice.cfg:12`
  public func place(of position: SourcePosition) -> String {
    guard snapshot.files.indices.contains(position.file) else { return "line \(position.line)" }
    return "\(snapshot.files[position.file].path):\(position.line)"
  }
}

/// The lines of a file, without their ends (LF or CR LF).
struct SourceLines: Sequence, IteratorProtocol {
  private let bytes: [UInt8]
  private var index = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func next() -> ArraySlice<UInt8>? {
    guard index < bytes.count else { return nil }
    let start = index
    while index < bytes.count, bytes[index] != 0x0a { index += 1 }
    var end = index
    index += 1
    if end > start, bytes[end - 1] == 0x0d, end < bytes.count { end -= 1 }
    return bytes[start..<end]
  }
}
