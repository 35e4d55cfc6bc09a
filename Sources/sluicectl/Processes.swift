import ArgumentParser
import Glibc

struct Processes: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proc",
    abstract: "Lists workers by generation, what they handed over, and how the last reload went.")

  @OptionGroup var options: Options

  func run() throws {
    let workers = try options.daemon.workers()
    let reload = try options.daemon.fields(of: "show reload")
    print(options.json ? Self.json(workers, reload) : Self.text(workers, reload), terminator: "")
  }

  private static func text(_ workers: [[String: String]], _ reload: [String: String]) -> String {
    var table = Table()
    let columns = [
      "pid", "generation", "slot", "state", "age", "connections", "handed over", "taken over",
    ]
    table.addHeader(columns, rightFrom: 4)
    for worker in workers {
      let isOld = worker["generation"] != reload["Generation"]
      func cell(_ name: String) -> Table.Cell { Table.Cell(text: worker[name] ?? "") }
      func count(_ name: String) -> Table.Cell {
        Table.Cell(text: worker[name] ?? "", isRight: true)
      }
      table.add([
        cell("pid"), cell("generation"), cell("slot"),
        Table.Cell(text: worker["state"] ?? "", colour: isOld ? .yellow : .green),
        Table.Cell(text: Quantity.duration(worker["uptime"] ?? ""), isRight: true),
        count("sessions"), count("handed_over"), count("taken_over"),
      ])
    }
    return table.text() + "\n" + ReloadSummary(reload).text + "\n"
  }

  private static func json(_ workers: [[String: String]], _ reload: [String: String]) -> String {
    func object(_ fields: [String: String]) -> String {
      "{"
        + fields.sorted { $0.key < $1.key }
        .map { "\(JSON.text($0.key)):\(JSON.value($0.value))" }.joined(separator: ",") + "}"
    }
    return "{\"workers\":[" + workers.map(object).joined(separator: ",") + "],\"reload\":"
      + object(reload) + "}\n"
  }
}

/// The last reload in a sentence.
struct ReloadSummary {
  let text: String

  init(_ fields: [String: String]) {
    let generation = "generation \(fields["Generation"] ?? "?")"
    let ago = Self.ago(fields["LastReloadEnd"])
    let failed = Int(fields["FailedReloads"] ?? "") ?? 0
    switch fields["LastReload"] {
    case "succeeded":
      var text =
        "\(generation), reloaded \(ago) ago in \(fields["LastReloadDuration_ms"] ?? "") ms: "
        + "\(fields["HandedOver"] ?? "0") connections handed over in "
        + "\(fields["HandOverDuration_ms"] ?? "") ms"
      let kept = fields["KeptByOldWorkers"] ?? "0"
      if kept != "0" { text += ", \(kept) left to end in old workers" }
      if failed > 0 { text += "; \(failed) reloads have failed" }
      self.text = text
    case "failed":
      text = "\(generation), the last reload failed \(ago) ago: \(fields["Reason"] ?? "")"
    default: text = "\(generation), no reload so far"
    }
  }

  private static func ago(_ end: String?) -> String {
    guard let end = end.flatMap({ Int($0) }) else { return "" }
    return Quantity.duration("\(max(0, time(nil) - end))")
  }
}

extension Daemon {
  /// The answer to a command that says `name: value`, a line each.
  func fields(of command: String) throws -> [String: String] {
    var fields: [String: String] = [:]
    for line in try ask(command).split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[String(line[..<colon])] = String(line[colon...].dropFirst(2))
    }
    return fields
  }

  /// `show workers`: a row for each, by the names of its columns.
  func workers() throws -> [[String: String]] {
    let lines = try ask("show workers").split(separator: "\n")
    guard let header = lines.first, header.hasPrefix("# ") else {
      throw fail("the daemon's list of workers cannot be read")
    }
    let names = header.dropFirst(2).split(separator: " ").map(String.init)
    return lines.dropFirst().map { line in
      Dictionary(
        zip(names, line.split(separator: " ").map(String.init)), uniquingKeysWith: { $1 })
    }
  }
}

enum JSON {
  /// A number as it is, anything else as a string.
  static func value(_ text: String) -> String { Int(text) == nil ? self.text(text) : text }

  static func text(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 32:
        let digits = String(scalar.value, radix: 16)
        result += "\\u00" + (digits.count < 2 ? "0" : "") + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
