import Configuration
import Ledger
import Linux
import Wire
import Worker

/// Starting children: what each keeps, closes and becomes.
extension Supervisor {
  /// Starts all of this generation.
  func bringUp() {
    let now = Clock.monotonic
    phase = .bringingUp
    workersDue = now + Patience.worker
    controllerDue = now + Patience.controller
    for slot in 0..<generation.workerCount { startWorker(slot) }
    startController()
  }

  func startWhatIsDue(_ now: Int64) {
    for slot in schedule.takeWorkers(now) { startWorker(slot) }
    if schedule.takeController(now) { startController() }
  }

  // MARK: Workers

  func startWorker(_ slot: Int) {
    let now = Clock.monotonic
    guard
      let lane = ledger.takeLane(
        generation: release.generation, workerSlot: slot, now: wallClockSeconds)
    else {
      log.alert("all \(SharedLedger.laneCapacity) places for workers are taken")
      return schedule.restartWorker(slot: slot, afterLifeOf: 0, now: now)
    }
    do throws(Errno) {
      let orders = try Descriptor.packetPair()
      let questions = try Descriptor.packetPair()
      let ends = (orders.second.numberForSuccessor, questions.second.numberForSuccessor)
      let pid = try Process.spawn {
        becomeWorker(slot, lane, orders: ends.0, questions: ends.1)
      }
      ledger.lane(lane)[.pid].store(UInt64(pid))
      let worker = WorkerChild(
        pid: pid, lane: lane, generation: release.generation, slot: slot, started: now,
        socket: orders.first, controllerEnd: questions.first)
      try epoll.add(worker.socket, .readable, token: Source.worker(pid).token)
      workers.append(worker)
      controllersAreOutdated()
    } catch {
      log.alert("cannot start a worker: \(error)")
      ledger.settle(lane: lane, slots: slotCount)
      schedule.restartWorker(slot: slot, afterLifeOf: 0, now: now)
    }
  }

  /// The child's side. It has copies of all that the master owns, and lets none of them go: what it
  /// does not need it closes by number.
  private func becomeWorker(
    _ slot: Int, _ lane: Int, orders: Int32, questions: Int32
  ) -> Never {
    let (sockets, roles) = listeners.share(of: slot)
    let bells = (0..<doorbells.count).map { doorbells[$0].numberForSuccessor }
    ChildSignals.reset()
    Process.rename(to: "sluice-worker")
    let log = confine(keeping: sockets + bells + [orders, questions])
    guard let listening = DescriptorTable(inherited: sockets),
      let doorbells = DescriptorTable(inherited: bells),
      let master = Descriptor.inherited(orders), let controller = Descriptor.inherited(questions)
    else { Process.exit(1) }
    WorkerProcess.run(
      Heritage(
        configuration: generation.configuration, rules: generation.rules.take(), slots: slots,
        ledger: ledger, lane: lane, generation: release.generation, workerSlot: slot,
        workerCount: generation.workerCount, maxConnections: generation.budget.maxConnections,
        hostname: Machine.hostname, listeners: listening, roles: roles, master: master,
        controller: controller, doorbells: doorbells, log: log))
  }

  /// Gives up all that a worker does not need: descriptors, the file system, rights.
  private func confine(keeping numbers: [Int32]) -> LogSink {
    do throws(Errno) {
      try Process.closeDescriptors(except: numbers + generation.configuration.logDescriptors)
      leaveStreamsInBackground()
      // Before the root directory and the user change: /dev/log may be out of reach after.
      let sink = LogSink(
        configuration: generation.configuration, hostname: Machine.hostname,
        processID: Int(Process.id))
      try generation.identity.assume()
      return sink
    } catch {
      log.alert("a worker cannot give up its rights: \(error)")
      Process.exit(1)
    }
  }

  /// Whoever started a daemon with `-D` may read its output to the end: children must not hold it
  /// open. The master keeps it until all is ready.
  private func leaveStreamsInBackground() {
    guard isOnItsWayToBackground, let nothing = Background.openNothing() else { return }
    Background.leaveStreams(to: nothing)
  }

  private var isOnItsWayToBackground: Bool {
    switch background {
    case .some: true
    case .none: false
    }
  }

  // MARK: The controller

  func startController() {
    guard release.hasController else { return }
    let now = Clock.monotonic
    do throws(Errno) {
      let pair = try Descriptor.packetPair()
      let ownEnd = pair.second.numberForSuccessor
      let pid = try Process.spawn { becomeController(ownEnd) }
      let controller = ControllerChild(
        pid: pid, generation: release.generation, started: now, socket: pair.first)
      try epoll.add(controller.socket, .readable, token: Source.controller(pid).token)
      controllers.append(controller)
    } catch {
      log.alert("cannot start the controller: \(error)")
      schedule.restartController(afterLifeOf: 0, now: now)
    }
  }

  /// The child's side: from 3 on, the pair with the master, the ledger, the snapshot, and what it
  /// is to serve.
  private func becomeController(_ master: Int32) -> Never {
    let served = listeners.controllerSockets
    let inherited =
      [
        master, ledgerFile.descriptor.numberForSuccessor,
        release.snapshot.numberForSuccessor,
      ] + served
    guard let program = release.state.controller else { Process.exit(1) }
    ChildSignals.reset()
    do throws(Errno) {
      try Process.arrangeDescriptors(inherited + [program])
      leaveStreamsInBackground()
      try generation.identity.unconfined.assume()
    } catch {
      log.alert("the controller cannot give up its rights: \(error)")
      Process.exit(1)
    }
    guard let controller = Descriptor.inherited(Int32(3 + inherited.count)) else {
      Process.exit(1)
    }
    let error = Process.execute(
      controller, arguments: controllerArguments(served.count),
      environment: Process.environment)
    log.alert("cannot run the controller: \(error)")
    Process.exit(1)
  }

  private func controllerArguments(_ sockets: Int) -> [String] {
    [
      ProgramFiles.controllerName, "--generation", "\(release.generation)",
      "--stats-sockets", "\(sockets - (listeners.control == nil ? 0 : 1))",
      "--worker-count", "\(generation.workerCount)",
      "--max-connections", "\(generation.budget.maxConnections)",
      "--started", "\(startOnTheWall)",
    ] + (listeners.control == nil ? ["--without-control-socket"] : [])
  }

  /// When the daemon began, in seconds since 1970: rounded once, so that each generation says the same.
  private var startOnTheWall: UInt64 {
    UInt64(max(0, Clock.realtime - (Clock.monotonic - started)) / 1_000_000_000)
  }

  var wallClockSeconds: UInt64 { UInt64(max(0, Clock.realtime / 1_000_000_000)) }
}

extension ProxyConfiguration {
  /// The inherited descriptors that lines are logged to: `log fd@N`.
  fileprivate var logDescriptors: [Int32] {
    let targets =
      global.log + frontends.flatMap(\.log.targets) + backends.flatMap(\.log.targets)
    return targets.compactMap { target in
      if case .descriptor(let number) = target.address { Int32(clamping: number) } else { nil }
    }
  }
}

extension DescriptorTable {
  /// - Returns: nil when one of them is not open.
  fileprivate init?(inherited numbers: [Int32]) {
    self.init()
    for number in numbers {
      guard let descriptor = Descriptor.inherited(number) else { return nil }
      append(descriptor)
    }
  }
}
