import Glibc
import Testing

@testable import Linux
@testable import Worker

@Suite("One direction of a relay")
struct ChannelTests {
  init() { Signal.pipe.ignore() }

  /// One way that a transfer can go.
  struct Course: Sendable, CustomTestStringConvertible {
    var transport: Transport
    var splices: Bool
    var seed: UInt64

    var testDescription: String { "\(transport) \(splices ? "splice" : "copy") \(seed)" }

    static let all = Transport.allCases.flatMap { transport in
      [false, true].flatMap { splices in
        (0..<4).map { Course(transport: transport, splices: splices, seed: $0) }
      }
    }

    static let four = all.filter { $0.seed == 0 }
  }

  /// Sizes of every order, and about those at which something changes.
  private static func chunk(_ random: inout SeededGenerator) -> Int {
    [1, 100, 600, 1448, 32 * 1024, 1 << 20][Int(random.next() % 6)]
  }

  /// Sends and receives at random until `total` bytes were sent.
  private func shuffle(
    _ rig: ChannelRig, total: Int, _ random: inout SeededGenerator, stalls: Bool = true
  ) throws {
    var stalledSender = 0
    var stalledReceiver = 0
    var idle = 0
    while rig.sent < total {
      var moved = 0
      if stalledSender > 0 {
        stalledSender -= 1
      } else {
        let chunk = Self.chunk(&random)
        moved += try rig.send(min(chunk, total - rig.sent))
        if stalls, random.next() % 8 == 0 { stalledSender = Int(random.next() % 10) }
      }
      if random.next() % 3 != 0, try rig.turn() { moved += 1 }
      if stalledReceiver > 0 {
        stalledReceiver -= 1
      } else {
        moved += rig.receive(Self.chunk(&random))
        if stalls, random.next() % 8 == 0 { stalledReceiver = Int(random.next() % 40) }
      }
      idle = moved > 0 ? 0 : idle + 1
      try #require(idle < 1_000_000, "nothing moves any more: \(rig.need)")
    }
  }

