import Configuration
import Ledger
import Linux
import Rules

/// Milliseconds, of which there are never too many.
typealias Milliseconds = Int64

extension Milliseconds {
  /// A timeout that is not set.
  static let never = Milliseconds.max / 4

  init(timeout: Int?) {
    self = timeout.flatMap { $0 > 0 ? Milliseconds($0) : nil } ?? .never
  }
}

/// A frontend, as far as each connection asks for it: trivial values only, so that looking one up
/// counts no reference.
struct FrontendEntry {
  let slot: Slot
  /// The highest number of connections, over all workers.
  let limit: UInt64
  let client: Milliseconds
  let clientFin: Milliseconds
  let clientHandshake: Milliseconds
  /// How long rules may wait for what they look at.
  let inspection: Milliseconds
  let hasInspectDelay: Bool
  let defaultBackend: Int
  let hasConnectionRules: Bool
  let hasSessionRules: Bool
  let hasContentRules: Bool
  /// Whether anything must be read before a server can be chosen.
  let readsRequest: Bool
  let readsHello: Bool
  let noLinger: Bool
  let sessionRateLimit: UInt64
  /// Whether somebody asks where the client went, which costs a call: a rule, or the log line.
  let needsDestination: Bool
  let isLogged: Bool
  /// Whether the log line shows the hello's protocols, or the addresses of the server's socket.
  let logsProtocols: Bool
  let logsServerEnds: Bool
}

/// One listening socket of this worker.
struct ListenerEntry {
  let slot: Slot
  let frontend: Int
  let bind: Int
  let limit: UInt64
  let acceptsProxyHeader: Bool
  /// `ssl`: what is not TLS is refused.
  let carriesTLS: Bool
  let strictNames: Bool
  let isUnix: Bool
  let certificateNames: CertificateNames.ID?
  let isShared: Bool

  /// Accepts a wake-up. One, as a rule: looking for a second costs a call when there is none. It
  /// doubles while the listener is ready again on the very next lap.
  var batch = 1
  /// The lap on which a whole batch was taken in.
  var fullLap: UInt64 = 0
  /// Why accepting rests, if it does.
  var pause = Pause.none

  enum Pause: UInt8 { case none, processLimit, frontendLimit, exhaustion, sessionRate }
}

struct BackendEntry {
  let slot: Slot
  let index: Int
  /// The backend's servers are these entries.
  let servers: Range<Int>
  let balance: Balance
  let connect: Milliseconds
  let server: Milliseconds
  let serverFin: Milliseconds
  let tunnel: Milliseconds
  let queue: Milliseconds
  let inspection: Milliseconds
  let hasInspectDelay: Bool
  let hasContentRules: Bool
  let readsHello: Bool
  let readsRequest: Bool
  let hasServerRules: Bool
  let retries: Int
  let redispatch: Int
  let allBackups: Bool
  let abortOnClose: Bool
  let noLinger: Bool
  let keepalive: Keepalive
  let keepaliveSet: Bool
}

struct ServerEntry {
  let slot: Slot
  let backend: Int
  /// Index within the backend.
  let index: Int
  let limit: UInt64
  let maxQueue: UInt64
  let isBackup: Bool
  let proxyHeader: SendProxy
  /// The address of the configuration; its port is 0 where the client's counts.
  let endpoint: Endpoint
  /// Whether the configuration has an address: a name has not.
  let hasEndpoint: Bool
  /// Where the client was going.
  let isOriginal: Bool
  /// To be added to the port that the client went to; nil where the port is fixed.
  let portOffset: Int?
  /// Index into the paths, for a unix socket.
  let path: Int?
  let source: Endpoint
  let userTimeout: Int

  /// Whether where the client went is asked for, to connect or for a PROXY header.
  var needsDestination: Bool { proxyHeader != .none || isOriginal || portOffset != nil }
}

/// What the things in the tables are called, by their indices.
struct TableNames {
  var frontends: [String] = []
  /// As log lines name them, and the number that stands for a port on a unix socket.
  var listeners: [String] = []
  var listenerNumbers: [Int] = []
  var backends: [String] = []
  var servers: [String] = []
  /// Their addresses as the file writes them.
  var serverTexts: [String] = []
}

struct TableCounts {
  var frontends = 0
  var listeners = 0
  var backends = 0
  var servers = 0
}

/// Everything that a worker looks up, made once before it begins; what comes with connections of
/// other workers and is not in the configuration is added behind it.
struct Tables: ~Copyable {
  private let isInPlace = InPlace()
  var frontends: [FrontendEntry] = []
  var listeners: [ListenerEntry] = []
  var backends: [BackendEntry] = []
  var servers: [ServerEntry] = []
  var paths: [SocketAddress] = []
  /// Their names, for people.
  var names = TableNames()
  /// How many of each the configuration has: those behind them are orphans.
  private(set) var configured = TableCounts()
  let process: Slot
  let processLimit: UInt64

