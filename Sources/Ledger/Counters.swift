// Other releases find cells by their names (`LedgerDescription`): one is never renamed, nor given another
// meaning. `NEXT_LAYOUT` is the release to come, which tests of upgrades are made with.

/// What one worker counts for one slot. Each worker has a cell of its own for each, which only
/// grows and which only it writes; whoever wants the total adds them up.
///
/// Names in quotes are columns of `show stat`. Not every kind has a meaning for every slot.
@frozen public enum Counter: Int, CaseIterable, Sendable {
  #if NEXT_LAYOUT
    case unused
  #endif
  /// Connections accepted, refused ones included: "conn_tot".
  case connections
  /// Sessions begun; for a server, attempts to connect: "stot".
  case sessions
  /// Bytes that came from clients: "bin".
  case bytesUp
  /// Bytes that came from servers: "bout".
  case bytesDown
  /// Refused by a content rule: "dreq".
  case deniedRequests
  /// Refused by a connection rule: "dcon".
  case deniedConnections
  /// Refused by a session rule: "dses".
  case deniedSessions
  /// Ended by the client, or wrong, before a server was chosen: "ereq".
  case requestErrors
  /// Sessions that found no server that would take them: "econ".
  case connectErrors
  /// Ended wrongly by the server: "eresp".
  case responseErrors
  /// Attempts after the first: "wretr".
  case retries
  /// Attempts at another server than the first: "wredis".
  case redispatches
  /// Ended by the client while data was being carried: "cli_abrt".
  case clientAborts
  /// Ended by the server while data was being carried: "srv_abrt".
  case serverAborts
  /// Times that balancing chose it: "lbtot".
  case selected
  /// Connections that servers accepted: "connect".
  case connects

  /// Refused since what came first was not TLS, on a `bind … ssl`.
  case notTLS
  /// Refused since the ClientHello had not come whole in time.
  case helloTimeouts
  /// Refused since the ClientHello was malformed, or larger than is held.
  case badHellos
  /// Refused since `strict-sni` knows no certificate for the name.
  case unknownNames
  /// Refused since what came first was no PROXY header, on a `bind … accept-proxy`.
  case badProxyHeaders

  /// Bytes that went through pipes, of both directions.
  case bytesSpliced

  /// How many of the slot's sessions this worker carries: its share of ``Gauge/current``.
  case currentShare
  /// How many of the slot's waiting sessions wait in this worker.
  case queuedShare
  /// The ticket of the session that has waited longest in this worker, plus one; zero when none.
  case oldestTicket
  /// How many of the slot's sessions, and of those that wait, are in the batch that this worker is
  /// giving to another; see ``Transit``.
  case currentInTransit, queuedInTransit

  static let stride = 32
}

/// What all workers share for one slot, and the controller writes.
@frozen public enum Gauge: Int, CaseIterable, Sendable {
  #if NEXT_LAYOUT
    case unused
  #endif
  /// Sessions now: "scur".
  case current
  /// Sessions that wait for a free place: "qcur".
  case queued
  /// "smax"
  case maximum
  /// "qmax"
  case queuedMaximum
  /// Sessions this second and the last: two ``RateGauge`` cells and the highest.
  case rateNow, rateBefore, rateMaximum
  /// Connections likewise, for frontends.
  case connectionRateNow, connectionRateBefore, connectionRateMaximum
  /// Wall clock, seconds: when the last session began, 0 for never.
  case lastSession
  /// Sums of sliding averages over the last 1024 sessions; milliseconds × 1024.
  case queueTime, connectTime, totalTime
  case queueTimeMaximum, connectTimeMaximum, totalTimeMaximum
  /// A backend's next place in its schedule.
  case schedulePosition
  /// A backend's next ticket for sessions that wait.
  case nextTicket
  /// Counted up whenever something changes that balancing looks at: states, weights, addresses.
  case epoch

  // What follows is written by the controller only, but at the beginning.

  /// An ``OperationalState``.
  case operationalState
  /// ``AdministrativeState`` bits.
  case administrativeState
  /// The weight now, and the one of the configuration, 0…256.
  case weight, configuredWeight
  /// HAProxy's health counter, 0…rise+fall-1.
  case health
  /// A number that the controller gives to check results.
  case checkStatus, checkCode
  /// Milliseconds.
  case checkDuration
  /// "chkfail", "chkdown"
  case checksFailed, transitionsDown
  /// Wall clock seconds of the last change of state, and seconds of downtime before it.
  case lastChange, downtime
  /// The address that was set at run time; see ``SharedLedger/Slot/address``.
  case addressVersion, addressHigh, addressLow, addressPort
  /// What ``configuredWeight`` and the address were in the file when they were last taken from it: a
  /// change at run time outlives a reload unless the file's own value changed.
  case configuredAddressHash
  /// `set maxconn`: the limit now plus one; 0 where the file's stands.
  case limitOverride
  /// Whether balancing may choose the server: derived by the controller from the states above.
  case isUsable

  static let stride = 64
}

/// Whether a server answers. Numbers as in `show servers state`.
@frozen public enum OperationalState: UInt64, Sendable {
  case stopped = 0
  case starting = 1
  case running = 2
  case stopping = 3
}

/// Why a server is kept out of balancing by people. Numbers as in `show servers state`.
@frozen public struct AdministrativeState: OptionSet, Sendable {
  public let rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// `disable server`, `set server … state maint`.
  public static let forcedMaintenance = AdministrativeState(rawValue: 1)
  public static let inheritedMaintenance = AdministrativeState(rawValue: 2)
  /// `disabled` in the file.
  public static let configuredMaintenance = AdministrativeState(rawValue: 4)
  /// `set server … state drain`.
  public static let forcedDrain = AdministrativeState(rawValue: 8)
  public static let inheritedDrain = AdministrativeState(rawValue: 16)
  /// Its name does not resolve.
  public static let unresolved = AdministrativeState(rawValue: 32)

  public static let maintenance: AdministrativeState = [
    .forcedMaintenance, .inheritedMaintenance, .configuredMaintenance, .unresolved,
  ]
  public static let drain: AdministrativeState = [.forcedDrain, .inheritedDrain]
}

/// What one worker says of itself.
@frozen public enum LaneCell: Int, CaseIterable, Sendable {
  #if NEXT_LAYOUT
    case unused
  #endif
  /// A ``LaneState``.
  case state
  case pid
  case generation
  /// Which of the sockets of a bind line it polls.
  case workerSlot
  /// Wall clock seconds when it was forked.
  case started
  /// Counted up every lap of its loop.
  case laps
  /// 1 while it waits for events: whoever wants it must ring.
  case isAsleep
  /// What it is doing to a slot's gauge; see ``Intent``.
  case intent
  case pipesUsed, pipesFree
  /// Times that accepting was paused since descriptors ran out.
  case acceptPauses
  /// Log lines that could not be sent.
  case droppedLogs
  /// Bytes of relayed data, both directions.
  case bytesRelayed
  /// The batch of connections that it is giving to another worker; see ``Transit``.
  case transit
  /// Connections that it gave to other workers, and got from them.
  case handedOver, takenOver
  /// Connections that it accepted: the serial part of their numbers goes on over the lane's workers.
  case serial

  static let stride = 64
}

/// Where a lane is in its life.
@frozen public enum LaneState: UInt64, Sendable {
  case free = 0
  case starting = 1
  case ready = 2
  /// Accepts no more, and finishes what it carries.
  case draining = 3
  /// The worker has died, and its shares are being taken out of the gauges.
  case dead = 4
}
