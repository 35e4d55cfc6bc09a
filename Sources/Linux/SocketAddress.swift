/// Where a socket is: an IPv4 or IPv6 address and port, or a unix path or abstract name.
public enum SocketAddress: Hashable, Sendable {
  case internet(Endpoint)
  /// A path in the file system, at most 107 bytes (unix(7)).
  case unix(path: String)
  /// A name in the abstract namespace, without the leading NUL that the kernel sees.
  case abstract(name: String)

  /// An IP address and a port.
  public static func ip(_ address: IPAddress, port: UInt16) -> SocketAddress {
    .internet(Endpoint(address: address, port: port))
  }

  public var endpoint: Endpoint? {
    if case .internet(let endpoint) = self { endpoint } else { nil }
  }

  public var isUnix: Bool { endpoint == nil }

  /// The longest path or abstract name that `sockaddr_un` holds.
  public static let longestPath = 107
}

extension SocketAddress: CustomStringConvertible {
  /// `192.0.2.1:443`, `[2001:db8::1]:443`, `/run/x.sock` or `abns@name`.
  public var description: String {
    switch self {
    case .internet(let endpoint): endpoint.description
    case .unix(let path): path
    case .abstract(let name): "abns@" + name
    }
  }
}

/// An IP address and a port, trivially copyable: what a connection remembers of its ends.
@frozen public struct Endpoint: Hashable, Sendable {
  public var address: IPAddress
  public var port: UInt16
  /// The interface index of a link-local IPv6 address, else 0.
  public var scope: UInt32

  @inlinable
  public init(address: IPAddress, port: UInt16, scope: UInt32 = 0) {
    self.address = address
    self.port = port
    self.scope = scope
  }

  /// No address: a unix socket's end, or one that was not asked for.
  public static let none = Endpoint(address: .anyIPv6, port: 0)
}

extension Endpoint: CustomStringConvertible {
  public var description: String {
    address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
  }
}
