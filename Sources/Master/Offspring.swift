import Configuration
import Ledger
import Linux
import Wire

/// What becomes of children: what they say, and how they end.
extension Supervisor {
  /// Workers of this generation that are not on their way out.
  var servingWorkers: [WorkerChild] {
    workers.filter { $0.generation == release.generation && !$0.isDraining }
  }

  /// The controller of this generation.
  var controller: ControllerChild? {
    controllers.first { $0.generation == release.generation && !$0.isStopping }
  }

  // MARK: What workers say

  func listen(toWorker pid: Int32) {
    guard let worker = workers.first(where: { $0.pid == pid }) else { return }
    for message in read(worker.socket) {
      switch message {
      case .workerReady:
        worker.isReady = true
        if !worker.isDraining { note(.ready, of: worker) }
        // While a generation comes up, its workers wait for each other.
        if phase == .running || worker.generation != release.generation { worker.tell(.accept) }
        handOverRest()
      case .workerStopping:
        worker.hasLeft = true
        markDraining(worker)
      case .handedOver(let report): noteHandOver(report, by: worker)
      default: break
      }
    }
  }

  /// Reads what waits, a bounded number; at the end of the stream the socket is watched no more,
  /// and SIGCHLD tells the rest.
  func read(_ socket: borrowing Descriptor) -> [Message] {
    var messages: [Message] = []
    var buffer = [UInt8](repeating: 0, count: Descriptor.longestPacket)
    for _ in 0..<32 {
      var rights: [Int32] = []
      guard let transfer = try? socket.receivePacket(into: &buffer, rights: &rights) else {
        try? epoll.remove(socket)
        return messages
      }
      // Nobody sends the master descriptors; they must not stay open if someone does.
      for number in rights { Descriptor.received(number).close() }
      switch transfer {
      case .moved(let count):
        // A message that only a newer release knows is passed over.
        if let message = try? Message(decoding: Array(buffer[..<count])) {
          messages.append(message)
        }
      case .blocked: return messages
      case .ended:
        try? epoll.remove(socket)
        return messages
      }
    }
    return messages
  }

  // MARK: Telling them to begin, and to go

  /// Those who are told twice have begun.
  func letWorkersAccept() {
    for worker in servingWorkers where worker.isReady { worker.tell(.accept) }
  }

  func drain(_ worker: WorkerChild) {
    worker.tell(.drain)
    markDraining(worker)
  }

  private func markDraining(_ worker: WorkerChild) {
    guard !worker.isDraining else { return }
    worker.isDraining = true
    note(.draining, of: worker)
    controllersAreOutdated()
    guard let bound = generation.configuration.global.hardStopAfter else { return }
    // The worker keeps to it by itself; this is for one that cannot any more.
    worker.endBy = Clock.monotonic + Int64(bound) * 1_000_000 + Patience.stop
    forceDue = min(forceDue, worker.endBy)
  }

  private func note(_ state: LaneState, of worker: WorkerChild) {
    if !worker.isForeign { ledger.lane(worker.lane)[.state].store(state.rawValue) }
  }

  func stop(_ controller: ControllerChild) {
    guard !controller.isStopping else { return }
    controller.isStopping = true
    controller.tell(.stop)
    controller.endBy = Clock.monotonic + Patience.stop
    forceDue = min(forceDue, controller.endBy)
  }

  /// Ends those whose time is over.
  func endByForce(_ now: Int64) {
    forceDue = .max
    for worker in workers {
      if worker.endBy <= now { worker.kill() } else { forceDue = min(forceDue, worker.endBy) }
    }
    for controller in controllers {
      if controller.endBy <= now {
        controller.kill()
      } else {
        forceDue = min(forceDue, controller.endBy)
      }
    }
  }

  // MARK: Their ends

  func reap() {
    while let (pid, status) = Process.reap() {
      // What it said last is often how many connections it has handed over.
      listen(toWorker: pid)
      if let index = workers.firstIndex(where: { $0.pid == pid }) {
        ended(workers.remove(at: index), status)
      } else if let index = controllers.firstIndex(where: { $0.pid == pid }) {
        ended(controllers.remove(at: index), status)
      } else if let trial, trial.pid == pid {
        trial.status = status
        trial.listen()
      }
    }
  }

  /// A process that another master started has ended; how is not known.
  func adoptedHasEnded(_ pid: Int32) {
    listen(toWorker: pid)
    if let index = workers.firstIndex(where: { $0.pid == pid && $0.isAdopted }) {
      let worker = workers.remove(at: index)
      forget(worker.handle)
      ended(worker, nil)
    } else if let index = controllers.firstIndex(where: { $0.pid == pid && $0.isAdopted }) {
      let controller = controllers.remove(at: index)
      forget(controller.handle)
      ended(controller, nil)
    }
  }

  private func forget(_ handle: borrowing ProcessHandle?) {
    switch handle {
    case .some(let handle): try? epoll.remove(handle.descriptor)
    case .none: break
    }
  }

