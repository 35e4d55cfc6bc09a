import Configuration
import Ledger
import Testing
import Wire

@testable import Linux
@testable import Worker

@Suite("Hand-over", .serialized)
struct HandOverTests {
  @Test("what goes back and forth between workers arrives as it was sent", arguments: [1, 2, 3, 4])
  func backAndForth(_ seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    let rig = try HandOverRig(workers: 3, noSplice: seed % 2 == 0)
    let lines = try (0..<6).map { _ in try rig.connect() }
    var orders = 0
    for step in 0..<1_500 {
      let line = lines[Int.random(in: 0..<lines.count, using: &random)]
      let way = Int.random(in: 0...1, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0...3: line.send(way, .random(in: 1...300_000, using: &random))
      case 4...6: line.receive(way, .random(in: 1...400_000, using: &random))
      case 7 where step > 1_200: try line.end(way)
      case 8:
        let giver = Int.random(in: 0..<3, using: &random)
        try rig.order(giver, to: (giver + Int.random(in: 1...2, using: &random)) % 3)
        orders += 1
      default: rig.workers[Int.random(in: 0..<3, using: &random)].lap()
      }
    }
    for line in lines { for way in 0...1 { try line.end(way) } }
    rig.wait("all that was sent") {
      for line in lines { for way in 0...1 { line.receive(way, 1 << 20) } }
      return lines.allSatisfy { $0.sawEnd == [true, true] }
    }
    for (number, line) in lines.enumerated() {
      #expect(line.received == line.sent, "line \(number), seed \(seed)")
      #expect(line.wasReset == [false, false], "line \(number), seed \(seed)")
    }
    rig.wait("the last to go") { rig.current == 0 }
    #expect(rig.total(.bytesUp) == UInt64(lines.reduce(0) { $0 + $1.sent[0] }))
    #expect(rig.total(.bytesDown) == UInt64(lines.reduce(0) { $0 + $1.sent[1] }))
    #expect(rig.total(.sessions) == 6)
    let moved = rig.workers.reduce(0) { $0 + rig.ledger.lane($1.lane)[.takenOver].value }
    #expect(orders > 50 && moved > 50, "\(moved) moves by \(orders) orders prove little")
    check(rig)
  }

  @Test("a reset reaches the other end, wherever the connection is", arguments: [5, 6])
  func resets(_ seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    let rig = try HandOverRig(workers: 2, noSplice: seed % 2 == 0)
    for round in 0..<40 {
      let line = try rig.connect()
      let way = round % 2
      for _ in 0..<4 { line.send(way, .random(in: 1...200_000, using: &random)) }
      try rig.order(round % 2, to: 1 - round % 2)
      try rig.order(1 - round % 2, to: round % 2)
      for _ in 0..<Int.random(in: 0...6, using: &random) { rig.lap() }
      line.reset(way)
      rig.wait("the reset, round \(round)") {
        line.receive(way, 1 << 20)
        return line.wasReset[way] || line.sawEnd[way]
      }
      #expect(line.wasReset[way], "an end of stream instead, round \(round), seed \(seed)")
      line.close()
    }
    rig.wait("the last to go") { rig.current == 0 }
    check(rig)
  }

  /// Nothing is left behind anywhere.
  private func check(_ rig: HandOverRig) {
    for worker in rig.workers {
      let engine = worker.worker.context.engine.pipes.lent
      let scratch = worker.worker.context.engine.scratch.isNone ? 0 : 1
      let buffers = worker.worker.context.engine.buffers.inUse - scratch
      #expect(worker.count == 0)
      #expect(engine == 0, "pipes are out")
      #expect(buffers == 0, "buffers are out")
    }
    for slot in [rig.slots.process, rig.slots.backends[0], rig.slots.servers[0][0]] {
      #expect(rig.ledger.gauges(of: slot)[.current].value == 0)
      #expect(rig.ledger.total(.currentShare, slot: slot) == 0)
      #expect(rig.ledger.total(.currentInTransit, slot: slot) == 0)
    }
  }

  // MARK: Takers that are not what they should be

  enum Fault: CaseIterable {
    case hangs, dies, refusesAll, refusesOne, answersAnother, talksNonsense, diesAfterReading
  }

  @Test("a faulty taker costs no connection", arguments: Fault.allCases)
  func faultyTakers(_ fault: Fault) throws {
    let rig = try HandOverRig(workers: 2)
    let lines = try (0..<5).map { _ in try rig.connect() }
    for worker in [0, 1] where rig.workers[worker].count > 0 {
      let (taker, _) = try rig.orderToPlayedTaker(worker)
      rig.workers[worker].lap()
      rig.workers[worker].lap()
      try misbehave(fault, taker, rig.ledger, rig.workers[worker].lane)
      pass(100_000, over: lines, rig)
      #expect(rig.current == 5)
      #expect(rig.ledger.lane(rig.workers[worker].lane)[.handedOver].value == 0)
    }
  }

  private func misbehave(
    _ fault: Fault, _ taker: PlayedPeer, _ ledger: SharedLedger, _ lane: Int
  ) throws {
    let batch = ledger.transit(of: lane).batch
    switch fault {
    case .hangs: break
    case .dies: taker.close()
    case .diesAfterReading:
      let offer = try taker.receive()
      #expect(offer != nil)
      for number in offer?.rights ?? [] { Descriptor.received(number).close() }
      taker.close()
    case .refusesAll:
      try taker.send(
        HandOverPacket.refused(batch: batch, [.init(position: nil, reason: .noPlace)]).encoded())
    case .refusesOne:
      try taker.send(
        HandOverPacket.refused(batch: batch, [.init(position: 0, reason: .noMemory)]).encoded())
      taker.close()
    case .answersAnother:
      try taker.send(HandOverPacket.taken(batch: batch + 1).encoded())
      // Taken, says the packet; not claimed, says the ledger, and that decides.
      try taker.send(HandOverPacket.taken(batch: batch).encoded())
    case .talksNonsense:
      try taker.send([9, 9, 9])
      try taker.send(Array(repeating: 7, count: 5_000))
    }
  }

