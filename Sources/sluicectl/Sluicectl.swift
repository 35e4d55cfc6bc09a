import ArgumentParser
import Glibc
import Linux
import Wire

/// The operator's hand.
@main
struct Sluicectl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluicectl",
    abstract: "Shows and steers a running sluice(8).",
    discussion: """
      The daemon is reached over its control socket: --socket, else SLUICE_SOCKET, else the user's \
      own daemon in XDG_RUNTIME_DIR where there is one, else /run/sluice/sluice.sock.

      Exit status: 0 done, 1 the daemon refused or the command failed, 2 the daemon cannot be \
      reached, 64 wrong usage.
      """,
    version: ReleaseNumber.text,
    subcommands: [
      Status.self, Servers.self, Sessions.self, Processes.self, Statistics.self, Ready.self,
      Drain.self, Maintenance.self, Reload.self, DrainNode.self, Explain.self, Raw.self,
      Version.self,
    ],
    defaultSubcommand: Status.self)

  /// Also taken before the subcommand, whose own they then are.
  @OptionGroup var options: Options
}

/// Options that every command has.
struct Options: ParsableArguments {
  @Option(name: .shortAndLong, help: "The daemon's control socket.")
  var socket: String?

  @Flag(help: "Print JSON.")
  var json = false

  /// The daemon.
  var daemon: Daemon { Daemon(path: socket ?? Self.defaultPath) }

  private static var defaultPath: String {
    if let path = environment("SLUICE_SOCKET") { return path }
    if let directory = environment("XDG_RUNTIME_DIR") {
      let path = directory + "/sluice.sock"
      if unsafe access(path, F_OK) == 0 { return path }
    }
    return "/run/sluice/sluice.sock"
  }

  private static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    return text.isEmpty ? nil : text
  }
}

extension ExitCode {
  /// The daemon cannot be reached.
  static let unreachable = ExitCode(2)
}

/// Ends the command with a sentence on standard error.
func fail(_ text: String, _ code: ExitCode = .failure) -> any Error {
  StandardError.write("sluicectl: \(text)\n")
  return code
}
