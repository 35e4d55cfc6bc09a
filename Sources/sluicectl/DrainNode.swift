import ArgumentParser
import Glibc
import Linux

struct DrainNode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain-node",
    abstract: "Takes this node out: it is not ready, then accepts no more, then ends.",
    discussion: """
      From now on the daemon says that it is not ready. For drain-delay it still accepts, until \
      whoever sends clients here has noticed; then it finishes what runs, and ends with the last \
      connection, or when hard-stop-after has passed.

      With --wait the command returns when the daemon has ended, and tells how many connections \
      are left meanwhile. Exit status: 0 it has ended, 1 it has not in the time of --timeout.
      """)

  @OptionGroup var options: Options

  @Flag(help: "Wait until the daemon has ended.")
  var wait = false

  @Option(help: ArgumentHelp("The longest to wait.", valueName: "seconds"))
  var timeout: Int?

  func run() throws {
    try options.daemon.order("drain node")
    guard wait else { return }
    let deadline = timeout.map { Clock.monotonic + Int64(max(0, $0)) * 1_000_000_000 } ?? .max
    var progress = DrainProgress()
    while let answer = options.daemon.askIfThere("show info") {
      if let left = Self.connections(in: answer) { progress.show(left) }
      guard Clock.monotonic < deadline else {
        progress.end()
        throw fail("\(progress.text) after \(timeout ?? 0) s")
      }
      usleep(Self.pause)
    }
    progress.end()
  }

  /// Microseconds between two looks.
  private static let pause: UInt32 = 200_000

  /// Nil when the answer does not say: its end may be missing, when the control plane starts anew.
  private static func connections(in answer: String) -> Int? {
    let line = answer.split(separator: "\n").first { $0.hasPrefix("CurrConns: ") }
    return line.flatMap { Int($0.dropFirst("CurrConns: ".count)) }
  }
}

/// How many connections are left: on a terminal in one line that changes, else a line a change.
private struct DrainProgress {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var shown: Int?

  /// What was shown last.
  var text: String {
    switch shown {
    case .none: "no answer"
    case 1: "1 connection left"
    case .some(let left): "\(left) connections left"
    }
  }

  mutating func show(_ left: Int) {
    guard left != shown else { return }
    shown = left
    StandardError.write(isTerminal ? "\r\u{1b}[K\(text)" : text + "\n")
  }

  func end() {
    if isTerminal, shown != nil { StandardError.write("\r\u{1b}[K") }
  }
}
