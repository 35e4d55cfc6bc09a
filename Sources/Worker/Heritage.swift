public import Configuration
public import Ledger
public import Linux
public import Rules

/// Everything that a worker receives across fork(2), and nothing else.
public struct Heritage: ~Copyable {
  /// What the worker is to do, certificates' names included.
  public var configuration: ProxyConfiguration
  /// The configuration's rules, compiled once by the master for all of its workers.
  public var rules: RuleSet
  public var slots: SlotMap
  public var ledger: SharedLedger

  /// The worker's own lane of the ledger.
  public var lane: Int
  /// Counts reloads, from 1.
  public var generation: UInt64
  /// Which of the sockets of each bind line the worker polls first, 0…workers-1.
  public var workerSlot: Int
  public var workerCount: Int
  /// Connections that the whole process may carry.
  public var maxConnections: Int
  /// The name in log lines and in `show info`.
  public var hostname: String
  /// The log's targets, opened before the root directory and the user changed; without it the worker
  /// opens them as it is.
  public var log: LogSink?

  /// The sockets that this worker polls, and for each, what it is for. Descriptor `n` belongs to
  /// `roles[n]`.
  public var listeners: DescriptorTable
  public var roles: [ListenerRole]

  /// To the master: `ready`, and orders to accept, drain or stop. Packets of `Wire.Message`.
  public var master: Descriptor
  /// To whichever controller holds the other end: requests and answers.
  public var controller: Descriptor
  /// One for each lane, the worker's own included: rung when a place becomes free that a sleeping
  /// worker waits for.
  public var doorbells: DescriptorTable

  public init(
    configuration: ProxyConfiguration, rules: consuming RuleSet, slots: SlotMap,
    ledger: SharedLedger, lane: Int,
    generation: UInt64, workerSlot: Int, workerCount: Int, maxConnections: Int, hostname: String,
    listeners: consuming DescriptorTable, roles: [ListenerRole], master: consuming Descriptor,
    controller: consuming Descriptor, doorbells: consuming DescriptorTable,
    log: consuming LogSink? = nil
  ) {
    self.configuration = configuration
    self.rules = rules
    self.slots = slots
    self.ledger = ledger
    self.lane = lane
    self.generation = generation
    self.workerSlot = workerSlot
    self.workerCount = workerCount
    self.maxConnections = maxConnections
    self.hostname = hostname
    self.listeners = listeners
    self.roles = roles
    self.master = master
    self.controller = controller
    self.doorbells = doorbells
    self.log = log
  }
}

/// What a listening socket is for.
public struct ListenerRole: Equatable, Sendable {
  /// Index into the configuration's frontends.
  public var frontend: Int
  /// Index into that frontend's binds.
  public var bind: Int
  /// Whether other workers poll the same socket, so that a connection must wake one of them only.
  public var isShared: Bool

  public init(frontend: Int, bind: Int, isShared: Bool) {
    self.frontend = frontend
    self.bind = bind
    self.isShared = isShared
  }
}
