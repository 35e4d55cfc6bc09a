import Configuration

/// What commands work on.
struct CommandServices: Sendable {
  let deployment: Deployment
  let keeper: ServerKeeper
  let desk: WorkerDesk
  let board: CheckBoard
  let baseline: CounterBaseline
  /// Address and level of each socket, for `show cli sockets`.
  let sockets: [(address: String, level: StatsSocket.Level)]
}

/// A command of the runtime API.
struct Command: Sendable {
  typealias Action =
    @Sendable (CommandServices, [String], inout CommandSession) async -> Answer

  /// The words it begins with.
  let words: [String]
  /// Those, and what may follow.
  let usage: String
  let purpose: String
  /// The lowest level that may use it.
  let level: StatsSocket.Level
  /// Is given the words behind its own.
  let action: Action

  init(
    _ words: String, _ parameters: String = "", _ purpose: String,
    _ level: StatsSocket.Level = .user, _ action: @escaping Action
  ) {
    self.words = CommandSyntax.words(of: words)
    usage = parameters.isEmpty ? words : words + " " + parameters
    self.purpose = purpose
    self.level = level
    self.action = action
  }

  /// One line of `help`.
  var help: String {
    let gap = String(repeating: " ", count: max(0, 40 - usage.count))
    return "  \(usage)\(gap): \(purpose)\n"
  }
}

/// All commands, and which one a line means.
struct CommandTable: Sendable {
  let commands: [Command]

  /// Those that help is never without.
  private static let always: Set<String> = ["help", "prompt", "quit"]

  static let all: CommandTable = CommandTable(
    commands: (ShowCommands.all + ServerCommands.all + SessionCommands.all + ProcessCommands.all
      + ExplainCommand.all)
      .sorted { $0.usage < $1.usage } + ShellCommands.all)

  /// Runs one command.
  func run(
    _ words: [String], _ services: CommandServices, _ session: inout CommandSession
  ) async -> Answer {
    guard let first = words.first else { return .nothing }
    guard let command = find(words) else { return unknown(first, words, session.level) }
    guard session.level >= command.level else { return .failure("Permission denied") }
    return await command.action(
      services, Array(words.dropFirst(command.words.count)), &session)
  }

  /// The command with the most words in common, where all of its own are there.
  private func find(_ words: [String]) -> Command? {
    commands.filter { words.starts(with: $0.words) }.max { $0.words.count < $1.words.count }
  }

  /// What `help` answers: all commands, or those that begin like `words`.
  func help(_ words: [String], _ level: StatsSocket.Level) -> Answer {
    .message(
      .informational,
      "The following commands are valid at this level:\n" + lines(words, level))
  }

  private func unknown(
    _ first: String, _ words: [String], _ level: StatsSocket.Level
  ) -> Answer {
    .message(
      .informational,
      "Unknown command: '\(first)', but maybe one of the following ones is a better match:\n"
        + lines(words, level))
  }

  /// Help on the commands that share the longest beginning with `words`; on all if none does.
  private func lines(_ words: [String], _ level: StatsSocket.Level) -> String {
    let allowed = commands.filter { $0.level <= level && !Self.isAlways($0) }
    let best = allowed.map { $0.matchingWords(words) }.max() ?? 0
    let similar = best == 0 ? allowed : allowed.filter { $0.matchingWords(words) == best }
    let text = (similar + commands.filter(Self.isAlways)).map(\.help).joined()
    return String(text.dropLast())
  }

  private static func isAlways(_ command: Command) -> Bool {
    always.contains(command.words.joined(separator: " "))
  }
}

extension Command {
  fileprivate func matchingWords(_ words: [String]) -> Int {
    zip(self.words, words).prefix { $0 == $1 }.count
  }
}
