import Configuration

/// What a client of the runtime API has chosen, for as long as it is connected.
struct CommandSession: Sendable {
  enum Mode: Sendable {
    /// One line, then the connection is closed.
    case single
    /// Any number of lines.
    case interactive
    /// With a prompt after each.
    case prompt
  }

  var level: StatsSocket.Level
  var severityOutput: StatsSocket.SeverityOutput
  /// How long the next line may take.
  var timeout: Duration
  var mode = Mode.single
  /// Whether the prompt tells how long the process has run.
  var tellsTime = false
  var isOver = false
}

/// What a command says.
enum Answer: Equatable, Sendable {
  /// It worked, and there is nothing to tell: tools take any word for a failure.
  case nothing
  /// A sentence to the operator, which tools may want marked with its severity.
  case message(Severity, String)
  /// Data; ends with a line feed unless it is empty.
  case dump(String)
}

extension Answer {
  static func failure(_ text: String) -> Answer { .message(.error, text) }

  /// As it is sent: always followed by one empty line, and with none inside.
  func text(_ output: StatsSocket.SeverityOutput) -> String {
    switch self {
    case .nothing: "\n"
    case .dump(let text): text + "\n"
    case .message(let severity, let text):
      switch output {
      case .none: text + "\n\n"
      case .number: "[\(severity.rawValue)]: \(text)\n\n"
      case .string: "[\(severity.name)]: \(text)\n\n"
      }
    }
  }
}
