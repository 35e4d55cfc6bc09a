import Configuration
import Ledger
import Linux
import Wire

/// A reload, which is a binary upgrade too:
///
/// 1. the program on disk checks the files in a process of its own (``Trial``);
/// 2. the running master binds what is new;
/// 3. it becomes that program by execve(2): same process id, children stay its children, and every
///    fork happens in a fresh process image, so that nothing leaks over a thousand reloads;
/// 4. the successor starts its generation; when all of it is ready, it is told to accept, and the
///    old one to go.
///
/// Until then the old generation serves, untouched. What fails before the exec changes nothing; what
/// fails after it makes the successor exec back, to the old program and the old configuration.
extension Supervisor {
  /// Begins one, of whose outcome `waiter` is told. Who asks while one runs is answered by the one
  /// that begins after it.
  func requestReload(_ waiter: MasterState.Waiter?) {
    if case .stopping = phase {
      if let waiter { answer([waiter], success: false, text: "the daemon is stopping") }
      return
    }
    if isLeaving {
      if let waiter { answer([waiter], success: false, text: "the node is being taken out") }
      return
    }
    guard phase == .running, trial == nil, !isHandingOver else {
      wantsAnotherReload = true
      if let waiter { laterWaiters.append(waiter) }
      return
    }
    if let waiter { waiters.append(waiter) }
    beginReload()
  }

  private func beginReload() {
    lastReload.begin()
    notifier.reloading()
    log.notice("reloading")
    do throws(Errno) {
      let trial = try Trial(
        path: path, arguments: commandLine, state: state.encoded, ledger: ledgerFile.descriptor)
      try epoll.add(trial.output, .readable, token: Source.trial.token)
      self.trial = trial
    } catch {
      failReload("cannot check the configuration: \(error)")
    }
  }

  func listenToTrial() {
    guard let trial else { return }
    trial.listen()
    if trial.hasClosedOutput { try? epoll.remove(trial.output) }
  }

  /// The check is over.
  func conclude(_ trial: Trial) {
    self.trial = nil
    guard let report = trial.result() else {
      let text = trial.text.isEmpty ? "the check ended with \(trial.ending)" : trial.text
      return failReload(text)
    }
    if let reason = reasonNotToStart(report.workers) { return failReload(reason) }
    do throws(ListenFailure) {
      let made = try listeners.extend(to: report, log)
      let error = succeed(trial, report, made)
      listeners.shrink(dropping: made)
      renewSpareWorker()
      failReload("cannot become the new program: \(error)")
    } catch {
      failReload(error.message)
    }
  }

  /// Lanes may be taken by workers of earlier generations whose connections last.
  private func reasonNotToStart(_ wanted: Int) -> String? {
    let free = SharedLedger.laneCapacity - workers.count
    guard free < wanted else { return nil }
    return "\(workers.count) workers are running, most of them for connections of earlier "
      + "configurations, and there is no place for \(wanted) more: end some of their sessions, or "
      + "bound them with 'hard-stop-after'"
  }

  // MARK: Becoming the successor

  /// - Returns: why it failed; otherwise never.
  private func succeed(
    _ trial: Trial, _ report: TrialReport, _ made: ListenerSet.Made
  ) -> Errno {
    do throws(Errno) {
      let next = Release(
        generation: lastGeneration + 1, daemon: try trial.daemon.duplicate(),
        controller: try trial.duplicateController(),
        snapshot: try Descriptor.sealedFile(name: "sluice-snapshot", report.snapshot))
      var state = state
      state.purpose = .takeOver
      state.lastGeneration = next.generation
      state.current = next.state
      state.previous = release.state
      state.binds += made.binds.map(\.state)
      state.statsSockets += made.statsSockets.map(\.state)
      state.text = trial.text
      return Self.become(state, program: next.daemon, commandLine)
    } catch {
      return error
    }
  }

  /// Becomes a program that goes on from `state`.
  ///
  /// - Returns: why it could not; otherwise never.
  static func become(
    _ state: MasterState, program: borrowing Descriptor, _ commandLine: [String]
  ) -> Errno {
    // What a configuration says of descriptors must not keep the master from going back.
    ResourceLimit.raiseOpenFiles()
    do throws(Errno) {
      let file = try Descriptor.sealedFile(name: "sluice-state", state.encoded)
      let numbers = state.descriptors + [file.numberForSuccessor]
      try Process.setKept(numbers, acrossExec: true)
      Succession.master(state: file.numberForSuccessor).announce()
      let error = Process.execute(
        program, arguments: commandLine, environment: Process.environment)
      Succession.none.announce()
      try Process.setKept(numbers, acrossExec: false)
      return error
    } catch {
      return error
    }
  }

  /// The master as it is.
  var state: MasterState {
    var state = MasterState()
    state.lastGeneration = lastGeneration
    state.started = started
    state.reloads = reloads
    state.failedReloads = failedReloads
    state.lastReload = lastReload
    state.leaveDue = leaveDue
    state.arguments = commandLine
    state.path = path
    state.ledger = ledgerFile.descriptor.numberForSuccessor
    state.previousLedger = previousLedger?.descriptor.numberForSuccessor
    state.doorbells = (0..<doorbells.count).map { doorbells[$0].numberForSuccessor }
    state.binds = listeners.heldForBinds.map(\.state)
    state.control = listeners.control?.state
    state.statsSockets = listeners.heldForStats.map(\.state)
    state.workers = workers.map(\.state)
    state.controllers = controllers.map(\.state)
    state.current = release.state
    state.previous = previous?.state
    state.waiters = waiters
    state.laterWaiters = laterWaiters
    state.wantsAnotherReload = wantsAnotherReload
    if case .stopping = phase { state.isStopping = true }
    state.store = store?.state
    return state
  }

