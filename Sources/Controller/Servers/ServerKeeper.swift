import Configuration
import Ledger
import Linux

/// Changes the states of servers: the only one who does while the daemon runs.
///
/// Checks, names and operators all come here, one at a time. Each change is written to the ledger,
/// where workers read it, told to them so that those who wait look again, and logged in the
/// reference's words.
actor ServerKeeper {
  private let deployment: Deployment
  private let board: CheckBoard
  private let log: EventLog
  private let workers: WorkerDesk
  /// Servers whose name has no address yet, which has been told.
  private var unresolved: Set<ServerID> = []

  init(deployment: Deployment, board: CheckBoard, log: EventLog, workers: WorkerDesk) {
    self.deployment = deployment
    self.board = board
    self.log = log
    self.workers = workers
  }

  /// Makes derived values agree with the states that were found, logging nothing: at the start.
  func settle() {
    for id in deployment.servers {
      let server = deployment.server(id)
      if server.gauges[.lastChange].value == 0 { server.gauges[.lastChange].store(.wallClock) }
      derive(server)
    }
    for backend in deployment.slots.backends.indices {
      let gauges = deployment.gauges(ofBackend: backend)
      let isUp = hasUsableServer(backend)
      gauges[.operationalState].store((isUp ? OperationalState.running : .stopped).rawValue)
      if gauges[.lastChange].value == 0 { gauges[.lastChange].store(.wallClock) }
      gauges[.epoch].fetchAdd(1)
    }
  }
}

// MARK: - Checks

extension ServerKeeper {
  /// Whether a check would mean anything now.
  func wantsCheck(of id: ServerID) -> Bool {
    !deployment.server(id).isInMaintenance && !board.isDisabled(id)
  }

  /// Takes note of a check's end.
  ///
  /// - Returns: the health counter after it.
  func record(_ result: CheckResult, of id: ServerID) -> HealthCounter? {
    let server = deployment.server(id)
    guard var health = server.health else { return nil }
    // Who was put into maintenance while the check was on its way keeps the health he has.
    guard wantsCheck(of: id) else { return health }

    let previous = server.checkStatus
    let wasFullyDown = health.isFullyDown
    let change = health.record(passed: result.hasPassed)
    server.gauges[.health].store(UInt64(health.value))
    server.gauges[.checkCode].store(result.error.map { UInt64($0.code) } ?? 0)
    server.gauges[.checkDuration].store(result.milliseconds)
    board.note(result, of: id)
    server.gauges[.checkStatus].store(result.status.rawValue)
    if !result.hasPassed, !wasFullyDown { server.gauges[.checksFailed].fetchAdd(1) }

    if change != .none || previous != result.status { logCheck(result, health, of: server) }
    let cause = Cause.check(
      isBackendVerbose(server) ? nil : result.reason)
    if !health.isUp {
      move(server, to: .stopped, cause)
    } else if result.status == .layer7ConditionallyOK {
      move(server, to: .stopping, cause)
    } else if server.operational == .stopped || server.operational == .stopping {
      move(server, to: .running, cause)
    }
    return health
  }

  private func isBackendVerbose(_ server: ServerView) -> Bool {
    deployment.configuration.backends[server.id.backend].logsHealthChecks
  }

  private func logCheck(_ result: CheckResult, _ health: HealthCounter, of server: ServerView) {
    guard isBackendVerbose(server) else { return }
    let word = !health.isUp ? "DOWN" : server.weight > 0 ? "UP" : "DRAIN"
    tell(
      .notice,
      "Health check for \(server.settings.isBackup ? "backup " : "")server \(server.name) "
        + "\(result.status == .layer7ConditionallyOK ? "conditionally " : "")"
        + "\(result.hasPassed ? "succeeded" : "failed"), reason: \(result.reason), "
        + "status: \(health.progress) \(word).", about: server)
  }
}

// MARK: - Operators

extension ServerKeeper {
  /// What `set server … state` asks for.
  enum Wish: Sendable {
    case ready, drain, maintenance
  }

  func set(_ wish: Wish, of id: ServerID) {
    let server = deployment.server(id)
    switch wish {
    case .maintenance:
      change(server, .forcedMaintenance, removing: [])
    case .drain:
      change(server, .forcedDrain, removing: [.forcedMaintenance, .configuredMaintenance])
    case .ready:
      change(
        server, [], removing: [.forcedMaintenance, .configuredMaintenance, .forcedDrain])
    }
  }

  /// What `set server … health` asks for.
  enum HealthWish: Sendable {
    case up, stopping, down
  }

  func set(_ wish: HealthWish, of id: ServerID) {
    let server = deployment.server(id)
    guard !server.isInMaintenance else { return }
    let (state, health) =
      switch wish {
      case .up: (OperationalState.running, server.health?.maximum)
      case .stopping: (OperationalState.stopping, server.health?.maximum)
      case .down: (OperationalState.stopped, server.health.map { _ in 0 })
      }
    if let health { server.gauges[.health].store(UInt64(health)) }
    move(server, to: state, .operator)
  }

