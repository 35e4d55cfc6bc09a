import ArgumentParser

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells what would become of a connection, rule by rule, and why.",
    discussion: """
      The rules are those that run, and servers stand as they do now. \
      `sluice -f FILE explain` does the same with a file.
      """)

  @OptionGroup var options: Options

  @Option(help: "The name in the ClientHello.") var sni: String?
  @Option(help: ArgumentHelp("Its protocols, with commas between them.", valueName: "names"))
  var alpn: String?
  @Option(help: "What a client that does not speak TLS sends first.") var payload: String?
  @Option(help: ArgumentHelp("Where it comes from.", valueName: "address[:port]")) var src: String?
  @Option(help: ArgumentHelp("Where it goes.", valueName: "address[:port]")) var dst: String?
  @Option(help: ArgumentHelp("The port where it goes.", valueName: "port")) var dstPort: String?
  @Option(help: "The frontend where it arrives.") var frontend: String?

  func run() throws {
    let supposed = [
      ("--sni", sni), ("--alpn", alpn), ("--payload", payload), ("--src", src), ("--dst", dst),
      ("--dst-port", dstPort), ("--frontend", frontend),
    ]
    var words = ["explain"]
    for case (let flag, let value?) in supposed { words += [flag, Self.escaped(value)] }
    let answer = try options.daemon.ask(words.joined(separator: " "))
    // What was found stands under lines that name the connection and the frontend.
    guard answer.contains("\nfrontend ") else { throw fail(answer.trimmed) }
    print(answer, terminator: "")
  }

  /// As one word of the runtime API.
  private static func escaped(_ value: String) -> String {
    value.map { " \t;\\".contains($0) ? "\\\($0)" : String($0) }.joined()
  }
}

extension String {
  fileprivate var trimmed: String {
    split(separator: "\n").joined(separator: " ")
  }
}
