/// Something to tell the operator about a configuration: where, what, and what was expected.
public struct Diagnostic: Error, Equatable, Sendable {
  public enum Severity: UInt8, Comparable, Sendable {
    /// Worth knowing; nothing is lost.
    case notice
    /// Something in the file is not done. `-dW` and `zero-warning` make it fatal.
    case warning
    /// The configuration cannot be used.
    case error

    public static func < (left: Severity, right: Severity) -> Bool {
      left.rawValue < right.rawValue
    }
  }

  public var severity: Severity
  /// Nil when it is about no line: a file that cannot be read, say.
  public var position: SourcePosition?
  /// Bytes of the line that it is about, from `position` on.
  public var length: Int
  /// One sentence, without a full stop.
  public var message: String
  /// What was expected, or what to do.
  public var hints: [String]
  /// The nearest known word, where an unknown one is the trouble.
  public var suggestion: String?

  public init(
    _ severity: Severity, at position: SourcePosition?, length: Int = 1, _ message: String,
    hints: [String] = [], suggestion: String? = nil
  ) {
    self.severity = severity
    self.position = position
    self.length = length
    self.message = message
    self.hints = hints
    self.suggestion = suggestion
  }
}

// MARK: - Rendering

extension Diagnostic {
  /// The diagnostic as an operator reads it, without a final newline:
  ///
  ///     sluice.cfg:7:5: error: unknown keyword 'bnid' in a frontend
  ///         bnid :443
  ///         ^~~~
  ///     did you mean 'bind'?
  ///
  /// Tabs of the line are repeated above the caret, so that it stands under its word at any tab
  /// width. The text comes from the snapshot that the positions point into.
  public func rendered(in snapshot: ConfigurationSnapshot) -> String {
    rendered(in: snapshot, line: position.flatMap { snapshot.line(at: $0) })
  }

  func rendered(in snapshot: ConfigurationSnapshot, line: ArraySlice<UInt8>?) -> String {
    var lines = [headline(in: snapshot)]
    if let position, let line {
      lines += Self.excerpt(of: line, column: position.column, length: length)
    }
    if let suggestion { lines.append("did you mean '\(suggestion)'?") }
    lines += hints
    return lines.joined(separator: "\n")
  }

  private func headline(in snapshot: ConfigurationSnapshot) -> String {
    guard let position, snapshot.files.indices.contains(position.file) else {
      return "\(severity): \(message)"
    }
    let path = snapshot.files[position.file].path
    return "\(path):\(position.line):\(position.column): \(severity): \(message)"
  }

  /// How much of a line is shown around the place in question, in bytes.
  private static let window = 160

  private static func excerpt(
    of line: ArraySlice<UInt8>, column: Int, length: Int
  ) -> [String] {
    let target = min(line.startIndex + column - 1, line.endIndex)
    let first = characterStart(in: line, near: max(line.startIndex, target - window))
    let last = characterStart(in: line, near: min(line.endIndex, target + window))
    let before = line[first..<target]
    let marked = line[target..<min(target + max(length, 1), last)]

    let text = printable(line[first..<last])
    let indent = String(decoding: before.filter(isCharacterStart).map(blank), as: UTF8.self)
    let tail = max(marked.count(where: isCharacterStart) - 1, 0)
    return [text, indent + "^" + String(repeating: "~", count: tail)]
  }

  private static func isCharacterStart(_ byte: UInt8) -> Bool { byte & 0xc0 != 0x80 }

  private static func blank(_ byte: UInt8) -> UInt8 {
    byte == UInt8(ascii: "\t") ? byte : UInt8(ascii: " ")
  }

  /// Where the UTF-8 sequence around `index` starts, so that no half character is shown.
  ///
  /// A sequence has at most four bytes (RFC 3629): what goes on for longer is not text, and looking
  /// for its start would lead past the place in question.
  private static func characterStart(in line: ArraySlice<UInt8>, near index: Int) -> Int {
    guard index < line.endIndex else { return index }
    let nearby = max(line.startIndex, index - 3)...index
    return nearby.last { isCharacterStart(line[$0]) } ?? index
  }

  /// Terminals act on control bytes, and a hostile file must not reach them.
  private static func printable(_ bytes: ArraySlice<UInt8>) -> String {
    let safe = bytes.map { $0 < 0x20 && $0 != 0x09 || $0 == 0x7f ? UInt8(ascii: "?") : $0 }
    return String(decoding: safe, as: UTF8.self)
  }
}

extension Diagnostic.Severity: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notice: "notice"
    case .warning: "warning"
    case .error: "error"
    }
  }
}
