public import Linux

/// A batch of connections on its way from one worker to another: who owns it.
///
/// Descriptors that are sent to another process are copied, so both could go on with a connection,
/// or neither. Messages cannot settle that, since either process may die, or hang, between any two of
/// them. One cell of the giving lane does, whose owner changes by an exchange only:
///
///      giver          taker         taker
///       │ offer        │ claim       │ finish
///       ▼              ▼             ▼
///    offered ──────► claimed ─────► settled
///       │ withdraw (giver, or the master once the giver is dead)
///       └──────────────────────────► settled
///
/// Until a batch is claimed it is the giver's, who does not touch its connections; from then on it is
/// the taker's. A taker that comes too late finds the batch withdrawn, and lets its copies go.
///
/// **Places go along.** The batch's places in gauges that limits obey are kept apart, in the giving
/// lane's cells *in transit*, which belong to whoever owns the batch: the giver moves them there from
/// its shares before it offers (or back, when it withdraws), the taker from there to its own shares
/// after it has claimed. The gauge itself is never touched, so that no limit notices, and it is the
/// sum of all shares and of what is in transit at every instant but between the two halves of a
/// move, which an intent covers. Whoever dies, ``SharedLedger/settle(lane:slots:)`` therefore finds
/// what was his, and takes exactly that away.
///
/// A lane gives one batch at a time.
@frozen public struct Transit: Sendable {
  let cell: Cell

  public enum Stage: UInt64, Sendable {
    case settled = 0
    case offered = 1
    case claimed = 2
  }

  /// Bits 0…1 the stage, 2…9 the claiming lane, 10… the batch's number, which only grows over all
  /// workers that have the lane.
  struct State: Equatable {
    var rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init(_ stage: Stage, batch: UInt64, taker: Int = 0) {
      rawValue = batch << 10 | UInt64(taker & 0xff) << 2 | stage.rawValue
    }

    var stage: Stage { Stage(rawValue: rawValue & 3) ?? .settled }
    var taker: Int { Int(rawValue >> 2 & 0xff) }
    var batch: UInt64 { rawValue >> 10 }
  }

  var state: State { State(rawValue: cell.latest) }

  public var stage: Stage { state.stage }

  /// The number of the batch that is or was last on its way.
  public var batch: UInt64 { state.batch }

  // MARK: The giver

  /// Offers the next batch, whose places are in transit by now.
  public func offer() -> UInt64 {
    let next = batch + 1
    cell.store(State(.offered, batch: next).rawValue)
    return next
  }

  /// Takes an offer back.
  ///
  /// - Returns: whether nobody had claimed it. It is the giver's again then.
  public func withdraw() -> Bool {
    let seen = state
    guard seen.stage == .offered else { return false }
    return cell.exchange(
      seen.rawValue, for: State(.settled, batch: seen.batch).rawValue)
  }

  // MARK: The taker

  /// Makes a batch the taker's.
  ///
  /// - Returns: false when it has been withdrawn.
  public func claim(batch: UInt64, by lane: Int) -> Bool {
    cell.exchange(
      State(.offered, batch: batch).rawValue,
      for: State(.claimed, batch: batch, taker: lane).rawValue)
  }

  /// Says that its places are the taker's own: the giver may offer the next batch.
  public func finish(batch: UInt64) {
    cell.store(State(.settled, batch: batch).rawValue)
  }
}

/// The memory that settles whose a batch is where giver and taker have ledgers of different layouts:
/// the one cell, alone, in the same place in every release.
///
/// Places do not go along then. The taker takes one in its own ledger as soon as a batch is its own,
/// and the giver gives one back in its: in between both count, so that a limit may be obeyed too early
/// and never too late. Each settles its own dead.
public struct TransitPage: ~Copyable, Sendable {
  private let memory: SharedMemory

  private static let size = 4096

  /// Makes one on which nothing is on its way.
  public init() throws(Errno) {
    memory = try SharedMemory(name: "sluice-transit", size: Self.size)
  }

