public import Linux

/// What a set of configuration files says, checked and complete: names are resolved to indices,
/// inherited values are filled in, and nothing in it is left to look up.
///
/// Immutable once built. The master makes it before it forks, workers inherit it, and the
/// controller builds the same one from the same snapshot of the files, so an index means the same
/// thing in every process of a generation.
public struct ProxyConfiguration: Sendable {
  public var global = GlobalSettings()
  public var frontends: [Frontend] = []
  public var backends: [Backend] = []

  /// FNV-1a over the bytes of every file that was read, in order: equal on all nodes that run the
  /// same files.
  public var hash: UInt64 = 0

  public init() {}
}

// MARK: - global

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
  /// `nosplice` (or `-dS`): relay by copying only.
  public var noSplice = false
  /// `noreuseport` (or `-dR`): all workers share one socket a bind line.
  public var noReusePort = false
  /// `maxpipes`: pipes over all workers.
  public var maxPipes: Int?
  /// `tune.pipesize`, bytes.
  public var pipeSize = 256 * 1024
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

  public init() {}
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

// MARK: - proxies

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

/// How sessions of a frontend are logged.
public struct LogSettings: Sendable {
  public enum Format: Equatable, Sendable {
    /// HAProxy's default TCP line, `Connect from …`, written when a session begins.
    case connect
    /// `option tcplog`.
    case tcp
    /// `log-format`: compiled; see ``LogItem``.
    case custom([LogItem])
  }

  /// Where to: the proxy's own targets, those of `global` included where it says `log global`.
  public var targets: [LogTarget] = []
  public var format = Format.connect
  public var tag: String?
  /// `option dontlognull`.
  public var skipsNull = false
  /// `option dontlog-normal`.
  public var skipsNormal = false
  /// `option log-separate-errors`.
  public var separatesErrors = false
  /// `option logasap`.
  public var logsEarly = false

  public init() {}
}

/// A piece of a `log-format` line.
public enum LogItem: Equatable, Sendable {
  case text(String)
  /// A variable by its HAProxy name without the per cent sign: `ci`, `Tw`, `ts`, …
  case variable(String)
  /// `%[…]`.
  case sample(SampleExpression)
}

/// A `log` line.
public struct LogTarget: Equatable, Sendable {
  public enum Address: Equatable, Sendable {
    /// A UDP syslog server.
    case udp(SocketAddress)
    /// A unix datagram socket such as `/dev/log`.
    case unix(String)
    case standardOutput
    case standardError
    /// `fd@N`.
    case descriptor(Int)
  }

  public enum Format: UInt8, Sendable {
    /// RFC 3164 without the host name: HAProxy's default.
    case local
    case rfc3164
    case rfc5424
    /// `<PRI>` and the message.
    case priority
    /// `<LEVEL>` and the message, for journald.
    case short
    case timed
    case iso
    /// The message alone.
    case raw
  }

  public var address: Address
  public var format = Format.local
  /// Longest line in bytes; longer ones are cut. `len`, 1024 by default.
  public var maxLength = 1024
  /// syslog facility number, 0…23.
  public var facility: UInt8
  /// Least severe level that is sent, 0 (emerg) … 7 (debug).
  public var maxLevel: UInt8 = 7
  /// More severe levels are sent as this one.
  public var minLevel: UInt8 = 0

  public init(address: Address, facility: UInt8) {
    self.address = address
    self.facility = facility
  }
}

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

  public init(identity: ProxyIdentity) { self.identity = identity }
}

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

// MARK: - bind

/// One `bind` line for one address: lists and ranges are several of them.
public struct Bind: Sendable {
  public var address: BindAddress
  /// `name`; `sock-N` in statistics where it is missing.
  public var name: String?
  public var id: Int?
  public var acceptsProxyHeader = false
  /// `ssl` on a tcp bind: carries TLS, and says so; see ``TLSPassthrough``.
  public var tls: TLSPassthrough?
  /// `v4v6`: true, `v6only`: false, neither: nil (the kernel's default).
  public var dualStack: Bool?
  public var backlog: Int?
  public var maxConnections: Int?
  public var interface: String?
  public var deferAccept = false
  public var fastOpen = false
  public var transparent = false
  /// `mss`.
  public var maxSegmentSize: Int?
  /// `tcp-ut`, milliseconds.
  public var userTimeout: Int?
  public var permissions = SocketPermissions()
  /// The address as the file writes it.
  public var text: String
  public var position: SourcePosition

  public init(address: BindAddress, text: String, position: SourcePosition) {
    self.address = address
    self.text = text
    self.position = position
  }
}

/// Where a listener is to be had.
public enum BindAddress: Equatable, Sendable {
  case socket(SocketAddress)
  /// `fd@N`.
  case descriptor(Int)
  /// `fd@NAME`: a `FileDescriptorName=` of a socket unit.
  case descriptorName(String)
}

/// `bind … ssl crt FILE …` in `mode tcp`: the listener carries TLS and never ends it.
public struct TLSPassthrough: Sendable {
  /// `crt`: whom the listener carries; no private key is needed or looked at.
  public var certificateFiles: [String] = []
  /// `strict-sni`: refuse a hello for a name that none of the certificates has.
  public var strictNames = false
  /// The certificates' names (SAN, else CN), lower-cased, `*.` wildcards as they are. Filled by the
  /// master before it forks: certificates are read by another process.
  public var certificateNames: [String] = []

  public init() {}
}

// MARK: - server

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

  public init() {}
}

