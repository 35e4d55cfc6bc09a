import Ledger
import Testing

@testable import Linux
@testable import Worker

@Suite("Places and queues")
struct TableTests {
  @Test("a place that is given back forgets its connection, and events meant for it")
  func generations() throws {
    var table = try ConnectionTable(capacity: 3)
    let taken = [table.take(), table.take(), table.take(), table.take()]
    #expect(taken == [0, 1, 2, nil])
    #expect(table.count == 3)
    table[1].phase = .relaying
    table[1].client = try Descriptor.doorbell()
    let watcher = try Pipe(size: 4096)
    table[1].server = try watcher.inlet.duplicate()
    let generation = table.generation(1)
    let holds = table.holds(1, generation: generation)
    #expect(holds)
    table.release(1)
    let holdsStill = table.holds(1, generation: generation)
    #expect(!holdsStill)
    let again = table.take()
    #expect(again == 1)
    table[1].phase = .dialing
    let isStale = !table.holds(1, generation: generation)
    let isFresh = table.holds(1, generation: table.generation(1))
    #expect(isStale && isFresh)
    #expect(table[1].server.isNone == true)
    #expect(table[1].upload.received == 0)
    let beyond = table.holds(7, generation: 0)
    #expect(!beyond)
  }

  @Test("generations wrap where tokens do")
  func wrapping() throws {
    var table = try ConnectionTable(capacity: 1)
    var seen: Set<UInt32> = []
    for _ in 0..<1_000 {
      _ = table.take()
      table[0].phase = .relaying
      let generation = table.generation(0)
      #expect(seen.insert(generation).inserted)
      #expect(generation <= 0x0fff_ffff)
      table.release(0)
    }
  }

  @Test("who waited longest is first, over workers, until he leaves")
  func queues() throws {
    let file = try LedgerFile()
    let ledger = file.ledger
    for lane in 0..<2 { _ = ledger.takeLane(generation: 1, workerSlot: lane, now: 1) }
    let slots = (0..<2).map { ledger.slot(5, lane: $0) }
    var here = try WaitQueues(connections: 10, backends: 1, servers: 2)
    var there = try WaitQueues(connections: 10, backends: 1, servers: 2)
    let queue = here.queue(backend: 0, wanted: -1)
    let servers = [here.queue(backend: 0, wanted: 0), here.queue(backend: 0, wanted: 1)]
    #expect(Set([queue] + servers).count == 3)

    #expect(ledger.longestWaiting(slot: 5) == nil)
    there.append(4, to: queue, ticket: 0, slots[1])
    here.append(7, to: queue, ticket: 1, slots[0])
    here.append(2, to: queue, ticket: 2, slots[0])
    here.append(9, to: queue, ticket: 3, slots[0])
    #expect(slots[0].shared[.queued].value == 4)
    #expect(here.count == 3)
    var next = try #require(ledger.longestWaiting(slot: 5))
    #expect(next == (1, 1))
    there.remove(4, slots[1])
    next = try #require(ledger.longestWaiting(slot: 5))
    #expect(next == (0, 2))
    #expect(here.first(of: queue) == 7)

    // From the middle, the front and the end.
    here.remove(2, slots[0])
    #expect(here.first(of: queue) == 7)
    here.remove(7, slots[0])
    #expect(here.first(of: queue) == 9)
    here.append(1, to: queue, ticket: 8, slots[0])
    here.remove(1, slots[0])
    #expect(here.first(of: queue) == 9)
    here.remove(9, slots[0])
    #expect(here.first(of: queue) == nil)
    let isEmpty = here.isEmpty(queue)
    #expect(isEmpty && here.count == 0)
    #expect(slots[0].shared[.queued].value == 0)
    #expect(ledger.longestWaiting(slot: 5) == nil)
  }

