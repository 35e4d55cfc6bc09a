import Ledger
import Linux

/// The ledgers that a state names: the one that this program counts in, and those of other layouts
/// that workers of other releases still do.
///
/// A program that lays ledgers out otherwise makes one of its own, which begins with all that the
/// other had counted. Workers keep the ledger that they have mapped. Of each of them the master copies
/// the lane, again and again, until it has handed its connections over and ended: limits, statistics
/// and the next release need to look into one ledger only. The other way only the places of limits are
/// copied. A newer release and an older one do the same, since what they look for has names
/// (``FormerLedger``).
///
/// So a limit is one for both ledgers, but for the time between two copies: what is admitted in one of
/// them in 10 ms, until connections have come over, may be too many by what the other admits.
struct StateLedgers: ~Copyable {
  private let own: LedgerFile
  let former: [Int32: FormerLedger]
  /// What the generation before counts in, if that is another.
  let previous: FormerLedger?

  /// Takes over the descriptors. Where the state's ledger is of another layout, `state` becomes one
  /// with a ledger of this one, whose workers count in the former.
  ///
  /// - Throws: `EINVAL` when the ledger cannot be read, `ENOSPC` when there is more in it than fits.
  init(taking state: inout MasterState) throws(Errno) {
    var former = Self.formerLedgers(of: state)
    guard let descriptor = Descriptor.inherited(state.ledger) else { throw .noSuchFile }
    switch try LedgerFound(in: descriptor) {
    case .own(let file): own = file
    case .former(let ledger):
      former[state.ledger] = ledger
      own = try Self.successor(of: ledger)
      state.countIn(own.descriptor.numberForSuccessor)
    }
    self.former = former
    previous = state.previousLedger.flatMap { former[$0] }
  }

  /// One of this very layout is read in the same way.
  private static func formerLedgers(of state: MasterState) -> [Int32: FormerLedger] {
    var found: [Int32: FormerLedger] = [:]
    let numbers = state.workers.compactMap(\.ledger) + [state.previousLedger].compactMap(\.self)
    for number in Set(numbers) {
      guard let descriptor = Descriptor.inherited(number) else { continue }
      found[number] = try? FormerLedger(adopting: descriptor)
    }
    return found
  }

  private static func successor(of former: FormerLedger) throws(Errno) -> LedgerFile {
    let file = try LedgerFile()
    guard file.ledger.carryOver(former) else { throw .noSpace }
    return file
  }

  var ledger: SharedLedger { own.ledger }

  consuming func takeFile() -> LedgerFile { own }
}

extension MasterState {
  /// Makes another ledger that of the state; who was there counts in the one before.
  fileprivate mutating func countIn(_ ledger: Int32) {
    for index in workers.indices where !workers[index].isForeign {
      workers[index].ledger = workers[index].ledger ?? self.ledger
    }
    if previous != nil { previousLedger = previousLedger ?? self.ledger }
    self.ledger = ledger
  }
}

extension Supervisor {
  /// How often lanes of other ledgers are copied, in nanoseconds: while connections come over, and
  /// while the rest of them ends.
  private static let mirrorInterval: Int64 = 1_000_000_000
  private static let shortMirrorInterval: Int64 = 10_000_000

  /// Finds the ledger that an adopted worker counts in.
  func assignLedger(to worker: WorkerChild, _ number: Int32?) {
    guard let number else { return }
    worker.formerLedger = formerLedgers[number]
    // Nobody knows what its lane means.
    if worker.formerLedger == nil { worker.isForeign = true }
  }

  /// Copies the lanes of all who count in other ledgers, and lets those know of each other's places
  /// and ours. Places that have become free meanwhile may be what others wait for.
  func mirrorFormerLedgers(_ now: Int64) {
    let former = formerLedgersInUse
    guard !former.isEmpty else { return mirrorDue = .max }
    var hasFreed = false
    for worker in workers where !worker.isForeign {
      if let own = worker.formerLedger, ledger.mirror(lane: worker.lane, of: own) {
        hasFreed = true
      }
      for other in former where other !== worker.formerLedger {
        let isFreed =
          worker.formerLedger.map { other.hold(worker.lane, asIn: $0) }
          ?? other.hold(worker.lane, asIn: ledger)
        if isFreed { hasFreed = true }
      }
    }
    if hasFreed { ringWorkers() }
    // Until a generation has handed over both serve, and limits see of the other what was copied last.
    let isQuick =
      phase == .bringingUp || workers.contains { $0.formerLedger != nil && $0.isHandingOver }
    let interval = isQuick ? Self.shortMirrorInterval : Self.mirrorInterval
    mirrorDue = now + interval
  }

  private var formerLedgersInUse: [FormerLedger] {
    var found: [FormerLedger] = []
    for former in workers.map(\.formerLedger) + [previousLedger] {
      if let former, !found.contains(where: { $0 === former }) { found.append(former) }
    }
    return found
  }

  /// A worker has ended: nobody waits for its places any more.
  func releaseInFormerLedgers(_ worker: WorkerChild) {
    if let own = worker.formerLedger { ledger.mirror(lane: worker.lane, of: own) }
    for former in formerLedgersInUse + [worker.formerLedger].compactMap(\.self) {
      former.release(worker.lane)
    }
  }
}
