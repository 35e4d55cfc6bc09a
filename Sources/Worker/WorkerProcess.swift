import Configuration
import Ledger
import Linux
import Reactor
import Rules
import Wire

/// One worker: the loop, and the one switch on what an event is for.
///
/// The stages of a connection (`Acceptor`, `Inspect`, `Route`, `Dial`, `Relay`, `Close`) say what
/// is to happen next; only this type touches epoll and timers.
///
/// A connection's way:
/// ```
/// welcome ─► [header] ─► [inspecting] ─► routing ─┬─► dialing ─► relaying ─┬─► finish
///                             ▲            │      │    ▲  │                 └► resetting ─► finish
///                             └─ needs more┘      ▼    │  ▼
///                                               queued ┘ resting
/// ```
public struct WorkerProcess: ~Copyable {
  /// Most connections that one wake-up of a listener takes in.
  static let largestBatch = 64
  /// Most connections that are taken in from a listener's queue before it is left.
  static let longestQueue = 4096
  /// How long accepting rests when descriptors have run out, unless a connection ends before.
  static let exhaustionPause: Milliseconds = 100

  var epoll: Epoll
  var timers: Timers
  var table: ConnectionTable
  var context: WorkerContext
  var listeners: DescriptorTable
  var loan = Loan()
  let master: Descriptor
  let controller: Descriptor
  let configuration: ProxyConfiguration
  /// `tune.maxaccept`, where the file sets it.
  private let fixedBatch: Int?
  let generation: UInt64
  let workerSlot: Int
  private let isInPlace = InPlace()
  /// Connections whose turn was over before they were done.
  private var turns: TurnQueue
  /// Whether it has been told to accept, which it is once it cannot be for nothing.
  var isAccepting = false
  var isDraining = false
  var hasToStop = false
  var masterIsGone = false
  var controllerIsGone = false
  /// Sessions that the controller has asked for and not yet been told of.
  var listing: SessionListing?
  var packet = [UInt8](repeating: 0, count: Message.maximumLength)
  var handOver = HandOver()

  /// Timers beyond those of the connections.
  var resumeTimer: Int { table.capacity }
  var hardStopTimer: Int { table.capacity + 1 }

  /// Carries connections until told to stop. Never returns: the process ends with it.
  public static func run(_ heritage: consuming Heritage) -> Never {
    do throws(Errno) {
      var worker = try WorkerProcess(heritage)
      try worker.start()
      try worker.loop()
      Process.exit(0)
    } catch {
      // Standard error is all there is before, or when, the kernel refuses what a worker needs.
      StandardError.write("sluice worker: \(error)\n")
      Process.exit(1)
    }
  }

  init(_ heritage: consuming Heritage) throws(Errno) {
    let now = Clock.monotonic / 1_000_000
    let capacity = Self.capacity(heritage.maxConnections)
    heritage.rules.attach(
      connections: capacity, ledger: heritage.ledger, slots: heritage.slots,
      hostname: heritage.hostname)
    let tables = Tables(heritage, rules: heritage.rules)
    let global = heritage.configuration.global
    let workers = max(1, heritage.workerCount)
    let pipes = (global.maxPipes ?? 2 * capacity) / workers
    let buffers = try BufferPool()
    let engine = RelayEngine(
      buffers: buffers,
      pipes: PipePool(
        limit: global.noSplice ? 0 : max(4, pipes), configuredSize: global.pipeSize,
        workers: workers),
      splicesBulk: !global.noSplice)
    let queues = try WaitQueues(
      connections: capacity, backends: tables.backends.count, servers: tables.servers.count)
    let balancer = Balancer(
      backends: tables.backends.count,
      seed: UInt64(truncatingIfNeeded: Clock.realtime) | 1 &+ UInt64(heritage.lane) << 32)
    let inspections = try InspectionPool(capacity: min(capacity, 16_384))
    let names = try Region<ServerName>(count: capacity)
    let protocols = try Region<ProtocolNames>(count: capacity)
    let hostname = heritage.hostname
    let processID = Int(Process.id)

    let epoll = try Epoll()
    let timers = try Timers(capacity: capacity + 3, at: now)
    let table = try ConnectionTable(capacity: capacity)
    let turns = try TurnQueue(capacity: capacity)

    let log = SessionLog(
      configuration: heritage.configuration,
      sink: heritage.log.take()
        ?? LogSink(configuration: heritage.configuration, hostname: hostname, processID: processID),
      hostname: hostname, processID: processID)

    // Nothing throws from here on: owners are either all assigned or none.
    self.epoll = epoll
    self.timers = timers
    self.table = table
    self.turns = turns
    configuration = heritage.configuration
    fixedBatch = global.maxAccept.map { $0 > 0 ? $0 : .max }
    generation = heritage.generation
    workerSlot = heritage.workerSlot
    let lane = heritage.lane
    let ledger = heritage.ledger
    context = WorkerContext(
      tables: tables, rules: heritage.rules, ledger: ledger, lane: lane, engine: engine,
      inspections: inspections, balancer: balancer, queues: queues, names: names,
      protocols: protocols, log: log, doorbells: DoorbellSet(heritage.doorbells), now: now)
    listeners = heritage.listeners
    master = heritage.master
    controller = heritage.controller
  }