  @Test("a queue is a list, whatever is done to it", arguments: [1, 2, 3])
  func queueModel(_ seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    let file = try LedgerFile()
    _ = file.ledger.takeLane(generation: 1, workerSlot: 0, now: 1)
    let slot = file.ledger.slot(0, lane: 0)
    var queues = try WaitQueues(connections: 20, backends: 1, servers: 0)
    var model: [Int] = []
    var tickets: [Int: UInt64] = [:]
    for ticket in 0..<5_000 {
      let connection = Int(random.next() % 20)
      if let place = model.firstIndex(of: connection) {
        queues.remove(connection, slot)
        model.remove(at: place)
      } else {
        queues.append(connection, to: 0, ticket: UInt64(ticket), slot)
        model.append(connection)
        tickets[connection] = UInt64(ticket)
      }
      #expect(queues.first(of: 0) == model.first)
      #expect(queues.count == model.count)
      let oldest = model.first.flatMap { tickets[$0] }.map { $0 + 1 } ?? 0
      #expect(slot.own[.oldestTicket].value == oldest)
    }
  }

  @Test(
    "pipes are refused beyond the limit, and asked for again some time after the kernel refused")
  func pipes() async throws {
    var pool = PipePool(limit: 1, size: 65_536)
    guard let pipe = pool.take() else { throw Errno.again }
    let second = pool.take()
    #expect(second.isNone == true)
    pool.give(back: pipe, isEmpty: true)
    #expect(pool.keptNow == 1 && pool.lent == 0)
    guard let dirty = pool.take() else { throw Errno.again }
    pool.give(back: dirty, isEmpty: false)
    #expect(pool.keptNow == 0 && pool.lent == 0)

    await #expect(processExitsWith: .success) {
      var pool = PipePool(limit: 10, size: 65_536)
      let before = ResourceLimit.openFiles
      try ResourceLimit.setOpenFiles(ResourceLimit(soft: 0, hard: before.hard))
      for _ in 0..<10 {
        if pool.take().isNone == false { Process.exit(1) }
      }
      try ResourceLimit.setOpenFiles(before)
      for _ in 0..<2 * PipePool.longestAbstinence {
        if pool.take().isNone == false { Process.exit(0) }
      }
      Process.exit(2)
    }
  }

  @Test("as many pipes grow as may, and those that go make room for others")
  func grownPipes() throws {
    var pool = PipePool(limit: 4, size: 65_536, growing: 1)
    guard var first = pool.take(), var second = pool.take() else { throw Errno.again }
    pool.grow(&first)
    pool.grow(&second)
    let sizes = [first.nominalSize, second.nominalSize]
    #expect(sizes == [PipePool.grownSize, 65_536])
    pool.give(back: first, isEmpty: false)
    #expect(pool.grown == 0)
    pool.grow(&second)
    let size = second.nominalSize
    #expect(size == PipePool.grownSize)
    pool.give(back: second, isEmpty: true)
    #expect(pool.grown == 1 && pool.keptNow == 1)
  }

  @Test("buffers do not overlap, and come back")
  func buffers() throws {
    var pool = try BufferPool()
    let small = [pool.take(), pool.take()]
    let large = [pool.takeLarge(), pool.takeLarge()]
    #expect(pool.inUse == 4)
    for (number, buffer) in (small + large).enumerated() {
      pool.fill(buffer, UInt8(number + 1))
    }
    for (number, buffer) in (small + large).enumerated() {
      let isWhole = pool.holds(buffer, UInt8(number + 1))
      #expect(isWhole)
    }
    pool.copy(small[0], 100..<200, to: large[1], at: 50)
    #expect([49, 50, 149, 150].map { pool.byte(of: large[1], at: $0) } == [4, 1, 1, 4])
    for buffer in small + large { pool.release(buffer) }
    #expect(pool.inUse == 0)
    #expect(pool.take() == small[1])
    #expect(pool.takeLarge() == large[1])
  }
}

extension BufferPool {
  fileprivate mutating func fill(_ buffer: Buffer, _ byte: UInt8) {
    var span = mutableSpan(buffer, 0..<size(of: buffer))
    for index in span.indices { span[index] = byte }
  }

  fileprivate func byte(of buffer: Buffer, at offset: Int) -> UInt8 {
    span(buffer, offset..<offset + 1)[0]
  }

  fileprivate func holds(_ buffer: Buffer, _ byte: UInt8) -> Bool {
    let span = span(buffer, 0..<size(of: buffer))
    return span.indices.allSatisfy { span[$0] == byte }
  }
}

extension Optional where Wrapped: ~Copyable {
  var isNone: Bool {
    switch self {
    case .none: true
    case .some: false
    }
  }
}
