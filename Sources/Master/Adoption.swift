import Configuration
import Ledger
import Linux

/// Going on where a master that died without being told to left off.
///
/// Its workers and its controller still run, on the configuration that the state names: that is gone
/// on with, whatever the file says by now, since a file that is broken must not end what serves. They
/// are no children of this process, which therefore learns of their ends by a pidfd instead of
/// wait(2). The next reload brings children of its own.
enum Adoption {
  /// Returns when there is nothing to go on from, or no way to; then the files are read, and what is
  /// left can be used for what they say.
  static func run(
    _ arguments: Arguments, commandLine: [String], _ estate: Estate, _ log: MasterLog
  ) -> Estate {
    let wasEndedByOrder = takeNoteOfOrder()
    guard var state = estate.state, !state.isStopping, !wasEndedByOrder else { return estate }
    state.prepareForAdoption()
    guard state.isWhole else {
      log.alert("the master before has died, and not all is there that it left behind")
      return estate
    }
    let copies = DescriptorCopies(of: state)
    do throws(Successor.Failure) {
      let supervisor = try Successor.restore(state, arguments, commandLine, log)
      copies.close()
      supervisor.store = DescriptorStore(estate, keeping: state.descriptors, log)
      estate.closeRest(but: state.descriptors)
      supervisor.resume(state)
      supervisor.run()
    } catch {
      log.alert(
        "the master before has died, and what it ran cannot be gone on with: \(error.message)")
      return estate.moved(to: copies.release())
    }
  }

  /// Whether the clean-up of the unit says that the end was ordered, when the master could not: it
  /// hung. The note is taken away, since it is about this start alone.
  private static func takeNoteOfOrder() -> Bool {
    guard let directory = Process.variable("RUNTIME_DIRECTORY") else { return false }
    let note = "\(directory)/ended-by-order"
    guard (try? File.status(note)) != nil else { return false }
    try? File.remove(note)
    return true
  }
}

extension MasterState {
  /// Makes a dead master's state that of its heir.
  fileprivate mutating func prepareForAdoption() {
    // It may have died in the middle of a reload: what had served until then goes on.
    if let former = fallingBack(because: "") { self = former }
    purpose = .adopt
    path = Process.executablePath ?? path
    waiters = []
    laterWaiters = []
    wantsAnotherReload = false
    for index in workers.indices { workers[index].isAdopted = true }
    for index in controllers.indices { controllers[index].isAdopted = true }
  }

  /// The descriptors of an estate that a start from the files has use for: listeners, for the
  /// connections that wait in them, and whom to tell that they are replaced.
  var reusableDescriptors: [Int32] {
    (binds.flatMap(\.sockets) + workers.flatMap { [$0.socket, $0.controllerEnd] }
      + controllers.map(\.socket)).filter { $0 > 2 }
  }
}

extension Supervisor {
  /// Workers of a master that died, and of another release: they serve until this generation does.
  func adoptForeigners(_ state: MasterState) {
    var foreign = state
    foreign.prepareForAdoption()
    // Nobody has looked whether such a state can be true.
    foreign.workers.removeAll { $0.pid <= 1 || $0.pid == Process.id }
    foreign.controllers.removeAll { $0.pid <= 1 || $0.pid == Process.id }
    for index in foreign.workers.indices { foreign.workers[index].isForeign = true }
    adoptChildren(foreign)
  }

  /// All that ran is taken over.
  func finishAdoption() {
    phase = .running
    dismissOtherGenerations()
    reclaimLanes()
    // Places that the dead held may be what others wait for.
    ringWorkers()
    listeners.closeRetired()
    fillEmptySlots()
    handOverRest()
    if let path = generation.configuration.global.pidFile { PidFile(path: path).write(log) }
    log.warning(
      "the master before has died: going on with its \(servingWorkers.count) workers, on the "
        + "configuration that they run; a reload reads the files")
    notifier.ready("Ready. Generation \(release.generation) outlived its master.")
  }

  /// Lets those go whom a master that died had started for another configuration: it was in the
  /// middle of a reload, say. Whoever was ready may have accepted connections.
  func dismissOtherGenerations() {
    for worker in workers where worker.generation != release.generation && !worker.isDraining {
      if worker.isReady { drain(worker) } else { worker.kill() }
    }
    for controller in controllers where controller.generation != release.generation {
      stop(controller)
    }
  }

  /// Frees lanes whose worker is not known: it was forked in the moment in which the master died, or
  /// ended when nobody looked.
  private func reclaimLanes() {
    let known = Set(workers.filter { !$0.isForeign }.map(\.lane))
    let processes = ControlGroup.processes.subtracting(workers.map(\.pid))
    for index in 0..<ledger.lanesEverUsed where !known.contains(index) {
      let lane = ledger.lane(index)
      guard lane[.state].value != LaneState.free.rawValue else { continue }
      // Any worker could have written the number: it has to be a process of this very unit too.
      if let pid = Int32(exactly: lane[.pid].value), pid != Process.id, processes.contains(pid),
        let handle = try? ProcessHandle(of: pid)
      {
        handle.endByForce()
      }
      ledger.settle(lane: index, slots: slotCount)
    }
  }
}

extension ProcessHandle {
  /// How long the kernel may take to end a process that was killed, in milliseconds.
  private static let patience = 1_000

  /// Kills it, and waits until it is gone.
  borrowing func endByForce() {
    try? send(.kill)
    guard var epoll = try? Epoll(), (try? epoll.add(descriptor, .readable, token: 0)) != nil else {
      return
    }
    _ = try? epoll.wait(milliseconds: Self.patience)
  }
}