  /// Places for connections: what the limits allow, two descriptors each.
  private static func capacity(_ maxConnections: Int) -> Int {
    let descriptors = Int(clamping: ResourceLimit.openFiles.soft)
    return max(16, min(maxConnections, (descriptors - 256) / 2))
  }

  mutating func start() throws(Errno) {
    try epoll.add(master, .readable, token: Token(.master, index: 0).rawValue)
    try epoll.add(controller, .readable, token: Token(.controller, index: 0).rawValue)
    try context.doorbells.watchOwn(context.lane, by: epoll)
    let lane = context.ledger.lane(context.lane)
    lane[.pid].store(UInt64(Process.id))
    lane[.state].store(LaneState.ready.rawValue)
    tell(.workerReady(generation: UInt32(truncatingIfNeeded: generation), slot: UInt32(workerSlot)))
  }

  /// Begins to accept, when all workers of the generation are ready.
  ///
  /// Whoever did so earlier would lose what it had accepted if one of the others failed to come up,
  /// and the generation before went on instead.
  mutating func beginAccepting() {
    guard !isAccepting, !isDraining else { return }
    isAccepting = true
    for index in 0..<listeners.count {
      do throws(Errno) {
        try watch(listener: index)
      } catch {
        pause(index, .exhaustion)
      }
    }
  }

  private func watch(listener: Int) throws(Errno) {
    let isShared = context.tables.listeners[listener].isShared
    try epoll.add(
      listeners[listener], isShared ? [.readable, .exclusive] : .readable,
      token: Token(.listener, index: listener).rawValue)
    for index in 0..<loan.count where loan.listeners[index] == listener {
      try watch(borrowed: index)
    }
  }

  private func leave(listener: Int) {
    try? epoll.remove(listeners[listener])
    for index in 0..<loan.count where loan.listeners[index] == listener {
      try? epoll.remove(loan.sockets[index])
    }
  }

  func tell(_ message: Message) {
    guard !masterIsGone else { return }
    guard let packet = try? message.encoded() else { return }
    _ = try? master.sendPacket(packet.span)
  }

  // MARK: The loop

  private mutating func loop() throws(Errno) {
    while !isFinished { try lap() }
    reportBeforeExit()
  }

  /// Waits until something is to be done, not longer than the bound if there is one, and does it.
  mutating func lap(waiting most: Int = .max) throws(Errno) {
    let lane = context.ledger.lane(context.lane)
    let hasMore = serveQueues()
    if context.gavePlacesBack { resumeListeners() }
    giveMore()
    let due = hasMore || turns.count > 0 ? 0 : timers.wait(at: context.now) ?? -1
    let most = handOver.isResting ? min(most, 1) : most
    let wait = most == .max ? due : due < 0 ? most : min(due, most)
    lane[.isAsleep].store(1)
    let count = try epoll.wait(milliseconds: wait)
    lane[.isAsleep].store(0)
    lane[.laps].add(1)
    context.now = Clock.monotonicCoarse / 1_000_000
    context.engine.moved = 0
    for index in 0..<count { dispatch(epoll[index]) }
    takeTurns()
    fireTimers()
  }

