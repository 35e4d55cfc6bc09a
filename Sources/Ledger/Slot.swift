/// One slot as one worker uses it: its own counters, and the gauges that all share.
///
/// **Gauges that limits obey** are kept twice: in a cell that all workers change atomically, and as
/// each worker's share of it, so that the master can take a dead worker's share away. Between the
/// two writes a worker that is killed leaves them one apart; its *intent*, written before and
/// cleared after, tells the master to compare the cell with the sum of the shares
/// (``SharedLedger/settle(lane:)``). Until that has been done, which takes the master as long as it
/// takes to hear of a death, a gauge can be one too high for each worker killed, and never too low:
/// a limit is not exceeded.
@frozen public struct Slot: Sendable {
  public let shared: GaugeBlock
  public let own: CounterBlock
  @usableFromInline let intent: Cell
  @usableFromInline let index: UInt64

  @inlinable
  init(shared: GaugeBlock, own: CounterBlock, intent: Cell, index: UInt64) {
    self.shared = shared
    self.own = own
    self.intent = intent
    self.index = index
  }

  /// The slot's number in the ledger.
  @inlinable
  public var number: Int { Int(index) }

  /// Counts one event that only this worker counts.
  @inlinable
  public func count(_ counter: Counter, _ amount: UInt64 = 1) {
    own[counter].add(amount)
  }

  /// Takes one of `limit` places over all workers.
  ///
  /// - Returns: whether there was one.
  @inlinable
  public func enter(limit: UInt64 = .max) -> Bool {
    intent.store(index + 1)
    let entered = shared[.current].increment(below: limit)
    if entered { own[.currentShare].add(1) }
    intent.store(0)
    return entered
  }

  /// Notes that as many as now are carried at once. Apart from `enter`, since a place is sometimes
  /// taken and given back before it was needed.
  @inlinable
  public func raiseMaximum() {
    shared[.maximum].raise(to: shared[.current].value)
  }

  /// Gives the place back.
  @inlinable
  public func leave() {
    intent.store(index + 1)
    own[.currentShare].subtract(1)
    shared[.current].fetchSubtract(1)
    intent.store(0)
  }

  /// Counts a session that begins to wait for a place.
  @inlinable
  public func beginToWait() {
    intent.store(index + 1)
    shared[.queued].fetchAdd(1)
    own[.queuedShare].add(1)
    shared[.queuedMaximum].raise(to: shared[.queued].value)
    intent.store(0)
  }

  @inlinable
  public func endWait() {
    intent.store(index + 1)
    own[.queuedShare].subtract(1)
    shared[.queued].fetchSubtract(1)
    intent.store(0)
  }
}

// MARK: - Rates and averages

/// How often something happens: this second's count and the last one's, over all workers.
///
/// As in the reference, the rate now is what came in the current second plus what the rest of it
/// would have brought at the last second's rate.
@frozen public struct RateGauge: Sendable {
  @usableFromInline let now: Cell
  @usableFromInline let before: Cell
  @usableFromInline let maximum: Cell

  @inlinable
  public init(sessionsOf gauges: GaugeBlock) {
    now = gauges[.rateNow]
    before = gauges[.rateBefore]
    maximum = gauges[.rateMaximum]
  }

  @inlinable
  public init(connectionsOf gauges: GaugeBlock) {
    now = gauges[.connectionRateNow]
    before = gauges[.connectionRateBefore]
    maximum = gauges[.connectionRateMaximum]
  }

  /// Counts one event in the second `second` of the monotonic clock.
  ///
  /// A cell holds the second in its upper half and the count in its lower one, so that one exchange
  /// changes both. A worker reads the clock once a lap: where another has begun a new second
  /// already, the event counts for that one.
  @inlinable
  public func count(second: UInt32) {
    while true {
      let seen = now.value
      let seenSecond = UInt32(truncatingIfNeeded: seen >> 32)
      if Self.isLater(second, than: seenSecond) {
        guard now.exchange(seen, for: UInt64(second) << 32 | 1) else { continue }
        before.store(seen)
        return maximum.raise(to: 1)
      }
      if now.exchange(seen, for: seen &+ 1) {
        return maximum.raise(to: (seen &+ 1) & 0xffff_ffff)
      }
    }
  }

