import ArgumentParser

struct Sessions: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the connections that are open.")

  @OptionGroup var options: Options

  @Option(help: ArgumentHelp("Only those on this server.", valueName: "backend/server"))
  var server: String?

  func run() throws {
    let answer = try options.daemon.ask("show sess" + (server.map { " server \($0)" } ?? ""))
    let sessions = answer.split(separator: "\n").map { Self.fields(of: String($0)) }
    print(options.json ? Self.json(sessions) : Self.table(sessions), terminator: "")
  }

  /// `0x…: key=value …`.
  private static func fields(of line: String) -> [String: String] {
    var fields: [String: String] = [:]
    for (place, word) in line.split(separator: " ").enumerated() {
      if place == 0 { fields["id"] = String(word.dropLast()) }
      guard let sign = word.firstIndex(of: "="), !word.hasSuffix("]") else { continue }
      fields[String(word[..<sign])] = String(word[word.index(after: sign)...])
    }
    return fields
  }

  private static let columns = [
    ("id", "id"), ("src", "client"), ("fe", "frontend"), ("be", "backend"), ("srv", "server"),
    ("sni", "name"), ("age", "age"), ("idle", "idle"), ("phase", "phase"), ("bin", "in"),
    ("bout", "out"),
  ]

  private static func table(_ sessions: [[String: String]]) -> String {
    var table = Table()
    table.addHeader(columns.map(\.1))
    for session in sessions {
      table.add(
        columns.map { key, _ in
          let text = session[key] ?? ""
          return Table.Cell(text: key.hasPrefix("b") && key != "be" ? Quantity.bytes(text) : text)
        })
    }
    return table.text()
  }

  private static func json(_ sessions: [[String: String]]) -> String {
    let objects = sessions.map { session in
      "{"
        + columns.map { "\(JSON.text($0.0)):\(JSON.text(session[$0.0] ?? ""))" }.joined(
          separator: ",") + "}"
    }
    return "[" + objects.joined(separator: ",") + "]\n"
  }
}
