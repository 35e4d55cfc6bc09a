public import Rules

/// What the command line asks for. Flags are HAProxy's.
public struct Arguments: Equatable, Sendable {
  /// What to do.
  public enum Action: Equatable, Sendable {
    case run
    /// `-c`: say whether the configuration is valid.
    case check
    /// `-cc`: say whether a condition holds.
    case evaluate(String)
    /// `-v`, `-vv`, `-vq`…
    case version(VersionDetail)
    /// `-h`
    case help
    /// `explain`: say what would become of a connection.
    case explain(SupposedConnection)
  }

  public enum VersionDetail: Equatable, Sendable {
    case line, features
    /// `-vq`: the number; `-vqb`: its first two parts.
    case number, branch
  }

  public var action = Action.run
  /// `-f`, and whatever follows `--`: files or directories, in order.
  public var files: [String] = []
  /// `-C`: where to go before anything is read.
  public var directory: String?
  /// `-D`
  public var daemonize = false
  /// `-db`, `-d` and `-Ws`: in the foreground, whatever the file says.
  public var staysInForeground = false
  /// `-p`
  public var pidFile: String?
  /// `-S`: where the control socket is, as written.
  public var controlSocket: String?
  /// `-n`: connections of the whole process; `-N`: of a frontend that says nothing.
  public var maxConnections: Int?
  public var frontendConnections: Int?
  /// `-sf`: processes to stop gracefully once this one is ready; `-st`: to stop at once.
  public var processesToFinish: [Int32] = []
  public var processesToTerminate: [Int32] = []
  /// `-x`, `--takeover`: a socket for operators of a daemon that runs, or whose master has died, to
  /// take over from.
  public var predecessor: String?
  /// `-dW`
  public var warningsAreErrors = false
  /// `-dS`
  public var noSplice = false
  /// `-dR`
  public var noReusePort = false
  /// `-dL`: say which libraries are linked, once the files are read.
  public var listsLibraries = false
  /// `-q`
  public var isQuiet = false
  /// `-V`, `-d`
  public var isVerbose = false

  public init() {}

  /// Why a command line cannot be understood, as the operator reads it.
  public struct Failure: Error, Equatable, Sendable {
    public let message: String
  }

  /// Reads a command line without the program's name.
  public init(_ words: [String]) throws(Failure) {
    var rest = Words(words)
    while let word = rest.next() {
      if word == "--" {
        files += rest.remaining()
      } else {
        try take(word, from: &rest)
      }
    }
  }

  private mutating func take(_ flag: String, from rest: inout Words) throws(Failure) {
    switch flag {
    case "-f": files.append(try rest.value(of: flag))
    case "-C": directory = try rest.value(of: flag)
    case "-p": pidFile = try rest.value(of: flag)
    case "-S": controlSocket = try rest.value(of: flag)
    case "-x", "--takeover": predecessor = try rest.value(of: flag)
    case "-n": maxConnections = try rest.number(of: flag)
    case "-N": frontendConnections = try rest.number(of: flag)
    case "-m": _ = try rest.number(of: flag)
    case "-L": _ = try rest.value(of: flag)
    case "-sf": processesToFinish += rest.processes()
    case "-st": processesToTerminate += rest.processes()
    case "-cc": action = .evaluate(try rest.value(of: flag))
    case "explain": action = .explain(SupposedConnection())
    case let flag where SupposedConnection.flags.contains(flag):
      try describe(flag, try rest.value(of: flag))
    default: try take(switch: flag)
    }
  }

  /// Takes what `explain` is to suppose.
  private mutating func describe(_ flag: String, _ value: String) throws(Failure) {
    guard case .explain(var supposed) = action else {
      throw Failure(message: "option '\(flag)' belongs behind 'explain'")
    }
    do throws(SupposedConnection.Mistake) {
      try supposed.take(flag, value)
    } catch {
      throw Failure(message: error.message)
    }
    action = .explain(supposed)
  }