  /// Sends both ways on all lines and waits until it has arrived.
  private func pass(_ count: Int, over lines: [Line], _ rig: HandOverRig) {
    let before = lines.map(\.received)
    rig.wait("the bytes") {
      var isDone = true
      for (line, start) in zip(lines, before) {
        for way in 0...1 {
          if line.sent[way] < start[way] + count { line.send(way, 50_000) }
          line.receive(way, 1 << 20)
          if line.received[way] < start[way] + count { isDone = false }
        }
      }
      return isDone
    }
  }

  @Test("a taker that dies once it has claimed takes those along, and no others")
  func claimedAndGone() throws {
    let rig = try HandOverRig(workers: 1)
    let lines = try (0..<4).map { _ in try rig.connect() }
    let (taker, lane) = try rig.orderToPlayedTaker(0)
    rig.workers[0].lap()
    rig.workers[0].lap()
    let transit = rig.ledger.transit(of: rig.workers[0].lane)
    let isClaimed = transit.claim(batch: transit.batch, by: lane)
    #expect(isClaimed)
    taker.close()
    for _ in 0..<10 { rig.lap() }
    #expect(rig.workers[0].count == 4, "until the master has settled it")
    #expect(rig.current == 4)
    let isSettled = rig.ledger.settle(lane: lane, slots: 64)
    #expect(isSettled)
    rig.wait("the giver to notice") { rig.workers[0].count == 0 }
    #expect(rig.current == 0)
    rig.wait("the clients to see it") {
      for line in lines { line.receive(1, 10) }
      return lines.allSatisfy { $0.sawEnd[1] || $0.wasReset[1] }
    }
    let line = try rig.connect()
    pass(1_000, over: [line], rig)
    line.close()
  }

  // MARK: Givers that are not what they should be

  @Test("a taker refuses what it cannot take, and lets descriptors go that it does not keep")
  func faultyGivers() throws {
    let rig = try HandOverRig(workers: 1)
    let lane = try #require(rig.ledger.takeLane(generation: 1, workerSlot: 1, now: 1))
    let pair = try Descriptor.packetPair()
    try rig.workers[0].tell(.takeOver(lane: UInt32(lane)), [pair.second.numberForSuccessor])
    pair.second.close()
    let giver = PlayedPeer(pair.first)
    rig.lap()
    let transit = rig.ledger.transit(of: lane)

    func answer(_ bytes: [UInt8], _ rights: [CInt] = []) throws -> HandOverPacket? {
      try giver.send(bytes, rights)
      rig.lap()
      rig.lap()
      return try giver.receive()?.packet
    }
    func refusal(_ reason: HandOverPacket.Reason) -> HandOverPacket {
      .refused(batch: transit.batch, [.init(position: nil, reason: reason)])
    }

    // Another release's.
    var offer = offer(rig, batch: transit.offer())
    var bytes = try HandOverPacket.offer(offer).encoded()
    bytes[0] = 2
    #expect(try answer(bytes) == refusal(.unreadable))
    // Fewer descriptors than it says.
    #expect(try answer(HandOverPacket.offer(offer).encoded()) == refusal(.unreadable))
    // Withdrawn before it was read: no answer, and the copies are closed.
    let socket = try Transport.tcp.pair()
    let isWithdrawn = transit.withdraw()
    #expect(isWithdrawn)
    let late = try answer(
      HandOverPacket.offer(offer).encoded(), [socket.first.numberForSuccessor])
    #expect(late == nil)
    #expect(rig.workers[0].count == 0)
    socket.first.close()
    var byte = [UInt8](repeating: 0, count: 1)
    var span = byte.mutableSpan
    let transfer = try socket.second.receive(into: &span)
    #expect(transfer == .ended, "somebody still has the other end")
    // Not routed yet, and no frontend of that slot.
    offer.batch = transit.offer()
    offer.frontends[0].slot = 60
    let other = try Transport.tcp.pair()
    let objected = try answer(
      HandOverPacket.offer(offer).encoded(), [other.first.numberForSuccessor])
    let expected = HandOverPacket.refused(
      batch: offer.batch, [.init(position: 0, reason: .rulesGone)])
    #expect(objected == expected)
    _ = consume other
    // On its way out itself.
    try rig.workers[0].tell(.drain)
    rig.lap()
    #expect(try answer(HandOverPacket.offer(offer).encoded()) == refusal(.leaving))
  }

  /// One connection whose PROXY header is awaited, from a giver that the test plays.
  private func offer(_ rig: HandOverRig, batch: UInt64) -> HandOverOffer {
    var offer = HandOverOffer(batch: batch)
    offer.frontends = [FrontendPortrait(name: "l", slot: rig.slots.frontends[0])]
    offer.listeners = [ListenerPortrait(slot: rig.slots.listeners[0][0], name: "1", number: 1)]
    var record = ConnectionRecord()
    record.id = 1
    record.phase = .header
    offer.connections = [record]
    return offer
  }
}
