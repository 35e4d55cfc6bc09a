/// `timeout NAME TIME`.
extension ConfigurationReader {
  private enum TimeoutName: String, CaseIterable {
    case check, client
    case clientFin = "client-fin"
    case clientHandshake = "client-hs"
    case connect
    case httpKeepAlive = "http-keep-alive"
    case httpRequest = "http-request"
    case queue, server
    case serverFin = "server-fin"
    case tarpit, tunnel

    /// Where it counts, and nil where it never does: those of HTTP.
    var role: ProxyRoles? {
      switch self {
      case .client, .clientFin, .clientHandshake: .frontend
      case .check, .connect, .queue, .server, .serverFin, .tunnel: .backend
      case .httpKeepAlive, .httpRequest, .tarpit: nil
      }
    }
  }

  mutating func readTimeout(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let word = try statement.require("the name of a timeout")
    guard let name = TimeoutName(rawValue: word.text) else {
      let known = TimeoutName.allCases.map(\.rawValue)
      throw statement.span(of: word).error(
        "unknown timeout '\(word.text)'", hint: "expected \(Statement.list(known))",
        suggestion: Suggestion.nearest(to: word.text, among: known))
    }
    let time = try statement.time()
    guard let role = name.role else { return }
    guard draft.roles.contains(.defaults) || draft.roles.contains(role) else {
      let half = role == .frontend ? "frontend" : "backend"
      log.warn(
        statement.span, "'timeout \(word.text)' is ignored: \(draft.title) is no \(half)")
      return
    }
    Self.set(name, to: time, in: &draft.settings.timeouts)
  }

  private static func set(
    _ name: TimeoutName, to time: Int, in timeouts: inout Timeouts
  ) {
    switch name {
    case .check: timeouts.check = time
    case .client: timeouts.client = time
    case .clientFin: timeouts.clientFin = time
    case .clientHandshake: timeouts.clientHandshake = time
    case .connect: timeouts.connect = time
    case .queue: timeouts.queue = time
    case .server: timeouts.server = time
    case .serverFin: timeouts.serverFin = time
    case .tunnel: timeouts.tunnel = time
    case .httpKeepAlive, .httpRequest, .tarpit: break
    }
  }

  /// `contimeout`, `clitimeout`, `srvtimeout`.
  mutating func readRenamedTimeout(
    _ keyword: ProxyKeyword, _ statement: inout Statement, _ timeouts: inout Timeouts
  ) throws(Diagnostic) {
    let time = try statement.time()
    switch keyword {
    case .connectTimeout:
      warnOfRename(statement, "timeout connect")
      timeouts.connect = time
    case .clientTimeout:
      warnOfRename(statement, "timeout client")
      timeouts.client = time
    default:
      warnOfRename(statement, "timeout server")
      timeouts.server = time
    }
  }
}

extension Timeouts {
  /// The timeouts as they apply: what the file does not say is filled in, and 0 waits for ever.
  var effective: Timeouts {
    var result = self
    result.connect = connect ?? 5000
    result.queue = queue ?? result.connect
    result.clientHandshake = clientHandshake ?? client
    for field in [
      \Timeouts.connect, \.client, \.server, \.queue, \.tunnel, \.clientFin, \.serverFin, \.check,
      \.clientHandshake,
    ] where result[keyPath: field] == 0 { result[keyPath: field] = nil }
    return result
  }
}
