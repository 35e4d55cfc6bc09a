import Configuration
import Ledger
import Linux

/// Checks every server that is to be checked, once for all workers.
struct HealthChecker: Sendable {
  let deployment: Deployment
  let keeper: ServerKeeper
  let board: CheckBoard
  let probe: CheckProbe

  /// Checks until cancelled.
  func run() async {
    let global = deployment.configuration.global
    let checked = deployment.servers.compactMap { id in
      deployment.server(id).settings.check.map { (id: id, check: $0) }
    }
    let delays = CheckSchedule.firstDelays(
      of: checked.map(\.check), limit: global.maxSpreadChecks)
    await withDiscardingTaskGroup { group in
      for (server, delay) in zip(checked, delays) {
        group.addTask { try? await watch(server.id, server.check, after: delay) }
      }
    }
  }

  /// Checks one server for ever.
  ///
  /// - Throws: `CancellationError`.
  private func watch(_ id: ServerID, _ check: HealthCheck, after delay: Int) async throws {
    let percent = deployment.configuration.global.spreadChecks
    var pause = delay
    while true {
      try await Task.sleep(for: .milliseconds(pause))
      let health = await checkOnce(id, check)
      let interval = health.map { CheckSchedule.interval(of: check, health: $0) } ?? check.interval
      pause = CheckSchedule.spread(interval, percent: percent, draw: .random(in: -1...1))
    }
  }

  /// - Returns: nil when there was nothing to check.
  private func checkOnce(_ id: ServerID, _ check: HealthCheck) async -> HealthCounter? {
    guard await keeper.wantsCheck(of: id), let target = target(of: id, check) else { return nil }
    board.begin(id)
    defer { board.end(id) }
    let script = deployment.configuration.backends[id.backend].check
    return await keeper.record(probe.check(target, script), of: id)
  }

  /// Where to check; nil while the server has no address.
  private func target(of id: ServerID, _ check: HealthCheck) -> CheckTarget? {
    let server = deployment.server(id)
    let backend = deployment.configuration.backends[id.backend]
    guard var address = check.address ?? server.address else { return nil }
    if case .internet(var endpoint) = address {
      if let port = check.port {
        endpoint.port = port
      } else if endpoint.port == 0 {
        endpoint.port = server.port
      }
      address = .internet(endpoint)
    }
    var target = CheckTarget(
      address: address, source: server.settings.source ?? backend.source,
      proxyHeader: check.sendsProxy,
      timeoutMilliseconds: CheckSchedule.connectTimeout(of: check, backend.timeouts))
    target.answerMilliseconds = backend.timeouts.check
    target.tls = check.tls
    target.isUp = server.operational != .stopped
    if backend.check.sendsState { target.state = state(of: server) }
    return target
  }

  /// As the reference tells a server what is thought of it.
  private func state(of server: ServerView) -> String {
    let health = server.health
    let progress = health.map { $0.isFullyUp || $0.isFullyDown ? "" : " " + $0.progress } ?? ""
    let word =
      server.operational == .stopped ? "DOWN" : server.operational == .stopping ? "NOLB" : "UP"
    let gauges = deployment.gauges(ofBackend: server.id.backend)
    let usable = deployment.servers(of: server.id.backend).filter(\.isUsable)
    let endpoint = server.address?.endpoint
    return "\(word)\(progress); address=\(endpoint.map { "\($0.address)" } ?? ""); "
      + "port=\(server.port); name=\(server.name); node=\(Machine.hostname); "
      + "weight=\(server.weight)/\(usable.reduce(0) { $0 + $1.weight }); "
      + "scur=\(server.gauges[.current].value)/\(gauges[.current].value); "
      + "qcur=\(server.gauges[.queued].value)"
  }
}
