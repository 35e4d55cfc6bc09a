import Ledger
import Synchronization

/// What counters stood at when `clear counters all` was last said. Counters themselves only grow.
///
/// It lives in the controller: a reload or a restart of it forgets it, and shows all counts again.
final class CounterBaseline: Sendable {
  private let values = Mutex<[Int: [Counter: UInt64]]>([:])

  /// What has been counted since.
  func total(_ counter: Counter, slot: Int, in ledger: SharedLedger) -> UInt64 {
    let total = ledger.total(counter, slot: slot)
    let base = values.withLock { $0[slot]?[counter] ?? 0 }
    return total.since(base)
  }

  /// Counts from here.
  func reset(slots: some Sequence<Int>, in ledger: SharedLedger) {
    for slot in slots {
      let totals = Dictionary(
        uniqueKeysWithValues: Counter.allCases.map { ($0, ledger.total($0, slot: slot)) })
      values.withLock { $0[slot] = totals }
    }
  }
}

extension GaugeBlock {
  /// Forgets the highest values seen, but for what is so now.
  func resetMaxima() {
    self[.maximum].store(self[.current].value)
    self[.queuedMaximum].store(self[.queued].value)
    for gauge in [
      Gauge.rateMaximum, .connectionRateMaximum, .queueTimeMaximum, .connectTimeMaximum,
      .totalTimeMaximum,
    ] {
      self[gauge].store(0)
    }
  }
}
