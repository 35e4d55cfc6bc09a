/// An IPv4 or IPv6 address, as sixteen bytes in network order.
///
/// IPv4 addresses are held IPv4-mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), so that one
/// comparison serves both; `isIPv4` tells them apart.
@frozen public struct IPAddress: Hashable, Sendable {
  /// The first eight bytes, read big-endian.
  public var high: UInt64
  /// The last eight bytes, read big-endian.
  public var low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// An IPv4 address read big-endian: `127.0.0.1` is `0x7f000001`.
  @inlinable
  public init(ipv4: UInt32) {
    high = 0
    low = 0x0000_ffff_0000_0000 | UInt64(ipv4)
  }

  @inlinable
  public var isIPv4: Bool { high == 0 && low >> 32 == 0x0000_ffff }

  /// The address as an IPv4 number; only meaningful where `isIPv4`.
  @inlinable
  public var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// `0.0.0.0` or `::`.
  @inlinable
  public var isUnspecified: Bool { high == 0 && (low == 0 || low == 0x0000_ffff_0000_0000) }

  public static let anyIPv4 = IPAddress(ipv4: 0)
  public static let anyIPv6 = IPAddress(high: 0, low: 0)

  /// The address with all bits behind a prefix zero; the prefix counts within its own family.
  public func masked(to prefixLength: Int) -> IPAddress {
    let bits = isIPv4 ? prefixLength + 96 : prefixLength
    let highMask = bits >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(bits))
    let lowMask = bits <= 64 ? 0 : bits >= 128 ? UInt64.max : ~(UInt64.max >> UInt64(bits - 64))
    return IPAddress(high: high & highMask, low: low & lowMask)
  }

  /// The byte at `index`, 0…15 in network order.
  @inlinable
  public subscript(index: Int) -> UInt8 {
    let half = index < 8 ? high : low
    return UInt8(truncatingIfNeeded: half >> UInt64((7 - index & 7) * 8))
  }
}

// MARK: - Text

extension IPAddress {
  /// Reads dotted IPv4 (four decimal parts) or RFC 4291 IPv6 text, without brackets or zone.
  public init?(_ text: some StringProtocol) {
    var parser = AddressParser(text.utf8)
    guard let address = parser.isIPv6 ? parser.ipv6() : parser.ipv4Address() else { return nil }
    self = address
  }
}

extension IPAddress: CustomStringConvertible {
  /// RFC 5952 text for IPv6, dotted decimal for IPv4.
  public var description: String {
    isIPv4 ? Self.dotted(ipv4) : ipv6Text
  }

  static func dotted(_ number: UInt32) -> String {
    "\(number >> 24).\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)"
  }

  private var ipv6Text: String {
    let groups = (0..<8).map { index -> UInt16 in
      let half = index < 4 ? high : low
      return UInt16(truncatingIfNeeded: half >> UInt64((3 - index & 3) * 16))
    }
    let gap = Self.longestZeroRun(in: groups)
    var text = ""
    var index = 0
    while index < 8 {
      if index == gap.lowerBound, gap.count > 1 {
        text += "::"
        index = gap.upperBound
        continue
      }
      if !text.isEmpty, !text.hasSuffix(":") { text += ":" }
      text += String(groups[index], radix: 16)
      index += 1
    }
    return text
  }

  private static func longestZeroRun(in groups: [UInt16]) -> Range<Int> {
    var longest = 0..<0
    var start = 0
    for index in 0...groups.count {
      if index < groups.count, groups[index] == 0 { continue }
      if index - start > longest.count { longest = start..<index }
      start = index + 1
    }
    return longest
  }
}

/// Reads addresses byte by byte, without a library's leniency (`inet_aton` takes `1.2`).
private struct AddressParser {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: some Sequence<UInt8>) {
    self.bytes = Array(bytes)
  }

  var isIPv6: Bool { bytes.contains(UInt8(ascii: ":")) }

  mutating func ipv4Address() -> IPAddress? {
    guard let number = ipv4(), position == bytes.count else { return nil }
    return IPAddress(ipv4: number)
  }

  private mutating func ipv4() -> UInt32? {
    var number: UInt32 = 0
    for part in 0..<4 {
      if part > 0 {
        guard skip(UInt8(ascii: ".")) else { return nil }
      }
      guard let value = decimal() else { return nil }
      number = number << 8 | UInt32(value)
    }
    return number
  }

  private mutating func decimal() -> UInt8? {
    let start = position
    var value = 0
    while position < bytes.count, case 0x30...0x39 = bytes[position], position - start < 3 {
      value = value * 10 + Int(bytes[position] - 0x30)
      position += 1
    }
    let hasLeadingZero = position - start > 1 && bytes[start] == 0x30
    return position > start && value <= 255 && !hasLeadingZero ? UInt8(value) : nil
  }

  mutating func ipv6() -> IPAddress? {
    var head: [UInt16] = []
    var tail: [UInt16] = []
    var sawGap = false
    if bytes.starts(with: [0x3a, 0x3a]) {
      position = 2
      sawGap = true
    }
    while position < bytes.count {
      let count = head.count + tail.count
      guard count < 8 else { return nil }
      let start = position
      if count <= 6, let number = ipv4(), position == bytes.count {
        let words = [UInt16(number >> 16), UInt16(truncatingIfNeeded: number)]
        if sawGap { tail += words } else { head += words }
        break
      }
      position = start
      guard let group = hexadecimal() else { return nil }
      if sawGap { tail.append(group) } else { head.append(group) }
      if position == bytes.count { break }
      guard skip(0x3a), position < bytes.count else { return nil }
      if bytes[position] == 0x3a {
        guard !sawGap else { return nil }
        sawGap = true
        position += 1
      }
    }
    let missing = 8 - head.count - tail.count
    guard sawGap ? missing >= 1 : missing == 0 else { return nil }
    let groups = head + Array(repeating: 0, count: missing) + tail
    let halves = (groups[0..<4], groups[4..<8]) as (ArraySlice<UInt16>, ArraySlice<UInt16>)
    return IPAddress(high: Self.join(halves.0), low: Self.join(halves.1))
  }

  private static func join(_ groups: ArraySlice<UInt16>) -> UInt64 {
    groups.reduce(0) { $0 << 16 | UInt64($1) }
  }

  private mutating func hexadecimal() -> UInt16? {
    let start = position
    var value: UInt32 = 0
    while position < bytes.count, position - start < 4, let digit = Self.digit(bytes[position]) {
      value = value << 4 | digit
      position += 1
    }
    return position > start ? UInt16(value) : nil
  }

  private static func digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x41...0x46: UInt32(byte - 0x41 + 10)
    case 0x61...0x66: UInt32(byte - 0x61 + 10)
    default: nil
    }
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }
}
