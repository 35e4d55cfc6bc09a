import Configuration
import Ledger
import Linux

/// Makes the rows of `show stat` from what all workers counted.
struct Statistics {
  let deployment: Deployment
  let baseline: CounterBaseline
  let board: CheckBoard
  /// Users of the lowest level do not see addresses.
  let showsAddresses: Bool
  private let now = UInt64.wallClock
  private let ticks = Clock.monotonic

  init(
    deployment: Deployment, baseline: CounterBaseline, board: CheckBoard, showsAddresses: Bool
  ) {
    self.deployment = deployment
    self.baseline = baseline
    self.board = board
    self.showsAddresses = showsAddresses
  }

  /// Which rows are wanted.
  struct Selection: Sendable {
    /// nil: all.
    var proxyID: Int?
    /// Bits: 1 frontends, 2 backends, 4 servers, 8 listeners.
    var kinds = -1
    /// nil: all.
    var serverID: Int?
    /// `up`: leave out what is down.
    var onlyUp = false
    /// `no-maint`: leave out what is in maintenance.
    var withoutMaintenance = false

    func wants(_ bit: Int) -> Bool { kinds & bit != 0 }
  }

  func rows(_ selection: Selection = Selection()) -> [StatRow] {
    deployment.proxies.flatMap { proxy -> [StatRow] in
      let text = ProxyIdentityText(name: proxy.identity.name, id: proxy.identity.id)
      if let wanted = selection.proxyID, wanted != text.id { return [] }
      return (proxy.frontend.map { rows(ofFrontend: $0, text, selection) } ?? [])
        + (proxy.backend.map { rows(ofBackend: $0, text, selection) } ?? [])
    }
  }

  private func total(_ counter: Counter, _ slot: Int) -> FieldValue {
    .wide(baseline.total(counter, slot: slot, in: deployment.ledger))
  }

  private func rate(_ gauge: RateGauge) -> FieldValue {
    .number(
      gauge.rate(
        second: UInt32(truncatingIfNeeded: ticks / 1_000_000_000),
        milliseconds: UInt64(ticks / 1_000_000 % 1000)))
  }
}

// MARK: - Frontends

extension Statistics {
  private func rows(
    ofFrontend index: Int, _ proxy: ProxyIdentityText, _ selection: Selection
  ) -> [StatRow] {
    let frontend = deployment.configuration.frontends[index]
    var rows: [StatRow] = []
    if selection.wants(1), selection.serverID ?? 0 == 0 {
      rows.append(row(ofFrontend: index, proxy))
    }
    if frontend.socketStats, selection.wants(8) {
      for bind in frontend.binds.indices where selection.serverID ?? (bind + 1) == bind + 1 {
        rows.append(row(ofListener: bind, of: index, proxy))
      }
    }
    return rows
  }

  private func row(ofFrontend index: Int, _ proxy: ProxyIdentityText) -> StatRow {
    let slot = deployment.slots.frontends[index]
    let gauges = deployment.ledger.gauges(of: slot)
    var row = StatRow(.frontend, proxy: proxy, name: "FRONTEND")
    fillEntrance(&row, slot)
    row[.sessionLimit] = .number(UInt64(deployment.sessionLimit(ofFrontend: index)))
    row[.status] = .text("OPEN")
    row[.rate] = rate(RateGauge(sessionsOf: gauges))
    row[.rateLimit] = .number(
      UInt64(deployment.configuration.frontends[index].sessionRateLimit ?? 0))
    row[.rateMaximum] = .number(gauges[.rateMaximum].value)
    row[.connectionRate] = rate(RateGauge(connectionsOf: gauges))
    row[.connectionRateMaximum] = .number(gauges[.connectionRateMaximum].value)
    row[.otherSessions] = total(.sessions, slot)
    row[.requestRate] = .number(0)
    row[.requestRateMaximum] = .number(0)
    row.zero(
      .requestsTotal, .compressedIn, .compressedOut, .compressionBypassed, .compressedResponses,
      .http1Sessions, .http2Sessions, .http3Sessions, .otherRequests, .http1Requests,
      .http2Requests, .http3Requests)
    row[.bytesSpliced] = total(.bytesSpliced, slot)
    return row
  }

  private func row(
    ofListener bind: Int, of frontend: Int, _ proxy: ProxyIdentityText
  ) -> StatRow {
    let settings = deployment.configuration.frontends[frontend].binds[bind]
    let slot = deployment.slots.listeners[frontend][bind]
    let sessions = deployment.ledger.gauges(of: slot)[.current].value
    var row = StatRow(
      .listener, proxy: proxy, name: settings.name ?? "sock-\(bind + 1)", serverID: bind + 1)
    fillEntrance(&row, slot)
    let limit = UInt64(settings.maxConnections ?? 0)
    row[.sessionLimit] = .number(limit)
    row[.status] = .text(limit > 0 && sessions >= limit ? "FULL" : "OPEN")
    if showsAddresses { row[.address] = .text(settings.address.statisticsText) }
    row[.protocolName] = .text(settings.address.protocolName)
    return row
  }

