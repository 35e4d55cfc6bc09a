/// A snapshot as bytes: eight bytes of magic, then records of type (1 byte), length (4 bytes,
/// big-endian) and value.
///
/// A reader skips records and fields whose type it does not know, so a newer release may add some;
/// what an older release cannot ignore gets another magic.
extension ConfigurationSnapshot {
  /// "sluice", then the version of the encoding.
  private static let magic = Array("sluice".utf8) + [0, 1]

  private enum Record: UInt8 {
    /// Fields: path, role, content.
    case file = 1
    /// Fields: name, value.
    case variable = 2
  }

  private enum Field: UInt8 {
    case path = 1
    case role = 2
    case content = 3
    case name = 4
    case value = 5
  }

  /// Why bytes are no snapshot.
  public struct DecodingError: Error, Equatable, Sendable {
    public let reason: String
  }

  public var encoded: [UInt8] {
    var output = Self.magic
    for file in files {
      var record: [UInt8] = []
      Self.append(Field.path.rawValue, Array(file.path.utf8), to: &record)
      Self.append(Field.role.rawValue, [file.role.rawValue], to: &record)
      Self.append(Field.content.rawValue, file.bytes, to: &record)
      Self.append(Record.file.rawValue, record, to: &output)
    }
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
      var record: [UInt8] = []
      Self.append(Field.name.rawValue, Array(name.utf8), to: &record)
      Self.append(Field.value.rawValue, Array(value.utf8), to: &record)
      Self.append(Record.variable.rawValue, record, to: &output)
    }
    return output
  }

  private static func append(_ type: UInt8, _ value: [UInt8], to output: inout [UInt8]) {
    precondition(value.count <= UInt32.max, "a record of 4 GiB")
    output.append(type)
    for shift in [24, 16, 8, 0] {
      output.append(UInt8(truncatingIfNeeded: value.count >> shift))
    }
    output += value
  }

  /// Reads what `encoded` gave.
  ///
  /// - Throws: when the bytes are cut short or are no snapshot of a known version.
  public init(decoding bytes: [UInt8]) throws(DecodingError) {
    guard bytes.starts(with: Self.magic) else {
      throw DecodingError(reason: "not a configuration snapshot of a known version")
    }
    self.init()
    var records = RecordReader(bytes[Self.magic.count...])
    while let record = try records.next() {
      switch Record(rawValue: record.type) {
      case .file: files.append(try Self.file(record.value))
      case .variable:
        let fields = try Self.fields(record.value)
        environment[Self.text(fields[.name])] = Self.text(fields[.value])
      case nil: continue
      }
    }
  }

  private static func file(_ value: ArraySlice<UInt8>) throws(DecodingError) -> File {
    let fields = try fields(value)
    guard let role = fields[.role]?.first.flatMap(File.Role.init(rawValue:)) else {
      throw DecodingError(reason: "a file without a known role")
    }
    return File(path: text(fields[.path]), role: role, bytes: Array(fields[.content] ?? []))
  }

  private static func fields(
    _ value: ArraySlice<UInt8>
  ) throws(DecodingError) -> [Field: ArraySlice<UInt8>] {
    var fields: [Field: ArraySlice<UInt8>] = [:]
    var records = RecordReader(value)
    while let record = try records.next() {
      if let field = Field(rawValue: record.type) { fields[field] = record.value }
    }
    return fields
  }

  private static func text(_ bytes: ArraySlice<UInt8>?) -> String {
    String(decoding: bytes ?? [], as: UTF8.self)
  }

  /// Reads record after record.
  private struct RecordReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
      rest = bytes
    }

    mutating func next() throws(DecodingError) -> (type: UInt8, value: ArraySlice<UInt8>)? {
      guard let type = rest.popFirst() else { return nil }
      guard rest.count >= 4 else { throw DecodingError(reason: "a record is cut short") }
      let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      guard rest.count >= length else { throw DecodingError(reason: "a record is cut short") }
      defer { rest = rest.dropFirst(length) }
      return (type, rest.prefix(length))
    }
  }
}
