import Configuration
import Ledger
import Wire

extension ProcessCommands {
  /// `show proc`, as the reference's master prints it.
  static func processes(
    _ rows: [ProcessRow], _ reloads: ReloadStatus?, _ deployment: Deployment
  ) -> String {
    let failed = reloads?.failedReloads ?? 0
    let workers = rows.filter { $0.kind == .worker }
    let (current, old) = (
      workers.filter { UInt64($0.generation) >= deployment.generation },
      workers.filter { UInt64($0.generation) < deployment.generation }
    )
    var text = line(["#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"])
    func lines(_ rows: [ProcessRow]) -> String { rows.map { line($0, failed) }.joined() }
    text += lines(rows.filter { $0.kind == .master })
    text += "# workers\n" + lines(current)
    if !old.isEmpty { text += "# old workers\n" + lines(old) }
    let programs = rows.filter { $0.kind == .controller || $0.kind == .other }
    if !programs.isEmpty { text += "# programs\n" + lines(programs) }
    return text
  }

  /// `show reload`, in the way of `show info`.
  static func text(_ status: ReloadStatus) -> String {
    let last = status.lastEnd == 0 ? "none" : status.lastSucceeded ? "succeeded" : "failed"
    var lines = [
      "Generation: \(status.generation)", "Reloads: \(status.reloads)",
      "FailedReloads: \(status.failedReloads)", "LastReload: \(last)",
    ]
    if status.lastEnd > 0 {
      lines += [
        "LastReloadEnd: \(status.lastEnd)", "LastReloadDuration_ms: \(status.lastMilliseconds)",
        "HandedOver: \(status.handedOver)", "HandOverDuration_ms: \(status.handOverMilliseconds)",
        "KeptByOldWorkers: \(status.kept)",
      ]
    }
    if !status.lastSucceeded, !status.text.isEmpty { lines.append("Reason: \(status.text)") }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func line(_ row: ProcessRow, _ failed: UInt32) -> String {
    let type =
      switch row.kind {
      case .master: "master"
      case .worker: "worker"
      case .controller: "controller"
      case .other: "other"
      }
    let reloads = row.kind == .master ? "\(row.reloads) [failed: \(failed)]" : String(row.reloads)
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
    text += "accept_pauses dropped_logs uptime handed_over taken_over\n"
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
      String(sessions[.bytesUp].value &+ sessions[.bytesDown].value),
      String(lane[.acceptPauses].value),
      String(lane[.droppedLogs].value), String(UInt64.wallClock.since(lane[.started].value)),
      String(lane[.handedOver].value), String(lane[.takenOver].value),
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