  /// What frontends and listeners have in common.
  private func fillEntrance(_ row: inout StatRow, _ slot: Int) {
    let gauges = deployment.ledger.gauges(of: slot)
    row[.sessions] = .number(gauges[.current].value)
    row[.sessionsMaximum] = .number(gauges[.maximum].value)
    row[.sessionsTotal] = total(.sessions, slot)
    fillBytes(&row, slot)
    row[.deniedRequests] = total(.deniedRequests, slot)
    row[.requestErrors] = total(.requestErrors, slot)
    row[.connectionsTotal] = total(.connections, slot)
    row[.deniedConnections] = total(.deniedConnections, slot)
    row[.deniedSessions] = total(.deniedSessions, slot)
    row.zero(.deniedResponses, .rewriteErrors, .internalErrors)
    row[.notTLS] = total(.notTLS, slot)
    row[.helloTimeouts] = total(.helloTimeouts, slot)
    row[.badHellos] = total(.badHellos, slot)
    row[.unknownNames] = total(.unknownNames, slot)
    row[.badProxyHeaders] = total(.badProxyHeaders, slot)
  }

  /// Bytes are counted once, when they are carried: what was received is what was sent.
  private func fillBytes(_ row: inout StatRow, _ slot: Int) {
    let up = total(.bytesUp, slot)
    let down = total(.bytesDown, slot)
    row[.bytesUp] = up
    row[.bytesDown] = down
    row[.requestBytesIn] = up
    row[.requestBytesOut] = up
    row[.responseBytesIn] = down
    row[.responseBytesOut] = down
  }
}

// MARK: - Backends

extension Statistics {
  private func rows(
    ofBackend index: Int, _ proxy: ProxyIdentityText, _ selection: Selection
  ) -> [StatRow] {
    var rows: [StatRow] = []
    let servers = deployment.servers(of: index)
    if selection.wants(4) {
      for server in servers where selection.serverID ?? server.settings.id == server.settings.id {
        if selection.withoutMaintenance, server.isInMaintenance { continue }
        if selection.onlyUp, server.operational == .stopped { continue }
        rows.append(row(of: server, proxy))
      }
    }
    if selection.wants(2), selection.serverID ?? 0 == 0 {
      rows.append(row(ofBackend: index, servers, proxy, selection))
    }
    return rows
  }

  private func row(
    ofBackend index: Int, _ servers: [ServerView], _ proxy: ProxyIdentityText,
    _ selection: Selection
  ) -> StatRow {
    let slot = deployment.slots.backends[index]
    let gauges = deployment.ledger.gauges(of: slot)
    let usable = servers.filter(\.isUsable)
    let actives = usable.filter { !$0.settings.isBackup }
    let balanced = actives.isEmpty ? usable : actives
    let isUp = servers.isEmpty || !usable.isEmpty

    var row = StatRow(.backend, proxy: proxy, name: "BACKEND")
    fillExit(&row, slot)
    row[.sessionLimit] = .number(UInt64(deployment.fullConnections(ofBackend: index)))
    row[.deniedRequests] = total(.deniedRequests, slot)
    let share =
      selection.onlyUp || selection.withoutMaintenance ? " (\(usable.count)/\(servers.count))" : ""
    row[.status] = .text((isUp ? "UP" : "DOWN") + share)
    let weight = balanced.reduce(0) { $0 + $1.weight }
    row[.weight] = .number(weight)
    row[.userWeight] = .number(weight)
    row[.active] = .number(UInt64(actives.count))
    row[.backup] = .number(UInt64(usable.count - actives.count))
    row[.transitionsDown] = .wide(gauges[.transitionsDown].value)
    row[.lastChange] = .number(now.since(gauges[.lastChange].value))
    if !servers.isEmpty {
      let settled = gauges[.downtime].value
      row[.downtime] = .number(isUp ? settled : settled + now.since(gauges[.lastChange].value))
    }
    row[.algorithm] = .text(deployment.configuration.backends[index].balance.statisticsText)
    row[.aggregatedServerStatus] = .number(0)
    row[.aggregatedServerCheckStatus] = .number(0)
    row[.aggregatedCheckStatus] = .number(0)
    row.zero(
      .compressedIn, .compressedOut, .compressionBypassed, .compressedResponses)
    return row
  }

  private func row(of server: ServerView, _ proxy: ProxyIdentityText) -> StatRow {
    var row = StatRow(
      .server, proxy: proxy, name: server.settings.name, serverID: server.settings.id)
    fillExit(&row, server.slot)
    if let limit = server.limit { row[.sessionLimit] = .number(UInt64(limit)) }
    if let limit = server.settings.maxQueue { row[.queueLimit] = .number(UInt64(limit)) }
    row[.status] = .text(statusText(of: server))
    row[.weight] = .number(server.weight)
    row[.userWeight] = .number(server.weight)
    row[.active] = .number(server.settings.isBackup ? 0 : 1)
    row[.backup] = .number(server.settings.isBackup ? 1 : 0)
    row[.lastChange] = .number(now.since(server.gauges[.lastChange].value))
    if showsAddresses { row[.address] = server.addressText.map { .text($0) } }
    for column in [
      StatColumn.idleConnections, .unsafeIdleConnections, .safeIdleConnections,
      .privateIdleConnections, .serverRevision,
    ] {
      row[column] = .number(0)
    }
    let sessions = server.gauges[.current].value
    row[.usedConnections] = .number(sessions)
    row[.neededConnections] = .number(sessions)
    fillCheck(&row, server)
    return row
  }

