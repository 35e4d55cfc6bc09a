import Ledger
import Linux
import Wire

/// Which workers hang: for which work has been ready while their laps did not move.
///
/// A worker says nothing of itself and is not woken to be asked: with no work it may sleep for ever.
/// Where work is ready (a connection in a listener's queue, a doorbell) and the lap stands still, its
/// doorbell is rung, since a worker at a limit leaves connections in the queue on purpose: whoever
/// lives then makes a lap. One that has not when it is looked at a second later is stuck: its sockets
/// are lent to a neighbour (``SlotLoans``). One that has not by ``patience`` looks hangs.
///
/// It is looks that count, not time: after a pause of the whole machine, or of the control group, the
/// master has waited too, and nobody is at fault.
struct HangWatch {
  enum Verdict: Equatable { case lives, suspected, stuck, hangs }

  /// Nanoseconds between looks, while nobody is suspected and while somebody is.
  static let interval: Int64 = 2_000_000_000
  static let shortInterval: Int64 = 1_000_000_000
  /// Looks without a lap after which a worker hangs.
  static let patience = 6

  /// When to look next, in nanoseconds of the monotonic clock.
  private(set) var due: Int64 = 0
  private var last: Int64 = 0
  private var seen: [Int32: Seen] = [:]

  private struct Seen {
    var laps: UInt64
    var looks = 0
  }

  /// A look begins.
  mutating func begin(_ now: Int64) {
    if now - last > Self.shortInterval * 2 {
      for pid in seen.keys { seen[pid]?.looks = 0 }
    }
    last = now
  }

  /// Looks at one worker. Whether work is ready is asked only where no lap was made.
  mutating func look(at pid: Int32, laps: UInt64, hasWork: @autoclosure () -> Bool) -> Verdict {
    var worker = seen[pid] ?? Seen(laps: laps)
    defer { seen[pid] = worker }
    guard worker.laps == laps, hasWork() else {
      worker = Seen(laps: laps)
      return .lives
    }
    worker.looks += 1
    if worker.looks > Self.patience { return .hangs }
    return worker.looks > 1 ? .stuck : .suspected
  }

  func isSuspected(_ pid: Int32) -> Bool { (seen[pid]?.looks ?? 0) > 0 }

  /// The look is over; others than these are forgotten.
  mutating func end(_ now: Int64, of pids: [Int32]) {
    seen = seen.filter { pids.contains($0.key) }
    let isShort = seen.values.contains { $0.looks > 0 }
    due = now + (isShort ? Self.shortInterval : Self.interval)
  }
}

extension Supervisor {
  func lookForHungWorkers(_ now: Int64) {
    settleRest()
    hangWatch.begin(now)
    mirrorFormerLedgers(now)
    let watched = workers.filter { $0.isReady && !$0.isForeign }
    for worker in watched {
      let laps = ledger.lane(worker.lane)[.laps].value
      switch hangWatch.look(at: worker.pid, laps: laps, hasWork: hasWork(worker)) {
      case .lives: endLoan(of: worker)
      case .suspected: doorbells[worker.lane].ring()
      case .stuck: lendSockets(of: worker)
      case .hangs: endHung(worker)
      }
    }
    hangWatch.end(now, of: watched.map(\.pid))
  }

  private func hasWork(_ worker: WorkerChild) -> Bool {
    if doorbells[worker.lane].hasInput { return true }
    guard worker.generation == release.generation, !worker.isDraining else { return false }
    return listeners.hasConnections(for: worker.slot)
  }

  /// Its successor takes over the queues of its listeners.
  private func endHung(_ worker: WorkerChild) {
    ledger.hungWorkers.add(1)
    log.alert(
      "worker \(worker.slot) of generation \(worker.generation) (\(worker.pid)) hangs: work has "
        + "waited for \(HangWatch.patience) s; it is killed")
    worker.kill()
  }
}

extension ListenerSet {
  /// Whether a connection waits in a queue that the worker of a slot polls.
  fileprivate func hasConnections(for slot: Int) -> Bool {
    binds.contains { listener in
      indices(of: listener, slot).contains { listener.sockets[$0].hasInput }
    }
  }
}
