import Configuration
import Linux
import Rules

/// The daemon's program: reads the command line and does what it says.
public enum Program {
  /// Runs it; `commandLine` is the program's name and its arguments.
  public static func run(_ commandLine: [String]) -> Never {
    let succession = Succession.fromEnvironment()
    let arguments = parse(commandLine)
    switch succession {
    case .trial: Trial.run(arguments)
    case .master(let state):
      Successor.run(arguments, commandLine: commandLine, state: state)
    case .none: break
    }
    goToDirectory(arguments)
    switch arguments.action {
    case .version(let detail): answer(Version.text(detail))
    case .help: answer(Version.usage)
    case .evaluate(let condition): evaluate(condition)
    case .check: check(arguments)
    case .explain(let supposed): explain(supposed, arguments)
    case .run: Startup.run(arguments, commandLine: commandLine)
    }
  }

  private static func parse(_ commandLine: [String]) -> Arguments {
    do throws(Arguments.Failure) {
      return try Arguments(Array(commandLine.dropFirst()))
    } catch {
      StandardStream.error.write("sluice: \(error.message)\n\n\(Version.usage)")
      Process.exit(1)
    }
  }

  /// Once a process: a successor is there already.
  private static func goToDirectory(_ arguments: Arguments) {
    guard let directory = arguments.directory else { return }
    do throws(Errno) {
      try File.changeDirectory(to: directory)
    } catch {
      MasterLog(isQuiet: false).alert("cannot go to '\(directory)': \(error)")
      Process.exit(1)
    }
  }

  private static func answer(_ text: String) -> Never {
    StandardStream.output.write(text.trimmingEnd + "\n")
    Process.exit(0)
  }

  /// Exit status 0 for true, 1 for false, 2 for what is no condition.
  private static func evaluate(_ condition: String) -> Never {
    switch ConditionExpression.evaluate(condition, environment: Process.variables) {
    case .isTrue: Process.exit(0)
    case .isFalse: Process.exit(1)
    case .syntaxError(let message, let offset):
      let caret = String(repeating: " ", count: offset) + "^"
      StandardStream.error.write("\(condition)\n\(caret)\n\(message)\n")
      Process.exit(2)
    }
  }

  /// Touches no network, and needs no rights.
  private static func check(_ arguments: Arguments) -> Never {
    let log = MasterLog(isQuiet: arguments.isQuiet)
    let controller = Process.executablePath.flatMap { ProgramFiles.openController(besides: $0) }
    let loader = GenerationLoader(arguments: arguments, log: log, controller: controller)
    guard (try? loader.loadFiles()) != nil else { Process.exit(1) }
    if arguments.listsLibraries {
      StandardStream.output.write(LinkedLibraries.text(isQuiet: arguments.isQuiet))
    }
    if !arguments.isQuiet { StandardStream.output.write("Configuration file is valid\n") }
    Process.exit(0)
  }

  /// Exit status 0 if a server would get the connection, 1 if not or if the files are refused.
  private static func explain(_ supposed: SupposedConnection, _ arguments: Arguments) -> Never {
    let log = MasterLog(isQuiet: true)
    let controller = Process.executablePath.flatMap { ProgramFiles.openController(besides: $0) }
    let loader = GenerationLoader(arguments: arguments, log: log, controller: controller)
    guard let generation = try? loader.loadFiles() else { Process.exit(1) }
    var explainer = Explainer(
      generation.configuration, generation.rules.take(), generation.snapshot)
    do throws(SupposedConnection.Mistake) {
      let explanation = try explainer.explain(supposed)
      StandardStream.output.write(explanation.text + "\n")
      Process.exit(explanation.isServed ? 0 : 1)
    } catch {
      log.alert(error.message)
      Process.exit(1)
    }
  }
}