  /// What backends and servers have in common.
  private func fillExit(_ row: inout StatRow, _ slot: Int) {
    let gauges = deployment.ledger.gauges(of: slot)
    row[.queued] = .number(gauges[.queued].value)
    row[.queuedMaximum] = .number(gauges[.queuedMaximum].value)
    row[.sessions] = .number(gauges[.current].value)
    row[.sessionsMaximum] = .number(gauges[.maximum].value)
    row[.sessionsTotal] = total(.sessions, slot)
    fillBytes(&row, slot)
    row[.connectErrors] = total(.connectErrors, slot)
    row[.responseErrors] = total(.responseErrors, slot)
    row[.retries] = total(.retries, slot)
    row[.redispatches] = total(.redispatches, slot)
    row[.selected] = total(.selected, slot)
    row[.rate] = rate(RateGauge(sessionsOf: gauges))
    row[.rateMaximum] = .number(gauges[.rateMaximum].value)
    row[.clientAborts] = total(.clientAborts, slot)
    row[.serverAborts] = total(.serverAborts, slot)
    row[.connects] = total(.connects, slot)
    let last = gauges[.lastSession].value
    row[.lastSession] = .signed(last == 0 ? -1 : Int64(now.since(last)))
    row[.queueTime] = .number(gauges.average(.queueTime))
    row[.connectTime] = .number(gauges.average(.connectTime))
    row[.responseTime] = .number(0)
    row[.totalTime] = .number(gauges.average(.totalTime))
    row[.queueTimeMaximum] = .number(gauges[.queueTimeMaximum].value)
    row[.connectTimeMaximum] = .number(gauges[.connectTimeMaximum].value)
    row[.responseTimeMaximum] = .number(0)
    row[.totalTimeMaximum] = .number(gauges[.totalTimeMaximum].value)
    row.zero(.deniedResponses, .rewriteErrors, .reuses, .internalErrors)
    row[.bytesSpliced] = total(.bytesSpliced, slot)
  }

  /// Nothing where no check is configured; no result while none is made.
  private func fillCheck(_ row: inout StatRow, _ server: ServerView) {
    guard let health = server.health, !board.isDisabled(server.id) else { return }
    row[.checksFailed] = .wide(server.gauges[.checksFailed].value)
    row[.transitionsDown] = .wide(server.gauges[.transitionsDown].value)
    row[.downtime] = .number(server.downtime(now: now))
    guard !server.isInMaintenance else { return }
    let status = server.checkStatus
    row[.checkStatus] = .text((board.isRunning(server.id) ? "* " : "") + status.code)
    if status != .initializing {
      row[.checkDuration] = .wide(server.gauges[.checkDuration].value)
    }
    row[.checkDescription] = .text(status.text)
    let finding = board.finding(of: server.id)
    let text = finding?.text ?? server.checkError?.description ?? ""
    row[.lastCheck] = text.isEmpty ? nil : .text(text)
    if status.hasCode { row[.checkCode] = .number(UInt64(max(0, finding?.code ?? 0))) }
    row[.checkRise] = .number(UInt64(health.rise))
    row[.checkFall] = .number(UInt64(health.fall))
    row[.checkHealth] = .number(UInt64(health.value))
  }

  /// The status words of HAProxy's management guide, section 9.1.
  func statusText(of server: ServerView) -> String {
    if server.administrative.contains(.unresolved) { return "MAINT (resolution)" }
    if server.isInMaintenance { return "MAINT" }
    let health = board.isDisabled(server.id) ? nil : server.health
    let progress = health.map { $0.isFullyUp || $0.isFullyDown ? "" : " " + $0.progress } ?? ""
    switch server.operational {
    case .running, .starting:
      if server.isDraining { return "DRAIN" + progress }
      return health == nil ? "no check" : "UP" + progress
    case .stopping: return "NOLB" + progress
    case .stopped: return "DOWN" + progress
    }
  }
}

extension BindAddress {
  var statisticsText: String {
    switch self {
    case .socket(.internet(let endpoint)): endpoint.description
    case .socket: "unix"
    case .descriptor(let number): "fd@\(number)"
    case .descriptorName(let name): "fd@\(name)"
    }
  }

  var protocolName: String {
    switch self {
    case .socket(.internet(let endpoint)): endpoint.address.isIPv4 ? "tcpv4" : "tcpv6"
    case .socket: "unix_stream"
    case .descriptor, .descriptorName: "tcpv4"
    }
  }
}

extension Balance {
  /// As the reference's `algo`, which has no word for `random`.
  var statisticsText: String {
    switch self {
    case .roundRobin: "roundrobin"
    case .staticRoundRobin: "static-rr"
    case .leastConnections: "leastconn"
    case .first: "first"
    case .source: "source"
    case .random: "unknown"
    }
  }
}
