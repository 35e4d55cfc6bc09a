import Configuration
import Ledger
import Linux
import Wire

// What came with connections of other workers and is not in this worker's configuration: a frontend,
// bind, backend or server that a reload has removed or renamed. Its connections live on; it takes no
// new ones.

extension Tables {
  /// Most things that are kept for connections though they left the configuration.
  static let mostOrphans = 4096

  /// How many orphans there are.
  var orphans: Int {
    frontends.count - configured.frontends + listeners.count - configured.listeners
      + backends.count - configured.backends + servers.count - configured.servers
  }

  /// Whether something that the connection came with is no longer in the configuration.
  func isOrphan(_ connection: borrowing Connection) -> Bool {
    Int(connection.frontend) >= configured.frontends
      || Int(connection.backend) >= configured.backends
      || Int(connection.lastTarget) >= configured.servers
  }

  // Bound by name: the ledger finds slots by names, and both workers have the same ledger.

  func frontend(slot: Int) -> Int? { frontends.firstIndex { $0.slot.number == slot } }

  func listener(slot: Int) -> Int? { listeners.firstIndex { $0.slot.number == slot } }

  func backend(slot: Int) -> Int? { backends.firstIndex { $0.slot.number == slot } }

  func server(slot: Int) -> Int? { servers.firstIndex { $0.slot.number == slot } }
}

extension WorkerContext {
  /// The frontend of the portrait; an orphan where the configuration has none of its name.
  mutating func frontend(_ portrait: FrontendPortrait) -> Int {
    if let known = tables.frontend(slot: portrait.slot) { return known }
    tables.names.frontends.append(portrait.name)
    log.addFrontend(portrait.name)
    tables.frontends.append(
      FrontendEntry(
        slot: ledger.slot(portrait.slot, lane: lane), limit: .max,
        client: portrait.clientTimeout ?? .never, clientFin: portrait.clientFinTimeout ?? .never,
        clientHandshake: .never, inspection: Tables.helloWait, hasInspectDelay: false,
        defaultBackend: -1, hasConnectionRules: false, hasSessionRules: false,
        hasContentRules: false, readsRequest: false, readsHello: false,
        noLinger: portrait.noLinger, sessionRateLimit: .max, needsDestination: false,
        isLogged: portrait.isLogged, logsProtocols: false, logsServerEnds: false))
    return tables.frontends.count - 1
  }

  mutating func listener(_ portrait: ListenerPortrait, of frontend: Int) -> Int {
    if let known = tables.listener(slot: portrait.slot),
      tables.listeners[known].frontend == frontend
    {
      return known
    }
    tables.names.listeners.append(portrait.name)
    tables.names.listenerNumbers.append(portrait.number)
    tables.listeners.append(
      ListenerEntry(
        slot: ledger.slot(portrait.slot, lane: lane), frontend: frontend,
        bind: log.addBind(portrait.name, number: portrait.number, of: frontend), limit: .max,
        acceptsProxyHeader: false, carriesTLS: portrait.carriesTLS,
        strictNames: portrait.checksNames, isUnix: false, certificateNames: nil, isShared: false))
    return tables.listeners.count - 1
  }

  mutating func backend(_ portrait: BackendPortrait) -> Int {
    if let known = tables.backend(slot: portrait.slot) { return known }
    tables.names.backends.append(portrait.name)
    log.addBackend(portrait.name)
    let connect = portrait.connectTimeout ?? Tables.defaultConnect
    tables.backends.append(
      BackendEntry(
        slot: ledger.slot(portrait.slot, lane: lane), index: tables.backends.count,
        servers: 0..<0, balance: .roundRobin, connect: connect,
        server: portrait.serverTimeout ?? .never,
        serverFin: portrait.serverFinTimeout ?? .never, tunnel: portrait.tunnelTimeout ?? .never,
        queue: connect, inspection: Tables.helloWait, hasInspectDelay: false,
        hasContentRules: false, readsHello: false, readsRequest: false, hasServerRules: false,
        retries: 0, redispatch: 0, allBackups: false, abortOnClose: false,
        noLinger: portrait.noLinger, keepalive: .init(), keepaliveSet: true))
    return tables.backends.count - 1
  }

  mutating func server(_ portrait: ServerPortrait, of backend: Int) -> Int {
    if let known = tables.server(slot: portrait.slot), tables.servers[known].backend == backend {
      return known
    }
    tables.names.servers.append(portrait.name)
    tables.names.serverTexts.append(portrait.text)
    let endpoint = Endpoint(portrait.address)
    tables.servers.append(
      ServerEntry(
        slot: ledger.slot(portrait.slot, lane: lane), backend: backend,
        index: log.addServer(portrait.name, of: backend), limit: .max, maxQueue: .max,
        isBackup: false, proxyHeader: .init(rawValue: portrait.proxyHeader) ?? .none,
        endpoint: endpoint, hasEndpoint: endpoint != .none, isOriginal: false, portOffset: nil,
        path: nil, source: .none, userTimeout: 0))
    return tables.servers.count - 1
  }
}

// MARK: - Portraits

extension Milliseconds {
  /// As a portrait has it: nil for never.
  fileprivate var ifSet: Int64? { self >= .never ? nil : self }
}

extension Tables {
  func portrait(frontend index: Int) -> FrontendPortrait {
    let entry = frontends[index]
    var portrait = FrontendPortrait(name: names.frontends[index], slot: entry.slot.number)
    portrait.clientTimeout = entry.client.ifSet
    portrait.clientFinTimeout = entry.clientFin.ifSet
    portrait.noLinger = entry.noLinger
    portrait.isLogged = entry.isLogged
    return portrait
  }

  func portrait(listener index: Int) -> ListenerPortrait {
    let entry = listeners[index]
    var portrait = ListenerPortrait(
      slot: entry.slot.number, name: names.listeners[index],
      number: names.listenerNumbers[index])
    portrait.carriesTLS = entry.carriesTLS
    portrait.checksNames = entry.strictNames
    return portrait
  }

  func portrait(backend index: Int) -> BackendPortrait {
    let entry = backends[index]
    var portrait = BackendPortrait(name: names.backends[index], slot: entry.slot.number)
    portrait.connectTimeout = entry.connect.ifSet
    portrait.serverTimeout = entry.server.ifSet
    portrait.serverFinTimeout = entry.serverFin.ifSet
    portrait.tunnelTimeout = entry.tunnel.ifSet
    portrait.noLinger = entry.noLinger
    return portrait
  }

  func portrait(server index: Int) -> ServerPortrait {
    let entry = servers[index]
    var portrait = ServerPortrait(
      name: names.servers[index], slot: entry.slot.number, text: names.serverTexts[index])
    // One that was set at run time is in the slot, and found there.
    if entry.hasEndpoint { portrait.address = WireAddress(entry.endpoint) }
    portrait.proxyHeader = entry.proxyHeader.rawValue
    return portrait
  }
}