  /// Sets a weight, 0…256.
  func setWeight(_ weight: UInt64, of id: ServerID) {
    let server = deployment.server(id)
    guard server.weight != weight else { return }
    server.gauges[.weight].store(weight)
    publish(server)
  }

  /// Sets `maxconn`; 0 means none.
  func setLimit(_ limit: Int, of id: ServerID) {
    let server = deployment.server(id)
    server.gauges[.limitOverride].store(UInt64(limit) + 1)
    publish(server)
  }

  func setAddress(_ endpoint: Endpoint, of id: ServerID) {
    let server = deployment.server(id)
    server.gauges.setAddress(endpoint)
    if server.administrative.contains(.unresolved) {
      change(server, [], removing: .unresolved)
    } else {
      publish(server)
    }
  }
}

// MARK: - Names

extension ServerKeeper {
  /// Takes note of an answer for a server's name, or of none: the last good one is kept then.
  func resolved(_ address: IPAddress?, of id: ServerID) {
    let server = deployment.server(id)
    let known = server.gauges.address
    guard let address else {
      if known == nil { failedToResolve(server) }
      return
    }
    unresolved.remove(id)
    guard known?.address != address else { return }
    let port: UInt16 =
      if case .fixed(let port) = server.settings.address.port { port } else { 0 }
    if let known {
      tell(
        .notice,
        "\(server.name) changed its IP from \(known.address) to \(address) by getaddrinfo.",
        about: server)
    }
    setAddress(Endpoint(address: address, port: known?.port ?? port), of: id)
  }

  /// Told once, until there has been an answer.
  private func failedToResolve(_ server: ServerView) {
    if unresolved.insert(server.id).inserted, case .name(let name) = server.settings.address.host {
      tell(.warning, "\(server.name): could not resolve address '\(name)'.", about: server)
    }
    if !server.administrative.contains(.unresolved) { change(server, .unresolved, removing: []) }
  }
}

// MARK: - Changing states

extension ServerKeeper {
  /// Why an operational state changes.
  private enum Cause {
    /// With the reason, where the check's own line has not told it.
    case check(String?)
    case `operator`

    var text: String {
      switch self {
      case .check(let reason?): ", reason: \(reason)"
      case .check(nil): ""
      case .operator: ", changed from CLI"
      }
    }
  }

  private func move(_ server: ServerView, to state: OperationalState, _ cause: Cause) {
    let previous = server.operational
    guard previous != state else { return }
    let wasLeaving = previous == .stopping || server.isDraining
    server.gauges[.operationalState].store(state.rawValue)
    noteTime(of: server, from: previous)
    publish(server)
    switch state {
    case .stopped:
      tell(
        wasLeaving ? .notice : .alert, "\(server.title) is DOWN\(cause.text)\(left(server)).",
        about: server)
      if server.settings.shutsDownSessionsWhenMarkedDown {
        workers.shutdownSessions(of: server)
      }
    case .stopping:
      tell(.notice, "\(server.title) is stopping\(cause.text)\(online(server)).", about: server)
    case .running, .starting:
      tell(.notice, "\(server.title) is UP\(cause.text)\(online(server)).", about: server)
    }
    noteBackend(server.id.backend)
  }

  private func change(
    _ server: ServerView, _ added: AdministrativeState, removing removed: AdministrativeState
  ) {
    let before = server.administrative
    let after = before.subtracting(removed).union(added)
    guard before != after else { return }
    let wasInMaintenance = server.isInMaintenance
    let wasDraining = server.isDraining
    let previous = server.operational
    server.gauges[.administrativeState].store(after.rawValue)
    if wasInMaintenance, !server.isInMaintenance { trust(server) }
    if previous != server.operational { noteTime(of: server, from: previous) }
    publish(server)
    if !wasInMaintenance, server.isInMaintenance {
      tellMaintenance(server, wasDown: previous == .stopped, because: added)
    } else if wasInMaintenance, !server.isInMaintenance {
      tell(.notice, "\(server.title) is UP/READY (\(leaving(before))).", about: server)
    }
    if !server.isInMaintenance { tellDrain(server, wasDraining: wasDraining) }
    noteBackend(server.id.backend)
  }

  /// Who comes out of maintenance is up until a check says otherwise.
  private func trust(_ server: ServerView) {
    if let check = server.settings.check { server.gauges[.health].store(UInt64(check.rise)) }
    server.gauges[.operationalState].store(OperationalState.running.rawValue)
  }

