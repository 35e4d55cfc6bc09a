/// The `global` sections, merged.
public struct GlobalSettings: Sendable {
  /// `nbthread` or `nbproc`; nil means one worker a usable CPU.
  public var workers: Int?
  /// `maxconn`: connections over all workers; nil means derived from the descriptor limit.
  public var maxConnections: Int?
  /// `ulimit-n`.
  public var descriptorLimit: Int?
  public var daemonize = false
  public var pidFile: String?
  public var user: Identity?
  public var group: Identity?
  /// `chroot DIR`.
  public var root: String?
  public var log: [LogTarget] = []
  public var logTag: String?
  /// `log-send-hostname`: nil is off, an empty string the host's own name.
  public var logHostname: String?
  public var statsSockets: [StatsSocket] = []
  /// `stats timeout`, milliseconds.
  public var statsTimeout = 10_000
  /// `stats maxconn`.
  public var statsMaxConnections = 10
  public var node: String?
  public var description: String?
  /// `hard-stop-after`, milliseconds.
  public var hardStopAfter: Int?
  /// `drain-delay`, milliseconds: how long a node that is taken out still accepts.
  public var drainDelay = 0
  /// `reload-sessions`: what becomes of connections on a reload.
  public var reloadSessions = ReloadSessions.migrate
  /// `nosplice` (or `-dS`): relay by copying only.
  public var noSplice = false
  /// `noreuseport` (or `-dR`): all workers share one socket a bind line.
  public var noReusePort = false
  /// `maxpipes`: pipes over all workers.
  public var maxPipes: Int?
  /// `tune.pipesize`, bytes; nil leaves it to the pool of pipes, which makes those of bulk larger.
  public var pipeSize: Int?
  /// `tune.bufsize`, bytes: how much of a request content rules can see.
  public var bufferSize = 16_384
  /// `tune.maxaccept`: accepts a wake-up; nil leaves it to the acceptor.
  public var maxAccept: Int?
  /// `spread-checks`, per cent.
  public var spreadChecks = 0
  /// `max-spread-checks`, milliseconds.
  public var maxSpreadChecks: Int?
  /// `tune.rcvbuf.client`, `tune.sndbuf.client`, `tune.rcvbuf.server`, `tune.sndbuf.server`; bytes.
  public var clientReceiveBuffer: Int?
  public var clientSendBuffer: Int?
  public var serverReceiveBuffer: Int?
  public var serverSendBuffer: Int?

  /// `zero-warning`: as `-dW`.
  public var warningsAreErrors = false

  public init() {}
}

/// What a reload does with connections that are under way.
public enum ReloadSessions: String, CaseIterable, Sendable {
  /// The new workers take them over, and the old ones end at once.
  case migrate
  /// The old workers carry them on until they end.
  case drain
}

/// A user or a group, by name or by number.
public enum Identity: Equatable, Sendable {
  case name(String)
  case number(UInt32)
}

/// A `stats socket` line: where operators reach the runtime API.
public struct StatsSocket: Sendable {
  public enum Level: UInt8, Comparable, Sendable {
    case user = 1
    case `operator` = 2
    case admin = 3

    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  /// Prefixes of answers: `severity-output`.
  public enum SeverityOutput: UInt8, Sendable {
    case none, number, string
  }

  public var address: BindAddress
  public var level = Level.operator
  public var permissions = SocketPermissions()
  public var severityOutput = SeverityOutput.none
  /// `expose-fd listeners`: another master may take over, by way of a socket beside this one.
  public var exposesListeners = false
  /// The address as the file writes it, for `show cli sockets`.
  public var text: String
  public var position: SourcePosition

  public init(address: BindAddress, text: String, position: SourcePosition) {
    self.address = address
    self.text = text
    self.position = position
  }
}

/// `mode`, `user`, `group`, `uid`, `gid` of a unix socket.
public struct SocketPermissions: Equatable, Sendable {
  public var mode: UInt32?
  public var user: Identity?
  public var group: Identity?

  public init() {}
}
