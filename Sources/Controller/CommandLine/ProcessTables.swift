import Configuration
import Ledger
import Wire

extension ProcessCommands {
  /// `show proc`, as the reference's master prints it.
  static func processes(_ rows: [ProcessRow], _ deployment: Deployment) -> String {
    let workers = rows.filter { $0.kind == .worker }
    let (current, old) = (
      workers.filter { UInt64($0.generation) >= deployment.generation },
      workers.filter { UInt64($0.generation) < deployment.generation }
    )
    var text = line(["#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"])
    text += rows.filter { $0.kind == .master }.map(line).joined()
    text += "# workers\n" + current.map(line).joined()
    if !old.isEmpty { text += "# old workers\n" + old.map(line).joined() }
    let programs = rows.filter { $0.kind == .controller || $0.kind == .other }
    if !programs.isEmpty { text += "# programs\n" + programs.map(line).joined() }
    return text
  }

  private static func line(_ row: ProcessRow) -> String {
    let type =
      switch row.kind {
      case .master: "master"
      case .worker: "worker"
      case .controller: "controller"
      case .other: "other"
      }
    let reloads = row.kind == .master ? "\(row.reloads) [failed: 0]" : String(row.reloads)
    return line([
      String(row.pid), type, reloads, uptime(Int(clamping: row.uptimeSeconds)),
      Release.compatibleVersion,
    ])
  }

  private static func line(_ columns: [String]) -> String {
    columns.map { $0 + String(repeating: " ", count: max(1, 16 - $0.count)) }.joined().trimmed
      + "\n"
  }

  private static func uptime(_ seconds: Int) -> String {
    "\(seconds / 86_400)d\((seconds / 3600 % 24).twoDigits)h\((seconds / 60 % 60).twoDigits)m"
      + "\((seconds % 60).twoDigits)s"
  }
}

/// `show workers`: the lanes of the ledger.
struct WorkerTable {
  private let deployment: Deployment

  init(_ deployment: Deployment) { self.deployment = deployment }

  var text: String {
    var text = "# lane pid generation slot state sessions laps pipes_used pipes_free bytes_relayed "
    text += "accept_pauses dropped_logs uptime\n"
    for lane in 0..<deployment.ledger.lanesEverUsed { text += row(lane) }
    return text
  }

  private func row(_ index: Int) -> String {
    let lane = deployment.ledger.lane(index)
    guard let state = LaneState(rawValue: lane[.state].value), state != .free else { return "" }
    let sessions = deployment.ledger.counters(slot: deployment.slots.process, lane: index)
    let columns: [String] = [
      String(index), String(lane[.pid].value), String(lane[.generation].value),
      String(lane[.workerSlot].value), "\(state)", String(sessions[.currentShare].value),
      String(lane[.laps].value), String(lane[.pipesUsed].value), String(lane[.pipesFree].value),
      String(lane[.bytesRelayed].value), String(lane[.acceptPauses].value),
      String(lane[.droppedLogs].value), String(UInt64.wallClock.since(lane[.started].value)),
    ]
    return columns.joined(separator: " ") + "\n"
  }
}

extension String {
  /// Without blanks at its end.
  fileprivate var trimmed: String {
    var text = self
    while text.hasSuffix(" ") { text.removeLast() }
    return text
  }
}