  private mutating func take(switch flag: String) throws(Failure) {
    switch flag {
    case "-c": action = .check
    case "-v", "--version": action = .version(.line)
    case "-vv": action = .version(.features)
    case "-vq", "-vqs": action = .version(.number)
    case "-vqb": action = .version(.branch)
    case "-h", "--help": action = .help
    case "-D": daemonize = true
    case "-db", "-Ws": staysInForeground = true
    case "-d":
      staysInForeground = true
      isVerbose = true
    case "-q": isQuiet = true
    case "-V": isVerbose = true
    case "-dW": warningsAreErrors = true
    case "-dS": noSplice = true
    case "-dR": noReusePort = true
    case "-dL": listsLibraries = true
    default:
      guard Self.isWithoutMeaning(flag) else { throw Self.unknown(flag) }
    }
  }

  // MARK: Flags without meaning

  /// Flags of the reference that are accepted and change nothing: what they turn on is always so
  /// here (`-W`, `-dr`), what they turn off is not there (`-dp`), or they serve its debugging.
  private static let withoutMeaning: Set<String> = [
    "-W", "-4", "-dI", "-dr", "-de", "-dp", "-dG", "-dZ", "-dF", "-dD", "-dV", "-dT", "-dA", "-dc",
  ]

  private static func isWithoutMeaning(_ flag: String) -> Bool {
    // `-dM` takes a byte or a list of names, `-dt` a list of sources, without a space.
    withoutMeaning.contains(flag) || flag.hasPrefix("-dM") || flag.hasPrefix("-dt")
  }

  private static let meaningful = [
    "-f", "-C", "-p", "-S", "-x", "-n", "-N", "-m", "-L", "-sf", "-st", "-c", "-cc", "-v", "-vv",
    "-vq", "-vqb", "-h", "-D", "-db", "-Ws", "-d", "-q", "-V", "-dW", "-dS", "-dR", "-dL", "-dM",
    "--takeover",
  ]

  private static func unknown(_ word: String) -> Failure {
    guard word.hasPrefix("-") else {
      return Failure(message: "'\(word)' is no option; name files with '-f \(word)'")
    }
    let known = meaningful + withoutMeaning.sorted()
    let nearest = known.min { $0.editDistance(to: word) < $1.editDistance(to: word) }
    // Of one letter everything else is one letter away.
    guard let nearest, word.utf8.count > 2,
      nearest.editDistance(to: word) <= max(1, word.utf8.count / 3)
    else {
      return Failure(message: "unknown option '\(word)'")
    }
    return Failure(message: "unknown option '\(word)'; did you mean '\(nearest)'?")
  }
}

/// What is left of a command line.
private struct Words {
  private var rest: ArraySlice<String>

  init(_ words: [String]) { rest = words[...] }

  mutating func next() -> String? { rest.popFirst() }

  mutating func remaining() -> [String] {
    defer { rest = [] }
    return Array(rest)
  }

  mutating func value(of flag: String) throws(Arguments.Failure) -> String {
    guard let value = next() else {
      throw Arguments.Failure(message: "option '\(flag)' needs a value")
    }
    return value
  }

  mutating func number(of flag: String) throws(Arguments.Failure) -> Int {
    let text = try value(of: flag)
    guard let number = Int(text), number >= 0 else {
      throw Arguments.Failure(message: "option '\(flag)' needs a number, not '\(text)'")
    }
    return number
  }

  /// The numbers that come next: none is allowed, as in `-sf $(cat pidfile)` with an empty file.
  mutating func processes() -> [Int32] {
    var found: [Int32] = []
    while let word = rest.first, let process = Int32(word), process > 0 {
      found.append(process)
      rest.removeFirst()
    }
    return found
  }
}

extension String {
  /// How many bytes must be put in, taken out or replaced to make the other of this one.
  fileprivate func editDistance(to other: String) -> Int {
    let other = Array(other.utf8)
    var row = Array(0...other.count)
    for (index, byte) in utf8.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in other.indices {
        let replaced = diagonal + (byte == other[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = Swift.min(replaced, diagonal + 1, row[column] + 1)
      }
    }
    return row[other.count]
  }
}
