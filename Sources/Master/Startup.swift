import Configuration
import Ledger
import Linux

/// The first start of a daemon.
enum Startup {
  /// Never returns; what stands in the way is told, and the exit status is 1.
  static func run(_ arguments: Arguments, commandLine: [String]) -> Never {
    // Before anything is opened: `fd@N` names what was open when the program began.
    var inherited = InheritedSockets.fromEnvironment()
    let log = MasterLog(isQuiet: arguments.isQuiet)
    if let path = arguments.predecessor {
      Adoption.takeOver(from: path, arguments, commandLine: commandLine, log)
    }
    inherited.estate = Adoption.run(arguments, commandLine: commandLine, inherited.estate, log)
    inherited.estate.closeRest(but: inherited.estate.reusableDescriptors)
    do throws(StartFailure) {
      let supervisor = try prepare(arguments, commandLine, inherited, log)
      supervisor.bringUp()
      supervisor.run()
    } catch {
      if let message = error.message { log.alert(message) }
      Process.exit(1)
    }
  }

  private static func prepare(
    _ arguments: Arguments, _ commandLine: [String], _ inherited: consuming InheritedSockets,
    _ log: MasterLog
  ) throws(StartFailure) -> Supervisor {
    let path = Process.executablePath ?? commandLine.first ?? "sluice"
    let control = try controlSocket(arguments)
    let loader = GenerationLoader(
      arguments: arguments, log: log, controller: ProgramFiles.openController(besides: path))
    guard let generation = try? loader.loadFiles() else { throw StartFailure(message: nil) }
    tellWithoutEffect(arguments, log)
    if arguments.listsLibraries {
      StandardStream.output.write(LinkedLibraries.text(isQuiet: arguments.isQuiet))
    }
    let background = try generation.configuration.global.daemonize ? goToBackground() : nil
    let estate = inherited.estate
    let listeners = try listen(generation.plan, control, arguments, inherited, log)
    let supervisor = try assemble(
      arguments, commandLine, path, log, generation, loader.controller, listeners,
      number: (estate.state?.lastGeneration ?? 0) + 1)
    supervisor.background = background
    supervisor.store = DescriptorStore(
      estate, keeping: estate.reusableDescriptors, log)
    if let state = estate.state {
      supervisor.adoptForeigners(state)
    } else {
      supervisor.unknown = UnknownProcesses(estate)
    }
    return supervisor
  }

  private static func controlSocket(_ arguments: Arguments) throws(StartFailure) -> ControlSocket? {
    guard let text = arguments.controlSocket else { return .standard }
    do throws(Arguments.Failure) {
      return try ControlSocket(text)
    } catch {
      throw StartFailure(message: error.message)
    }
  }

  private static func tellWithoutEffect(_ arguments: Arguments, _ log: MasterLog) {
    if arguments.controlSocket == nil, ControlSocket.standard == nil {
      log.warning("no control socket: XDG_RUNTIME_DIR is not set; '-S' names a place")
    }
  }

  private static func goToBackground() throws(StartFailure) -> Background {
    do throws(Errno) {
      return try Background.enter()
    } catch {
      throw StartFailure(message: "cannot go to the background: \(error)")
    }
  }

  private static func listen(
    _ plan: ListenerPlan, _ control: ControlSocket?, _ arguments: Arguments,
    _ inherited: consuming InheritedSockets, _ log: MasterLog
  ) throws(StartFailure) -> ListenerSet {
    // Who listens there now, beside an estate, is whom that was left by.
    let isAlone = !arguments.takesOver && inherited.estate.descriptors.isEmpty
    do throws(ListenFailure) {
      return try ListenerSet(binding: plan, control: control, probes: isAlone, inherited, log)
    } catch {
      throw StartFailure(message: error.message)
    }
  }

  private static func assemble(
    _ arguments: Arguments, _ commandLine: [String], _ path: String, _ log: MasterLog,
    _ generation: Generation, _ controller: borrowing Descriptor?, _ listeners: ListenerSet,
    number: UInt64
  ) throws(StartFailure) -> Supervisor {
    do throws(Errno) {
      let release = Release(
        generation: number, daemon: try File.open("/proc/self/exe"),
        controller: try duplicate(controller),
        snapshot: try Descriptor.sealedFile(
          name: "sluice-snapshot", generation.snapshot.encoded))
      if !release.hasController {
        log.warning("there is no sluice-controller: no health checks, and no operator is answered")
      }
      let ledgerFile = try LedgerFile()
      var directory = SlotDirectory(ledgerFile.ledger)
      guard
        let slots = SlotMap.taking(
          for: generation.configuration, from: &directory, in: ledgerFile.ledger)
      else {
        throw Errno.noSpace
      }
      let supervisor = try Supervisor(
        arguments: arguments, commandLine: commandLine, path: path, started: Clock.monotonic,
        log: log, generation: generation, release: release, slots: slots,
        slotCount: directory.count, ledgerFile: ledgerFile, doorbells: try doorbells(),
        listeners: listeners)
      supervisor.prepareServers()
      return supervisor
    } catch {
      throw StartFailure(message: "cannot start: \(error)")
    }
  }

  private static func duplicate(
    _ descriptor: borrowing Descriptor?
  ) throws(Errno) -> Descriptor? {
    switch descriptor {
    case .some(let descriptor): try descriptor.duplicate()
    case .none: nil
    }
  }

  /// One for each lane, for the whole life of the daemon.
  private static func doorbells() throws(Errno) -> DescriptorTable {
    var bells = DescriptorTable()
    for _ in 0..<SharedLedger.laneCapacity { bells.append(try .doorbell()) }
    return bells
  }
}

/// Why there will be no daemon; nil where the operator has been told already.
private struct StartFailure: Error {
  let message: String?
}

extension Arguments {
  /// Whether another process still listens where this one shall.
  fileprivate var takesOver: Bool {
    !processesToFinish.isEmpty || !processesToTerminate.isEmpty
  }
}

extension Supervisor {
  func prepareServers() {
    ServerStates(ledger: ledger, now: wallClockSeconds)
      .prepare(generation.configuration, slots)
  }

  /// All is ready for the first time.
  func finishStart() {
    if let path = generation.configuration.global.pidFile { PidFile(path: path).write(log) }
    log.notice("\(generation.workerCount) workers serve")
    if arguments.isVerbose { tellDetails() }
    notifier.ready("Ready.")
    letStarterGo()
    dismissOtherGenerations()
    dismissUnknownProcesses()
    send(.user1, to: arguments.processesToFinish)
    send(.terminate, to: arguments.processesToTerminate)
  }

  /// `-V`
  private func tellDetails() {
    let addresses = generation.plan.binds.map(\.specification.text).joined(separator: ", ")
    log.notice("listening at \(addresses)")
    log.notice("carrying up to \(generation.budget.maxConnections) connections")
    let control = listeners.control?.specification.text ?? "none"
    log.notice("control socket: \(control)")
  }

  private func letStarterGo() {
    guard let background = background.take() else { return }
    background.tellReady()
  }

  private func send(_ signal: Signal, to processes: [Int32]) {
    for process in processes {
      do throws(Errno) {
        try Process.send(signal, to: process)
      } catch {
        log.warning("cannot tell process \(process) to end: \(error)")
      }
    }
  }
}
