import Configuration
import Ledger
import Linux

/// Commands that show what is counted.
enum ShowCommands {
  static let all: [Command] = [
    Command(
      "clear counters", "[all|server <bk>/<srv>]",
      "clear max statistics counters (or all, or one server's)", .operator
    ) { services, words, session in clear(services, words, session) },
    Command("show backend", "", "list backends in the current running config") {
      services, _, _ in
      .dump(
        "# name\n"
          + services.deployment.proxies.filter { $0.backend != nil }
          .map { $0.identity.name + "\n" }.joined())
    },
    Command(
      "show env", "[var]", "dump environment variables known to the process", .operator
    ) { _, words, _ in environment(words.first) },
    Command(
      "show errors", "[<px>] [request|response]",
      "report last request and/or response errors for each proxy", .operator
    ) { services, words, _ in errors(services, words) },
    Command(
      "show info", "[desc|json|typed|float]*", "report information about the running process"
    ) { services, words, _ in
      let format = DumpFormat(words: words)
      let information = Information(
        deployment: services.deployment, baseline: services.baseline, fractions: format.fractions)
      return .dump(format.information(information.fields()))
    },
    Command(
      "show stat", "[desc|json|no-maint|typed|up]*", "report counters for each proxy and server"
    ) { services, words, session in statistics(services, words, session) },
    Command(
      "show table", "[<table>]", "report table usage stats or dump this table's contents"
    ) { _, words, _ in words.isEmpty ? .dump("") : .failure("No such table") },
  ]

  private static func environment(_ wanted: String?) -> Answer {
    guard let bytes = try? File.contents(of: "/proc/self/environ") else {
      return .failure("Variable not found")
    }
    let variables = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    guard let wanted else { return .dump(variables.map { $0 + "\n" }.joined()) }
    guard let found = variables.first(where: { $0.hasPrefix(wanted + "=") }) else {
      return .failure("Variable not found")
    }
    return .dump(found + "\n")
  }

  /// HTTP requests that could not be parsed are what the reference keeps here: TCP has none.
  private static func errors(_ services: CommandServices, _ words: [String]) -> Answer {
    if let name = words.first, !["request", "response"].contains(name),
      !services.deployment.proxies.contains(where: { $0.identity.name == name })
    {
      return .failure("No such proxy.")
    }
    let now = Clock.realtime
    let local = LocalTime(secondsSince1970: now / 1_000_000_000)
    let milliseconds = Int(now / 1_000_000 % 1000)
    return .dump(
      "Total events captured on [\(local.day.twoDigits)/\(local.monthName)/\(local.year):"
        + "\(local.clock).\((milliseconds < 100 ? "0" : "") + milliseconds.twoDigits)] : 0\n")
  }

  private static func statistics(
    _ services: CommandServices, _ words: [String], _ session: CommandSession
  ) -> Answer {
    var selection = Statistics.Selection()
    var options = words
    // `show stat <proxy> <type> <server>`: fewer than three of them mean nothing, as there.
    let flags: Set<String> = ["desc", "json", "no-maint", "typed", "up", "float"]
    if options.first == "domain" { options.removeFirst(min(2, options.count)) }
    if options.count >= 3, !flags.contains(options[0]) {
      if let id = Int(options[0]) {
        selection.proxyID = id == -1 ? nil : id
      } else if let proxy = services.deployment.proxies.first(where: {
        $0.identity.name == options[0]
      }) {
        selection.proxyID = proxy.identity.id
      } else {
        return .failure("No such proxy.")
      }
      selection.kinds = Int(options[1]) ?? 0
      selection.serverID = Int(options[2]).flatMap { $0 == -1 ? nil : $0 }
      options.removeFirst(3)
    }
    selection.onlyUp = options.contains("up")
    selection.withoutMaintenance = options.contains("no-maint")
    let statistics = Statistics(
      deployment: services.deployment, baseline: services.baseline, board: services.board,
      showsAddresses: session.level >= .operator)
    return .dump(DumpFormat(words: options).statistics(statistics.rows(selection)))
  }

  private static func clear(
    _ services: CommandServices, _ words: [String], _ session: CommandSession
  ) -> Answer {
    let deployment = services.deployment
    switch words.first {
    case "all":
      guard session.level >= .admin else { return .failure("Permission denied") }
      clearMaxima(deployment)
      services.baseline.reset(slots: deployment.allSlots, in: deployment.ledger)
      for id in deployment.servers { deployment.server(id).clearCheckCounts() }
      return .nothing
    case "server":
      guard session.level >= .admin else { return .failure("Permission denied") }
      return ServerCommands.withServer(words.dropFirst().first, services) { server in
        server.gauges.resetMaxima()
        services.baseline.reset(slots: [server.slot], in: deployment.ledger)
        server.clearCheckCounts()
        return .message(.informational, "Server counters cleared.")
      }
    default:
      clearMaxima(deployment)
      return .nothing
    }
  }

  private static func clearMaxima(_ deployment: Deployment) {
    for slot in deployment.allSlots { deployment.ledger.gauges(of: slot).resetMaxima() }
  }
}

extension Deployment {
  /// Every slot that this configuration has.
  var allSlots: [Int] {
    [slots.process] + slots.frontends + slots.listeners.flatMap { $0 } + slots.backends
      + slots.servers.flatMap { $0 }
  }
}

extension ServerView {
  fileprivate func clearCheckCounts() {
    gauges[.checksFailed].store(0)
    gauges[.transitionsDown].store(0)
  }
}