  @Test("all that was sent arrives, then the end, once", arguments: Course.all)
  func orderly(_ course: Course) throws {
    var random = SeededGenerator(state: course.seed)
    let rig = try ChannelRig(course.transport, splices: course.splices)
    // So small that a unix socket takes only parts of what is copied.
    if course.transport == .unix, course.seed % 2 == 1 { try rig.limitBuffers(to: 8_192) }
    try shuffle(rig, total: 4 << 20, &random)
    try rig.sender.end()
    try rig.finish()
    #expect(rig.received == rig.sent)
    #expect(rig.need == .nothing)
    #expect(rig.channel.received == UInt64(rig.sent))
    if !course.splices { #expect(rig.channel.spliced == 0) }
    // Asked again, it has nothing left to do and tells the sink nothing.
    let again = rig.channel.pump(
      from: rig.source, &rig.sourceSide, to: rig.sink, &rig.sinkSide, with: &rig.engine,
      closing: false)
    #expect(again == .nothing)
    rig.release()
  }

  @Test("the other direction stays open after an end")
  func halfClose() throws {
    let rig = try ChannelRig(.tcp, splices: true)
    try rig.send(10)
    try rig.sender.end()
    try rig.finish()
    #expect(try rig.receiver.send([1]) == 1)
    var query = pollfd(fd: rig.sink.number, events: Int16(POLLIN), revents: 0)
    #expect(poll(&query, 1, 10_000) == 1)
    var byte: [UInt8] = [0]
    var span = byte.mutableSpan
    #expect(try rig.sink.receive(into: &span) == .moved(1))
  }

  @Test("a sink that is to be closed at once is not told first")
  func closing() throws {
    let rig = try ChannelRig(.tcp, splices: false)
    try rig.send(10)
    try rig.sender.end()
    for _ in 0..<1_000 where rig.need != .nothing { try rig.turn(closing: true, waiting: 10) }
    #expect(rig.need == .nothing)
    #expect(rig.receive(100) == 10)
    #expect(rig.receive(100) == 0)
    let sawEnd = rig.sawEnd
    #expect(!sawEnd)
  }

  @Test("a turn is over when its budget is, however much more there is", arguments: [true, false])
  func turnBudget(splices: Bool) throws {
    let rig = try ChannelRig(.tcp, splices: splices)
    for _ in 0..<32 {
      try rig.send(1 << 20)
      let before = rig.channel.received
      try rig.turn()
      // The last portion of a turn may begin just below the budget.
      let most = RelayEngine.turnBudget + PipePool.grownSize
      #expect(rig.channel.received - before <= UInt64(most))
      rig.receive(1 << 20)
    }
    rig.release()
  }

  @Test("bulk goes through pipes, small portions do not")
  func adaptive() throws {
    let bulk = try ChannelRig(.tcp, splices: true)
    var random = SeededGenerator(state: 1)
    for _ in 0..<100 {
      try bulk.send(1 << 20)
      try bulk.turn()
      bulk.receive(1 << 20)
    }
    let share = Double(bulk.channel.spliced) / Double(bulk.channel.received)
    #expect(share > 0.5, "only \(share) was spliced")
    let spliced = bulk.channel.spliced
    try drain(bulk)

    // Back to copying: at most one more splice happens before that is known.
    for _ in 0..<100 {
      try bulk.send(Int(random.next() % 600) + 1)
      try drain(bulk)
    }
    let rest = bulk.channel.spliced - spliced
    #expect(bulk.channel.received == UInt64(bulk.sent))
    #expect(rest <= bulk.channel.received - UInt64(100))
    let before = bulk.channel.spliced
    try bulk.send(500)
    try drain(bulk)
    #expect(bulk.channel.spliced == before)
    bulk.release()
  }

  /// Moves until the receiver has all that was sent.
  private func drain(_ rig: ChannelRig) throws {
    for _ in 0..<100_000 where rig.received < rig.sent {
      try rig.turn(waiting: 1)
      rig.receive(1 << 20)
    }
    #expect(rig.received == rig.sent)
  }

  @Test(
    "a reader that rests stops the writer, whatever it writes; then all arrives",
    arguments: [
      (1, false), (1, true), (100, false), (100, true), (600, false), (600, true), (1448, false),
      (1448, true),
    ])
  func pausedReader(_ size: Int, _ splices: Bool) throws {
    let rig = try ChannelRig(.tcp, splices: splices)
    // Small buffers, so that single bytes fill them in this life.
    try rig.limitBuffers(to: 16_384)
    // In bulk first, so that the direction is in the mode that is tested.
    var most = 0
    for _ in 0..<4 {
      try rig.send(1 << 20)
      try rig.turn()
    }
    var refused = 0
    for _ in 0..<200_000 where refused < 100 {
      refused = try rig.send(size) == 0 ? refused + 1 : 0
      try rig.turn()
      most = max(most, rig.channel.inFlight)
    }
    #expect(refused == 100, "the writer was never stopped")
    #expect(rig.need == .writableSink)
    // A pipe of 64 KiB has 16 slots, each of a segment that is 64 KiB at most.
    #expect(most <= (splices ? 1 << 20 : BufferPool.smallSize))
    try rig.sender.end()
    try rig.finish()
    #expect(rig.received == rig.sent)
    let sawEnd = rig.sawEnd
    #expect(sawEnd)
    rig.release()
  }

  @Test("where no pipe is to be had, bytes are copied", arguments: Transport.allCases)
  func noPipes(_ transport: Transport) throws {
    var random = SeededGenerator(state: 5)
    let rig = try ChannelRig(transport, splices: true, pipes: 0)
    try shuffle(rig, total: 4 << 20, &random)
    try rig.sender.end()
    try rig.finish()
    #expect(rig.received == rig.sent)
    #expect(rig.channel.spliced == 0)
    rig.release()
  }

  @Test("a source's reset is told after what it had sent", arguments: Course.four)
  func sourceReset(_ course: Course) throws {
    var random = SeededGenerator(state: 7)
    let rig = try ChannelRig(course.transport, splices: course.splices)
    try shuffle(rig, total: 1 << 20, &random)
    rig.sender.reset()
    try rig.finish()
    // A unix socket knows no reset: its peer sees an end.
    if course.transport == .tcp {
      #expect(rig.need == .sourceFailed(.connectionReset))
      #expect(rig.channel.inFlight == 0)
      let delivered = Int(rig.channel.delivered)
      for _ in 0..<10_000 where rig.received < delivered { rig.receive(1 << 20) }
      #expect(rig.received == delivered)
      let sawEnd = rig.sawEnd
      #expect(!sawEnd, "a reset was passed off as an end")
    }
    rig.release()
  }

  @Test(
    "a sink that is gone is told, and what was on its way leaves nothing behind",
    arguments: Course.four)
  func sinkReset(_ course: Course) throws {
    let rig = try ChannelRig(course.transport, splices: course.splices)
    // The sink is full once it stays so: the kernel widens its buffers for a while.
    var fullTurns = 0
    for _ in 0..<1_000 where fullTurns < 10 {
      try rig.send(1 << 20)
      try rig.turn(waiting: 10)
      fullTurns = rig.need == .writableSink ? fullTurns + 1 : 0
    }
    #expect(rig.channel.inFlight > 0)
    rig.receiver.reset()
    for _ in 0..<1_000 {
      if case .sinkFailed = rig.need { break }
      try rig.turn(waiting: 10)
    }
    guard case .sinkFailed(let error) = rig.need else {
      Issue.record("no failure was told: \(rig.need)")
      return
    }
    #expect(error.isDisconnect)
    #expect(rig.channel.inFlight > 0)
    rig.release()
    #expect(rig.engine.pipes.keptNow == 0, "a pipe with bytes in it was pooled")
  }

  @Test(
    "what was read before goes first, and counts from where it is told to",
    arguments: [false, true])
  func heldBytes(_ splices: Bool) throws {
    let rig = try ChannelRig(.tcp, splices: splices)
    let buffer = rig.engine.buffers.takeLarge()
    #expect(rig.engine.buffers.size(of: buffer) == BufferPool.largeSize)
    // Five bytes of a header that is ours, then what the source had sent.
    rig.headerLength = 5
    rig.fill(buffer, 95..<100_000)
    rig.channel.hold(buffer, 95..<100_000, countingFrom: 100)
    #expect(rig.channel.received == 100_000 - 100)
    rig.channel.endSource()
    for _ in 0..<1_000 where rig.need != .nothing {
      try rig.turn(waiting: 10)
      rig.receive(1 << 20)
    }
    #expect(rig.need == .nothing)
    for _ in 0..<1_000 where !rig.sawEnd { rig.receive(1 << 20) }
    #expect(rig.received == 100_000 - 95)
    #expect(rig.channel.spliced == 0)
    rig.release()
  }
}

extension ChannelRig {
  /// Puts what would be sent next into a buffer, as if it had been read.
  func fill(_ buffer: Buffer, _ range: Range<Int>) {
    let bytes = Self.bytes(from: sent, count: range.count)
    var span = engine.buffers.mutableSpan(buffer, range)
    for index in 0..<range.count { span[index] = bytes[index] }
    noteSent(range.count)
  }
}
