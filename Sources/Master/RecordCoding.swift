/// Writes tagged values: a tag (2 bytes), a length (4 bytes), the value; numbers big-endian.
///
/// The state outlives the release that wrote it, so a reader passes over tags that it does not
/// know, and takes a missing one for its default. A tag is never given a second meaning.
struct RecordWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write(_ tag: UInt16, _ value: [UInt8]) {
    precondition(value.count <= UInt32.max, "a record of 4 GiB")
    append(UInt64(tag), width: 2)
    append(UInt64(value.count), width: 4)
    bytes += value
  }

  mutating func write(_ tag: UInt16, _ number: Int) {
    var writer = RecordWriter()
    writer.append(UInt64(bitPattern: Int64(number)), width: 8)
    write(tag, writer.bytes)
  }

  mutating func write(_ tag: UInt16, _ number: UInt64) { write(tag, Int(bitPattern: UInt(number))) }
  mutating func write(_ tag: UInt16, _ text: String) { write(tag, Array(text.utf8)) }
  mutating func write(_ tag: UInt16, _ flag: Bool) { write(tag, flag ? 1 : 0) }

  /// Writes nothing for nil, so that it is read as nil.
  mutating func write(_ tag: UInt16, _ number: Int?) {
    if let number { write(tag, number) }
  }

  mutating func write(_ tag: UInt16, _ text: String?) {
    if let text { write(tag, text) }
  }

  mutating func write(_ tag: UInt16, record: (inout RecordWriter) -> Void) {
    var writer = RecordWriter()
    record(&writer)
    write(tag, writer.bytes)
  }

  private mutating func append(_ number: UInt64, width: Int) {
    for shift in (0..<width).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * shift)))
    }
  }
}

/// Why bytes are no records that can be understood.
enum RecordError: Error, Equatable {
  case cutShort
  case missing(UInt16)
  case invalid(UInt16)
}

/// Reads what ``RecordWriter`` wrote, in any order.
struct RecordReader {
  private var values: [UInt16: [ArraySlice<UInt8>]] = [:]

  init(_ bytes: some Collection<UInt8>) throws(RecordError) {
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      let tag = UInt16(truncatingIfNeeded: try Self.number(&rest, width: 2))
      let length = Int(try Self.number(&rest, width: 4))
      guard rest.count >= length else { throw .cutShort }
      values[tag, default: []].append(rest.prefix(length))
      rest = rest.dropFirst(length)
    }
  }

  private static func number(
    _ bytes: inout ArraySlice<UInt8>, width: Int
  ) throws(RecordError) -> UInt64 {
    guard bytes.count >= width else { throw .cutShort }
    defer { bytes = bytes.dropFirst(width) }
    return bytes.prefix(width).reduce(0) { $0 << 8 | UInt64($1) }
  }

  func bytes(_ tag: UInt16) -> [UInt8]? { values[tag]?.first.map(Array.init) }

  func text(_ tag: UInt16) -> String? {
    values[tag]?.first.map { String(decoding: $0, as: UTF8.self) }
  }

  func texts(_ tag: UInt16) -> [String] {
    (values[tag] ?? []).map { String(decoding: $0, as: UTF8.self) }
  }

  func number(_ tag: UInt16) throws(RecordError) -> Int? {
    guard var value = values[tag]?.first else { return nil }
    guard value.count == 8 else { throw .invalid(tag) }
    return Int(truncatingIfNeeded: Int64(bitPattern: try Self.number(&value, width: 8)))
  }

  func numbers(_ tag: UInt16) throws(RecordError) -> [Int] {
    var numbers: [Int] = []
    for value in values[tag] ?? [] {
      guard value.count == 8 else { throw .invalid(tag) }
      var value = value
      numbers.append(
        Int(truncatingIfNeeded: Int64(bitPattern: try Self.number(&value, width: 8))))
    }
    return numbers
  }

  func required(_ tag: UInt16) throws(RecordError) -> Int {
    guard let number = try number(tag) else { throw .missing(tag) }
    return number
  }

  /// A number of a narrower type.
  func required<Number: FixedWidthInteger>(
    _ tag: UInt16, as type: Number.Type
  ) throws(RecordError) -> Number {
    guard let number = Number(exactly: try required(tag)) else { throw .invalid(tag) }
    return number
  }

  func flag(_ tag: UInt16) throws(RecordError) -> Bool { try number(tag) ?? 0 != 0 }

  func records<Record>(
    _ tag: UInt16, _ read: (RecordReader) throws(RecordError) -> Record
  ) throws(RecordError) -> [Record] {
    var records: [Record] = []
    for value in values[tag] ?? [] { records.append(try read(RecordReader(value))) }
    return records
  }
}
