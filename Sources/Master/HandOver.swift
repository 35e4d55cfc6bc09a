import Configuration
import Ledger
import Linux
import Wire

/// Connections of old workers go to new ones.
///
/// The master makes the pairs that they go over, and says who gives to whom; the rest is between the
/// workers. Worker *i* of the generation before gives to worker *i* of this one, modulo their number;
/// where there are more new ones, it gives to several in turn.
extension Supervisor {
  /// Tells all old workers to hand their connections over.
  func handOverConnections() {
    handOverTotals = HandOverTotals()
    guard generation.configuration.global.reloadSessions == .migrate else { return }
    for worker in workers where worker.generation != release.generation { handOver(worker) }
  }

  /// Gives those who have connections left another place to give them to: a worker that was to take
  /// them has died, and this is its successor.
  func handOverRest() {
    // Who is at it has yet to find out that one of those he gives to has died.
    mustHandOverRest = isHandingOver
    guard phase == .running, !isHandingOver,
      generation.configuration.global.reloadSessions == .migrate
    else { return }
    for worker in workers where worker.generation != release.generation { handOver(worker) }
  }

  private func handOver(_ giver: WorkerChild) {
    let takers = takers(for: giver)
    // What slots mean there is not known here.
    guard !takers.isEmpty, !giver.isForeign else { return }
    do throws(Errno) {
      let isAcross = giver.formerLedger != nil
      var lanes: [UInt32] = []
      var rights = DescriptorTable()
      for taker in takers
      where try introduce(giver, to: taker, isAcross: isAcross, keeping: &rights) {
        lanes.append(UInt32(taker.lane))
      }
      let numbers = (0..<rights.count).map { rights[$0].numberForSuccessor }
      let format = HandOverPacket.format
      let order: Message =
        isAcross
        ? .handOverAcross(lanes: lanes, listenersElsewhere: listenersPolled, format: format)
        : .handOver(lanes: lanes, listenersElsewhere: listenersPolled, format: format)
      giver.isHandingOver = giver.tell(order, rights: numbers)
      // They have been copied by now, and not before.
      _ = consume rights
    } catch {
      log.warning("connections cannot be handed over: \(error)")
    }
  }

  /// Makes a pair between two workers, and where they count in different ledgers, the memory that
  /// settles whose a batch is; sends the taker its part, and appends the giver's.
  ///
  /// - Returns: whether the taker has been told.
  private func introduce(
    _ giver: WorkerChild, to taker: WorkerChild, isAcross: Bool,
    keeping rights: inout DescriptorTable
  ) throws(Errno) -> Bool {
    let pair = try Descriptor.packetPair()
    var numbers = [pair.second.numberForSuccessor]
    guard isAcross else {
      let isTold = taker.tell(.takeOver(lane: UInt32(giver.lane)), rights: numbers)
      if isTold { rights.append(pair.first) }
      return isTold
    }
    let page = try TransitPage()
    numbers.append(page.descriptor.numberForSuccessor)
    let isTold = taker.tell(.takeOverAcross(lane: UInt32(giver.lane)), rights: numbers)
    if isTold {
      rights.append(pair.first)
      rights.append(try page.descriptor.duplicate())
    }
    return isTold
  }

  /// Most workers that one worker gives to: descriptors beside one message are limited, and each
  /// brings two at most.
  private static let mostTakers = 32

  private func takers(for giver: WorkerChild) -> [WorkerChild] {
    let serving = servingWorkers.filter(\.isReady).sorted { $0.slot < $1.slot }
    guard !serving.isEmpty else { return [] }
    let givers = 1 + (workers.filter { $0.generation == giver.generation }.map(\.slot).max() ?? 0)
    let mine = serving.indices.filter { $0 % givers == giver.slot % givers }
    guard !mine.isEmpty else { return [serving[giver.slot % serving.count]] }
    return mine.prefix(Self.mostTakers).map { serving[$0] }
  }

  /// Slots of the listeners that this generation polls.
  private var listenersPolled: [UInt32] {
    slots.listeners.joined().map { UInt32(clamping: $0) }
  }

  // MARK: What came of it

  func noteHandOver(_ report: HandOverReport, by worker: WorkerChild) {
    worker.isHandingOver = false
    lastReload.add(report)
    handOverTotals.moved += report.moved
    handOverTotals.milliseconds = max(handOverTotals.milliseconds, report.milliseconds)
    handOverTotals.kept += report.kept
    if report.kept > 0, !report.reason.isEmpty { handOverTotals.reasons.insert(report.reason) }
    if !isHandingOver, report.moved + report.kept > 0 { logHandOver() }
  }

  /// One line a reload: how many moved, how long it took, how many stay and why.
  func logHandOver() {
    let totals = handOverTotals
    handOverTotals = HandOverTotals()
    guard generation.configuration.global.reloadSessions == .migrate else { return }
    var text = "\(totals.moved) connections handed over in \(totals.milliseconds) ms"
    if totals.kept > 0 {
      let reasons = totals.reasons.sorted().joined(separator: "; ")
      text += ", \(totals.kept) end in their old workers"
      if !reasons.isEmpty { text += " (\(reasons))" }
      if let bound = generation.configuration.global.hardStopAfter {
        text += ", which end after \(bound) ms"
      }
    }
    let late = workers.count { $0.isHandingOver }
    if late > 0 { text += ", \(late) workers are still at it" }
    log.notice(text)
  }
}

/// What old workers said of the connections that they handed over.
struct HandOverTotals {
  var moved: UInt64 = 0
  /// What the slowest took.
  var milliseconds: UInt64 = 0
  var kept: UInt64 = 0
  var reasons: Set<String> = []
}