  /// `status` is nil where it is not known.
  private func ended(_ worker: WorkerChild, _ status: ExitStatus?) {
    settle(worker)
    loans.forget(borrower: worker.pid)
    // Places that it held, or a turn that it had, may be what others wait for.
    ringWorkers()
    controllersAreOutdated()
    if case .stopping = phase { return }
    let wasOrdered = worker.isDraining && status ?? .exited(0) == .exited(0)
    let name = "worker \(worker.slot) of generation \(worker.generation) (\(worker.pid))"
    if wasOrdered { return log.notice("\(name) has finished") }
    log.alert("\(name) ended\(ending(status))")
    guard worker.generation == release.generation, !worker.isDraining else { return }
    if phase == .bringingUp {
      failToComeUp("worker \(worker.slot) (\(worker.pid)) ended\(ending(status))")
    } else {
      let now = Clock.monotonic
      schedule.restartWorker(slot: worker.slot, afterLifeOf: now - worker.started, now: now)
    }
  }

  private func ending(_ status: ExitStatus?) -> String { status.map { " with \($0)" } ?? "" }

  /// Gives back what a worker that has ended held in the ledger.
  func settle(_ worker: WorkerChild) {
    guard !worker.isForeign else { return }
    releaseInFormerLedgers(worker)
    if !ledger.settle(lane: worker.lane, slots: slotCount) { unsettledLane = worker.lane }
  }

  /// Tries again what a living worker stood in the way of; all that is left over is settled at once.
  func settleRest() {
    guard let lane = unsettledLane, ledger.settle(lane: lane, slots: slotCount) else { return }
    unsettledLane = nil
    ringWorkers()
  }

  func ringWorkers() {
    for worker in workers where !worker.isForeign { doorbells[worker.lane].ring() }
  }

  private func ended(_ controller: ControllerChild, _ status: ExitStatus?) {
    waiters.removeAll { $0.controller == controller.pid }
    laterWaiters.removeAll { $0.controller == controller.pid }
    guard !controller.isStopping else { return }
    log.alert("the controller (\(controller.pid)) ended\(ending(status))")
    guard controller.generation == release.generation else { return }
    if case .stopping = phase { return }
    let now = Clock.monotonic
    schedule.restartController(afterLifeOf: now - controller.started, now: now)
  }
}

// MARK: - The controller

extension Supervisor {
  func listen(toController pid: Int32) {
    guard let controller = controllers.first(where: { $0.pid == pid }) else { return }
    for message in read(controller.socket) {
      switch message {
      case .controllerReady: controller.isReady = true
      case .reload(let requestID):
        requestReload(MasterState.Waiter(controller: pid, requestID: requestID))
      case .stopGracefully: stopGracefully()
      case .stopNow: stopNow(status: 0)
      case .drainNode: drainNode()
      case .showProcesses(let requestID):
        controller.tell(.processes(requestID: requestID, processRows, reloadStatus))
      default: break
      }
    }
  }

  func controllersAreOutdated() {
    for controller in controllers { controller.isOutdated = true }
  }

  /// Gives controllers the ends of all pairs with workers, where the set has changed since.
  func tellControllers() {
    for controller in controllers where controller.isOutdated && !controller.isStopping {
      controller.isOutdated = !tellWorkers(to: controller)
    }
  }

  /// Descriptors that travel beside one packet.
  private static let batch = 32

  /// - Returns: whether all of it was taken. A set that broke off is begun anew.
  private func tellWorkers(to controller: ControllerChild) -> Bool {
    var rest = workers[...]
    repeat {
      let part = rest.prefix(Self.batch)
      rest = rest.dropFirst(Self.batch)
      let lanes = part.map { worker in
        WorkerLane(
          pid: worker.pid, generation: UInt32(truncatingIfNeeded: worker.generation),
          slot: UInt32(worker.slot), lane: UInt32(worker.lane), isDraining: worker.isDraining)
      }
      let rights = part.map { $0.controllerEnd.numberForSuccessor }
      guard controller.tell(.workers(lanes, isLast: rest.isEmpty), rights: rights) else {
        return false
      }
    } while !rest.isEmpty
    return true
  }

  private var processRows: [ProcessRow] {
    func row(
      _ pid: Int32, _ kind: ProcessRow.Kind, slot: Int, generation: UInt64, started: Int64
    ) -> ProcessRow {
      ProcessRow(
        pid: pid, kind: kind, slot: UInt32(slot),
        generation: UInt32(truncatingIfNeeded: generation),
        uptimeSeconds: UInt64(max(0, Clock.monotonic - started) / 1_000_000_000),
        reloads: UInt32(truncatingIfNeeded: release.generation &- generation))
    }
    let master = ProcessRow(
      pid: Process.id, kind: .master, slot: 0,
      generation: UInt32(truncatingIfNeeded: release.generation),
      uptimeSeconds: UInt64(max(0, Clock.monotonic - started) / 1_000_000_000),
      reloads: UInt32(clamping: reloads))
    return [master]
      + workers.map {
        row($0.pid, .worker, slot: $0.slot, generation: $0.generation, started: $0.started)
      }
      + controllers.map {
        row($0.pid, .controller, slot: 0, generation: $0.generation, started: $0.started)
      }
  }
}
