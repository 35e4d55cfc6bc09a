import Configuration
import Linux
import Testing

@testable import Master

@Suite("The state over an exec")
struct MasterStateTests {
  @Test("comes back as it was, whatever it holds")
  func roundTrip() throws {
    var seed = Seed(number: 1)
    for _ in 0..<300 {
      let state = seed.state()
      #expect(try MasterState(decoding: state.encoded) == state)
    }
  }

  @Test("a reader passes over what a newer release adds")
  func unknownRecords() throws {
    var seed = Seed(number: 2)
    let state = seed.state()
    var newer = RecordWriter()
    newer.write(999, "something new")
    #expect(try MasterState(decoding: state.encoded + newer.bytes) == state)
  }

  @Test("cut short anywhere, it is refused and harms nobody")
  func cutShort() {
    var seed = Seed(number: 3)
    let bytes = seed.state().encoded
    for count in stride(from: 0, to: bytes.count, by: 7) {
      #expect(throws: RecordError.self) {
        // Between two records the rest may be whole, but what is required comes late.
        let state = try MasterState(decoding: Array(bytes[..<count]))
        if state.current.generation > 0, count < bytes.count { throw RecordError.cutShort }
      }
    }
  }

  @Test("harmed anywhere, it never traps")
  func harmed() {
    var seed = Seed(number: 4)
    for _ in 0..<2_000 {
      var bytes = seed.small().encoded
      for _ in 0..<3 { bytes[seed.below(bytes.count)] = UInt8(seed.below(256)) }
      _ = try? MasterState(decoding: bytes)
    }
  }

  @Test("names every descriptor that must survive")
  func descriptors() {
    var state = MasterState()
    state.ledger = 10
    state.doorbells = [11, 12]
    state.binds = [.init(specification: Seed.specification(port: 1), sockets: [13, 14])]
    state.statsSockets = [.init(specification: Seed.specification(port: 2), sockets: [15])]
    state.control = .init(specification: Seed.specification(port: 3), sockets: [16])
    state.workers = [
      .init(
        pid: 1, lane: 0, generation: 1, slot: 0, started: 0, isReady: true, isDraining: false,
        endBy: .max, socket: 17, controllerEnd: 18)
    ]
    state.controllers = [
      .init(
        pid: 2, generation: 1, started: 0, isReady: true, isStopping: false, endBy: .max,
        socket: 19)
    ]
    state.current = .init(generation: 2, daemon: 20, controller: 21, snapshot: 22)
    state.previous = .init(generation: 1, daemon: 23, controller: nil, snapshot: 24)
    state.store = .init(nextKey: 1, sequence: 1, files: [25, 26], entries: [])
    #expect(state.descriptors.sorted() == Array(10...26))
  }

  @Test("gives every descriptor another number, and back")
  func renumbering() {
    var seed = Seed(number: 6)
    for _ in 0..<50 {
      let state = seed.state()
      var other = state
      other.renumber { _, number in number + 7 }
      #expect(other.descriptors == state.descriptors.map { $0 + 7 })
      other.renumber { _, number in number - 7 }
      #expect(other == state)
    }
  }

  @Test("falling back is to what was before, with the reason")
  func fallingBack() {
    var state = MasterState()
    #expect(state.fallingBack(because: "x") == nil)
    state.previous = .init(generation: 1, daemon: 3, controller: nil, snapshot: 4)
    let former = state.fallingBack(because: "a worker died")
    #expect(former?.purpose == .fallBack)
    #expect(former?.current == state.previous)
    #expect(former?.previous == nil)
    #expect(former?.text == "a worker died")
  }

  @Test("falling back over ledgers, each worker counts where it did")
  func fallingBackOverLedgers() {
    var state = MasterState()
    state.previous = .init(generation: 1, daemon: 3, controller: nil, snapshot: 4)
    state.ledger = 30
    state.previousLedger = 20
    // The new generation's, the one before's, one that is older still, and one that nobody reads.
    state.workers = [nil, 20, 10, nil].enumerated().map { index, ledger in
      .init(
        pid: 1, lane: index, generation: 1, slot: 0, started: 0, isReady: true, isDraining: false,
        endBy: .max, socket: 17, controllerEnd: 18, isForeign: index == 3, ledger: ledger)
    }
    let former = state.fallingBack(because: "")
    #expect(former?.ledger == 20)
    #expect(former?.previousLedger == nil)
    #expect(former?.workers.map(\.ledger) == [30, nil, 10, nil])
  }

  @Test("a ledger that several workers count in is one descriptor")
  func sharedLedger() {
    var state = MasterState.running
    state.workers[0].ledger = 40
    state.workers.append(state.workers[0])
    state.workers[1].socket = 50
    state.workers[1].controllerEnd = 51
    #expect(state.descriptors.count { $0 == 40 } == 1)
  }
}

