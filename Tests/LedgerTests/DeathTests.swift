import Glibc
import Linux
import Testing

@testable import Ledger

/// Several processes at one ledger, some of which die.
@Suite("Processes at one ledger", .serialized)
struct DeathTests {
  @Test("never more enter than there are places, whoever hammers")
  func hammering() async {
    await #expect(processExitsWith: .success) {
      let limit: UInt64 = 5
      let file = try LedgerFile()
      let ledger = file.ledger
      // Counted by the test itself, apart from what is tested.
      let inside = ledger.gauges(of: 9)[.health]
      let most = ledger.gauges(of: 9)[.maximum]
      let children = (0..<4).map { lane in
        Child.run {
          let slot = ledger.slot(0, lane: lane)
          for _ in 0..<5_000 {
            // As many as there are, so that each of the four wants all places.
            var mine = 0
            while mine <= limit, slot.enter(limit: limit) {
              mine += 1
              most.raise(to: inside.fetchAdd(1) + 1)
            }
            for _ in 0..<mine {
              inside.fetchSubtract(1)
              slot.leave()
            }
          }
        }
      }
      for child in children { child.wait() }
      require(most.value == limit, "\(most.value) were in at once")
      require(ledger.gauges(of: 0)[.current].value == 0, "somebody is still in")
    }
  }

  @Test("gauges are the sums of their shares again after workers were killed at any moment")
  func killed() async {
    await #expect(processExitsWith: .success) {
      let file = try LedgerFile()
      let ledger = file.ledger
      let slots = 2
      let workers = 4
      let storm = DeathStorm(ledger, workers: workers, slots: slots) { lane, seed in
        work(ledger, lane: lane, slots: slots, seed: seed)
      }

      /// Each gauge is at least the sum of its shares, and above it by those at most who are
      /// between its two writes.
      func inspect(_ moment: String) {
        for slot in 0..<slots {
          let intents = storm.intents(at: slot)
          for (gauge, share) in [(Gauge.current, Counter.currentShare), (.queued, .queuedShare)] {
            let value = ledger.gauges(of: slot)[gauge].value
            let sum = ledger.total(share, slot: slot)
            require(
              value >= sum && value <= sum + UInt64(intents),
              "\(moment): \(gauge) of \(slot) is \(value), its shares \(sum), intents \(intents)")
          }
        }
      }

      storm.rage(rounds: 300, inspect: inspect)
      for child in storm.children { child.kill() }
      inspect("all dead")
      for lane in 0..<workers {
        storm.settle(lane)
        inspect("lane \(lane) settled")
      }
      for slot in 0..<slots {
        require(ledger.gauges(of: slot)[.current].value == 0, "current of \(slot)")
        require(ledger.gauges(of: slot)[.queued].value == 0, "queued of \(slot)")
      }
    }
  }

  @Test("a master that dies while it settles leaves it to be done again")
  func settlingKilled() async {
    await #expect(processExitsWith: .success) {
      let file = try LedgerFile()
      let ledger = file.ledger
      let slots = 200
      for round in 0..<100 {
        for lane in 0..<2 {
          _ = ledger.takeLane(generation: 1, workerSlot: lane, now: 1)
          for slot in 0..<slots { _ = ledger.slot(slot, lane: lane).enter() }
        }
        let master = Child.run { _ = ledger.settle(lane: 0, slots: slots) }
        usleep(useconds_t(round * 7))
        master.kill()
        require(ledger.settle(lane: 0, slots: slots), "cannot be settled")
        for slot in 0..<slots {
          require(ledger.gauges(of: slot)[.current].value == 1, "slot \(slot), round \(round)")
        }
        require(ledger.settle(lane: 1, slots: slots), "cannot be settled")
        require(ledger.gauges(of: 0)[.current].value == 0, "all gone")
      }
    }
  }

  @Test("two workers that died at one gauge do not wait for each other")
  func bothInterrupted() throws {
    let file = try LedgerFile()
    let ledger = file.ledger
    for lane in 0..<3 { _ = ledger.takeLane(generation: 1, workerSlot: lane, now: 1) }
    for lane in 0..<3 { _ = ledger.slot(1, lane: lane).enter() }
    // As if both had been killed between the two writes of `enter`.
    for lane in 0..<2 {
      ledger.lane(lane)[.intent].store(2)
      ledger.gauges(of: 1)[.current].fetchAdd(1)
    }
    let first = ledger.settle(lane: 0, slots: 2)
    #expect(!first, "the other is not known to be dead yet")
    #expect(
      ledger.takeLane(generation: 1, workerSlot: 0, now: 1) == 3, "not free before it is settled")
    let second = ledger.settle(lane: 1, slots: 2)
    #expect(second)
    #expect(ledger.lane(0)[.state].value == LaneState.free.rawValue, "left over, and forgotten")
    #expect(ledger.gauges(of: 1)[.current].value == 1)
  }

  @Test("an address is read whole while it is being written")
  func address() async {
    await #expect(processExitsWith: .success) {
      let file = try LedgerFile()
      let gauges = file.ledger.gauges(of: 0)
      gauges.setAddress(mirrored(1))
      let writer = Child.run {
        var number: UInt16 = 1
        while true {
          number = number &+ 1 | 1
          gauges.setAddress(mirrored(number))
        }
      }
      var seen: Set<UInt16> = []
      for _ in 0..<200_000 {
        guard let endpoint = gauges.address else { continue }
        require(endpoint == mirrored(endpoint.port), "torn: \(endpoint)")
        seen.insert(endpoint.port)
      }
      writer.kill()
      require(seen.count > 1, "nothing was written meanwhile")
    }
  }
}

/// An address whose parts all say the same.
private func mirrored(_ number: UInt16) -> Endpoint {
  Endpoint(
    address: IPAddress(high: UInt64(number), low: UInt64(number)), port: number,
    scope: UInt32(number))
}

/// What a worker does to gauges, for ever.
private func work(_ ledger: SharedLedger, lane: Int, slots: Int, seed: UInt64) {
  var random = SeededGenerator(state: seed)
  while true {
    let slot = ledger.slot(Int(random.next() % UInt64(slots)), lane: lane)
    switch random.next() % 4 {
    case 0: _ = slot.enter(limit: 20)
    case 1: if slot.own[.currentShare].value > 0 { slot.leave() }
    case 2: slot.beginToWait()
    default: if slot.own[.queuedShare].value > 0 { slot.endWait() }
    }
    // Most of a worker's time goes elsewhere.
    for _ in 0..<random.next() % 40 { _ = random.next() }
  }
}
