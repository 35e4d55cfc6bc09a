/// Whether a server counts as up, by the checks it passed and failed: HAProxy's counter.
///
/// It goes from 0 to rise + fall - 1, and the server is up from `rise` on:
///
///     0 ── passed ──► 1 … rise-1 ── passed ──► rise+fall-1     (the last step is a jump)
///     ▲                  │                          │
///     └──── failed ──────┘                        failed, one by one
///     └──────────────────── failed below rise ──────┘          (another jump)
///
/// A server that starts stands at `rise`: it is trusted until its first check fails.
struct HealthCounter: Equatable, Sendable {
  let rise: Int
  let fall: Int
  private(set) var value: Int

  /// What a check changed.
  enum Change: Equatable, Sendable {
    /// Nothing: it was fully up, or fully down, already.
    case none
    /// The counter moved, and the server is as up or down as before.
    case counted
    case wentUp
    case wentDown
  }

  /// A counter that stands at `value`, which is brought into range.
  init(rise: Int, fall: Int, value: Int) {
    self.rise = rise
    self.fall = fall
    self.value = min(max(value, 0), rise + fall - 1)
  }

  var maximum: Int { rise + fall - 1 }
  var isUp: Bool { value >= rise }
  var isFullyUp: Bool { value == maximum }
  var isFullyDown: Bool { value == 0 }

  mutating func record(passed: Bool) -> Change { passed ? pass() : fail() }

  private mutating func pass() -> Change {
    guard !isFullyUp else { return .none }
    let wasUp = isUp
    value += 1
    guard isUp else { return .counted }
    value = maximum
    return wasUp ? .counted : .wentUp
  }

  private mutating func fail() -> Change {
    guard !isFullyDown else { return .none }
    let wasUp = isUp
    value -= 1
    guard !isUp else { return .counted }
    value = 0
    return wasUp ? .wentDown : .counted
  }

  /// How far it is on its way: `2/3` means two more failures of three, or two passes of three.
  var progress: String {
    isUp ? "\(value - rise + 1)/\(fall)" : "\(value)/\(rise)"
  }
}