@Suite("The state in the service manager's store")
struct StateFileTests {
  @Test("comes back as it was")
  func roundTrip() throws {
    let file = StateFile(sequence: .max, state: [1, 2, 3])
    #expect(try StateFile(decoding: file.encoded) == file)
  }

  @Test("half written over an older one, it is refused at every length")
  func halfWritten() {
    let older = StateFile(sequence: 6, state: Array(repeating: 1, count: 40)).encoded
    let newer = StateFile(sequence: 8, state: Array(repeating: 2, count: 50)).encoded
    for count in 1..<newer.count {
      let bytes = Array(newer[..<count]) + older.dropFirst(count)
      #expect(bytes == older || (try? StateFile(decoding: bytes)) == nil)
    }
  }

  @Test("names that are no store's are left to others")
  func names() {
    #expect(Estate.Stored("sluice.listener.7", number: 3)?.key == 7)
    for name in [
      "https", "sluice", "sluice.listener", "sluice.x.1", "sluice.listener.0", "sluice.ledger.1.2",
    ] {
      #expect(Estate.Stored(name, number: 3) == nil)
    }
  }

  @Test("a state is gone on with only when all is there and nothing points astray")
  func wholeness() {
    let whole = MasterState.running
    #expect(whole.isWhole)
    func isWhole(_ change: (inout MasterState) -> Void) -> Bool {
      var state = whole
      change(&state)
      return state.isWhole
    }
    #expect(!isWhole { $0.ledger = -1 })
    #expect(!isWhole { $0.doorbells.removeLast() })
    #expect(!isWhole { $0.binds[0].sockets = [] })
    #expect(!isWhole { $0.binds[0].socketsInUse = 2 })
    #expect(!isWhole { $0.workers[0].lane = 128 })
    #expect(!isWhole { $0.workers[0].lane = -1 })
    #expect(!isWhole { $0.workers[0].slot = -1 })
    #expect(!isWhole { $0.workers[0].pid = 1 })
    #expect(!isWhole { $0.workers[0].pid = Process.id })
    #expect(!isWhole { $0.workers.append($0.workers[0]) })
    #expect(!isWhole { $0.current.snapshot = -1 })
  }
}

extension MasterState {
  /// One worker at one address.
  fileprivate static var running: MasterState {
    var state = MasterState()
    state.ledger = 10
    state.doorbells = Array(100..<228)
    state.binds = [.init(specification: Seed.specification(port: 1), sockets: [13])]
    state.workers = [
      .init(
        pid: 1_000_000, lane: 0, generation: 1, slot: 0, started: 0, isReady: true,
        isDraining: false, endBy: .max, socket: 17, controllerEnd: 18)
    ]
    state.current = .init(generation: 2, daemon: 20, controller: 21, snapshot: 22)
    return state
  }
}

@Suite("What a reload's check reports")
struct TrialReportTests {
  @Test("comes back as it was")
  func roundTrip() throws {
    var seed = Seed(number: 5)
    var report = try TrialReport(decoding: TrialReport.minimal)
    report.binds = (0..<5).map { _ in seed.specification() }
    report.statsSockets = [seed.specification()]
    report.workers = 7
    report.sharesSockets = true
    #expect(try TrialReport(decoding: report.encoded) == report)
  }
}

extension TrialReport {
  fileprivate static var minimal: [UInt8] {
    var writer = RecordWriter()
    writer.write(1, [1, 2, 3])
    writer.write(4, 1)
    return writer.bytes
  }
}

/// States from numbers that are the same in every run.
private struct Seed {
  private var number: UInt64

  init(number: UInt64) { self.number = number }

