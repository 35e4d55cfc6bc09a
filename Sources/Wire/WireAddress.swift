/// An address and port as protocols carry them, detached from any socket.
public struct WireAddress: BitwiseCopyable, Sendable, Equatable {
  public enum Family: UInt8, BitwiseCopyable, Sendable {
    case none
    case inet
    case inet6
    /// A unix socket. Its path is not kept: clients' sockets have none.
    case unix
  }

  public let family: Family

  /// The first eight bytes of an IPv6 address, as a number; otherwise 0.
  public let high: UInt64

  /// The last eight bytes of an IPv6 address, or the IPv4 address, as a number.
  public let low: UInt64

  public let port: UInt16

  private init(_ family: Family, high: UInt64 = 0, low: UInt64 = 0, port: UInt16 = 0) {
    self.family = family
    self.high = high
    self.low = low
    self.port = port
  }

  /// No address: unknown, or not said.
  public static var none: WireAddress { WireAddress(.none) }

  public static var unix: WireAddress { WireAddress(.unix) }

  /// 192.0.2.1 is `inet(0xc000_0201, …)`.
  public static func inet(_ address: UInt32, port: UInt16) -> WireAddress {
    WireAddress(.inet, low: UInt64(address), port: port)
  }

  /// 2001:db8::1 is `inet6(high: 0x2001_0db8_0000_0000, low: 1, …)`.
  public static func inet6(high: UInt64, low: UInt64, port: UInt16) -> WireAddress {
    WireAddress(.inet6, high: high, low: low, port: port)
  }

  /// Whether this is an internet address.
  public var isInternet: Bool { family == .inet || family == .inet6 }

  /// The IPv4 address as a number; meaningful in the family `inet` only.
  public var inetNumber: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// An IPv4 address as IPv6 writes it, `::ffff:192.0.2.1`; any other as it is.
  public var mappedToInet6: WireAddress {
    guard family == .inet else { return self }
    return .inet6(high: 0, low: 0xffff_0000_0000 | low, port: port)
  }

  /// The same host with another port.
  public func with(port: UInt16) -> WireAddress {
    WireAddress(family, high: high, low: low, port: port)
  }

  /// One of the eight groups of an IPv6 address.
  func group(_ index: Int) -> UInt16 {
    let half = index < 4 ? high : low
    return UInt16(truncatingIfNeeded: half >> UInt64(16 * (3 - (index & 3))))
  }
}