  /// Maps one that another process made.
  public init(adopting descriptor: consuming Descriptor) throws(Errno) {
    let memory = try SharedMemory(adopting: descriptor)
    guard memory.size == Self.size else { throw .invalidArgument }
    self.memory = memory
  }

  /// Stays valid for the life of the process.
  public var transit: Transit { Transit(cell: Cell(at: memory.address)) }

  public var descriptor: Descriptor { _read { yield memory.descriptor } }
}

extension SharedLedger {
  /// The batch that a lane's worker is giving away.
  public func transit(of lane: Int) -> Transit {
    Transit(cell: self.lane(lane)[.transit])
  }
}

extension Slot {
  // MARK: The giver

  /// Puts one of this worker's places in transit.
  public func sendPlace() { move(own[.currentShare], own[.currentInTransit]) }

  /// Takes it back.
  public func takePlaceBack() { move(own[.currentInTransit], own[.currentShare]) }

  /// Puts the place of one that waits in transit.
  public func sendTurn() { move(own[.queuedShare], own[.queuedInTransit]) }

  public func takeTurnBack() { move(own[.queuedInTransit], own[.queuedShare]) }

  // MARK: The taker

  /// Makes one of the places that `giver` has in transit this worker's own.
  public func receivePlace(from giver: CounterBlock) {
    move(giver[.currentInTransit], own[.currentShare])
  }

  public func receiveTurn(from giver: CounterBlock) {
    move(giver[.queuedInTransit], own[.queuedShare])
  }

  // MARK: Between ledgers

  /// Gives back one of this worker's places in transit: the taker, who counts in another ledger, has
  /// taken one there.
  public func leaveTransit() { giveBack(own[.currentInTransit], shared[.current]) }

  /// Likewise the place of one that waits.
  public func endWaitInTransit() { giveBack(own[.queuedInTransit], shared[.queued]) }

  private func giveBack(_ share: Cell, _ gauge: Cell) {
    intent.begin(index)
    share.subtract(1)
    gauge.fetchSubtract(1)
    intent.end()
  }

  private func move(_ source: Cell, _ sink: Cell) {
    intent.begin(index)
    source.subtract(1)
    sink.store(sink.value &+ 1)
    intent.end()
  }
}

extension SharedLedger {
  /// Decides whose the batches are that a dead worker was giving or taking, and takes its part of
  /// them out of the gauges.
  ///
  /// - Returns: false when one of them has been claimed by a worker that lives and has not finished
  ///   yet.
  func settleTransits(of dead: Int, slots: Int) -> Bool {
    for giver in 0..<lanesEverUsed {
      let transit = transit(of: giver)
      let state = transit.state
      guard state.stage == .claimed else { continue }
      // What it had claimed of others, or another dead one of it.
      guard state.taker == dead || giver == dead && isDead(state.taker) else { continue }
      settleTransit(of: giver, slots: slots, intent: dead)
      transit.finish(batch: state.batch)
    }
    guard transit(of: dead).withdraw() || isFinished(transit(of: dead)) else { return false }
    settleTransit(of: dead, slots: slots, intent: dead)
    return true
  }

  private func isDead(_ index: Int) -> Bool {
    lane(index)[.state].value == LaneState.dead.rawValue
  }

  /// Waits for the living: what remains to be done takes them microseconds.
  private func isFinished(_ transit: Transit) -> Bool {
    for _ in 0..<10_000 where transit.stage == .settled { return true }
    return transit.stage == .settled
  }

  private func settleTransit(of giver: Int, slots: Int, intent lane: Int) {
    for slot in 0..<min(slots, Self.slotCapacity) {
      let counters = counters(slot: slot, lane: giver)
      settle(counters[.currentInTransit], gauges(of: slot)[.current], slot: slot, lane: lane)
      settle(counters[.queuedInTransit], gauges(of: slot)[.queued], slot: slot, lane: lane)
    }
  }
}
