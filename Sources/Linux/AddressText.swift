/// An address as text, held where its owner lives: what logs and rules use where nothing may be
/// allocated. The same text as `IPAddress.description`.
public struct AddressText: BitwiseCopyable, Sendable {
  /// `ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff`.
  public static let maximumLength = 39

  private var bytes = InlineArray<39, UInt8>(repeating: 0)
  public private(set) var count = 0

  /// The text, for as long as its owner is borrowed.
  public var span: Span<UInt8> {
    @_lifetime(borrow self)
    get { bytes.span.extracting(0..<count) }
  }

  public init(_ address: IPAddress) {
    if address.isIPv4 {
      appendDotted(address.ipv4)
    } else {
      appendGroups(of: address)
    }
  }

  private mutating func appendDotted(_ number: UInt32) {
    for part in 0..<4 {
      if part > 0 { append(UInt8(ascii: ".")) }
      appendDecimal(UInt8(truncatingIfNeeded: number >> UInt32(24 - 8 * part)))
    }
  }

  private mutating func appendDecimal(_ byte: UInt8) {
    if byte >= 100 { append(0x30 + byte / 100) }
    if byte >= 10 { append(0x30 + byte / 10 % 10) }
    append(0x30 + byte % 10)
  }

  /// RFC 5952: the longest run of two or more zero groups becomes `::`, the first of equals.
  private mutating func appendGroups(of address: IPAddress) {
    let gap = Self.longestZeroRun(in: address)
    var index = 0
    while index < 8 {
      if index == gap.start, gap.count > 1 {
        append(UInt8(ascii: ":"))
        append(UInt8(ascii: ":"))
        index += gap.count
        continue
      }
      if index > 0, !(gap.count > 1 && index == gap.start + gap.count) {
        append(UInt8(ascii: ":"))
      }
      appendHexadecimal(Self.group(index, of: address))
      index += 1
    }
  }

  private mutating func appendHexadecimal(_ group: UInt16) {
    var started = false
    for shift in stride(from: UInt16(12), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: group >> shift & 15)
      started = started || digit != 0 || shift == 0
      if started { append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
    }
  }

  private mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }

  private static func group(_ index: Int, of address: IPAddress) -> UInt16 {
    let half = index < 4 ? address.high : address.low
    return UInt16(truncatingIfNeeded: half >> UInt64((3 - index & 3) * 16))
  }

  private static func longestZeroRun(in address: IPAddress) -> (start: Int, count: Int) {
    var longest = (start: 0, count: 0)
    var count = 0
    for index in 0..<8 {
      count = group(index, of: address) == 0 ? count + 1 : 0
      if count > longest.count { longest = (index + 1 - count, count) }
    }
    return longest
  }
}
