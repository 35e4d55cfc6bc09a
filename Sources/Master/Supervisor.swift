import Configuration
import Ledger
import Linux
import Wire

/// The master's loop: keeps workers and controller running, and does what signals, the controller
/// and time ask for.
///
///      (start)        all ready                 a reload's check passed
///    bringingUp ───────────────► running ────────────────────────────────► exec(2): the successor
///        │                          │                                          begins bringingUp
///        │ one dies, or 10 s        │ TERM, INT, USR1                          │ one dies, or 10 s
///        ▼                          ▼                                          ▼
///     exit 1                     stopping ──► exit                       exec(2) back: running
///
/// Every fork happens in this one thread, so a child is never a copy of something half done.
final class Supervisor {
  enum Phase: Equatable {
    /// Workers and controller have been started and are not all ready.
    case bringingUp
    case running
    /// Ends when the last child has, with this status.
    case stopping(status: Int32)
  }

  // What it was started with.
  let arguments: Arguments
  /// As execve(2) got it, program name included.
  let commandLine: [String]
  /// Where the program lies, for the next reload to look there.
  let path: String
  /// Nanoseconds of the monotonic clock.
  let started: Int64
  let log: MasterLog
  let notifier = SystemdNotifier()

  // What runs.
  let generation: Generation
  let release: Release
  let slots: SlotMap
  let slotCount: Int
  let ledgerFile: LedgerFile
  let doorbells: DescriptorTable
  var listeners: ListenerSet
  var phase = Phase.bringingUp
  /// While stopping: connections are not waited for.
  var isStoppingNow = false
  /// When a node that is taken out accepts no more, in nanoseconds of the monotonic clock; `.max`
  /// while it is not.
  var leaveDue = Int64.max

  /// What is kept for the case that the master dies; nil where nobody keeps anything.
  var store: DescriptorStore?

  // What came before and serves until this generation does.
  var previous: Release?
  /// The ledger that it counts in, where that is of another layout.
  var previousLedger: FormerLedger?
  /// Ledgers of other layouts by the numbers that a state calls them, until workers have been
  /// adopted.
  var formerLedgers: [Int32: FormerLedger] = [:]

  // Children.
  var workers: [WorkerChild] = []
  var controllers: [ControllerChild] = []
  var schedule: RestartSchedule

  // Reloads.
  var trial: Trial?
  var waiters: [MasterState.Waiter] = []
  var laterWaiters: [MasterState.Waiter] = []
  var wantsAnotherReload = false
  var lastGeneration: UInt64
  var reloads = 0
  var failedReloads = 0
  var lastReload = ReloadOutcome()
  /// What the reload that led here had to say.
  var reloadText = ""

  // Waiting.
  var epoll: Epoll
  let signals: SignalDescriptor
  /// When workers must be ready, and when the controller is no longer waited for.
  var workersDue: Int64 = .max
  var controllerDue: Int64 = .max
  /// When children that were told to end are ended by force.
  var forceDue: Int64 = .max
  var watchdogDue: Int64 = .max
  /// When old workers that do not say that they accept no more, and carry no connections, are no
  /// longer waited for; `.max` while no reload is being finished.
  var handOverDue: Int64 = .max
  /// When lanes of workers that count in other ledgers are copied again.
  var mirrorDue: Int64 = .max

  /// Processes of a master that has died, of which nothing else is known.
  var unknown: UnknownProcesses?

  /// A worker that connections can be given to has come while they were handed over.
  var mustHandOverRest = false

  /// What the old workers say of the connections that they hand over.
  var handOverTotals = HandOverTotals()
  /// A dead worker's lane that could not be settled yet.
  var unsettledLane: Int?

  var hangWatch = HangWatch()
  var loans = SlotLoans()

  /// Run once all is ready for the first time.
  var background: Background?

  /// Nanoseconds.
  enum Patience {
    static let worker: Int64 = 10_000_000_000
    /// Traffic matters more than checks and statistics.
    static let controller: Int64 = 5_000_000_000
    static let stop: Int64 = 5_000_000_000
    /// For old workers to accept no more and to hand over what they carry.
    static let handOver: Int64 = 5_000_000_000
    static let retry: Int64 = 100_000_000
  }

  static let signalsRead: [Signal] = [
    .terminate, .interrupt, .user1, .user2, .hangUp, .child,
  ]

  var ledger: SharedLedger { ledgerFile.ledger }

