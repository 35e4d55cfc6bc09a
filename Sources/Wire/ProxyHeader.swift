/// The header by which a proxy says for whom it connects (PROXY protocol, versions 1 and 2;
/// <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
public struct ProxyHeader: BitwiseCopyable, Sendable, Equatable {
  public enum Version: UInt8, BitwiseCopyable, Sendable {
    case v1 = 1
    case v2 = 2
  }

  public enum Command: UInt8, BitwiseCopyable, Sendable {
    /// The proxy speaks for itself, for instance to check health: the connection's real addresses
    /// hold.
    case local = 0
    case proxy = 1
  }

  /// Where something lies in the bytes that were parsed. Empty when it was not sent.
  public struct Extent: BitwiseCopyable, Sendable, Equatable {
    public let offset: Int
    public let count: Int

    public init(offset: Int, count: Int) {
      self.offset = offset
      self.count = count
    }

    public static var none: Extent { Extent(offset: 0, count: 0) }

    public var isEmpty: Bool { count == 0 }
  }

  public let version: Version
  public let command: Command

  /// The length of the header. What the client itself said begins there.
  public let length: Int

  /// The addresses it speaks for. `none` if it does not say (LOCAL, UNKNOWN, unspecified), `unix`
  /// if they are paths: in both cases the real addresses of the connection hold.
  public internal(set) var source = WireAddress.none
  public internal(set) var destination = WireAddress.none

  /// The type-length-value fields behind the addresses of version 2.
  public internal(set) var fields = Extent.none

  /// The host name the client asked for, at most 255 bytes (PP2_TYPE_AUTHORITY).
  public internal(set) var authority = Extent.none

  /// The protocol that was agreed on (PP2_TYPE_ALPN).
  public internal(set) var alpn = Extent.none

  /// An opaque name of the connection, at most 128 bytes (PP2_TYPE_UNIQUE_ID).
  public internal(set) var uniqueID = Extent.none

  init(version: Version, command: Command, length: Int) {
    self.version = version
    self.command = command
    self.length = length
  }

  /// Whether the header names internet addresses that replace the connection's own.
  public var hasAddresses: Bool { source.isInternet && destination.isInternet }
}

/// What the first bytes of a connection are to one who expects a PROXY header.
public enum ProxyVerdict: Equatable, BitwiseCopyable, Sendable {
  /// A header so far.
  case needMore
  case complete(ProxyHeader)

  /// Something else from its first bytes on.
  case notProxy

  /// It began as a header. The connection must be refused: its rest cannot be told from data.
  case malformed(ProxyDefect)
}

/// Why something that began as a PROXY header is none.
public enum ProxyDefect: UInt8, BitwiseCopyable, Sendable, CaseIterable {
  case lineTooLong
  case lineEnd
  case line
  case family
  case address
  case port
  case version
  case command
  case tooLong
  case addressesMissing
  case fieldOverrun
  case fieldLength
  case checksum

  public var text: StaticString {
    switch self {
    case .lineTooLong: "PROXY line longer than 107 bytes"
    case .lineEnd: "PROXY line that does not end in CR LF"
    case .line: "PROXY line with missing or surplus words"
    case .family: "PROXY header for an unknown address family"
    case .address: "PROXY header with an invalid address"
    case .port: "PROXY header with an invalid port"
    case .version: "PROXY header of an unknown version"
    case .command: "PROXY header with an unknown command"
    case .tooLong: "PROXY header longer than 4096 bytes"
    case .addressesMissing: "PROXY header too short for its addresses"
    case .fieldOverrun: "PROXY field that runs past the end of the header"
    case .fieldLength: "PROXY field of a length that its type cannot have"
    case .checksum: "PROXY header with a wrong checksum"
    }
  }
}