  var isFinished: Bool { hasToStop || isDraining && table.count == 0 && listeners.isEmpty }

  private mutating func dispatch(_ event: ReadinessEvent) {
    let token = Token(rawValue: event.token)
    switch token.kind {
    case .client, .server: connectionEvent(token, event.readiness)
    case .listener: accept(from: token.index)
    case .borrowed: accept(fromBorrowed: token.index)
    case .master: hearMaster()
    case .controller:
      hearController()
      continueListing()
    case .doorbell: answerDoorbell()
    case .peer: hearPeer(token.index)
    case .signal, .other: break
    }
  }

  /// Not inlined, so that the gate on allocation can look at it by its name.
  @inline(never)
  private mutating func connectionEvent(_ token: Token, _ readiness: Readiness) {
    guard table.holds(token.index, generation: token.generation) else { return }
    if token.kind == .client {
      table[token.index].clientSide.note(readiness)
    } else {
      table[token.index].serverSide.note(readiness)
    }
    // Bulk takes turns, behind those who have only a word to say.
    if table[token.index].isBulk { turns.append(token.index) } else { drive(token.index) }
  }

  /// Gives bulk its turns, the longest waiting first, until enough has moved on this lap: then the
  /// next lap looks who else has come. Not inlined: see `connectionEvent`.
  @inline(never)
  private mutating func takeTurns() {
    for _ in 0..<turns.count {
      guard context.engine.moved < RelayEngine.lapBudget, let index = turns.takeFirst() else {
        return
      }
      if table[index].phase != .free { drive(index) }
    }
  }

  /// Not inlined: see `connectionEvent`.
  @inline(never)
  private mutating func fireTimers() {
    while let id = timers.next(at: context.now) {
      if id == resumeTimer {
        resumeListeners()
      } else if id == hardStopTimer {
        hasToStop = true
        closeAll(.stopping)
      } else if id == handOverTimer {
        handOverTimedOut()
      } else if table[id].phase != .free {
        follow(table[id].expire(&context), id)
      }
    }
  }

  // MARK: Connections

  /// Takes a connection as far as it gets.
  mutating func drive(_ index: Int) {
    if table[index].marks.contains(.travels) { return }
    follow(stage(index), index)
  }

  private mutating func stage(_ index: Int) -> Step {
    switch table[index].phase {
    case .free, .queued, .resting: .wait
    case .header, .inspecting: table[index].inspect(&context)
    case .routing: table[index].route(&context)
    case .dialing: table[index].dial(&context)
    case .relaying: table[index].relay(&context)
    case .resetting: table[index].settleReset(&context)
    }
  }

  /// Does what a stage asks.
  mutating func follow(_ first: Step, _ index: Int) {
    var step = first
    while step == .advance { step = stage(index) }
    switch step {
    case .advance, .wait:
      watchAndArm(index)
    case .again:
      watchAndArm(index)
      if table[index].phase != .free { turns.append(index) }
    case .close(let reason):
      close(index, reason)
    }
  }

  /// Makes epoll know the sockets, and the timers when the connection is due.
  mutating func watchAndArm(_ index: Int) {
    if table[index].phase == .queued, clientHasGone(index) {
      return close(index, .clientAborted)
    }
    do throws(Errno) {
      let generation = table.generation(index)
      // The client first: its event then precedes the server's in a batch.
      if !table[index].clientSide.isWatched {
        try table[index].client.watch(
          by: epoll, Token(.client, index: index, generation: generation))
        table[index].clientSide.isWatched = true
      }
      if !table[index].serverSide.isWatched {
        if try table[index].server.watch(
          by: epoll, Token(.server, index: index, generation: generation))
        {
          table[index].serverSide.isWatched = true
        }
      }
    } catch {
      return close(index, .noResources)
    }
    let due = table[index].nextDeadline(context)
    if due >= .never {
      timers.cancel(index)
    } else {
      timers.set(index, to: due)
    }
  }

