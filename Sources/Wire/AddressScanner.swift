/// Reads addresses and ports from text, left to right.
///
/// It holds positions only and is handed the bytes with every call, so that it can be copied and
/// kept. What cannot be read returns nil.
struct AddressScanner: BitwiseCopyable {
  private var position: Int
  private let end: Int

  init(from position: Int, to end: Int) {
    self.position = position
    self.end = end
  }

  var isAtEnd: Bool { position == end }

  /// Passes over `byte` if it comes next.
  mutating func skip(_ byte: UInt8, in bytes: Span<UInt8>) -> Bool {
    guard position < end, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  /// Passes over a word of at most eight bytes, most significant first, if it comes next.
  mutating func skip(_ word: UInt64, length: Int, in bytes: Span<UInt8>) -> Bool {
    guard end - position >= length else { return false }
    for index in 0..<length {
      let expected = UInt8(truncatingIfNeeded: word >> UInt64(8 * (length - 1 - index)))
      guard bytes[position + index] == expected else { return false }
    }
    position += length
    return true
  }

  mutating func port(in bytes: Span<UInt8>) -> UInt16? {
    guard let number = decimal(upTo: 65_535, in: bytes) else { return nil }
    return UInt16(truncatingIfNeeded: number)
  }

  mutating func address(
    _ family: WireAddress.Family, in bytes: Span<UInt8>
  ) -> WireAddress? {
    if family == .inet6 { return inet6(in: bytes) }
    guard let number = inet(in: bytes) else { return nil }
    return .inet(number, port: 0)
  }

  /// A number without leading zeros, which some read as octal.
  private mutating func decimal(upTo maximum: Int, in bytes: Span<UInt8>) -> Int? {
    let start = position
    var number = 0
    while position < end, case UInt8(ascii: "0")...UInt8(ascii: "9") = bytes[position] {
      if number == 0, position > start { return nil }
      number = number * 10 + Int(bytes[position] - UInt8(ascii: "0"))
      guard number <= maximum else { return nil }
      position += 1
    }
    return position > start ? number : nil
  }

  private mutating func inet(in bytes: Span<UInt8>) -> UInt32? {
    var address: UInt32 = 0
    for index in 0..<4 {
      if index > 0, !skip(UInt8(ascii: "."), in: bytes) { return nil }
      guard let byte = decimal(upTo: 255, in: bytes) else { return nil }
      address = address << 8 | UInt32(byte)
    }
    return address
  }

  /// An address in any form of RFC 4291 section 2.2: up to eight groups, one `::` in place of
  /// zeros, perhaps the last four bytes in IPv4's way. No zone.
  private mutating func inet6(in bytes: Span<UInt8>) -> WireAddress? {
    var groups = Groups()
    if skipGap(in: bytes) { groups.markGap() }
    while groups.count < 8 {
      if let tail = embeddedInet(in: bytes) {
        guard groups.count <= 6 else { return nil }
        groups.append(UInt16(truncatingIfNeeded: tail >> 16))
        groups.append(UInt16(truncatingIfNeeded: tail))
        break
      }
      guard let group = group(in: bytes) else { break }
      groups.append(group)
      if !groups.hasGap, skipGap(in: bytes) {
        groups.markGap()
      } else if !skipColonBeforeGroup(in: bytes) {
        break
      }
    }
    return groups.address
  }

  private mutating func skipGap(in bytes: Span<UInt8>) -> Bool {
    skip(0x3a3a, length: 2, in: bytes)
  }

  /// Passes over a colon if a group follows it.
  private mutating func skipColonBeforeGroup(in bytes: Span<UInt8>) -> Bool {
    guard end - position >= 2, Self.digit(bytes[position + 1]) != nil else { return false }
    return skip(UInt8(ascii: ":"), in: bytes)
  }

  private mutating func embeddedInet(in bytes: Span<UInt8>) -> UInt32? {
    var ahead = self
    guard let address = ahead.inet(in: bytes) else { return nil }
    self = ahead
    return address
  }

  private mutating func group(in bytes: Span<UInt8>) -> UInt16? {
    var number: UInt16 = 0
    let start = position
    while position < end, position - start < 4, let digit = Self.digit(bytes[position]) {
      number = number << 4 | digit
      position += 1
    }
    return position > start ? number : nil
  }

  private static func digit(_ byte: UInt8) -> UInt16? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}

/// The groups of an IPv6 address while they are read, and where its `::` stands.
private struct Groups {
  private var groups = InlineArray<8, UInt16>(repeating: 0)
  private var gap = -1
  private(set) var count = 0

  var hasGap: Bool { gap >= 0 }

  mutating func markGap() { gap = count }

  mutating func append(_ group: UInt16) {
    groups[count] = group
    count += 1
  }

  /// The address: eight groups, or fewer around a gap of zeros.
  var address: WireAddress? {
    guard hasGap ? count < 8 : count == 8 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for index in 0..<8 {
      high = high << 16 | low >> 48
      low = low << 16 | UInt64(group(index))
    }
    return .inet6(high: high, low: low, port: 0)
  }

  private func group(_ index: Int) -> UInt16 {
    if !hasGap || index < gap { return groups[index] }
    let omitted = 8 - count
    return index < gap + omitted ? 0 : groups[index - omitted]
  }
}

extension WireAddress {
  /// Reads an address without a port that is all of `text`: dotted IPv4, or IPv6 without brackets.
  public static func reading(_ text: Span<UInt8>) -> WireAddress? {
    var scanner = AddressScanner(from: 0, to: text.count)
    if let address = scanner.address(.inet, in: text), scanner.isAtEnd { return address }
    scanner = AddressScanner(from: 0, to: text.count)
    if let address = scanner.address(.inet6, in: text), scanner.isAtEnd { return address }
    return nil
  }
}
