/// Writes numbered fields: a byte of number, two of length (big-endian), the value.
///
/// A number is written in as few bytes as it needs, none for zero; a record is fields again.
struct FieldWriter {
  private(set) var bytes: [UInt8]

  /// Whether a value was longer than its length can say.
  private(set) var hasOverflowed = false

  init(_ bytes: [UInt8] = [], reserving capacity: Int = 0) {
    self.bytes = bytes
    self.bytes.reserveCapacity(capacity)
  }

  mutating func write(_ tag: UInt8, _ value: some Collection<UInt8>) {
    guard value.count <= UInt16.max else { return hasOverflowed = true }
    bytes.append(tag)
    bytes.append(UInt8(value.count >> 8))
    bytes.append(UInt8(value.count & 0xff))
    bytes.append(contentsOf: value)
  }

  mutating func write(_ tag: UInt8, _ number: UInt64) {
    let width = (71 - number.leadingZeroBitCount) / 8
    bytes.append(tag)
    bytes.append(0)
    bytes.append(UInt8(width))
    for index in (0..<width).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index)))
    }
  }

  mutating func write(_ tag: UInt8, _ number: UInt32) { write(tag, UInt64(number)) }

  mutating func write(_ tag: UInt8, _ flag: Bool) { write(tag, flag ? 1 : 0 as UInt64) }

  mutating func write(_ tag: UInt8, _ text: String) { write(tag, text.utf8) }

  mutating func write(_ tag: UInt8, record: (inout FieldWriter) -> Void) {
    let start = bytes.count
    bytes += [tag, 0, 0]
    record(&self)
    let count = bytes.count - start - 3
    guard count <= UInt16.max else { return hasOverflowed = true }
    bytes[start + 1] = UInt8(count >> 8)
    bytes[start + 2] = UInt8(count & 0xff)
  }
}

/// Reads what `FieldWriter` wrote, in any order, passing over numbers it is not asked for.
struct FieldReader {
  private var fields: [(tag: UInt8, value: ArraySlice<UInt8>)] = []

  init(_ bytes: ArraySlice<UInt8>) throws(MessageError) {
    var rest = bytes
    while !rest.isEmpty {
      guard rest.count >= 3 else { throw .overrun }
      let tag = rest.removeFirst()
      let count = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
      guard count <= rest.count else { throw .overrun }
      fields.append((tag, rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
  }

  private func first(_ tag: UInt8) -> ArraySlice<UInt8>? {
    fields.first { $0.tag == tag }?.value
  }

  func all(_ tag: UInt8) -> [ArraySlice<UInt8>] {
    fields.filter { $0.tag == tag }.map(\.value)
  }

  private static func number<Number: FixedWidthInteger>(
    _ tag: UInt8, _ value: ArraySlice<UInt8>
  ) throws(MessageError) -> Number {
    guard value.count <= 8 else { throw .invalidField(tag) }
    let wide = value.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard let number = Number(exactly: wide) else { throw .invalidField(tag) }
    return number
  }

  func value(ifSent tag: UInt8) -> ArraySlice<UInt8>? { first(tag) }

  /// The number in the field, or nil if it was not sent.
  func number<Number: FixedWidthInteger>(
    ifSent tag: UInt8
  ) throws(MessageError) -> Number? {
    guard let value = first(tag) else { return nil }
    return try Self.number(tag, value)
  }

  /// The number in a field that every release sends.
  func number<Number: FixedWidthInteger>(_ tag: UInt8) throws(MessageError) -> Number {
    guard let number: Number = try number(ifSent: tag) else { throw .missingField(tag) }
    return number
  }

  func numbers(_ tag: UInt8) throws(MessageError) -> [UInt32] {
    var numbers: [UInt32] = []
    for value in all(tag) { numbers.append(try Self.number(tag, value)) }
    return numbers
  }

  func flag(_ tag: UInt8) throws(MessageError) -> Bool {
    try (number(ifSent: tag) ?? 0 as UInt64) != 0
  }

  func text(ifSent tag: UInt8) -> String? {
    first(tag).map { String(decoding: $0, as: UTF8.self) }
  }

  func text(_ tag: UInt8) throws(MessageError) -> String {
    guard let text = text(ifSent: tag) else { throw .missingField(tag) }
    return text
  }

  /// The values of all fields of that number, joined.
  func joined(_ tag: UInt8) -> [UInt8] {
    fields.lazy.filter { $0.tag == tag }.reduce(into: []) { $0 += $1.value }
  }

  func records<Record>(
    _ tag: UInt8, _ read: (FieldReader) throws(MessageError) -> Record
  ) throws(MessageError) -> [Record] {
    var records: [Record] = []
    for value in all(tag) { records.append(try read(FieldReader(value))) }
    return records
  }
}