  /// - Throws: `EMFILE` and its like.
  init(
    arguments: Arguments, commandLine: [String], path: String, started: Int64, log: MasterLog,
    generation: Generation, release: Release, slots: SlotMap, slotCount: Int,
    ledgerFile: consuming LedgerFile, doorbells: consuming DescriptorTable,
    listeners: ListenerSet
  ) throws(Errno) {
    let epoll = try Epoll()
    let signals = try SignalDescriptor(Self.signalsRead)
    for signal in [Signal.pipe, .terminalInput, .terminalOutput] { signal.ignore() }
    try epoll.add(signals.descriptor, .readable, token: Source.signals.token)
    self.arguments = arguments
    self.commandLine = commandLine
    self.path = path
    self.started = started
    self.log = log
    self.generation = generation
    self.release = release
    self.slots = slots
    self.slotCount = slotCount
    self.ledgerFile = ledgerFile
    self.doorbells = doorbells
    self.listeners = listeners
    self.epoll = epoll
    self.signals = signals
    lastGeneration = release.generation
    // And the one that polls spare sockets.
    schedule = RestartSchedule(workers: generation.workerCount + 1)
  }
}

// MARK: - The loop

extension Supervisor {
  /// What an event is about.
  enum Source {
    case signals
    case trial
    case keeper
    case worker(Int32)
    case controller(Int32)
    /// The end of a process that is no child.
    case end(Int32)

    private static let worker: UInt64 = 2 << 32
    private static let controller: UInt64 = 3 << 32
    private static let end: UInt64 = 4 << 32

    var token: UInt64 {
      switch self {
      case .signals: 0
      case .trial: 1
      case .keeper: 2
      case .worker(let pid): Self.worker | UInt64(UInt32(bitPattern: pid))
      case .controller(let pid): Self.controller | UInt64(UInt32(bitPattern: pid))
      case .end(let pid): Self.end | UInt64(UInt32(bitPattern: pid))
      }
    }

    init(token: UInt64) {
      let pid = Int32(bitPattern: UInt32(truncatingIfNeeded: token))
      switch token {
      case 0: self = .signals
      case 1: self = .trial
      case 2: self = .keeper
      case Self.worker..<Self.controller: self = .worker(pid)
      case Self.controller..<Self.end: self = .controller(pid)
      default: self = .end(pid)
      }
    }
  }

  func run() -> Never {
    if notifier.watchdogInterval != nil { watchdogDue = 0 }
    // Children may have ended while nobody looked, during an exec.
    reap()
    while true {
      tick(Clock.monotonic)
      advance()
      keepState()
      let count = (try? epoll.wait(milliseconds: millisecondsUntilDue(Clock.monotonic))) ?? 0
      for index in 0..<count { handle(epoll[index]) }
    }
  }

  private func handle(_ event: ReadinessEvent) {
    switch Source(token: event.token) {
    case .signals: readSignals()
    case .trial: listenToTrial()
    case .keeper: listenToKeeper()
    case .worker(let pid): listen(toWorker: pid)
    case .controller(let pid): listen(toController: pid)
    case .end(let pid): adoptedHasEnded(pid)
    }
  }

  /// Goes on where nothing keeps it any more.
  private func advance() {
    switch phase {
    case .bringingUp: commitWhenReady()
    case .running: if isHandingOver { finishHandOver() }
    case .stopping(let status): exitWhenAlone(status)
    }
    if let trial, trial.isOver { conclude(trial) }
    yieldIfAsked()
  }

  /// A daemon that has never been ready is nothing to go on with.
  func keepState() {
    guard let store, phase != .bringingUp || previous != nil else { return }
    store.keep(state)
  }

  // MARK: Time

  private func tick(_ now: Int64) {
    if let interval = notifier.watchdogInterval, now >= watchdogDue {
      notifier.isAlive()
      watchdogDue = now + interval
    }
    if now >= forceDue { endByForce(now) }
    if let trial, now - trial.started >= Trial.patience { trial.abandon() }
    if now >= workersDue, phase == .bringingUp {
      failToComeUp("workers were not ready in \(Patience.worker / 1_000_000_000) s")
    }
    if now >= mirrorDue { mirrorFormerLedgers(now) }
    if now >= leaveDue, phase == .running { stopGracefully() }
    if now >= hangWatch.due { lookForHungWorkers(now) }
    startWhatIsDue(now)
    tellControllers()
  }

  private func millisecondsUntilDue(_ now: Int64) -> Int {
    var due = min(forceDue, watchdogDue, schedule.nextDue, handOverDue, mirrorDue, hangWatch.due)
    if phase == .bringingUp { due = min(due, workersDue, controllerDue) }
    if phase == .running { due = min(due, leaveDue) }
    if let trial { due = min(due, trial.started + Trial.patience) }
    if controllers.contains(where: { $0.isOutdated && !$0.isStopping }) {
      due = min(due, now + Patience.retry)
    }
    guard due != .max else { return -1 }
    return Int(clamping: max(0, (due - now + 999_999) / 1_000_000))
  }

  // MARK: Signals

  private func readSignals() {
    while let (signal, _) = signals.next() {
      switch signal {
      case .terminate: stopNow(status: 0)
      case .interrupt: stopNow(status: 130)
      case .user1: stopGracefully()
      case .user2, .hangUp: requestReload(nil)
      case .child: reap()
      default: break
      }
    }
  }
}