// MARK: - balance

public enum Balance: Equatable, Sendable {
  case roundRobin
  case staticRoundRobin
  case leastConnections
  case first
  case source
  /// Power of this many choices.
  case random(draws: Int)
}

/// `hash-type`.
public struct HashType: Equatable, Sendable {
  public enum Method: UInt8, Sendable { case mapBased, consistent }
  public var method = Method.mapBased

  public init() {}
}

// MARK: - rules

/// A `tcp-request …` line.
public struct Rule: Sendable {
  public enum Action: Equatable, Sendable {
    case accept
    case reject
    case silentDrop
    /// `expect-proxy layer4`, in connection rules only.
    case expectProxyHeader
  }

  public var action: Action
  public var condition: Condition?
  public var position: SourcePosition

  public init(action: Action, condition: Condition?, position: SourcePosition) {
    self.action = action
    self.condition = condition
    self.position = position
  }
}

/// `use_backend NAME [if|unless …]`.
public struct BackendRule: Sendable {
  /// Index into `backends`.
  public var backend: Int
  public var condition: Condition?
  public var position: SourcePosition

  public init(backend: Int, condition: Condition?, position: SourcePosition) {
    self.backend = backend
    self.condition = condition
    self.position = position
  }
}

/// `use-server NAME if|unless …`.
public struct ServerRule: Sendable {
  /// Index into the backend's `servers`.
  public var server: Int
  public var condition: Condition?
  public var position: SourcePosition

  public init(server: Int, condition: Condition?, position: SourcePosition) {
    self.server = server
    self.condition = condition
    self.position = position
  }
}

/// `if` or `unless` and what follows: a disjunction of conjunctions.
public struct Condition: Sendable {
  public struct Term: Sendable {
    public var isNegated: Bool
    /// Index into the proxy's `acls`; anonymous ones have entries there too.
    public var acl: Int

    public init(isNegated: Bool, acl: Int) {
      self.isNegated = isNegated
      self.acl = acl
    }
  }

  /// `unless`.
  public var isNegated: Bool
  /// Any of these; within each, all.
  public var alternatives: [[Term]]

  public init(isNegated: Bool, alternatives: [[Term]]) {
    self.isNegated = isNegated
    self.alternatives = alternatives
  }
}

/// An ACL: any of its lines. Predefined ones (`TRUE`, `LOCALHOST`, `WAIT_END`, …) are made where
/// they are used.
public struct ACL: Sendable {
  /// nil for an anonymous one.
  public var name: String?
  public var lines: [Criterion]

  public init(name: String?, lines: [Criterion]) {
    self.name = name
    self.lines = lines
  }
}

/// One test of one sample against patterns.
public struct Criterion: Sendable {
  public var sample: SampleExpression
  public var match: Match
  /// `-i`.
  public var ignoresCase: Bool
  /// Patterns of the line and of its `-f` files, in order.
  public var patterns: Patterns
  public var position: SourcePosition

  public init(
    sample: SampleExpression, match: Match, ignoresCase: Bool, patterns: Patterns,
    position: SourcePosition
  ) {
    self.sample = sample
    self.match = match
    self.ignoresCase = ignoresCase
    self.patterns = patterns
    self.position = position
  }
}

/// `-m`, or what the sample's type implies.
public enum Match: UInt8, Sendable {
  case found, boolean, integer, address, string, begin, end, substring, domain, directory
  case regularExpression, length, binary
}

/// Patterns, parsed for their match method.
public enum Patterns: Equatable, Sendable {
  case none
  case strings([String])
  case binaries([[UInt8]])
  /// Closed ranges: `5` is 5…5, `10:` is 10…Int.max, `gt 3` is 4…Int.max.
  case integers([ClosedRange<Int>])
  case networks([Network])
}

/// An address with a prefix length.
public struct Network: Hashable, Sendable {
  /// IPv4 addresses are here as IPv4-mapped IPv6; the prefix counts within their own family.
  public var address: IPAddress
  public var prefixLength: Int

  public init(address: IPAddress, prefixLength: Int) {
    self.address = address
    self.prefixLength = prefixLength
  }
}

/// A fetch and the converters that follow it: `req.ssl_sni,lower`.
public struct SampleExpression: Equatable, Sendable {
  public enum Fetch: Equatable, Sendable {
    case source, sourcePort, destination, destinationPort
    /// `req.ssl_sni`
    case serverName
    /// `req.ssl_sni_crt`: whether the name in the hello is one of the bind's certificates'.
    case serverNameInCertificate
    /// `req.ssl_hello_type`
    case helloType
    /// `req.ssl_ver`: major × 65536 + minor.
    case helloVersion
    /// `req.ssl_alpn`: comma-separated.
    case applicationProtocols
    /// `req.len`
    case requestLength
    /// `payload(offset,length)`; length 0 is all there is.
    case payload(offset: Int, length: Int)
    /// `wait_end`
    case waitEnd
    case always(Bool)
  }

  public enum Converter: Equatable, Sendable {
    case lower, upper
  }

  public var fetch: Fetch
  public var converters: [Converter]

  public init(fetch: Fetch, converters: [Converter] = []) {
    self.fetch = fetch
    self.converters = converters
  }
}

// MARK: - positions

/// Where in the files something stands. Lines and columns count from 1, columns in bytes.
public struct SourcePosition: Equatable, Hashable, Sendable {
  /// Index into the snapshot's files.
  public var file: Int
  public var line: Int
  public var column: Int

  public init(file: Int, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }
}
