import Configuration
import Ledger
import Linux
import Rules

/// Chooses among the servers of a backend that may be used, exactly over all workers: positions,
/// loads and limits are the ledger's.
struct Balancer: ~Copyable {
  /// What became of a choice.
  enum Choice: Equatable {
    /// The server of this index, and a place in it was taken.
    case server(Int)
    /// All that may be used are full; -1, or the one server that it must be.
    case full(wanted: Int)
    /// None may be used.
    case none
  }

  /// What is derived from the states and weights of a backend's servers, until they change.
  struct Derived {
    var epoch: UInt64 = .max
    /// Turns of the servers in one cycle; numbers within the backend.
    var turns: [UInt16] = []
    /// Which servers have turns.
    var hasTurns: [Bool] = []
  }

  private var derived: [Derived]
  private var random: UInt64

  init(backends: Int, seed: UInt64) {
    derived = Array(repeating: Derived(), count: backends)
    random = seed
  }

  /// Chooses a server for a new connection and takes a place in it. The avoided one, if that is not
  /// -1, is passed over while there is another.
  mutating func choose(
    backend index: Int, for client: IPAddress, avoiding avoided: Int, _ tables: borrowing Tables
  ) -> Choice {
    refresh(index, tables)
    let turns = derived[index].turns
    guard !turns.isEmpty else { return .none }
    let first = tables.backends[index].servers.lowerBound
    switch tables.backends[index].balance {
    case .roundRobin, .staticRoundRobin:
      return inTurn(index, turns, first, avoided, tables)
    case .leastConnections:
      return leastLoaded(index, turns, first, avoided, tables)
    case .first:
      return firstWithPlace(index, turns, first, avoided, tables)
    case .source:
      let turn = Int(Hashing.source(client) % UInt32(turns.count))
      return only(first + Int(turns[turn]), tables)
    case .random(let draws):
      return drawn(index, draws, turns, first, avoided, tables)
    }
  }

  /// Whether the backend has a server that balancing may use.
  mutating func hasUsable(backend index: Int, _ tables: borrowing Tables) -> Bool {
    refresh(index, tables)
    return !derived[index].turns.isEmpty
  }

  /// Takes a place in the one server that it must be.
  func only(_ server: Int, _ tables: borrowing Tables) -> Choice {
    tables.servers[server].slot.enter(limit: tables.limit(ofServer: server))
      ? .server(server) : .full(wanted: server)
  }

  /// Whether a server may be used at all, by a rule or a queue: weight and drain do not matter.
  static func isReachable(_ server: Int, _ tables: borrowing Tables) -> Bool {
    let shared = tables.servers[server].slot.shared
    let state = AdministrativeState(rawValue: shared[.administrativeState].value)
    guard state.isDisjoint(with: .maintenance) else { return false }
    return shared[.operationalState].value != OperationalState.stopped.rawValue
  }

  // MARK: Algorithms

  private mutating func inTurn(
    _ backend: Int, _ turns: [UInt16], _ first: Int, _ avoided: Int, _ tables: borrowing Tables
  ) -> Choice {
    let position = tables.backends[backend].slot.shared[.schedulePosition].fetchAdd(1)
    let turn = Int(position % UInt64(turns.count))
    return nextWithPlace(backend, from: turn, turns, first, avoided, tables)
  }

  /// The first server with a place, from a turn on; the avoided one only when no other has.
  private func nextWithPlace(
    _ backend: Int, from turn: Int, _ turns: [UInt16], _ first: Int, _ avoided: Int,
    _ tables: borrowing Tables
  ) -> Choice {
    var place = turn
    for _ in turns.indices {
      let server = first + Int(turns[place])
      place = place + 1 == turns.count ? 0 : place + 1
      if server == avoided { continue }
      if case .server = only(server, tables) { return .server(server) }
    }
    if avoided >= 0, derived[backend].hasTurns[avoided - first],
      case .server = only(avoided, tables)
    {
      return .server(avoided)
    }
    return .full(wanted: -1)
  }

