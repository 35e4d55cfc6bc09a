import Synchronization

/// What is known of checks besides their results, which are in the ledger: who checks, and whether
/// checking was switched off. Forgotten when the controller ends.
final class CheckBoard: Sendable {
  /// What the last check had to say beside its status.
  struct Finding: Sendable {
    var text: String
    var code: Int
  }

  private struct Marks {
    var disabled: Set<ServerID> = []
    var running: Set<ServerID> = []
    var findings: [ServerID: Finding] = [:]
  }

  private let marks = Mutex(Marks())

  /// Whether `disable health` was said.
  func isDisabled(_ id: ServerID) -> Bool { marks.withLock { $0.disabled.contains(id) } }

  func disable(_ id: ServerID) { marks.withLock { _ = $0.disabled.insert(id) } }

  func enable(_ id: ServerID) { marks.withLock { _ = $0.disabled.remove(id) } }

  /// Whether a check is on its way now.
  func isRunning(_ id: ServerID) -> Bool { marks.withLock { $0.running.contains(id) } }

  func begin(_ id: ServerID) { marks.withLock { _ = $0.running.insert(id) } }

  func end(_ id: ServerID) { marks.withLock { _ = $0.running.remove(id) } }

  func finding(of id: ServerID) -> Finding? { marks.withLock { $0.findings[id] } }

  func note(_ result: CheckResult, of id: ServerID) {
    let finding = Finding(text: result.explanation, code: result.code)
    marks.withLock { $0.findings[id] = finding }
  }
}
