public import Linux

/// One backend, or the back half of a `listen` section.
public struct Backend: Sendable {
  public var identity: ProxyIdentity
  public var servers: [Server] = []
  public var balance = Balance.roundRobin
  public var hashType = HashType()
  public var timeouts = Timeouts()
  public var keepalive = Keepalive()
  /// Connection attempts after the first: `retries`.
  public var retries = 3
  /// `option redispatch [N]`: 0 is off, N every Nth retry, -1 the last retry only.
  public var redispatch = 0
  /// `fullconn`; nil means a tenth of the frontends' maxconn, as the reference.
  public var fullConnections: Int?
  /// `option allbackups`.
  public var allBackups = false
  /// `option abortonclose`.
  public var abortOnClose = false
  public var noLinger = false
  /// How servers with `check` are checked.
  public var check = CheckScript()
  /// `option log-health-checks`.
  public var logsHealthChecks = false
  /// Where health events go.
  public var log = LogSettings()
  /// `source ADDR[:PORT]`.
  public var source: SocketAddress?
  public var contentRules: [Rule] = []
  public var inspectDelay: Int?
  public var acls: [ACL] = []
  /// `use-server NAME if …`, first match whose server is usable.
  public var serverRules: [ServerRule] = []

  public init(identity: ProxyIdentity) { self.identity = identity }
}
