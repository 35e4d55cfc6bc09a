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
  @usableFromInline let intent: Intent
  @usableFromInline let index: UInt64

  @inlinable
  init(shared: GaugeBlock, own: CounterBlock, intent: Intent, index: UInt64) {
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
    intent.begin(index)
    let entered = shared[.current].increment(below: limit)
    if entered { own[.currentShare].add(1) }
    intent.end()
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
    intent.begin(index)
    own[.currentShare].subtract(1)
    shared[.current].fetchSubtract(1)
    intent.end()
  }

  /// Counts a session that begins to wait for a place.
  @inlinable
  public func beginToWait() {
    intent.begin(index)
    shared[.queued].fetchAdd(1)
    own[.queuedShare].add(1)
    shared[.queuedMaximum].raise(to: shared[.queued].value)
    intent.end()
  }

  @inlinable
  public func endWait() {
    intent.begin(index)
    own[.queuedShare].subtract(1)
    shared[.queued].fetchSubtract(1)
    intent.end()
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
    if let slot = intent(of: index).slot {
      guard reconcile(slot) else { return false }
    }
    intent(of: index).end()
    return true
  }

  func intent(of lane: Int) -> Intent { Intent(self.lane(lane)[.intent]) }

  func settle(_ share: Cell, _ gauge: Cell, slot: Int, lane index: Int) {
    let count = share.value
    guard count > 0 else { return }
    intent(of: index).begin(UInt64(slot))
    share.store(0)
    gauge.fetchSubtract(count)
    intent(of: index).end()
  }

  /// Makes a slot's gauges the sums of their shares.
  ///
  /// What is wrong is measured at a moment when no living worker changes the slot, and then added:
  /// whatever the living change meanwhile, they change on both sides. To store the sum would undo
  /// that, and to store it only if the gauge is still what it was does not notice one that came back.
  ///
  /// - Returns: whether there was such a moment.
  private func reconcile(_ slot: Int) -> Bool {
    let gauges = gauges(of: slot)
    for _ in 0..<10_000 {
      guard let before = changesWhileNobodyChanges(slot) else { continue }
      let current = gauges[.current].latest
      let currentSum = sum(.currentShare, .currentInTransit, slot)
      let queued = gauges[.queued].latest
      let queuedSum = sum(.queuedShare, .queuedInTransit, slot)
      guard changesWhileNobodyChanges(slot) == before else { continue }
      gauges[.current].correct(by: Int64(bitPattern: currentSum &- current))
      gauges[.queued].correct(by: Int64(bitPattern: queuedSum &- queued))
      return true
    }
    return false
  }

  private func sum(_ share: Counter, _ inTransit: Counter, _ slot: Int) -> UInt64 {
    total(share, slot: slot) &+ total(inTransit, slot: slot)
  }

  /// How many changes the workers have begun, or nil while a living one changes the slot.
  private func changesWhileNobodyChanges(_ slot: Int) -> UInt64? {
    var changes: UInt64 = 0
    for index in 0..<lanesEverUsed {
      let intent = intent(of: index)
      changes &+= intent.changes
      if intent.slot == slot, lane(index)[.state].value != LaneState.dead.rawValue { return nil }
    }
    return changes
  }
}

extension Cell {
  /// Adds, or subtracts and never below zero.
  fileprivate func correct(by difference: Int64) {
    if difference > 0 { fetchAdd(UInt64(difference)) }
    if difference < 0 { fetchSubtract(difference.magnitude) }
  }
}