  /// How long a hello may take where the file is silent.
  static let helloWait: Milliseconds = 5_000
  static let defaultConnect: Milliseconds = 5_000

  init(_ heritage: borrowing Heritage, rules: borrowing RuleSet) {
    let ledger = heritage.ledger
    let lane = heritage.lane
    process = ledger.slot(heritage.slots.process, lane: lane)
    processLimit = UInt64(max(1, heritage.maxConnections))
    for index in heritage.configuration.backends.indices {
      addBackend(index, heritage, rules)
    }
    for index in heritage.configuration.frontends.indices {
      addFrontend(index, heritage, rules)
    }
    for role in heritage.roles { addListener(role, heritage, rules) }
    configured = TableCounts(
      frontends: frontends.count, listeners: listeners.count, backends: backends.count,
      servers: servers.count)
  }

  private mutating func addFrontend(
    _ index: Int, _ heritage: borrowing Heritage, _ rules: borrowing RuleSet
  ) {
    let frontend = heritage.configuration.frontends[index]
    names.frontends.append(frontend.identity.name)
    let needs = rules.contentNeeds(frontend: index).union(rules.routeNeeds(frontend: index))
    frontends.append(
      FrontendEntry(
        slot: heritage.ledger.slot(heritage.slots.frontends[index], lane: heritage.lane),
        limit: frontend.maxConnections.map { UInt64(max(0, $0)) } ?? .max,
        client: Milliseconds(timeout: frontend.timeouts.client),
        clientFin: Milliseconds(timeout: frontend.timeouts.clientFin),
        clientHandshake: Milliseconds(
          timeout: frontend.timeouts.clientHandshake ?? frontend.timeouts.client),
        inspection: frontend.inspectDelay.map { Milliseconds($0) } ?? Self.helloWait,
        hasInspectDelay: frontend.inspectDelay != nil,
        defaultBackend: frontend.defaultBackend ?? -1,
        hasConnectionRules: rules.hasConnectionRules(frontend: index),
        hasSessionRules: rules.hasSessionRules(frontend: index),
        hasContentRules: rules.hasContentRules(frontend: index),
        readsRequest: needs.contains(.request), readsHello: needs.contains(.hello),
        noLinger: frontend.noLinger,
        sessionRateLimit: frontend.sessionRateLimit.map { UInt64(max(0, $0)) } ?? .max,
        needsDestination: Self.needsDestination(frontend, in: heritage.configuration),
        isLogged: !frontend.log.targets.isEmpty,
        logsProtocols: frontend.log.reads(.applicationProtocols),
        logsServerEnds: frontend.log.readsVariable(["bi", "bp", "si", "sp"])))
  }

  /// Whether the frontend's rules, those of a backend that it may lead to, or its log line want to
  /// know where the client went.
  private static func needsDestination(
    _ frontend: Frontend, in configuration: ProxyConfiguration
  ) -> Bool {
    if frontend.acls.contains(where: \.readsDestination) || frontend.log.readsDestination
      || frontend.rulesReadDestination
    {
      return true
    }
    let led =
      frontend.backendRules.compactMap(\.backend) + [frontend.defaultBackend].compactMap(\.self)
    // Of a name that is put together nobody knows where it leads.
    let mayLeadAnywhere = frontend.backendRules.contains { $0.backend == nil }
    let backends =
      mayLeadAnywhere ? configuration.backends : led.map { configuration.backends[$0] }
    return backends.contains {
      $0.acls.contains(where: \.readsDestination)
        || $0.contentRules.contains(where: \.readsDestination)
    }
  }

  private mutating func addListener(
    _ role: ListenerRole, _ heritage: borrowing Heritage, _ rules: borrowing RuleSet
  ) {
    let bind = heritage.configuration.frontends[role.frontend].binds[role.bind]
    names.listeners.append(bind.name ?? String(bind.id ?? role.bind + 1))
    names.listenerNumbers.append(bind.id ?? role.bind + 1)
    var isUnix = false
    if case .socket(let address) = bind.address { isUnix = address.isUnix }
    let slot = heritage.slots.listeners[role.frontend][role.bind]
    listeners.append(
      ListenerEntry(
        slot: heritage.ledger.slot(slot, lane: heritage.lane),
        frontend: role.frontend, bind: role.bind,
        limit: bind.maxConnections.map { UInt64(max(0, $0)) } ?? .max,
        acceptsProxyHeader: bind.acceptsProxyHeader, carriesTLS: bind.tls != nil,
        strictNames: bind.tls?.strictNames ?? false, isUnix: isUnix,
        certificateNames: rules.certificateNames(frontend: role.frontend, bind: role.bind),
        isShared: role.isShared))
  }

