import ArgumentParser

/// Options of the commands that change one server.
struct ServerOptions: ParsableArguments {
  @OptionGroup var options: Options

  @Argument(help: ArgumentHelp("The server.", valueName: "backend/server"))
  var server: String

  func set(_ state: String) throws {
    guard server.contains("/"), !server.contains(where: { " ;\\\n".contains($0) }) else {
      throw ValidationError("a server is named backend/server")
    }
    try options.daemon.order("set server \(server) state \(state)")
  }
}

struct Ready: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Puts a server back to work after drain or maint.")

  @OptionGroup var server: ServerOptions

  func run() throws { try server.set("ready") }
}

struct Drain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Gives a server no new connections; those it has go on.")

  @OptionGroup var server: ServerOptions

  func run() throws { try server.set("drain") }
}

struct Maintenance: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "maint",
    abstract: "Takes a server out: no new connections, and no checks.")

  @OptionGroup var server: ServerOptions

  func run() throws { try server.set("maint") }
}

struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Loads the configuration anew, and waits for how that went.",
    discussion: """
      Prints what the daemon says. Where the new configuration is refused, the running one goes \
      on, and the exit status is 1.
      """)

  @OptionGroup var options: Options

  @Flag(inversion: .prefixedNo, help: "Wait until the new configuration runs, or is refused.")
  var wait = true

  @Flag(name: .shortAndLong, help: "Print nothing: the exit status tells, and the daemon's log.")
  var quiet = false

  func run() throws {
    guard wait else { return try options.daemon.leave("reload") }
    let answer = try options.daemon.ask("reload")
    let success = answer.hasPrefix("Success=1")
    let text = answer.split(separator: "\n").drop { $0.hasPrefix("Success=") || $0 == "--" }
      .map { $0 + "\n" }.joined()
    if !quiet { print(text, terminator: "") }
    if !success { throw text.isEmpty ? fail("the daemon did not reload") : ExitCode.failure }
  }
}

struct Raw: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Sends commands of the runtime API, and prints the answers as they are.",
    discussion: """
      Several arguments are several words. Quote what has a dash: sluicectl raw 'show stat -1 4 -1'.
      """)

  @OptionGroup var options: Options

  @Argument(help: "What to send; try `help`.")
  var words: [String]

  func run() throws { print(try options.daemon.ask(words.joined(separator: " ")), terminator: "") }
}

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints the versions of this program and of the daemon.")

  @OptionGroup var options: Options

  func run() throws {
    print("sluicectl \(Sluicectl.configuration.version)")
    print("daemon \(try options.daemon.ask("show version"))", terminator: "")
  }
}
