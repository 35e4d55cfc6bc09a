public import Configuration
public import Ledger
import Linux

/// What runs: the configuration of this generation, and where its parts are in the ledger.
///
/// Everything that reads statistics or states starts here. It is a view: nothing is copied out of
/// the ledger, so two reads may differ.
public struct Deployment: Sendable {
  let configuration: ProxyConfiguration
  let slots: SlotMap
  let ledger: SharedLedger
  let generation: UInt64
  let workerCount: Int
  /// Connections that all workers together may carry; 0 when the master did not say.
  let maxConnections: Int
  /// Wall clock, seconds: when the daemon began, whatever reloads there have been since.
  let daemonStart: UInt64
  /// Wall clock, nanoseconds: when this controller began.
  let started = Clock.realtime
  let proxies: [Proxy]
  let servers: [ServerID]
  /// The files that the configuration was read from, for who asks which line said what.
  var snapshot = ConfigurationSnapshot()

  public init(
    configuration: ProxyConfiguration, slots: SlotMap, ledger: SharedLedger, generation: UInt64,
    workerCount: Int, maxConnections: Int, daemonStart: UInt64? = nil
  ) {
    self.configuration = configuration
    self.slots = slots
    self.ledger = ledger
    self.generation = generation
    self.workerCount = workerCount
    self.maxConnections = maxConnections
    self.daemonStart = daemonStart ?? .wallClock
    proxies = Proxy.inOrder(of: configuration)
    servers = configuration.backends.indices.flatMap { backend in
      configuration.backends[backend].servers.indices.map {
        ServerID(backend: backend, server: $0)
      }
    }
  }
}

/// A server by its place in the configuration.
public struct ServerID: Hashable, Sendable {
  public let backend: Int
  public let server: Int
}

/// A section of the file: a frontend, a backend, or both halves of a `listen`.
struct Proxy: Sendable {
  var identity: ProxyIdentity
  /// Index into the configuration's frontends.
  var frontend: Int?
  /// Index into the configuration's backends.
  var backend: Int?

  /// All that are not `disabled`, in the order of the file: dumps keep it.
  static func inOrder(of configuration: ProxyConfiguration) -> [Proxy] {
    var proxies = configuration.frontends.enumerated().map {
      Proxy(identity: $1.identity, frontend: $0)
    }
    for (index, backend) in configuration.backends.enumerated() {
      let half = proxies.firstIndex {
        $0.identity.isListen && backend.identity.isListen
          && $0.identity.name == backend.identity.name && $0.identity.id == backend.identity.id
      }
      if let half {
        proxies[half].backend = index
      } else {
        proxies.append(Proxy(identity: backend.identity, backend: index))
      }
    }
    return proxies.filter { !$0.identity.isDisabled }
      .sorted { $0.identity.position.place < $1.identity.position.place }
  }
}

extension SourcePosition {
  fileprivate var place: (Int, Int, Int) { (file, line, column) }
}

// MARK: - Finding things

extension Deployment {
  func server(_ id: ServerID) -> ServerView {
    let backend = configuration.backends[id.backend]
    return ServerView(
      id: id, settings: backend.servers[id.server], backendName: backend.identity.name,
      slot: slots.servers[id.backend][id.server],
      gauges: ledger.gauges(of: slots.servers[id.backend][id.server]))
  }

  func servers(of backend: Int) -> [ServerView] {
    configuration.backends[backend].servers.indices.map {
      server(ServerID(backend: backend, server: $0))
    }
  }

  func backend(named name: String) -> Int? {
    configuration.backends.firstIndex { $0.identity.name == name }
  }

  func gauges(ofBackend backend: Int) -> GaugeBlock { ledger.gauges(of: slots.backends[backend]) }

  /// `maxconn` of a frontend, or what bounds it instead.
  func sessionLimit(ofFrontend index: Int) -> Int {
    configuration.frontends[index].maxConnections ?? maxConnections
  }

  /// `fullconn` of a backend; where the file is silent a tenth of what its frontends may carry.
  func fullConnections(ofBackend index: Int) -> Int {
    if let fixed = configuration.backends[index].fullConnections { return fixed }
    let reaching = configuration.frontends.indices.filter {
      configuration.frontends[$0].defaultBackend == index
        || configuration.frontends[$0].backendRules.contains { $0.backend == index }
    }
    let sum = reaching.reduce(0) { $0 + sessionLimit(ofFrontend: $1) }
    return max(1, (sum + 9) / 10)
  }

  /// The lanes of workers that live, those that drain included.
  var lanes: [LaneBlock] {
    (0..<ledger.lanesEverUsed).map { ledger.lane($0) }
      .filter { $0[.state].value != LaneState.free.rawValue }
  }

  /// Seconds since the daemon began.
  var age: UInt64 { UInt64.wallClock.since(daemonStart) }
}