  private mutating func addBackend(
    _ index: Int, _ heritage: borrowing Heritage, _ rules: borrowing RuleSet
  ) {
    let backend = heritage.configuration.backends[index]
    names.backends.append(backend.identity.name)
    let first = servers.count
    for (number, server) in backend.servers.enumerated() {
      addServer(
        server, number, of: index, source: server.source ?? backend.source,
        heritage.ledger.slot(heritage.slots.servers[index][number], lane: heritage.lane))
    }
    let content = rules.contentNeeds(backend: index)
    let needs = content.union(rules.routeNeeds(backend: index))
    let connect = backend.timeouts.connect.map { Milliseconds($0) } ?? Self.defaultConnect
    backends.append(
      BackendEntry(
        slot: heritage.ledger.slot(heritage.slots.backends[index], lane: heritage.lane),
        index: index, servers: first..<servers.count, balance: backend.balance,
        connect: connect, server: Milliseconds(timeout: backend.timeouts.server),
        serverFin: Milliseconds(timeout: backend.timeouts.serverFin),
        tunnel: Milliseconds(timeout: backend.timeouts.tunnel),
        queue: backend.timeouts.queue.map { Milliseconds($0) } ?? connect,
        inspection: backend.inspectDelay.map { Milliseconds($0) } ?? Self.helloWait,
        hasInspectDelay: backend.inspectDelay != nil,
        hasContentRules: rules.hasContentRules(backend: index),
        readsHello: needs.contains(.hello), readsRequest: needs.contains(.request),
        hasServerRules: !backend.serverRules.isEmpty,
        retries: backend.retries, redispatch: backend.redispatch,
        allBackups: backend.allBackups, abortOnClose: backend.abortOnClose,
        noLinger: backend.noLinger, keepalive: backend.keepalive,
        keepaliveSet: backend.keepalive.isEnabled))
  }

  private mutating func addServer(
    _ server: Server, _ number: Int, of backend: Int, source: SocketAddress?, _ slot: Slot
  ) {
    names.servers.append(server.name)
    names.serverTexts.append(server.text)
    var endpoint = Endpoint.none
    var hasEndpoint = false
    var path: Int?
    switch server.address.host {
    case .address(.internet(let address)):
      endpoint = address
      hasEndpoint = true
    case .address(let address):
      path = paths.count
      paths.append(address)
    case .name, .original: break
    }
    var offset: Int?
    switch server.address.port {
    case .fixed(let port): endpoint.port = port
    case .relative(let difference): offset = difference
    }
    servers.append(
      ServerEntry(
        slot: slot, backend: backend, index: number,
        limit: server.maxConnections.flatMap { $0 > 0 ? UInt64($0) : nil } ?? .max,
        maxQueue: server.maxQueue.flatMap { $0 > 0 ? UInt64($0) : nil } ?? .max,
        isBackup: server.isBackup, proxyHeader: server.proxyHeader, endpoint: endpoint,
        hasEndpoint: hasEndpoint, isOriginal: server.address.host == .original,
        portOffset: offset, path: path, source: source?.endpoint ?? .none,
        userTimeout: server.userTimeout ?? 0))
  }

  /// A server's limit now: what was set at run time, else the file's.
  func limit(ofServer index: Int) -> UInt64 {
    let override = servers[index].slot.shared[.limitOverride].value
    if override == 0 { return servers[index].limit }
    return override == 1 ? .max : override - 1
  }
}

extension ACL {
  fileprivate var readsDestination: Bool {
    lines.contains { $0.sample.readsDestination }
  }
}

extension Frontend {
  fileprivate var rulesReadDestination: Bool {
    (connectionRules + sessionRules + contentRules).contains(where: \.readsDestination)
      || backendRules.contains { rule in
        if case .named(let pieces) = rule.target { pieces.readDestination } else { false }
      }
  }
}

extension Rule {
  fileprivate var readsDestination: Bool {
    switch action {
    case .setVariable(_, let expression, _): expression.readsDestination
    case .setVariableFormat(_, let pieces): pieces.readDestination
    default: false
    }
  }
}

extension [TextPiece] {
  fileprivate var readDestination: Bool {
    contains { piece in
      if case .sample(let expression) = piece { expression.readsDestination } else { false }
    }
  }
}

extension SampleExpression {
  fileprivate var readsDestination: Bool {
    fetch == .destination || fetch == .destinationPort
  }
}

extension LogSettings {
  fileprivate var readsDestination: Bool {
    guard !targets.isEmpty else { return false }
    return format == .connect || readsVariable(["fi", "fp"]) || reads(.destination)
      || reads(.destinationPort)
  }

  fileprivate func readsVariable(_ names: [String]) -> Bool {
    contains { item in
      if case .variable(let name, _) = item { names.contains(name) } else { false }
    }
  }

  fileprivate func reads(_ fetch: SampleExpression.Fetch) -> Bool {
    contains { item in
      if case .sample(let sample, _) = item { sample.fetch == fetch } else { false }
    }
  }

  private func contains(_ test: (LogItem) -> Bool) -> Bool {
    items.contains(where: test)
  }
}
