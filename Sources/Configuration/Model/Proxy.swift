/// What frontends and backends have in common.
public struct ProxyIdentity: Sendable {
  public var name: String
  /// HAProxy's `iid`: from 2 in the order of the file unless `id` says otherwise. Both halves of a
  /// `listen` section share one.
  public var id: Int
  /// `disabled`: neither bound nor shown.
  public var isDisabled = false
  public var description: String?
  public var position: SourcePosition
  /// Whether a `listen` section made it, which then made one of each.
  public var isListen = false

  public init(name: String, id: Int, position: SourcePosition) {
    self.name = name
    self.id = id
    self.position = position
  }
}

/// The timeouts of one proxy, in milliseconds; nil waits for ever.
public struct Timeouts: Equatable, Sendable {
  /// `timeout connect`; 5000 where the file is silent.
  public var connect: Int?
  public var client: Int?
  public var server: Int?
  /// `timeout queue`; the connect timeout where the file is silent.
  public var queue: Int?
  public var tunnel: Int?
  public var clientFin: Int?
  public var serverFin: Int?
  public var check: Int?
  /// `timeout client-hs`: the PROXY header must have come by then; the client timeout where silent.
  public var clientHandshake: Int?

  public init() {}
}

/// TCP keepalive of one side: `option clitcpka|srvtcpka|tcpka` and `clitcpka-cnt|idle|intvl`.
///
/// On unless the file says `no option …tcpka`: dead peers go, quiet ones stay.
public struct Keepalive: Equatable, Sendable {
  public var isEnabled = true
  /// Probes before the connection counts as dead.
  public var count = 3
  /// Seconds of silence before the first probe.
  public var idle = 120
  /// Seconds between probes.
  public var interval = 30

  public init() {}
}
