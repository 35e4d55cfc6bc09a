/// One frontend, or the front half of a `listen` section.
public struct Frontend: Sendable {
  public var identity: ProxyIdentity
  public var binds: [Bind] = []
  /// `maxconn`; nil is bounded by the global limit alone.
  public var maxConnections: Int?
  /// `backlog`.
  public var backlog: Int?
  /// `rate-limit sessions`, a second.
  public var sessionRateLimit: Int?
  public var timeouts = Timeouts()
  public var log = LogSettings()
  public var keepalive = Keepalive()
  /// `option nolinger`.
  public var noLinger = false
  /// `option socket-stats`.
  public var socketStats = false
  /// `tcp-request connection …` in order, those of named defaults first.
  public var connectionRules: [Rule] = []
  /// `tcp-request session …`
  public var sessionRules: [Rule] = []
  /// `tcp-request content …`
  public var contentRules: [Rule] = []
  /// `tcp-request inspect-delay`, milliseconds. Nil where the file is silent: then rules that read
  /// the hello wait for it up to 5 s, and no other rule waits.
  public var inspectDelay: Int?
  /// `use_backend` in order.
  public var backendRules: [BackendRule] = []
  /// Index into `backends`: `default_backend`, or the other half of a `listen` with servers.
  public var defaultBackend: Int?
  public var acls: [ACL] = []
  /// What `%hr` shows: indices of the variables behind the slots of captures.
  public var captures: [Int] = []

  public init(identity: ProxyIdentity) { self.identity = identity }
}
