import Configuration
import Ledger
import Linux

/// The start of a process image that goes on where the one before it, of the same process, was.
enum Successor {
  /// Never returns. `number` is the descriptor that the state is in.
  static func run(_ arguments: Arguments, commandLine: [String], state number: Int32) -> Never {
    // The comm that execveat(2) leaves is the descriptor's number.
    Process.rename(to: "sluice")
    let log = MasterLog(isQuiet: arguments.isQuiet)
    SystemdNotifier().isAlive()
    guard let file = Descriptor.inherited(number), let bytes = try? file.contents(),
      let state = try? MasterState(decoding: bytes)
    else {
      // The check has seen that this program reads the state: there is nothing left to go on with.
      // Workers go on serving.
      log.alert("the state of the master before is lost")
      Process.exit(1)
    }
    file.close()
    let copies = DescriptorCopies(of: state)
    do throws(Failure) {
      var taken = state
      let supervisor = try restore(&taken, arguments, commandLine, log)
      copies.close()
      supervisor.store = DescriptorStore(state.store, log)
      supervisor.watchKeeper()
      supervisor.resume(taken)
      supervisor.run()
    } catch {
      fallBack(state.moved(to: copies.release()), commandLine, because: error.message, log)
    }
  }

  /// Why it cannot go on.
  struct Failure: Error {
    let message: String
  }

  /// Where the state's ledger is of another layout, `state` becomes one with a ledger of this one.
  static func restore(
    _ state: inout MasterState, _ arguments: Arguments, _ commandLine: [String], _ log: MasterLog
  ) throws(Failure) -> Supervisor {
    guard let release = Release(state.current) else {
      throw Failure(message: "the files of the generation are not there")
    }
    let generation = try load(release, arguments, log)
    do throws(Errno) {
      let before = state.ledger
      let ledgers = try StateLedgers(taking: &state)
      if state.ledger != before {
        log.notice("this release lays out counters and states otherwise: they are carried over")
      }
      let ledger = ledgers.ledger
      var directory = SlotDirectory(ledger)
      guard
        let slots = SlotMap.taking(for: generation.configuration, from: &directory, in: ledger)
      else { throw .noSpace }
      let (previous, former) = (ledgers.previous, ledgers.former)
      let supervisor = try Supervisor(
        arguments: arguments, commandLine: commandLine, path: state.path, started: state.started,
        log: log, generation: generation, release: release, slots: slots,
        slotCount: directory.count, ledgerFile: ledgers.takeFile(),
        doorbells: try doorbells(state), listeners: try listeners(generation, state, log))
      supervisor.previousLedger = previous
      supervisor.formerLedgers = former
      return supervisor
    } catch {
      throw Failure(message: "\(error)")
    }
  }

  private static func load(
    _ release: Release, _ arguments: Arguments, _ log: MasterLog
  ) throws(Failure) -> Generation {
    guard let bytes = try? release.snapshot.contents(),
      let snapshot = try? ConfigurationSnapshot(decoding: bytes)
    else { throw Failure(message: "the configuration that was checked cannot be read") }
    let loader = GenerationLoader(
      arguments: arguments, log: log, controller: release.duplicateController())
    guard let generation = try? loader.load(snapshot) else {
      throw Failure(message: "the configuration that was checked is not understood")
    }
    return generation
  }

  private static func doorbells(_ state: MasterState) throws(Errno) -> DescriptorTable {
    var bells = DescriptorTable()
    for number in state.doorbells {
      guard let bell = Descriptor.inherited(number) else { throw .noSuchFile }
      bells.append(bell)
    }
    return bells
  }

  private static func listeners(
    _ generation: Generation, _ state: MasterState, _ log: MasterLog
  ) throws(Errno) -> ListenerSet {
    do throws(ListenFailure) {
      return try ListenerSet(plan: generation.plan, restoring: state, log)
    } catch {
      log.alert(error.message)
      throw .noSuchFile
    }
  }

  private static func fallBack(
    _ state: MasterState, _ commandLine: [String], because text: String, _ log: MasterLog
  ) -> Never {
    let reason = "the new program cannot take over: \(text)"
    if let former = state.fallingBack(because: reason),
      let program = Descriptor.inherited(former.current.daemon)
    {
      let error = Supervisor.become(former, program: program, commandLine)
      log.alert("cannot go back to the program before: \(error)")
    }
    log.alert("\(reason); workers go on without a master")
    Process.exit(1)
  }
}

extension Release {
  func duplicateController() -> Descriptor? {
    switch controller {
    case .some(let controller): try? controller.duplicate()
    case .none: nil
    }
  }
}

extension Supervisor {
  /// Takes up what the image before had.
  func resume(_ state: MasterState) {
    adoptChildren(state)
    lastGeneration = state.lastGeneration
    reloads = state.reloads
    failedReloads = state.failedReloads
    lastReload = state.lastReload
    leaveDue = state.leaveDue
    // A ledger that was laid out anew does not know.
    if isLeaving { ledger.isLeaving.store(1) }
    waiters = state.waiters
    laterWaiters = state.laterWaiters
    wantsAnotherReload = state.wantsAnotherReload
    reloadText = state.text
    prepareServers()
    switch state.purpose {
    case .takeOver:
      previous = state.previous.flatMap { Release($0) }
      bringUp()
    case .fallBack:
      phase = .running
      listeners.closeRetired()
      letWorkersAccept()
      failReload(state.text)
      renewSpareWorker()
      fillEmptySlots()
    case .adopt: finishAdoption()
    }
  }

  func adoptChildren(_ state: MasterState) {
    for known in state.workers {
      if let worker = WorkerChild(known) {
        assignLedger(to: worker, known.ledger)
        workers.append(worker)
        watch(worker.socket, .worker(worker.pid), end: worker.handle, worker.pid)
        forceDue = min(forceDue, worker.endBy)
      } else if !known.isForeign {
        ledger.settle(lane: known.lane, slots: slotCount)
      }
    }
    formerLedgers = [:]
    mirrorFormerLedgers(Clock.monotonic)
    controllers = state.controllers.compactMap { ControllerChild($0) }
    for controller in controllers {
      watch(controller.socket, .controller(controller.pid), end: controller.handle, controller.pid)
      forceDue = min(forceDue, controller.endBy)
    }
  }

  private func watch(
    _ socket: borrowing Descriptor, _ source: Source, end: borrowing ProcessHandle?, _ pid: Int32
  ) {
    try? epoll.add(socket, .readable, token: source.token)
    switch end {
    case .some(let handle):
      try? epoll.add(handle.descriptor, .readable, token: Source.end(pid).token)
    case .none: break
    }
  }

  /// A reload that failed has left sockets to serve, perhaps more than the spare worker knows.
  func renewSpareWorker() {
    guard listeners.hasSpareSockets else { return }
    for worker in servingWorkers where worker.slot == listeners.spareSlot { drain(worker) }
    schedule.restartWorker(slot: listeners.spareSlot, afterLifeOf: 0, now: Clock.monotonic)
  }

  /// Starts what ended while the other generation tried.
  func fillEmptySlots() {
    let now = Clock.monotonic
    let filled = Set(servingWorkers.map(\.slot))
    for slot in 0..<generation.workerCount where !filled.contains(slot) {
      schedule.restartWorker(slot: slot, afterLifeOf: 0, now: now)
    }
    if listeners.hasSpareSockets, !filled.contains(listeners.spareSlot) {
      schedule.restartWorker(slot: listeners.spareSlot, afterLifeOf: 0, now: now)
    }
    if controller == nil, release.hasController {
      schedule.restartController(afterLifeOf: 0, now: now)
    }
  }
}
