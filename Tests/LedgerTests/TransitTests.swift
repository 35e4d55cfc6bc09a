import Glibc
import Linux
import Testing

@testable import Ledger

@Suite("Batches in transit", .serialized)
struct TransitTests {
  @Test("a batch is the giver's until it is claimed, and the taker's from then on")
  func ownership() throws {
    let file = try LedgerFile()
    let transit = file.ledger.transit(of: 3)
    let first = transit.offer()
    let isWithdrawn = transit.withdraw()
    #expect(isWithdrawn)
    let isLate = transit.claim(batch: first, by: 7)
    #expect(!isLate, "withdrawn before it was claimed")
    let second = transit.offer()
    #expect(second == first + 1)
    let isStale = transit.claim(batch: first, by: 7)
    #expect(!isStale, "an answer to an older offer")
    let isClaimed = transit.claim(batch: second, by: 127)
    #expect(isClaimed)
    #expect(transit.stage == .claimed)
    let isTaken = transit.withdraw()
    #expect(!isTaken, "no longer the giver's")
    let isTwice = transit.claim(batch: second, by: 8)
    #expect(!isTwice)
    transit.finish(batch: second)
    #expect(transit.stage == .settled && transit.batch == second)
  }

  @Test("places go along, and no gauge notices")
  func places() throws {
    let file = try LedgerFile()
    let ledger = file.ledger
    let giver = ledger.slot(5, lane: 0)
    let taker = ledger.slot(5, lane: 1)
    for _ in 0..<3 { _ = giver.enter() }
    giver.beginToWait()
    let gauge = ledger.gauges(of: 5)[.current]
    let queued = ledger.gauges(of: 5)[.queued]
    giver.sendPlace()
    giver.sendPlace()
    giver.sendTurn()
    #expect(gauge.value == 3 && queued.value == 1)
    #expect(giver.own[.currentShare].value == 1 && giver.own[.currentInTransit].value == 2)
    giver.takePlaceBack()
    taker.receivePlace(from: giver.own)
    taker.receiveTurn(from: giver.own)
    #expect(gauge.value == 3 && queued.value == 1)
    #expect(giver.own[.currentShare].value == 2 && giver.own[.currentInTransit].value == 0)
    #expect(taker.own[.currentShare].value == 1 && taker.own[.queuedShare].value == 1)
  }

  /// Who dies when; what remains of five places of which two are in transit.
  enum Death: CaseIterable {
    case giverBeforeClaim, takerBeforeClaim, giverAfterClaim, takerAfterClaim
    case takerAfterOneOfTwo, both, giverAfterTheEnd
  }

  @Test("whoever dies takes exactly its own along", arguments: Death.allCases)
  func deaths(_ death: Death) throws {
    let file = try LedgerFile()
    let ledger = file.ledger
    for lane in 0..<2 { _ = ledger.takeLane(generation: 1, workerSlot: lane, now: 1) }
    let giver = ledger.slot(0, lane: 0)
    let taker = ledger.slot(0, lane: 1)
    for _ in 0..<4 { _ = giver.enter() }
    _ = taker.enter()
    for _ in 0..<2 { giver.sendPlace() }
    let transit = ledger.transit(of: 0)
    let batch = transit.offer()
    func claim(_ places: Int) {
      let isClaimed = transit.claim(batch: batch, by: 1)
      #expect(isClaimed)
      for _ in 0..<places { taker.receivePlace(from: giver.own) }
    }
    func settle(_ lane: Int) -> Bool { ledger.settle(lane: lane, slots: 1) }
    let remaining: UInt64
    switch death {
    case .giverBeforeClaim:
      #expect(settle(0))
      let isClaimed = transit.claim(batch: batch, by: 1)
      #expect(!isClaimed, "nobody can claim what a dead one offered, once that is settled")
      remaining = 1
    case .takerBeforeClaim:
      #expect(settle(1))
      let isWithdrawn = transit.withdraw()
      #expect(isWithdrawn)
      for _ in 0..<2 { giver.takePlaceBack() }
      remaining = 4
    case .giverAfterClaim:
      claim(0)
      #expect(!settle(0), "the taker has not finished")
      for _ in 0..<2 { taker.receivePlace(from: giver.own) }
      transit.finish(batch: batch)
      #expect(settle(0))
      remaining = 3
    case .takerAfterClaim, .takerAfterOneOfTwo:
      claim(death == .takerAfterClaim ? 0 : 1)
      #expect(settle(1))
      #expect(transit.stage == .settled, "the giver can go on")
      remaining = 2
    case .both:
      claim(1)
      #expect(!settle(0))
      #expect(settle(1))
      #expect(ledger.lane(0)[.state].value == LaneState.free.rawValue)
      remaining = 0
    case .giverAfterTheEnd:
      claim(2)
      transit.finish(batch: batch)
      #expect(settle(0))
      remaining = 3
    }
    #expect(ledger.gauges(of: 0)[.current].value == remaining)
  }

