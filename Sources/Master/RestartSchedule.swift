/// When the places of children that ended are filled again.
struct RestartSchedule: Equatable {
  /// By worker slot: when it is due, in nanoseconds of the monotonic clock; nil for not at all.
  private var workersDue: [Int64?]
  private var workerBackoffs: [Backoff]
  private var controllerDue: Int64?
  private var controllerBackoff = Backoff()

  init(workers: Int) {
    workersDue = Array(repeating: nil, count: workers)
    workerBackoffs = Array(repeating: Backoff(), count: workers)
  }

  /// When the first one is due.
  var nextDue: Int64 {
    (workersDue + [controllerDue]).compactMap(\.self).min() ?? .max
  }

  /// Plans a worker for a slot whose last one lived for `life` nanoseconds.
  mutating func restartWorker(slot: Int, afterLifeOf life: Int64, now: Int64) {
    guard workersDue.indices.contains(slot) else { return }
    workersDue[slot] = now + workerBackoffs[slot].delay(afterLifeOf: life)
  }

  mutating func restartController(afterLifeOf life: Int64, now: Int64) {
    controllerDue = now + controllerBackoff.delay(afterLifeOf: life)
  }

  /// The slots that are due; they are not due any more.
  mutating func takeWorkers(_ now: Int64) -> [Int] {
    let slots = workersDue.indices.filter { workersDue[$0].map { $0 <= now } ?? false }
    for slot in slots { workersDue[slot] = nil }
    return slots
  }

  mutating func takeController(_ now: Int64) -> Bool {
    guard let due = controllerDue, due <= now else { return false }
    controllerDue = nil
    return true
  }

  /// Nobody is started any more.
  mutating func cancel() {
    workersDue = workersDue.map { _ in nil }
    controllerDue = nil
  }
}
