import Linux

enum ProxyMode {
  case tcp
  case http
  /// `log`, `spop`: known, and served no more than http is.
  case other(String)
}

/// The name of something that is looked up once everything has been read.
struct Reference {
  let name: String
  let span: SourceSpan
}

/// Names that a line was to give to something and that could not be read. What refers to them is no
/// second error.
struct BrokenNames {
  private var names: Set<String> = []
  private var mayBeAny = false

  mutating func add(_ name: String?) {
    if let name { names.insert(name) } else { mayBeAny = true }
  }

  func mayInclude(_ name: String) -> Bool { mayBeAny || names.contains(name) }
}

/// What `log` lines and options say.
struct LogDraft {
  var settings = LogSettings()
  /// `log global`.
  var usesGlobal = false
}

/// What a proxy inherits from `defaults`.
struct ProxySettings {
  var mode = ProxyMode.tcp
  /// Here 0 means that the file says none; nil, that it says nothing.
  var timeouts = Timeouts()
  var retries = 3
  var redispatch = 0
  var maxConnections: Int?
  var backlog: Int?
  var fullConnections: Int?
  var sessionRateLimit: Int?
  var balance = Balance.roundRobin
  var hashType = HashType()
  var log = LogDraft()
  var clientKeepalive = Keepalive()
  var serverKeepalive = Keepalive()
  var noLinger = false
  var socketStats = false
  var allBackups = false
  var abortOnClose = false
  var logsHealthChecks = false
  var isDisabled = false
  var source: SocketAddress?
  var description: String?
  var defaultBackend: Reference?
  var server = ServerSettings()
  var check = CheckDraft()
  /// What would rewrite HTTP: a tcp frontend must not route here in its stead.
  var rewritesHTTP: SourceSpan?
  var inspectDelay: Int?

  // Of named defaults.
  var scope = ACLScope()
  var connectionRules: [Rule] = []
  var sessionRules: [Rule] = []
  var contentRules: [Rule] = []
  /// The slots of `tcp-request content capture` and `declare capture`: bytes that each keeps.
  var captureLengths: [Int] = []
}

/// A `use_backend` line: `pieces` are what the name is made of, if it is not a plain one.
struct BackendRuleDraft {
  let reference: Reference
  let pieces: [TextPiece]
  var condition: Condition?
}

/// A proxy as it is read: its references are names still.
struct ProxyDraft {
  let kind: SectionKind
  let name: String
  let header: SourceSpan
  var settings: ProxySettings
  /// `id`.
  var explicitID: Int?
  /// Place among all sections, which automatic ids follow.
  var ordinal = 0
  var binds: [Bind] = []
  var servers: [Server] = []
  var brokenServers = BrokenNames()
  var backendRules: [BackendRuleDraft] = []
  var serverRules: [(reference: Reference, condition: Condition?)] = []
  /// Lines about TLS names, for the checks at the end.
  var certificates: [(path: String, span: SourceSpan, isStrict: Bool)] = []

  var roles: ProxyRoles { kind.roles }

  /// `frontend 'web'`
  var title: String { "\(kind.rawValue) '\(name)'" }
}

/// A `mode http` section. It is not served; its lines are kept, since a tcp frontend may route to
/// it.
struct HTTPSection {
  let section: Section
  let kind: SectionKind
  let name: String
  let settings: ProxySettings
  let ordinal: Int
}
