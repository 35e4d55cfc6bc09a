import Configuration
import Ledger
import Linux
import Wire

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
    // Workers of another release cannot be gone on with: a new generation takes over from them.
    if state.hasForeignLedger, !state.prepareForUpgrade(log) { return estate }
    let copies = DescriptorCopies(of: state)
    do throws(Successor.Failure) {
      let supervisor = try restore(state, of: estate, arguments, commandLine, log)
      copies.close()
      supervisor.run()
    } catch {
      log.alert(
        "the master before has died, and what it ran cannot be gone on with: \(error.message)")
      return estate.moved(to: copies.release())
    }
  }

  /// Takes over from a daemon that another master runs, or whose master has died; the files are read
  /// by the reload that follows. Never returns: when it cannot be done, nothing has changed for those
  /// who run.
  static func takeOver(
    from path: String, _ arguments: Arguments, commandLine: [String], _ log: MasterLog
  ) -> Never {
    do throws(Heir.Failure) {
      try checkFiles(arguments, log)
      let heir = try Heir(besides: path)
      guard var state = heir.estate.state, !state.isStopping else {
        throw Heir.Failure(message: "the daemon at \(path) is stopping")
      }
      state.prepareForAdoption()
      guard state.isWhole, !state.hasForeignLedger || state.prepareForUpgrade(log) else {
        throw Heir.Failure(message: "what the daemon at \(path) left cannot be gone on with")
      }
      let estate = heir.estate
      let supervisor = try inherit(state, estate, arguments, commandLine, log)
      let keeper = try heir.take()
      supervisor.store = DescriptorStore(
        estate, keeping: supervisor.state.descriptors, keeper: keeper, log)
      supervisor.watchKeeper()
      supervisor.requestReload(nil)
      supervisor.run()
    } catch {
      log.alert(error.message)
      Process.exit(1)
    }
  }

  /// Before anybody is bothered: a file that is broken is not worth it.
  private static func checkFiles(
    _ arguments: Arguments, _ log: MasterLog
  ) throws(Heir.Failure) {
    let controller = Process.executablePath.flatMap { ProgramFiles.openController(besides: $0) }
    let loader = GenerationLoader(arguments: arguments, log: log, controller: controller)
    guard (try? loader.loadFiles()) != nil else {
      throw Heir.Failure(message: "the configuration is refused: nothing is taken over")
    }
  }

  private static func inherit(
    _ state: MasterState, _ estate: Estate, _ arguments: Arguments, _ commandLine: [String],
    _ log: MasterLog
  ) throws(Heir.Failure) -> Supervisor {
    do throws(Successor.Failure) {
      return try restore(state, of: estate, arguments, commandLine, log)
    } catch {
      throw Heir.Failure(message: "what runs cannot be gone on with: \(error.message)")
    }
  }

  /// Makes a master of what is left, and closes the rest.
  private static func restore(
    _ state: MasterState, of estate: Estate, _ arguments: Arguments, _ commandLine: [String],
    _ log: MasterLog
  ) throws(Successor.Failure) -> Supervisor {
    var taken = state
    let supervisor = try Successor.restore(&taken, arguments, commandLine, log)
    supervisor.store = DescriptorStore(estate, keeping: taken.descriptors, log)
    estate.closeRest(but: taken.descriptors)
    supervisor.resume(taken)
    return supervisor
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

  /// Whether its ledger is one that another release laid out.
  fileprivate var hasForeignLedger: Bool {
    guard let descriptor = try? Descriptor.duplicate(ofNumber: ledger),
      let found = try? LedgerFound(in: descriptor)
    else { return false }
    switch found {
    case .own: return false
    case .former: return true
    }
  }

  /// Makes this program the next generation, on the configuration that runs.
  ///
  /// - Returns: false when it is out of descriptors.
  fileprivate mutating func prepareForUpgrade(_ log: MasterLog) -> Bool {
    do throws(Errno) {
      var files = DescriptorTable()
      files.append(try File.open("/proc/self/exe"))
      // A file of its own: the service manager passes over a second copy of what it keeps already.
      let snapshot = try Descriptor.duplicate(ofNumber: current.snapshot).contents()
      files.append(try .sealedFile(name: "sluice-snapshot", snapshot))
      var controller: Int32?
      if let program = ProgramFiles.openController(besides: path) {
        controller = program.numberForSuccessor
        files.append(program)
      }
      lastGeneration += 1
      previous = current
      current = Release(
        generation: lastGeneration, daemon: files[0].numberForSuccessor,
        controller: controller,
        snapshot: files[1].numberForSuccessor)
      purpose = .takeOver
      files.release()
      log.warning(
        "the master before has died, and was of another release: a new generation takes over, on the "
          + "configuration that runs")
      return true
    } catch {
      log.alert("the master before has died, and this program cannot take over: \(error)")
      return false
    }
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

  /// This generation serves: who ran before, and of whom nothing is known but where to tell it, may go.
  func dismissUnknownProcesses() {
    guard let unknown = unknown.take() else { return }
    unknown.dismiss()
  }

  /// All that ran is taken over.
  func finishAdoption() {
    phase = .running
    letWorkersAccept()
    dismissOtherGenerations()
    reclaimLanes()
    // Places that the dead held may be what others wait for.
    ringWorkers()
    listeners.closeRetired()
    fillEmptySlots()
    handOverRest()
    if let path = generation.configuration.global.pidFile { PidFile(path: path).write(log) }
    let workers =
      "going on with its \(servingWorkers.count) workers, on the configuration that they run"
    if arguments.predecessor == nil {
      log.warning("the master before has died: \(workers); a reload reads the files")
    } else {
      log.notice("taking over: \(workers); then the files are read")
    }
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

/// Workers and controllers whose sockets a master has left behind without a state that says who they
/// are: it cannot be read.
struct UnknownProcesses: ~Copyable {
  private var workers = DescriptorTable()
  private var controllers = DescriptorTable()

  init(_ estate: Estate) {
    for number in estate.numbers(of: .worker) {
      if let socket = Descriptor.inherited(number) { workers.append(socket) }
    }
    for number in estate.numbers(of: .controller) {
      if let socket = Descriptor.inherited(number) { controllers.append(socket) }
    }
  }

  /// Tells workers to finish what they carry, and controllers to end. Of a worker's two sockets one is
  /// for a controller: what is said there by nobody but a master is passed over.
  consuming func dismiss() {
    Self.tell(workers, .drain)
    Self.tell(controllers, .stop)
  }

  private static func tell(_ sockets: borrowing DescriptorTable, _ message: Message) {
    guard let packet = try? message.encoded() else { return }
    for index in 0..<sockets.count { _ = try? sockets[index].sendPacket(packet.span) }
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