  /// `option abortonclose`: whether a client that waits has closed.
  private func clientHasGone(_ index: Int) -> Bool {
    table[index].clientSide.sawEnd
      && context.tables.backends[Int(table[index].backend)].abortOnClose
  }

  mutating func close(_ index: Int, _ reason: CloseReason) {
    table[index].finish(reason, &context)
    timers.cancel(index)
    table.release(index)
  }

  /// Ends all connections, those first that have been idle for longest.
  mutating func closeAll(_ reason: CloseReason) {
    endHandOver()
    let places = (0..<table.used).filter { table[$0].phase != .free }
      .map { (index: $0, active: max(table[$0].clientActive, table[$0].serverActive)) }
      .sorted { $0.active < $1.active }
    for place in places { close(place.index, reason) }
  }

  // MARK: Listeners

  private mutating func accept(from listener: Int) {
    guard !isDraining, context.tables.listeners[listener].pause == .none else { return }
    takeIn(from: listener, nil)
    if context.tables.listeners[listener].isShared { letOthersBeFirst(at: listener) }
  }

  private mutating func accept(fromBorrowed index: Int) {
    // The loan may have ended on this very lap.
    guard !isDraining, index < loan.count else { return }
    let listener = loan.listeners[index]
    guard context.tables.listeners[listener].pause == .none else { return }
    takeIn(from: listener, index)
  }

  /// Goes to the end of the line of those whom the kernel wakes for a shared socket.
  ///
  /// It wakes the first that sleeps, so whoever stayed at the head would take in nearly everything.
  /// Who comes between the two calls is not missed: adding looks at the queue.
  private mutating func letOthersBeFirst(at listener: Int) {
    guard context.tables.listeners[listener].pause == .none else { return }
    do throws(Errno) {
      try epoll.remove(listeners[listener])
      try watch(listener: listener)
    } catch {
      pause(listener, .exhaustion)
    }
  }

  /// Takes in a batch, from a borrowed socket of the same bind where one is named.
  private mutating func takeIn(from listener: Int, _ borrowed: Int?) {
    let batch = fixedBatch ?? context.tables.listeners[listener].batch
    let frontend = context.tables.listeners[listener].frontend
    for taken in 0..<batch {
      if exceedsSessionRate(frontend) { return pause(listener, .sessionRate) }
      switch admit(from: listener, borrowed) {
      case .admitted(let index):
        follow(table[index].welcome(&context), index)
        if taken + 1 == batch { adapt(listener) }
      case .none:
        context.tables.listeners[listener].batch = max(1, taken)
        return
      case .paused(let reason):
        return pause(listener, reason)
      }
    }
  }

  private mutating func admit(from listener: Int, _ borrowed: Int?) -> Admission {
    guard let borrowed else {
      return table.admit(from: listener, listeners[listener], &context)
    }
    return table.admit(from: listener, loan.sockets[borrowed], &context)
  }

  /// A whole batch was there: more is tried next time if the time before was the lap before.
  private mutating func adapt(_ listener: Int) {
    let lap = context.ledger.lane(context.lane)[.laps].value
    let isNext = lap == context.tables.listeners[listener].fullLap + 1
    let batch = context.tables.listeners[listener].batch
    context.tables.listeners[listener].fullLap = lap
    context.tables.listeners[listener].batch = isNext ? min(batch * 2, Self.largestBatch) : 1
  }

  private func exceedsSessionRate(_ frontend: Int) -> Bool {
    let limit = context.tables.frontends[frontend].sessionRateLimit
    guard limit != .max else { return false }
    let rate = RateGauge(sessionsOf: context.tables.frontends[frontend].slot.shared)
      .rate(second: context.second, milliseconds: UInt64(context.now % 1000))
    return rate >= limit
  }

