import Ledger
import Linux
import Wire

/// Another worker, to or from whom connections go.
final class HandOverPeer {
  enum Role { case taker, giver }

  let role: Role
  /// Its place in the ledger.
  let lane: Int
  let socket: Descriptor
  /// Whose a batch between the two is.
  let transit: Transit
  /// Whether it counts in a ledger of another layout: places cannot go along.
  let isAcross: Bool
  /// The format that it reads.
  var format: UInt8

  /// `page` says whose a batch is where no common ledger can; otherwise the lane of `giver` in that.
  init(
    _ role: Role, lane: Int, socket: consuming Descriptor, format: UInt8 = 1,
    page: borrowing TransitPage?, giver: Int, _ ledger: SharedLedger
  ) {
    self.role = role
    self.lane = lane
    self.socket = socket
    self.format = format
    switch page {
    case .some(let page):
      transit = page.transit
      isAcross = true
    case .none:
      transit = ledger.transit(of: giver)
      isAcross = false
    }
  }
}

/// Where a worker stands in handing connections over to others.
///
/// A batch of connections is taken out of epoll, offered to one taker, and is the taker's once that
/// has claimed it in the ledger (``Transit``); the next batch follows after the answer and a rest.
/// Batches are small and there is one at a time, so that relaying goes on in between: what a
/// connection sees of it is a pause of a millisecond or two. Small also since descriptors in flight
/// count against a limit of the user (`ETOOMANYREFS`).
///
/// Whatever goes wrong leaves a connection with exactly one owner: a taker that refuses, dies, hangs
/// or cannot read the offer has not claimed it, and here it goes on.
struct HandOver {
  /// Most connections of a batch: with as many, 16,000 idle connections of two workers moved in 0.31
  /// to 0.46 s on two busy processors, for 0.2 s of processor time in all four workers
  /// (`Tests/Benchmarks/handover`).
  static let batch = 32
  /// How long the giver rests between two batches, in nanoseconds. Without a rest four workers want
  /// all processors, and whoever relays, or waits for what is relayed, has to wait for his turn.
  static let rest: Int64 = 1_000_000
  /// Most bytes of a batch that were read and not delivered.
  static let mostBytes = 64 * 1024
  /// How long a taker may be silent at first. Its laps take milliseconds; what is offered stands
  /// still, and is taken back after that, so that no connection pauses for longer. It is offered
  /// again when it has run for as long, with twice the patience: a taker that is not silent but waits
  /// for a processor has to get to it in the end.
  static let patience: Milliseconds = 40
  static let longestPatience: Milliseconds = 1_280
  /// How long takers may be silent, in a row, before the one whose turn it is is given up.
  static let longestSilence: Milliseconds = 10_000
  /// How long to wait before what could not be sent is tried again, or the ledger is looked at.
  static let retryInterval: Milliseconds = 4
  /// How long descriptors in flight may be too many before the taker is given up.
  static let longestRetry: Milliseconds = 1_000

  /// Peers by the numbers in their tokens.
  var peers: [HandOverPeer?] = []
  /// Numbers of the peers that connections are given to, in turn.
  var takers: [Int] = []
  /// Whether connections are to be given away.
  var isOrdered = false
  /// Places of the connections that are on their way, to whom, and what says whose they are.
  var offered: [Int32] = []
  var taker = -1
  var transit: Transit?
  var isAcross = false
  /// When the taker's silence is over, or the next attempt is due.
  var due: Milliseconds = .never
  /// How long the next offer may go without an answer.
  var patience = Self.patience
  /// When takers began to be silent, all of them since.
  var silentSince: Milliseconds?
  /// When the rest after a batch is over, in nanoseconds of the monotonic clock.
  var restsUntil: Int64 = 0
  /// When sending first failed for want of room, in a row.
  var failingSince: Milliseconds?
  /// The place to look at next.
  var cursor = 0

  // For the report.
  var began: Milliseconds = 0
  var moved: UInt64 = 0
  /// Why connections stay, and how many do for each reason.
  var kept: [HandOverPacket.Reason: UInt64] = [:]
  var lastReason = ""
  var hasReported = false

  var isWaiting: Bool { !offered.isEmpty }

  /// Whether there may be more to give, after a rest.
  var isResting: Bool { isOrdered && !isWaiting && restsUntil > Clock.monotonic }

  /// A taker lives.
  mutating func noteAnswer() {
    silentSince = nil
    patience = Self.patience
  }

  mutating func add(_ peer: HandOverPeer) -> Int {
    let number = peers.firstIndex { $0 == nil } ?? peers.count
    if number == peers.count { peers.append(nil) }
    peers[number] = peer
    if peer.role == .taker { takers.append(number) }
    return number
  }

  mutating func remove(_ number: Int) {
    peers[number] = nil
    takers.removeAll { $0 == number }
  }
}