  /// Keeps account of when states changed, and of how long the server was down.
  private func noteTime(of server: ServerView, from previous: OperationalState) {
    let now = UInt64.wallClock
    let gauges = server.gauges
    if previous == .stopped {
      gauges[.downtime].fetchAdd(now.since(gauges[.lastChange].value))
    } else if server.operational == .stopped, server.settings.check != nil {
      gauges[.transitionsDown].fetchAdd(1)
    }
    gauges[.lastChange].store(now)
  }

  private func derive(_ server: ServerView) {
    let answers = server.operational == .running || server.operational == .starting
    let isUsable =
      answers && !server.isInMaintenance && !server.isDraining && server.weight > 0
    server.gauges[.isUsable].store(isUsable ? 1 : 0)
  }

  /// Lets workers see a change: the epoch makes them look when they balance next, the message wakes
  /// those whose sessions wait.
  private func publish(_ server: ServerView) {
    derive(server)
    deployment.gauges(ofBackend: server.id.backend)[.epoch].fetchAdd(1)
    workers.serverChanged(server)
  }

  private func hasUsableServer(_ backend: Int) -> Bool {
    let servers = deployment.servers(of: backend)
    return servers.isEmpty || servers.contains { $0.isUsable }
  }

  /// Notes when a backend has lost its last usable server, or has one again.
  private func noteBackend(_ backend: Int) {
    let gauges = deployment.gauges(ofBackend: backend)
    let wasUp = gauges[.operationalState].value != OperationalState.stopped.rawValue
    let isUp = hasUsableServer(backend)
    guard wasUp != isUp else { return }
    let now = UInt64.wallClock
    if isUp { gauges[.downtime].fetchAdd(now.since(gauges[.lastChange].value)) }
    gauges[.operationalState].store((isUp ? OperationalState.running : .stopped).rawValue)
    gauges[.lastChange].store(now)
    guard !isUp else { return }
    gauges[.transitionsDown].fetchAdd(1)
    let settings = deployment.configuration.backends[backend]
    log.tell(
      .emergency, "backend \(settings.identity.name) has no server available!", to: settings.log)
  }
}

// MARK: - Telling

extension ServerKeeper {
  private func tell(_ severity: Severity, _ text: String, about server: ServerView) {
    log.tell(severity, text, to: deployment.configuration.backends[server.id.backend].log)
  }

  private func tellMaintenance(
    _ server: ServerView, wasDown: Bool, because added: AdministrativeState
  ) {
    let cause = added.contains(.unresolved) ? " (its name does not resolve)" : ""
    tell(
      .notice,
      wasDown
        ? "\(server.title) was DOWN and now enters maintenance\(cause)."
        : "\(server.title) is going DOWN for maintenance\(cause)\(left(server)).", about: server)
  }

  private func leaving(_ before: AdministrativeState) -> String {
    before.isDisjoint(with: [.forcedMaintenance, .configuredMaintenance])
      ? "its name resolves again" : "leaving forced maintenance"
  }

  private func tellDrain(_ server: ServerView, wasDraining: Bool) {
    if server.isDraining, !wasDraining {
      tell(.notice, "\(server.title) enters drain state\(online(server)).", about: server)
    } else if !server.isDraining, wasDraining {
      let word = server.operational == .stopped ? "DOWN" : "UP"
      tell(.notice, "\(server.title) is \(word) (leaving forced drain).", about: server)
    }
  }

  private func left(_ server: ServerView) -> String {
    let gauges = server.gauges
    return "\(remaining(server, "left")) \(gauges[.current].value) sessions active, 0 requeued, "
      + "\(gauges[.queued].value) remaining in queue"
  }

  private func online(_ server: ServerView) -> String {
    "\(remaining(server, "online")) 0 sessions requeued, "
      + "\(server.gauges[.queued].value) total in queue"
  }

  private func remaining(_ server: ServerView, _ word: String) -> String {
    let usable = deployment.servers(of: server.id.backend).filter(\.isUsable)
    let backups = usable.count { $0.settings.isBackup }
    let actives = usable.count - backups
    return ". \(actives) active and \(backups) backup servers \(word)."
      + (actives == 0 && backups > 0 ? " Running on backup." : "")
  }
}

extension ServerView {
  /// Nil without checks.
  var health: HealthCounter? {
    settings.check.map {
      HealthCounter(rise: $0.rise, fall: $0.fall, value: Int(clamping: gauges[.health].value))
    }
  }

  var checkStatus: CheckStatus {
    let status = CheckStatus(rawValue: gauges[.checkStatus].value) ?? .unknown
    return status == .unknown ? .initializing : status
  }

  /// The kernel's word on why the last check failed.
  var checkError: Errno? {
    let code = CInt(clamping: gauges[.checkCode].value)
    return code > 0 ? Errno(code) : nil
  }
}

extension UInt64 {
  /// Seconds since 1970.
  static var wallClock: UInt64 { UInt64(Swift.max(0, Clock.realtime / 1_000_000_000)) }
}