  /// Stops taking connections in: they wait in the kernel's queue, and nothing spins.
  private mutating func pause(_ listener: Int, _ reason: ListenerEntry.Pause) {
    context.tables.listeners[listener].pause = reason
    leave(listener: listener)
    switch reason {
    case .processLimit:
      context.tables.process.beginToWait()
      context.gavePlacesBack = true
    case .frontendLimit:
      let frontend = context.tables.listeners[listener].frontend
      context.tables.frontends[frontend].slot.beginToWait()
      // What was given back meanwhile rang for nobody: look again at the end of the lap.
      context.gavePlacesBack = true
    case .exhaustion, .sessionRate: rearmResumption()
    case .none: break
    }
  }

  private mutating func rearmResumption() {
    timers.set(resumeTimer, to: context.now + Self.exhaustionPause)
  }

  /// Takes up accepting again where it rests; a limit that still holds makes it rest again.
  private mutating func resumeListeners() {
    context.gavePlacesBack = false
    for index in 0..<listeners.count where context.tables.listeners[index].pause != .none {
      let entry = context.tables.listeners[index]
      let frontend = context.tables.frontends[entry.frontend]
      let process = context.tables.process
      let isFull =
        process.shared[.current].value >= context.tables.processLimit
        || frontend.slot.shared[.current].value >= frontend.limit
        || entry.slot.shared[.current].value >= entry.limit
      if isFull {
        // Who rests for want of descriptors is told by nobody that a place became free.
        if entry.pause == .exhaustion || entry.pause == .sessionRate { rearmResumption() }
        continue
      }
      endPause(index)
      if isDraining {
        emptyQueue(of: index)
        continue
      }
      do throws(Errno) {
        try watch(listener: index)
      } catch {
        pause(index, .exhaustion)
      }
    }
    if isDraining { letListenersGo() }
  }

  /// Takes back what a resting listener told the ledger.
  private mutating func endPause(_ index: Int) {
    let entry = context.tables.listeners[index]
    switch entry.pause {
    case .processLimit: context.tables.process.endWait()
    case .frontendLimit: context.tables.frontends[entry.frontend].slot.endWait()
    case .exhaustion, .sessionRate, .none: break
    }
    context.tables.listeners[index].pause = .none
  }

  /// Takes in who waits by now, and accepts no more.
  ///
  /// Who comes later is served by whoever else holds the sockets: the master, and the next generation
  /// that polls them. But the last copies of a socket whose bind line is gone are the workers', and
  /// closing it with connections in its queue would reset them.
  mutating func drain() {
    guard !isDraining else { return }
    isDraining = true
    context.ledger.lane(context.lane)[.state].store(LaneState.draining.rawValue)
    // One that never began has no queue that is its own to empty.
    for index in 0..<listeners.count
    where isAccepting && context.tables.listeners[index].pause == .none {
      leave(listener: index)
      emptyQueue(of: index)
    }
    letListenersGo()
    if let after = configuration.global.hardStopAfter {
      timers.set(hardStopTimer, to: context.now + Milliseconds(after))
    }
    tell(
      .workerStopping(
        generation: UInt32(truncatingIfNeeded: generation), slot: UInt32(workerSlot)))
  }

  /// Takes in what a listener's queue holds. Where a limit forbids it the listener rests, and is
  /// emptied when it may go on.
  private mutating func emptyQueue(of listener: Int) {
    guard emptyQueue(of: listener, nil) else { return }
    for index in 0..<loan.count where loan.listeners[index] == listener {
      guard emptyQueue(of: listener, index) else { return }
    }
  }

  /// - Returns: false when a limit forbids to go on.
  private mutating func emptyQueue(of listener: Int, _ borrowed: Int?) -> Bool {
    for _ in 0..<Self.longestQueue {
      switch admit(from: listener, borrowed) {
      case .admitted(let index): follow(table[index].welcome(&context), index)
      case .none: return true
      case .paused(let reason):
        pause(listener, reason)
        return false
      }
    }
    return true
  }

  /// Lets listeners go that rest, and that others poll: who waits there is served by those.
  mutating func letListenersGo(elsewhere slots: Set<Int>) {
    guard isDraining else { return }
    for index in 0..<listeners.count
    where slots.contains(context.tables.listeners[index].slot.number) {
      endPause(index)
    }
    letListenersGo()
  }

