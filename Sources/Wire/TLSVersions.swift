/// The versions of SSL and TLS that a client offers. Drafts and GREASE (RFC 8701) do not count.
public struct TLSVersions: OptionSet, BitwiseCopyable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let ssl3 = TLSVersions(rawValue: 1)
  public static let tls10 = TLSVersions(rawValue: 1 << 1)
  public static let tls11 = TLSVersions(rawValue: 1 << 2)
  public static let tls12 = TLSVersions(rawValue: 1 << 3)
  public static let tls13 = TLSVersions(rawValue: 1 << 4)

  /// The version with this number on the wire, 0x0300 for SSL 3.0 to 0x0304 for TLS 1.3; empty for
  /// any other number.
  public init(wireVersion version: UInt16) {
    let isKnown = (0x0300...0x0304).contains(version)
    self.init(rawValue: isKnown ? 1 << UInt8(truncatingIfNeeded: version & 0xff) : 0)
  }

  /// The newest one as its number on the wire; 0 if there is none.
  public var highest: UInt16 {
    isEmpty ? 0 : 0x0300 + UInt16(7 - rawValue.leadingZeroBitCount)
  }
}
