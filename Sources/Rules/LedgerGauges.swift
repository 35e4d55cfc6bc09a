public import Configuration
public import Ledger
import Linux

/// A number of the ledger that an expression asks for.
struct CompiledGauge: BitwiseCopyable {
  enum Target: BitwiseCopyable {
    case process
    case current
    case frontend(Int)
    case backend(Int)
    /// Index among the servers of all backends.
    case server(Int)
  }

  var kind: SampleExpression.Gauge.Kind
  var target: Target
}

/// What rules can see of the ledger: connections, queues and states, exact over all workers.
///
/// Before a worker has attached it nothing is known.
struct LedgerGauges {
  struct BackendEntry: BitwiseCopyable {
    var servers: Slice
    var usesAllBackups: Bool
  }

  struct ServerEntry: BitwiseCopyable {
    var isBackup: Bool
    /// 0 for no limit.
    var limit: Int
    var longestQueue: Int
  }

  private var backends: [BackendEntry] = []
  private var servers: [ServerEntry] = []
  /// Empty before they are attached.
  private var process: [GaugeBlock] = []
  private var frontendCells: [GaugeBlock] = []
  private var backendCells: [GaugeBlock] = []
  private var serverCells: [GaugeBlock] = []
  /// The host's name. Not among the constants, whose pages all workers share as long as nobody
  /// writes to them.
  var hostname: [UInt8] = []

  init(_ configuration: ProxyConfiguration) {
    for backend in configuration.backends {
      let first = servers.count
      for server in backend.servers {
        servers.append(
          ServerEntry(
            isBackup: server.isBackup, limit: server.maxConnections ?? 0,
            longestQueue: server.maxQueue ?? 0))
      }
      backends.append(
        BackendEntry(servers: Slice(first..<servers.count), usesAllBackups: backend.allBackups))
    }
  }

  mutating func attach(_ ledger: SharedLedger, _ slots: SlotMap) {
    process = [ledger.gauges(of: slots.process)]
    frontendCells = slots.frontends.map { ledger.gauges(of: $0) }
    backendCells = slots.backends.map { ledger.gauges(of: $0) }
    serverCells = slots.servers.joined().map { ledger.gauges(of: $0) }
  }

  // MARK: Numbers

  /// Nil where there is no such proxy, or nothing is attached.
  func number(of gauge: CompiledGauge, _ facts: borrowing Facts) -> Int? {
    guard !process.isEmpty else { return nil }
    switch gauge.target {
    case .process: return Int(process[0][.current].value)
    case .frontend(let index): return number(gauge.kind, ofFrontend: index)
    case .backend(let index): return number(gauge.kind, ofBackend: index)
    case .server(let index): return number(gauge.kind, ofServer: index)
    case .current:
      let place = facts.place
      if gauge.kind.isOfFrontend {
        return frontendCells.indices.contains(place.frontend)
          ? number(gauge.kind, ofFrontend: place.frontend) : nil
      }
      return backends.indices.contains(place.backend)
        ? number(gauge.kind, ofBackend: place.backend) : nil
    }
  }

  private func number(
    _ kind: SampleExpression.Gauge.Kind, ofFrontend index: Int
  ) -> Int {
    kind == .frontendSessionRate
      ? rate(frontendCells[index]) : Int(frontendCells[index][.current].value)
  }

  private func number(_ kind: SampleExpression.Gauge.Kind, ofBackend index: Int) -> Int {
    switch kind {
    case .backendSessionRate: return rate(backendCells[index])
    case .backendQueue: return waiting(for: index)
    case .averageQueue:
      let usable = usableServers(of: index)
      let waiting = waiting(for: index)
      return usable > 0 ? (waiting + usable - 1) / usable : waiting * 2
    case .usableServers: return usableServers(of: index)
    case .freeSlots: return freeSlots(of: index)
    default: return Int(backendCells[index][.current].value)
    }
  }

  private func number(_ kind: SampleExpression.Gauge.Kind, ofServer index: Int) -> Int {
    let cells = serverCells[index]
    switch kind {
    case .freeServerConnections:
      let limit = servers[index].limit
      return limit == 0 ? -1 : max(0, limit - Int(cells[.current].value))
    case .serverQueue: return Int(cells[.queued].value)
    case .serverIsUp: return isUp(index) ? 1 : 0
    case .serverWeight: return Int(cells[.weight].value)
    case .serverInitialWeight: return Int(cells[.configuredWeight].value)
    case .serverSessionRate: return rate(cells)
    default: return Int(cells[.current].value)
    }
  }

  private func rate(_ cells: GaugeBlock) -> Int {
    let milliseconds = UInt64(Clock.monotonicCoarse / 1_000_000)
    let second = UInt32(truncatingIfNeeded: milliseconds / 1000)
    return Int(
      RateGauge(sessionsOf: cells).rate(second: second, milliseconds: milliseconds % 1000))
  }

  private func waiting(for backend: Int) -> Int {
    backends[backend].servers.indices.reduce(Int(backendCells[backend][.queued].value)) {
      $0 + Int(serverCells[$1][.queued].value)
    }
  }

  private func isUp(_ index: Int) -> Bool {
    let state = AdministrativeState(
      rawValue: serverCells[index][.administrativeState].value)
    return state.isDisjoint(with: .maintenance)
      && serverCells[index][.operationalState].value != OperationalState.stopped.rawValue
  }

  /// The active servers that balancing may use; of backups one alone, unless all are used.
  private func usableServers(of backend: Int) -> Int {
    var active = 0
    var backups = 0
    for index in backends[backend].servers.indices where serverCells[index][.isUsable].value != 0 {
      if servers[index].isBackup { backups += 1 } else { active += 1 }
    }
    if active > 0 { return active }
    return backends[backend].usesAllBackups ? backups : min(1, backups)
  }

  /// Places and places to wait that are free; -1 where a server has no limit to either.
  private func freeSlots(of backend: Int) -> Int {
    var free = 0
    for index in backends[backend].servers.indices where isUp(index) {
      let entry = servers[index]
      guard entry.limit > 0, entry.longestQueue > 0 else { return -1 }
      free += entry.limit - Int(serverCells[index][.current].value)
      free += entry.longestQueue - Int(serverCells[index][.queued].value)
    }
    return free
  }
}

extension RuleSet {
  /// Makes a rule set a worker's own: with a place for the variables of each of its connections, and
  /// with a view of the ledger.
  public mutating func attach(
    connections: Int, ledger: SharedLedger, slots: SlotMap, hostname: String
  ) {
    variables = VariableStore(count: variables.count, connections: connections)
    gauges.attach(ledger, slots)
    gauges.hostname = Array(hostname.utf8)
  }

  /// Whether connections have variables, which must be forgotten when their place is taken anew.
  public var hasVariables: Bool { variables.count > 0 }

  public func forgetVariables(of connection: Int) { variables.forget(connection) }
}