  /// Closes this worker's copies of the sockets, once none has a queue that is still to be emptied.
  private mutating func letListenersGo() {
    for index in 0..<listeners.count where context.tables.listeners[index].pause != .none { return }
    listeners = DescriptorTable()
    loan = Loan()
  }

  // MARK: Queues

  private mutating func answerDoorbell() {
    context.doorbells.silence(context.lane)
    // Among other things it is rung when a taker has died and what it had claimed is settled.
    concludeBatch()
    context.gavePlacesBack = true
    for index in context.tables.backends.indices {
      let backend = context.tables.backends[index]
      let waits =
        backend.slot.shared[.queued].value > 0
        || backend.servers.contains {
          context.tables.servers[$0].slot.shared[.queued].value > 0
        }
      if waits { context.mayHavePlaces(backend: index) }
    }
  }

  /// Gives places that became free to who has waited longest, here or, by a ring, in another worker.
  ///
  /// - Returns: whether something was done, so that there may be more to do.
  private mutating func serveQueues() -> Bool {
    guard !context.backendsToServe.isEmpty else { return false }
    let backends = context.backendsToServe
    context.backendsToServe.removeAll(keepingCapacity: true)
    for backend in backends {
      for server in context.tables.backends[backend].servers { serve(server, of: backend) }
    }
    return !context.backendsToServe.isEmpty
  }

  private mutating func serve(_ server: Int, of backend: Int) {
    if context.tables.backends[backend].redispatch != 0,
      !Balancer.isReachable(server, context.tables)
    {
      return sendElsewhere(from: server, of: backend)
    }
    while let next = context.longestWaiting(server: server, backend: backend) {
      let limit = context.tables.limit(ofServer: server)
      let entry = context.tables.servers[server]
      let mayServe =
        next.isWanted
        ? Balancer.isReachable(server, context.tables)
        : context.balancer.takesWaiting(server, context.tables)
      guard mayServe, entry.slot.shared[.current].value < limit else { return }
      guard next.lane == context.lane else { return context.doorbells.ring(lane: next.lane) }
      let queue = context.queues.queue(backend: backend, wanted: next.isWanted ? server : -1)
      guard let index = context.queues.first(of: queue), entry.slot.enter(limit: limit) else {
        return
      }
      table[index].leaveQueue(&context)
      table[index].assign(server, &context)
      follow(.advance, index)
    }
  }
}

extension WorkerProcess {
  /// `option redispatch`: who waits for a server that stopped is given another. Each is asked once:
  /// a choice that is not up to date yet may lead back to the same queue.
  private mutating func sendElsewhere(from server: Int, of backend: Int) {
    let queue = context.queues.queue(backend: backend, wanted: server)
    for _ in 0..<context.queues.count {
      guard let index = context.queues.first(of: queue) else { return }
      table[index].leaveQueue(&context)
      table[index].wanted = -1
      table[index].lastTarget = -1
      follow(table[index].chooseServer(&context), index)
    }
  }
}

extension WorkerContext {
  /// Whose turn it is at a server: the longest waiting of its own queue and its backend's.
  borrowing func longestWaiting(
    server: Int, backend: Int
  ) -> (lane: Int, isWanted: Bool)? {
    let own = tables.servers[server].slot
    let all = tables.backends[backend].slot
    let wanted = own.shared[.queued].value > 0 ? ledger.longestWaiting(slot: own.number) : nil
    let any = all.shared[.queued].value > 0 ? ledger.longestWaiting(slot: all.number) : nil
    switch (wanted, any) {
    case (nil, nil): return nil
    case (let wanted?, nil): return (wanted.lane, true)
    case (nil, let any?): return (any.lane, false)
    case (let wanted?, let any?):
      return wanted.ticket < any.ticket ? (wanted.lane, true) : (any.lane, false)
    }
  }
}

extension Optional where Wrapped == Descriptor {
  /// Registers the socket once and for all, if there is one.
  @discardableResult
  borrowing func watch(by epoll: borrowing Epoll, _ token: Token) throws(Errno) -> Bool {
    switch self {
    case .none: return false
    case .some(let socket):
      try epoll.add(socket, .everyChange, token: token.rawValue)
      return true
    }
  }
}
