import Configuration
import Wire

/// Commands about the conversation itself.
enum ShellCommands {
  static let all: [Command] = [
    Command("help", "[<command>]", "list matching or all commands") { _, words, session in
      CommandTable.all.help(words, session.level)
    },
    Command(
      "prompt", "[help | n | i | p | timed ]*", "toggle interactive mode with prompt"
    ) { _, words, session in prompt(words, &session) },
    Command("quit", "", "disconnect") { _, _, session in
      session.isOver = true
      return .nothing
    },
  ]

  private static func prompt(_ words: [String], _ session: inout CommandSession) -> Answer {
    if words.isEmpty { session.mode = session.mode == .prompt ? .single : .prompt }
    for word in words {
      switch word {
      case "n": session.mode = .single
      case "i": session.mode = .interactive
      case "p": session.mode = .prompt
      case "timed": session.tellsTime.toggle()
      default: return .dump(promptHelp)
      }
    }
    return .nothing
  }

  private static let promptHelp = """
    Usage: prompt [help | n | i | p | timed]*
    Changes how the conversation goes on:
      help    this text
      n       one line, then the connection is closed
      i       any number of lines, without a prompt
      p       any number of lines, with a prompt
      timed   whether the prompt tells how long the process has run
    Without an argument: to p, or from p to n.

    """
}

/// Commands about the client's rights and the process.
enum ProcessCommands {
  static let all: [Command] = [
    Command("echo", "<text>", "print text to the output") { _, words, _ in
      .dump(words.joined(separator: " ") + "\n")
    },
    Command(
      "drain node", "", "say not ready, accept for drain-delay, then finish connections and end",
      .admin
    ) { services, _, _ in
      services.desk.drainNode()
      return .nothing
    },
    Command("operator", "", "lower the level of the current CLI session to operator", .operator) {
      _, _, session in
      session.level = .operator
      return .nothing
    },
    Command("user", "", "lower the level of the current CLI session to user") { _, _, session in
      session.level = .user
      return .nothing
    },
    Command("reload", "", "load the configuration anew, and say how that went", .admin) {
      services, _, _ in await reload(services)
    },
    Command(
      "set severity-output", "[none|number|string]",
      "set presence of severity level in feedback information"
    ) { _, words, session in setSeverityOutput(words, &session) },
    Command("set timeout", "[cli] <delay>", "change a timeout setting") { _, words, session in
      setTimeout(words, &session)
    },
    Command("show cli level", "", "display the level of the current CLI session") {
      _, _, session in .message(.informational, session.level.name)
    },
    Command("show cli sockets", "", "dump list of cli sockets") { services, _, _ in
      .dump(
        "# socket lvl processes\n"
          + services.sockets.map { "\($0.address) \($0.level.name) all\n" }.joined())
    },
    Command("show proc", "", "list the processes of the daemon") { services, _, _ in
      let (rows, reloads) = await services.desk.processes()
      return .dump(processes(rows, reloads, services.deployment))
    },
    Command("show reload", "", "tell how the last reload went") { services, _, _ in
      guard let reloads = await services.desk.processes().reloads else {
        return .failure("The master did not answer in time.")
      }
      return .dump(text(reloads))
    },
    Command("show version", "", "show version of the current process") { _, _, _ in
      .dump(Release.compatibleVersion + "\n")
    },
    Command("show workers", "", "list the workers and what each of them does") { services, _, _ in
      .dump(WorkerTable(services.deployment).text)
    },
    Command("wait", "{-h|<delay_ms>}", "wait the specified delay") { _, words, _ in
      await wait(words)
    },
  ]

  private static func setSeverityOutput(
    _ words: [String], _ session: inout CommandSession
  ) -> Answer {
    switch words.first {
    case "none": session.severityOutput = .none
    case "number": session.severityOutput = .number
    case "string": session.severityOutput = .string
    default: return .failure("one of 'none', 'number', 'string' is a required argument")
    }
    return .nothing
  }

  /// In seconds, unlike every other time.
  private static func setTimeout(_ words: [String], _ session: inout CommandSession) -> Answer {
    guard words.first == "cli" else { return .failure("'set timeout' only supports 'cli'.") }
    guard words.count > 1 else { return .failure("Expects an integer value.") }
    guard let milliseconds = TimeText.milliseconds(words[1], unit: 1000), milliseconds > 0 else {
      return .failure("Invalid timeout value.")
    }
    session.timeout = .milliseconds(milliseconds)
    return .nothing
  }

  private static func wait(_ words: [String]) async -> Answer {
    guard let word = words.first else { return .failure("Expects a duration in milliseconds.") }
    if word == "-h" {
      return .dump(
        "Usage: wait {-h|<duration>}\n"
          + "Waits so long; units are us, ms (if none is given), s, m, h, d.\n")
    }
    guard let milliseconds = TimeText.milliseconds(word, unit: 1) else {
      return .failure("Invalid duration.")
    }
    try? await Task.sleep(for: .milliseconds(milliseconds))
    return .message(.informational, "Done.")
  }

  /// As the reference's master says it.
  private static func reload(_ services: CommandServices) async -> Answer {
    guard let result = await services.desk.reload() else {
      return .dump("Success=0\n--\nThe master did not answer in time.\n")
    }
    var text = result.text
    while text.hasSuffix("\n") { text.removeLast() }
    // An empty line would end the answer.
    let lines = text.split(separator: "\n").map { $0 + "\n" }.joined()
    return .dump("Success=\(result.success ? 1 : 0)\n--\n\(lines)")
  }
}

extension StatsSocket.Level {
  var name: String {
    switch self {
    case .user: "user"
    case .operator: "operator"
    case .admin: "admin"
    }
  }
}

/// Times as operators write them: a number with or without a unit.
enum TimeText {
  /// A time in milliseconds; `unit` is how many a number without a unit counts for.
  static func milliseconds(_ text: String, unit: Int) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let milliseconds: (partialValue: Int, overflow: Bool)
    switch text.dropFirst(digits.count) {
    case "": milliseconds = number.multipliedReportingOverflow(by: unit)
    case "us": return number / 1000
    case "ms": return number
    case "s": milliseconds = number.multipliedReportingOverflow(by: 1000)
    case "m": milliseconds = number.multipliedReportingOverflow(by: 60_000)
    case "h": milliseconds = number.multipliedReportingOverflow(by: 3_600_000)
    case "d": milliseconds = number.multipliedReportingOverflow(by: 86_400_000)
    default: return nil
    }
    return milliseconds.overflow || milliseconds.partialValue > Int(Int32.max)
      ? nil : milliseconds.partialValue
  }
}