  /// Events a second, at `milliseconds` into the second `second`; for whoever's clock is behind, at
  /// the beginning of the second that has begun meanwhile.
  public func rate(second: UInt32, milliseconds: UInt64) -> UInt64 {
    let seen = now.latest
    let seenSecond = UInt32(truncatingIfNeeded: seen >> 32)
    let current = seen & 0xffff_ffff
    if Self.isLater(second, than: seenSecond) {
      return seenSecond == second &- 1 ? current * (1000 - min(milliseconds, 1000)) / 1000 : 0
    }
    let last = before.value
    let previous = last >> 32 == UInt64(seenSecond &- 1) ? last & 0xffff_ffff : 0
    let elapsed = seenSecond == second ? min(milliseconds, 1000) : 0
    return current + previous * (1000 - elapsed) / 1000
  }

  /// Seconds are told apart though their number wraps.
  @inlinable
  static func isLater(_ second: UInt32, than other: UInt32) -> Bool {
    Int32(truncatingIfNeeded: second &- other) > 0
  }
}

extension GaugeBlock {
  /// Adds a sample to a sliding average over the last 1024; see ``average(_:)``.
  @inlinable
  public func sample(_ gauge: Gauge, _ milliseconds: UInt64) {
    let cell = self[gauge]
    var seen = cell.value
    while !cell.exchange(seen, for: seen &- (seen &+ 1023) / 1024 &+ milliseconds) {
      seen = cell.value
    }
  }

  /// The average in milliseconds.
  public func average(_ gauge: Gauge) -> UInt64 { (self[gauge].value + 1023) / 1024 }
}

// MARK: - After a death

extension SharedLedger {
  /// Takes a dead worker's shares out of the gauges and frees its lane. Only the master calls it,
  /// once it has reaped the worker. Whoever waited for the places that the dead one held has to be
  /// woken after it.
  ///
  /// A master may die at this itself: its successor calls it again.
  ///
  /// - Returns: false when a living worker was in the middle of changing the very gauge that the
  ///   dead one was changing, and stayed there. The lane is not free then; the next call for it, or
  ///   for any other, tries again.
  @discardableResult
  public func settle(lane index: Int, slots: Int) -> Bool {
    lane(index)[.state].store(LaneState.dead.rawValue)
    var isSettled = true
    for dead in 0..<max(lanesEverUsed, index + 1)
    where lane(dead)[.state].value == LaneState.dead.rawValue {
      if !settle(deadLane: dead, slots: slots) { isSettled = false }
    }
    return isSettled
  }

  private func settle(deadLane index: Int, slots: Int) -> Bool {
    guard settleIntent(of: index), settleTransits(of: index, slots: slots) else { return false }
    for slot in 0..<min(slots, Self.slotCapacity) {
      let own = counters(slot: slot, lane: index)
      settle(own[.currentShare], gauges(of: slot)[.current], slot: slot, lane: index)
      settle(own[.queuedShare], gauges(of: slot)[.queued], slot: slot, lane: index)
      own[.oldestTicket].store(0)
    }
    lane(index)[.isAsleep].store(0)
    lane(index)[.state].store(LaneState.free.rawValue)
    return true
  }

  /// Makes exact what the dead one, or a master that was settling its shares, was about to change.
  private func settleIntent(of index: Int) -> Bool {
    let intent = lane(index)[.intent]
    let interrupted = intent.value
    if interrupted > 0, interrupted <= UInt64(Self.slotCapacity) {
      let slot = Int(interrupted - 1)
      guard
        reconcile(gauges(of: slot)[.current], .currentShare, .currentInTransit, slot: slot),
        reconcile(gauges(of: slot)[.queued], .queuedShare, .queuedInTransit, slot: slot)
      else { return false }
    }
    intent.store(0)
    return true
  }

  func settle(_ share: Cell, _ gauge: Cell, slot: Int, lane index: Int) {
    let count = share.value
    guard count > 0 else { return }
    lane(index)[.intent].store(UInt64(slot + 1))
    share.store(0)
    gauge.fetchSubtract(count)
    lane(index)[.intent].store(0)
  }

  /// Sets a gauge to the sum of its shares, at a moment when no living worker is about to change it.
  ///
  /// - Returns: whether there was such a moment.
  private func reconcile(
    _ gauge: Cell, _ share: Counter, _ inTransit: Counter, slot: Int
  ) -> Bool {
    func shares() -> UInt64 { total(share, slot: slot) &+ total(inTransit, slot: slot) }
    for _ in 0..<10_000 {
      let seen = gauge.latest
      let sum = shares()
      if !isBeingChanged(slot), shares() == sum {
        if gauge.exchange(seen, for: sum) { return true }
      }
    }
    return false
  }

  private func isBeingChanged(_ slot: Int) -> Bool {
    (0..<lanesEverUsed).contains { index in
      lane(index)[.intent].latest == UInt64(slot + 1)
        && lane(index)[.state].value != LaneState.dead.rawValue
    }
  }
}