  /// The server with the fewest connections for its weight, counting those that wait for it; among
  /// equals the one whose turn it is.
  private mutating func leastLoaded(
    _ backend: Int, _ turns: [UInt16], _ first: Int, _ avoided: Int, _ tables: borrowing Tables
  ) -> Choice {
    let servers = tables.backends[backend].servers
    let start = Int(
      tables.backends[backend].slot.shared[.schedulePosition].fetchAdd(1)
        % UInt64(servers.count))
    // A place may be gone by the time it is taken: then the next best is tried.
    for _ in 0..<4 {
      var best = -1
      var bestLoad: (connections: UInt64, weight: UInt64) = (0, 1)
      for offset in 0..<servers.count {
        let server = servers.lowerBound + (start + offset) % servers.count
        let shared = tables.servers[server].slot.shared
        guard isCandidate(server, backend, tables), server != avoided || turns.count == 1 else {
          continue
        }
        let current = shared[.current].value
        guard current < tables.limit(ofServer: server) else { continue }
        let busy = current + shared[.queued].value
        // As in the reference, who is idle comes before all others whatever the weights.
        let load = (busy == 0 ? 0 : busy + 1, max(1, shared[.weight].value))
        if best < 0 || load.0 * bestLoad.weight < bestLoad.connections * load.1 {
          best = server
          bestLoad = load
        }
      }
      guard best >= 0 else { break }
      if case .server = only(best, tables) { return .server(best) }
    }
    return nextWithPlace(backend, from: start % turns.count, turns, first, avoided, tables)
  }

  private func firstWithPlace(
    _ backend: Int, _ turns: [UInt16], _ first: Int, _ avoided: Int, _ tables: borrowing Tables
  ) -> Choice {
    for server in tables.backends[backend].servers
    where isCandidate(server, backend, tables) && server != avoided {
      if case .server = only(server, tables) { return .server(server) }
    }
    return nextWithPlace(backend, from: 0, turns, first, avoided, tables)
  }

  /// The least loaded of some drawn by lot, weights counting.
  private mutating func drawn(
    _ backend: Int, _ draws: Int, _ turns: [UInt16], _ first: Int, _ avoided: Int,
    _ tables: borrowing Tables
  ) -> Choice {
    var best = -1
    var bestLoad: (connections: UInt64, weight: UInt64) = (0, 1)
    for _ in 0..<max(1, draws) {
      let server = first + Int(turns[Int(draw() % UInt64(turns.count))])
      if server == avoided { continue }
      let shared = tables.servers[server].slot.shared
      let load = (shared[.current].value + shared[.queued].value, max(1, shared[.weight].value))
      if best < 0 || load.0 * bestLoad.weight < bestLoad.connections * load.1 {
        best = server
        bestLoad = load
      }
    }
    if best >= 0, case .server = only(best, tables) { return .server(best) }
    return nextWithPlace(
      backend, from: Int(draw() % UInt64(turns.count)), turns, first, avoided, tables)
  }

  /// xorshift64*: for spreading load, not for secrets.
  private mutating func draw() -> UInt64 {
    random ^= random >> 12
    random ^= random << 25
    random ^= random >> 27
    return (random &* 0x2545_f491_4f6c_dd1d) >> 16
  }

  // MARK: What may be used

  /// Whether the schedule of the backend, as it stands, has the server.
  private func isCandidate(_ server: Int, _ backend: Int, _ tables: borrowing Tables) -> Bool {
    let number = server - tables.backends[backend].servers.lowerBound
    return derived[backend].hasTurns[number] && Self.isUsable(server, tables)
  }

  /// Whether the server may take one of those who wait for any: it must have turns, which a backup
  /// has not while an active server can be used.
  mutating func takesWaiting(_ server: Int, _ tables: borrowing Tables) -> Bool {
    let backend = tables.servers[server].backend
    refresh(backend, tables)
    return isCandidate(server, backend, tables)
  }

  static func isUsable(_ server: Int, _ tables: borrowing Tables) -> Bool {
    let entry = tables.servers[server]
    guard entry.slot.shared[.isUsable].value != 0 else { return false }
    return entry.hasEndpoint || entry.path != nil || entry.isOriginal
      || entry.slot.shared.address != nil
  }

  /// Derives the schedule anew if a state or a weight has changed: the active servers that may be
  /// used, or with none of them the first backup, or all backups where the file says so.
  private mutating func refresh(_ index: Int, _ tables: borrowing Tables) {
    let backend = tables.backends[index]
    let epoch = backend.slot.shared[.epoch].value
    guard derived[index].epoch != epoch else { return }
    var weights = backend.servers.map { server in
      Self.isUsable(server, tables) && !tables.servers[server].isBackup
        ? Int(tables.servers[server].slot.shared[.weight].value) : 0
    }
    if weights.allSatisfy({ $0 == 0 }) {
      for server in backend.servers
      where tables.servers[server].isBackup && Self.isUsable(server, tables) {
        weights[server - backend.servers.lowerBound] =
          Int(tables.servers[server].slot.shared[.weight].value)
        if !backend.allBackups { break }
      }
    }
    derived[index].hasTurns = weights.map { $0 > 0 }
    derived[index].turns =
      weights.allSatisfy { $0 == 0 } ? [] : WeightedSchedule(weights: weights).turns
    derived[index].epoch = epoch
  }
}
