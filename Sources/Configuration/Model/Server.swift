public import Linux

public struct Server: Sendable {
  public var name: String
  /// HAProxy's `sid`: from 1 in the order of the file unless `id` says otherwise.
  public var id: Int
  public var address: ServerAddress
  /// The address as the file writes it.
  public var text: String
  public var position: SourcePosition

  /// 0…256; 0 takes no balanced connection.
  public var weight = 1
  public var isBackup = false
  /// `disabled`: starts in maintenance.
  public var isDisabled = false
  /// `maxconn`; nil is unlimited.
  public var maxConnections: Int?
  /// `minconn`.
  public var minConnections: Int?
  /// `maxqueue`; nil is unlimited.
  public var maxQueue: Int?
  public var proxyHeader = SendProxy.none
  /// `source`.
  public var source: SocketAddress?
  /// `tcp-ut`, milliseconds.
  public var userTimeout: Int?
  public var check: HealthCheck?
  /// `on-marked-down shutdown-sessions`.
  public var shutsDownSessionsWhenMarkedDown = false

  public init(
    name: String, id: Int, address: ServerAddress, text: String, position: SourcePosition
  ) {
    self.name = name
    self.id = id
    self.address = address
    self.text = text
    self.position = position
  }
}

/// Where a server is.
public struct ServerAddress: Equatable, Sendable {
  public enum Host: Equatable, Sendable {
    /// An address that needs no resolving; its port counts when `port` is `.fixed`.
    case address(SocketAddress)
    /// A name to resolve.
    case name(String)
    /// No address, `0.0.0.0` or `*`: where the client was going.
    case original
  }

  public enum Port: Equatable, Sendable {
    case fixed(UInt16)
    /// The port that the client connected to, plus this.
    case relative(Int)
  }

  public var host: Host
  public var port: Port

  public init(host: Host, port: Port) {
    self.host = host
    self.port = port
  }
}

public enum SendProxy: UInt8, Sendable {
  case none, version1, version2
}

/// `check` and what goes with it. Times in milliseconds.
public struct HealthCheck: Equatable, Sendable {
  public var interval = 2_000
  /// nil: as `interval`.
  public var fastInterval: Int?
  /// nil: as `interval`.
  public var downInterval: Int?
  public var rise = 2
  public var fall = 3
  /// `port`.
  public var port: UInt16?
  /// `addr`.
  public var address: SocketAddress?
  /// Whether the check opens with a PROXY header: `check-send-proxy`, or `send-proxy*` on a server
  /// whose check goes where its traffic goes.
  public var sendsProxy = SendProxy.none
  /// `check-ssl`.
  public var tls: CheckTLS?

  public init() {}
}