  // MARK: Outcomes

  /// All of the generation is ready: it takes over, if there is anything to take over from.
  func commitWhenReady() {
    let serving = servingWorkers
    guard serving.count == generation.workerCount, serving.allSatisfy(\.isReady) else { return }
    if release.hasController, controller?.isReady != true {
      guard Clock.monotonic >= controllerDue else { return }
      log.warning("the controller is not ready yet: no checks, no statistics until it is")
    }
    phase = .running
    listeners.commit()
    letWorkersAccept()
    if previous == nil { finishStart() } else { finishReload() }
    keepWhereAsked()
    beginReloadThatIsWanted()
  }

  private func finishReload() {
    // Before the drain: the workers that leave then hold the last copies of these sockets, and
    // empty their queues.
    if listeners.closeRetired() { letStoreGo() }
    for worker in workers where worker.generation != release.generation && !worker.isDraining {
      drain(worker)
    }
    handOverConnections()
    previous = nil
    previousLedger = nil
    reloads += 1
    log.notice("generation \(release.generation) serves")
    // Before they are told the outcome: whoever connects after that is to meet the new controller.
    stopFormerControllers(but: laterWaiters)
    handOverDue = Clock.monotonic + Patience.handOver
  }

  /// Makes the service manager close what the master has closed: what it holds still listens.
  func letStoreGo() {
    keepState()
    store?.settle()
  }

  /// Tells the outcome once the old workers have said that they accept no more, so that who connects
  /// after that is served by the new configuration and by no other, and that their connections have
  /// gone to the new ones.
  func finishHandOver() {
    let isOver = workers.allSatisfy {
      $0.generation == release.generation || $0.hasLeft && !$0.isHandingOver
    }
    guard isOver || Clock.monotonic >= handOverDue else { return }
    handOverDue = .max
    logHandOver()
    lastReload.end(success: true, reloadText)
    answer(waiters, success: true, text: reloadText)
    waiters = []
    notifier.ready("Ready.")
    if mustHandOverRest { handOverRest() }
    beginReloadThatIsWanted()
  }

  var isHandingOver: Bool { handOverDue != .max }

  func failReload(_ text: String) {
    failedReloads += 1
    let text = text.trimmingEnd
    lastReload.end(success: false, text)
    log.alert("reload failed, nothing has changed\n\(text)")
    answer(waiters, success: false, text: text)
    waiters = []
    stopFormerControllers(but: laterWaiters)
    notifier.ready("Reload failed: \(text.reason)")
    beginReloadThatIsWanted()
  }

  private func beginReloadThatIsWanted() {
    guard wantsAnotherReload, phase == .running, trial == nil, !isHandingOver else { return }
    wantsAnotherReload = false
    waiters = laterWaiters
    laterWaiters = []
    beginReload()
  }

  private func answer(_ waiters: [MasterState.Waiter], success: Bool, text: String) {
    for waiter in waiters {
      let controller = controllers.first { $0.pid == waiter.controller }
      controller?.tell(
        .reloadResult(
          ReloadResult(requestID: waiter.requestID, success: success, text: text)))
    }
  }

  /// One through whom somebody waits for the reload after this one stays for that.
  private func stopFormerControllers(but waiters: [MasterState.Waiter]) {
    for controller in controllers where controller.generation != release.generation {
      let isAwaited = waiters.contains { $0.controller == controller.pid }
      if !isAwaited { stop(controller) }
    }
  }

  func answerThatItStops() {
    answer(waiters + laterWaiters, success: false, text: "the daemon is stopping")
    waiters = []
    laterWaiters = []
  }

  // MARK: A generation that does not come up

  func failToComeUp(_ reason: String) {
    guard previous != nil else {
      log.alert("start failed: \(reason)")
      endUnreadyChildren()
      for worker in workers { worker.tell(.stop) }
      listeners.removeFiles()
      Process.exit(1)
    }
    endUnreadyChildren()
    for worker in servingWorkers { drain(worker) }
    let error = fallBack("the new generation did not come up: \(reason)")
    // No way back: the old generation goes on beside what there is of the new one.
    log.alert("cannot go back to the program before: \(error)")
    phase = .running
    let now = Clock.monotonic
    for slot in 0..<generation.workerCount {
      schedule.restartWorker(slot: slot, afterLifeOf: 0, now: now)
    }
    failReload(reason)
  }

  private func fallBack(_ text: String) -> Errno {
    guard let previous, let state = state.fallingBack(because: text) else {
      return .noSuchProcess
    }
    return Self.become(state, program: previous.daemon, commandLine)
  }

  /// Ends what this generation started and what does not serve, and waits for it: a signal ends a
  /// process at once that holds nothing.
  private func endUnreadyChildren() {
    let unready = servingWorkers.filter { !$0.isReady }
    for worker in unready {
      worker.kill()
      _ = Process.wait(for: worker.pid)
      settle(worker)
    }
    workers.removeAll { worker in unready.contains { $0 === worker } }
    for controller in controllers where controller.generation == release.generation {
      controller.kill()
      _ = Process.wait(for: controller.pid)
    }
    controllers.removeAll { $0.generation == release.generation }
    schedule.cancel()
  }
}

extension String {
  /// What one line can tell of why something was refused: the first error, not what was noticed before
  /// it.
  var reason: String {
    let lines = split(separator: "\n", omittingEmptySubsequences: true)
    let line = lines.first { $0.hasPrefix("[ALERT]") } ?? lines.first
    return line.map(String.init) ?? ""
  }

  /// Without the line ends behind it.
  var trimmingEnd: String {
    var text = Substring(self)
    while text.last?.isNewline == true { text.removeLast() }
    return String(text)
  }
}
