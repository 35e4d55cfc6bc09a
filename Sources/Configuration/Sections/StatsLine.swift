/// `stats …` in `global`: where operators reach the runtime API.
extension ConfigurationReader {
  mutating func readStats(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("socket, timeout or maxconn")
    switch word.text {
    case "socket": try readStatsSocket(&statement)
    case "timeout": global.settings.statsTimeout = try statement.time(minimum: 1)
    case "maxconn":
      global.settings.statsMaxConnections = try statement.integer(
        "a number of connections", in: 1...65_535)
    case "calculate-max-counters": statement.skipAll()
    case "bind-process":
      statement.skipAll()
      log.warn(
        statement.span, "'stats bind-process' was removed from the language and does nothing")
    default:
      throw statement.span(of: word).error(
        "unknown 'stats \(word.text)' in 'global'", hint: "expected socket, timeout or maxconn",
        suggestion: Suggestion.nearest(to: word.text, among: ["socket", "timeout", "maxconn"]))
    }
  }

  private mutating func readStatsSocket(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("an address or a path")
    // Without a prefix or a port, whatever is no absolute path is a relative one.
    let addresses = try bindAddresses(word, of: statement)
    guard let first = addresses.first, addresses.count == 1 else {
      throw statement.span(of: word).error("one address only, please")
    }
    var socket = StatsSocket(
      address: first.address, text: first.text, position: statement.span(of: word).position)
    socket.permissions = global.unixPermissions
    while let option = statement.next() {
      try readStatsSocketOption(option, &statement, &socket)
    }
    global.settings.statsSockets.append(socket)
  }

  private static let levels: KeyValuePairs<String, StatsSocket.Level> = [
    "user": .user, "operator": .operator, "admin": .admin,
  ]

  private static let severities: KeyValuePairs<String, StatsSocket.SeverityOutput> = [
    "none": .none, "number": .number, "string": .string,
  ]

  private mutating func readStatsSocketOption(
    _ option: Word, _ statement: inout Statement, _ socket: inout StatsSocket
  ) throws(Diagnostic) {
    switch option.text {
    case "level": socket.level = try statement.choice("level", Self.levels)
    case "severity-output":
      socket.severityOutput = try statement.choice("severity output", Self.severities)
    case "expose-fd":
      _ = try statement.choice("what to expose", ["listeners": ()])
      socket.exposesListeners = true
    case "name", "maxconn", "backlog", "id", "thread", "nice", "shards", "label":
      _ = try statement.require("an argument of '\(option.text)'")
    case "process":
      _ = try statement.require("a process")
      log.warn(
        statement.span(of: option), "'process' was removed from the language and does nothing")
    case "accept-proxy", "ssl", "transparent", "namespace", "interface":
      throw statement.span(of: option).error(
        "'\(option.text)' is not supported on a stats socket in this version")
    default:
      guard try !readPermission(option, &statement, &socket.permissions) else { return }
      let known = [
        "level", "severity-output", "expose-fd", "mode", "user", "group", "uid", "gid", "name",
      ]
      throw statement.span(of: option).error(
        "unknown option '\(option.text)' of 'stats socket'",
        hint: "expected \(Statement.list(known))",
        suggestion: Suggestion.nearest(to: option.text, among: known))
    }
  }
}
