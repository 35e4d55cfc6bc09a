import Ledger
import Linux
import Reactor
import Rules
import Wire

/// What all stages of a worker share, and each may change while it has its turn.
struct WorkerContext: ~Copyable {
  private let isInPlace = InPlace()
  var tables: Tables
  let rules: RuleSet
  let ledger: SharedLedger
  let lane: Int
  var engine: RelayEngine
  var inspections: InspectionPool
  var balancer: Balancer
  var queues: WaitQueues
  /// The name that each connection's hello asked for, by the place of the connection.
  var names: Region<ServerName>
  /// Likewise the protocols that it offered, where a log line shows them.
  var protocols: Region<ProtocolNames>
  var log: SessionLog
  let doorbells: DoorbellSet

  /// Backends in which a place may have become free for who waits.
  var backendsToServe: [Int] = []
  /// Set when a place of a frontend, a listener or the process was given back.
  var gavePlacesBack = false

  /// Milliseconds of the monotonic clock, read once a lap.
  var now: Milliseconds
  /// The second of the monotonic clock, for rates.
  var second: UInt32 { UInt32(truncatingIfNeeded: now / 1000) }
}

/// The eventfds by which workers wake each other, one a lane.
struct DoorbellSet: ~Copyable {
  private let bells: DescriptorTable

  init(_ bells: consuming DescriptorTable) { self.bells = bells }

  func ring(lane: Int) {
    guard lane < bells.count else { return }
    bells[lane].ring()
  }

  func silence(_ lane: Int) { bells[lane].silence() }

  func watchOwn(_ lane: Int, by epoll: borrowing Epoll) throws(Errno) {
    try epoll.add(bells[lane], .readable, token: Token(.doorbell, index: 0).rawValue)
  }
}
