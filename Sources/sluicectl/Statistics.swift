import ArgumentParser

/// A row of `show stat`, by the names of its columns.
struct StatRow {
  let values: [String: String]

  subscript(name: String) -> String { values[name] ?? "" }

  var isServer: Bool { self["type"] == "2" }
  var isBackend: Bool { self["type"] == "1" }
  var isFrontend: Bool { self["type"] == "0" }
  var name: String { "\(self["pxname"])/\(self["svname"])" }
}

extension Daemon {
  func statistics() throws -> [StatRow] {
    let lines = try ask("show stat").split(separator: "\n")
    guard let header = lines.first, header.hasPrefix("# ") else {
      throw fail("the daemon's statistics cannot be read")
    }
    let names = CSV.fields(of: String(header.dropFirst(2)))
    return lines.dropFirst().map { line in
      let pairs = zip(names, CSV.fields(of: String(line)))
      return StatRow(values: Dictionary(pairs.map { ($0, $1) }, uniquingKeysWith: { $1 }))
    }
  }

  /// `show info`.
  func information() throws -> [String: String] { try fields(of: "show info") }
}

/// RFC 4180, one line at a time.
enum CSV {
  static func fields(of line: String) -> [String] {
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    var characters = line.makeIterator()
    while let character = characters.next() {
      switch character {
      case "\"" where isQuoted:
        isQuoted = false
      case "\"":
        // A quote behind a quoted part is a quote that was doubled.
        if !field.isEmpty { field.append("\"") }
        isQuoted = true
      case "," where !isQuoted:
        fields.append(field)
        field = ""
      default:
        field.append(character)
      }
    }
    return fields + [field]
  }
}

struct Statistics: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat", abstract: "Prints all statistics, as CSV or JSON.")

  @OptionGroup var options: Options

  func run() throws {
    print(try options.daemon.ask(options.json ? "show stat json" : "show stat"), terminator: "")
  }
}
