import ArgumentParser

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what runs: frontends, backends, servers, and what is wrong.")

  @OptionGroup var options: Options

  func run() throws {
    let daemon = options.daemon
    if options.json {
      print(try daemon.ask("show stat json"), terminator: "")
      return
    }
    let information = try daemon.information()
    let rows = try daemon.statistics()
    print(Self.headline(information))
    print(ReloadSummary(try daemon.fields(of: "show reload")).text + "\n")
    print(Self.table(rows), terminator: "")
    let refused = Self.refused(rows)
    if !refused.isEmpty { print("\n" + refused.joined(separator: "\n")) }
  }

  private static func headline(_ information: [String: String]) -> String {
    let version = information["Version"]?.split(separator: "-").last.map(String.init) ?? ""
    return "\(version.replacingPrefix("sluice", with: "sluice ")) on \(information["node"] ?? "")"
      + ", up \(information["Uptime"] ?? ""), pid \(information["Pid"] ?? "")"
      + ", \(information["Nbthread"] ?? "") workers"
      + ", \(information["CurrConns"] ?? "0") of \(information["Maxconn"] ?? "0") connections"
      + (information["Stopping"] == "1" ? ", draining" : "")
  }

  private static func table(_ rows: [StatRow]) -> String {
    var table = Table()
    table.addHeader(
      ["proxy", "state", "since", "now", "total", "queue", "in", "out"], rightFrom: 2)
    for row in inReadingOrder(rows) { table.add(cells(row)) }
    return table.text()
  }

  /// A backend's own row comes last in dumps; people look for it above its servers.
  private static func inReadingOrder(_ rows: [StatRow]) -> [StatRow] {
    rows.filter(\.isFrontend)
      + rows.filter(\.isBackend).flatMap { backend in
        [backend] + rows.filter { $0.isServer && $0["iid"] == backend["iid"] }
      }
  }

  private static func cells(_ row: StatRow) -> [Table.Cell] {
    func right(_ text: String) -> Table.Cell { Table.Cell(text: text, isRight: true) }
    let name =
      row.isServer
      ? "  " + row["svname"] : (row.isFrontend ? "frontend " : "backend ") + row["pxname"]
    return [
      Table.Cell(text: name, colour: row.isServer ? .none : .bold),
      Table.Cell(text: row["status"], colour: colour(row["status"])),
      right(Quantity.duration(row["lastchg"])), right(row["scur"]), right(row["stot"]),
      right(row["qcur"]), right(Quantity.bytes(row["bin"])), right(Quantity.bytes(row["bout"])),
      Table.Cell(text: reason(row)),
    ]
  }

  static func colour(_ status: String) -> Table.Colour {
    switch status.prefix(2) {
    case "UP": status.contains("/") ? .yellow : .green
    case "OP": .green
    case "DO": .red
    case "MA", "DR",
      "NO" where status != "no check":
      .yellow
    default: .none
    }
  }

  /// Why a server's last check failed.
  static func reason(_ row: StatRow) -> String {
    guard row.isServer, !["", "L4OK", "INI"].contains(row["check_status"].dropPrefix("* ")) else {
      return ""
    }
    return [row["check_desc"], row["last_chk"]].filter { !$0.isEmpty }.joined(separator: ": ")
  }

  /// What listeners refused, in words: it says more than a column of zeroes.
  private static func refused(_ rows: [StatRow]) -> [String] {
    let kinds = [
      ("not_tls", "did not speak TLS"), ("hello_timeouts", "sent no whole ClientHello in time"),
      ("bad_hellos", "sent a malformed ClientHello"),
      ("unknown_names", "asked for a name that no certificate has"),
      ("bad_proxy_headers", "sent no valid PROXY header"),
    ]
    return rows.filter(\.isFrontend).flatMap { row in
      kinds.filter { row[$0.0] != "0" && !row[$0.0].isEmpty }
        .map { "\(row["pxname"]): refused \(row[$0.0]) that \($0.1)" }
    }
  }
}

struct Servers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists servers, their addresses, weights and checks.")

  @OptionGroup var options: Options

  func run() throws {
    if options.json {
      print(try options.daemon.ask("show stat -1 4 -1 json"), terminator: "")
      return
    }
    var table = Table()
    table.addHeader(
      ["server", "address", "state", "weight", "now", "total", "check", "took", "why"])
    for row in try options.daemon.statistics() where row.isServer {
      table.add([
        Table.Cell(text: row.name, colour: .bold), Table.Cell(text: row["addr"]),
        Table.Cell(text: row["status"], colour: Status.colour(row["status"])),
        Table.Cell(text: row["weight"] + (row["bck"] == "1" ? " backup" : "")),
        Table.Cell(text: row["scur"], isRight: true),
        Table.Cell(text: row["stot"], isRight: true), Table.Cell(text: row["check_status"]),
        Table.Cell(
          text: row["check_duration"].isEmpty ? "" : row["check_duration"] + " ms", isRight: true),
        Table.Cell(text: Status.reason(row)),
      ])
    }
    print(table.text(), terminator: "")
  }
}

extension String {
  func dropPrefix(_ prefix: String) -> String { replacingPrefix(prefix, with: "") }

  func replacingPrefix(_ prefix: String, with other: String) -> String {
    hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
  }
}