  @Test("gauges are right after givers and takers were killed at any moment")
  func killed() async {
    await #expect(processExitsWith: .success) {
      let file = try LedgerFile()
      let ledger = file.ledger
      let workers = 4
      let storm = DeathStorm(ledger, workers: workers, slots: slots) { lane, seed in
        exchange(ledger, lane: lane, workers: workers, seed: seed)
      }

      /// With everybody standing still a gauge is the sum of what there is of it, but for those who
      /// were stopped between two writes.
      func inspect(_ moment: String) {
        for slot in 0..<slots {
          let intents = storm.intents(at: slot)
          let value = ledger.gauges(of: slot)[.current].value
          let sum =
            ledger.total(.currentShare, slot: slot)
            + ledger.total(.currentInTransit, slot: slot)
          require(
            value + UInt64(intents) >= sum && value <= sum + UInt64(intents),
            "\(moment): slot \(slot) is \(value), its shares \(sum), intents \(intents)")
        }
      }

      storm.rage(rounds: 300, inspect: inspect)
      let moved = (0..<workers).reduce(0) { $0 + ledger.lane($1)[.takenOver].value }
      require(moved > 100, "only \(moved) batches changed hands")
      for lane in 0..<workers {
        storm.children[lane].kill()
        storm.settle(lane)
      }
      for slot in 0..<slots {
        require(
          ledger.gauges(of: slot)[.current].value == 0,
          "slot \(slot) has \(ledger.gauges(of: slot)[.current].value) left")
        require(
          ledger.total(.currentInTransit, slot: slot) == 0, "slot \(slot) has some in transit")
      }
    }
  }
}

private let slots = 3

/// A worker that has connections, offers them and claims others', for ever.
private func exchange(_ ledger: SharedLedger, lane: Int, workers: Int, seed: UInt64) {
  var random = SeededGenerator(state: seed)
  let transit = ledger.transit(of: lane)
  func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
  while true {
    let slot = ledger.slot(below(slots), lane: lane)
    switch below(6) {
    case 0, 1: _ = slot.enter(limit: 40)
    case 2: if slot.own[.currentShare].value > 0 { slot.leave() }
    case 3: offer(ledger, lane)
    case 4:
      if transit.withdraw() { takeBack(ledger, lane) }
    default: claim(ledger, of: below(workers), by: lane)
    }
    // Most of a worker's time goes elsewhere.
    for _ in 0..<below(40) { _ = random.next() }
  }
}

private func offer(_ ledger: SharedLedger, _ lane: Int) {
  let transit = ledger.transit(of: lane)
  guard transit.stage == .settled else { return }
  for number in 0..<slots {
    let slot = ledger.slot(number, lane: lane)
    for _ in 0..<min(3, slot.own[.currentShare].value) { slot.sendPlace() }
  }
  _ = transit.offer()
}

private func takeBack(_ ledger: SharedLedger, _ lane: Int) {
  for number in 0..<slots {
    let slot = ledger.slot(number, lane: lane)
    while slot.own[.currentInTransit].value > 0 { slot.takePlaceBack() }
  }
}

private func claim(_ ledger: SharedLedger, of giver: Int, by lane: Int) {
  let transit = ledger.transit(of: giver)
  let batch = transit.batch
  guard giver != lane, transit.stage == .offered, transit.claim(batch: batch, by: lane) else {
    return
  }
  for number in 0..<slots {
    let slot = ledger.slot(number, lane: lane)
    let other = ledger.counters(slot: number, lane: giver)
    while other[.currentInTransit].value > 0 { slot.receivePlace(from: other) }
  }
  ledger.lane(lane)[.takenOver].add(1)
  transit.finish(batch: batch)
}