  mutating func next() -> UInt64 {
    number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return number >> 11
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
  mutating func flag() -> Bool { below(2) == 1 }
  mutating func descriptor() -> Int32 { Int32(below(20_000)) }
  mutating func wide() -> Int64 { Int64(bitPattern: next() &* 0x9e37_79b9_7f4a_7c15) }

  mutating func text() -> String {
    ["", "a", "bind *:443", "ä😀\n", String(repeating: "x", count: 300)][below(5)]
  }

  static func specification(port: UInt16) -> ListenerSpecification {
    ListenerSpecification(key: .init(address: .socket(.ip(.anyIPv4, port: port))), text: "x")
  }

  mutating func specification() -> ListenerSpecification {
    let addresses: [BindAddress] = [
      .socket(.ip(IPAddress(high: .max, low: next()), port: UInt16(below(65_536)))),
      .socket(.unix(path: "/run/" + text())), .socket(.abstract(name: text())),
      .descriptor(below(100)), .descriptorName(text()),
    ]
    var specification = ListenerSpecification(
      key: .init(
        address: addresses[below(5)], interface: flag() ? text() : nil,
        onlyIPv6: flag() ? flag() : nil, isTransparent: flag()), text: text())
    specification.options.backlog = below(10_000)
    if flag() {
      var keepalive = Keepalive()
      keepalive.isEnabled = flag()
      keepalive.idle = below(1000)
      specification.options.keepalive = keepalive
    }
    specification.options.userTimeout = flag() ? below(10_000) : nil
    specification.options.deferAccept = flag()
    specification.options.fastOpen = flag()
    specification.options.maxSegmentSize = flag() ? below(1500) - 700 : nil
    specification.options.receiveBuffer = flag() ? below(1 << 20) : nil
    specification.options.permissions.mode = flag() ? 0o640 : nil
    specification.options.permissions.user = flag() ? .name(text()) : nil
    specification.options.permissions.group = flag() ? .number(.max) : nil
    return specification
  }

  mutating func listener() -> MasterState.Listener {
    MasterState.Listener(
      specification: specification(), sockets: (0..<below(5)).map { _ in descriptor() },
      spreads: flag(), socketsInUse: below(5), isAdopted: flag(), device: flag() ? .max : nil,
      inode: flag() ? next() : nil)
  }

  mutating func worker() -> MasterState.Worker {
    MasterState.Worker(
      pid: descriptor(), lane: below(128), generation: next(), slot: below(64), started: wide(),
      isReady: flag(), isDraining: flag(), endBy: flag() ? .max : wide(), socket: descriptor(),
      controllerEnd: descriptor(), isAdopted: flag(), isForeign: flag(),
      ledger: flag() ? descriptor() : nil)
  }

  mutating func controller() -> MasterState.Controller {
    MasterState.Controller(
      pid: descriptor(), generation: next(), started: wide(), isReady: flag(), isStopping: flag(),
      endBy: flag() ? .max : wide(), socket: descriptor(), isAdopted: flag())
  }

  mutating func stored() -> MasterState.StoredDescriptor {
    let kinds = MasterState.DescriptorKind.allCases
    return .init(key: descriptor(), kind: kinds[below(kinds.count)], number: descriptor())
  }

  mutating func store() -> MasterState.Store {
    .init(
      nextKey: descriptor(), sequence: UInt64(bitPattern: wide()),
      files: [descriptor(), descriptor()], keeper: flag() ? descriptor() : nil,
      entries: (0..<below(5)).map { _ in stored() })
  }

  mutating func release() -> MasterState.Release {
    MasterState.Release(
      generation: next(), daemon: descriptor(), controller: flag() ? descriptor() : nil,
      snapshot: descriptor())
  }

  mutating func waiter() -> MasterState.Waiter {
    MasterState.Waiter(controller: descriptor(), requestID: UInt64(bitPattern: wide()))
  }

  /// One that is all structure, so that harm hits it.
  mutating func small() -> MasterState {
    var state = MasterState()
    state.current = release()
    state.workers = [worker()]
    state.binds = [listener()]
    return state
  }

  mutating func state() -> MasterState {
    var state = MasterState()
    state.purpose = flag() ? .takeOver : .fallBack
    state.lastGeneration = next()
    state.started = wide()
    state.reloads = below(1000)
    state.failedReloads = below(1000)
    state.arguments = (0..<below(6)).map { _ in text() }
    state.path = text()
    state.ledger = descriptor()
    state.previousLedger = flag() ? descriptor() : nil
    state.doorbells = (0..<below(128)).map { _ in descriptor() }
    state.binds = (0..<below(4)).map { _ in listener() }
    state.control = flag() ? listener() : nil
    state.statsSockets = (0..<below(3)).map { _ in listener() }
    state.workers = (0..<below(6)).map { _ in worker() }
    state.controllers = (0..<below(3)).map { _ in controller() }
    state.current = release()
    state.previous = flag() ? release() : nil
    state.waiters = (0..<below(3)).map { _ in waiter() }
    state.laterWaiters = (0..<below(3)).map { _ in waiter() }
    state.wantsAnotherReload = flag()
    state.text = text()
    state.isStopping = flag()
    state.leaveDue = flag() ? wide() : .max
    state.lastReload = ReloadOutcome(
      began: wide(), ended: UInt64(below(1000)), hasSucceeded: flag(), milliseconds: 34,
      handedOver: UInt64(below(1000)), handOverMilliseconds: 3, kept: 1, text: text())
    state.store = flag() ? store() : nil
    return state
  }
}
