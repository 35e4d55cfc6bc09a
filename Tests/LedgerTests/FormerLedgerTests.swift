import Linux
import Testing

@testable import Ledger

@Suite("A ledger of another layout")
struct FormerLedgerTests {
  @Test("what a ledger says of itself fits into its header, and is read as it was written")
  func description() throws {
    let text = LedgerDescription.own.text
    #expect(text.utf8.count <= Layout.headerSize - Layout.description)
    #expect(LedgerDescription(text, size: Layout.size) == .own)
    let newer = text + "area sketches 4096 8 1\nnovelty\ncell gauge.current.unit sessions\n"
    #expect(LedgerDescription(newer, size: Layout.size) == .own)
    let file = try LedgerFile()
    let found = try FormerLedger(adopting: file.descriptor.duplicate())
    #expect(found.description == .own)
  }

  /// Other releases look for these: a name may be added, none may go.
  @Test("no cell that a release has had is renamed")
  func names() {
    let known = [
      "lane.state", "lane.pid", "lane.generation", "lane.workerSlot", "lane.started", "lane.laps",
      "lane.serial", "lane.bytesRelayed", "lane.handedOver", "lane.takenOver", "lane.droppedLogs",
      "gauge.current", "gauge.queued", "gauge.maximum", "gauge.nextTicket", "gauge.weight",
      "gauge.administrativeState", "gauge.operationalState", "gauge.configuredAddressHash",
      "gauge.addressVersion", "gauge.addressHigh", "gauge.addressLow", "gauge.addressPort",
      "gauge.limitOverride", "gauge.isUsable", "counter.connections", "counter.sessions",
      "counter.bytesUp", "counter.bytesDown", "counter.currentShare", "counter.currentInTransit",
    ]
    for name in known { #expect(LedgerDescription.own.cells[name] != nil, "\(name)") }
  }

  @Test(
    "a description that points outside, or lacks an area, is none",
    arguments: [
      "area gauges 8458240 512 65536\n", "area lanes 4096 512 0\n", "area lanes 4096 7 128\n",
      "area lanes -8 512 128\n", "area counters 0 9223372036854775800 65536\n",
      "cell gauge.current 64\n", "cell counter.sessions -1\n", "cell lane.pid 4096\n",
    ])
  func unsound(line: String) {
    let words = line.split(separator: " ").prefix(2).joined(separator: " ")
    let rest = LedgerDescription.own.text.split(separator: "\n").filter {
      !$0.hasPrefix(words + " ")
    }
    let text = rest.joined(separator: "\n") + "\n"
    let size = line.hasPrefix("area gauges") ? 1 << 20 : Layout.size
    #expect(LedgerDescription(text + line, size: size) == nil)
    if line.hasPrefix("area") { #expect(LedgerDescription(text, size: Layout.size) == nil) }
  }

  @Test("what is no ledger is refused")
  func noLedger() throws {
    #expect(throws: Errno.invalidArgument) {
      _ = try FormerLedger(
        adopting: SharedMemory(name: "test", size: 1 << 20).descriptor.duplicate())
    }
    #expect(throws: Errno.self) {
      _ = try FormerLedger(adopting: Descriptor.emptyFile(name: "test"))
    }
  }

  @Test("slots, counts and states are carried over by the names of cells")
  func carryOver() throws {
    let other = try OtherLedger()
    let key = SlotKey(kind: .server, proxy: "be", name: "s1")
    other.addSlot(SlotKey(kind: .process))
    other.addSlot(key)
    other[.gauge("weight"), slot: 1] = 42
    other[.gauge("current"), slot: 1] = 7
    other[.counter("sessions", lane: 0), slot: 1] = 100
    other[.counter("sessions", lane: 2), slot: 1] = 11
    other[.counter("currentShare", lane: 2), slot: 1] = 7
    other[.lane("serial", 2), slot: 0] = 99
    let file = try LedgerFile()
    #expect(file.ledger.carryOver(try other.former()))
    var directory = SlotDirectory(file.ledger)
    #expect(directory.slot(key) == 1)
    #expect(directory.takeSlot(SlotKey(kind: .frontend, proxy: "new"), in: file.ledger) == 2)
    #expect(file.ledger.gauges(of: 1)[.weight].value == 42)
    #expect(file.ledger.total(.sessions, slot: 1) == 111)
    #expect(file.ledger.lane(2)[.serial].value == 99)
    #expect(file.ledger.lane(2)[.state].value == LaneState.free.rawValue)
    // Nobody is known to hold a place.
    #expect(file.ledger.gauges(of: 1)[.current].value == 0)
    #expect(file.ledger.total(.currentShare, slot: 1) == 0)
  }

  @Test("a worker that counts there holds its places here, and gives them back")
  func mirror() throws {
    let other = try OtherLedger()
    other.addSlot(SlotKey(kind: .process))
    other[.lane("state", 1), slot: 0] = LaneState.ready.rawValue
    other[.lane("pid", 1), slot: 0] = 4711
    other[.counter("currentShare", lane: 1), slot: 0] = 3
    other[.counter("currentInTransit", lane: 1), slot: 0] = 2
    other[.counter("bytesUp", lane: 1), slot: 0] = 1_000
    let former = try other.former()
    let file = try LedgerFile()
    let ledger = file.ledger
    #expect(ledger.carryOver(former))
    #expect(!ledger.mirror(lane: 1, of: former))
    let own = ledger.slot(0, lane: 0)
    #expect(own.enter())
    #expect(own.shared[.current].value == 6)
    #expect(ledger.lane(1)[.pid].value == 4711)
    #expect(ledger.takeLane(generation: 2, workerSlot: 0, now: 1) == 0)
    #expect(ledger.takeLane(generation: 2, workerSlot: 1, now: 1) == 2, "the lane is another's")
    other[.counter("currentInTransit", lane: 1), slot: 0] = 0
    other[.counter("bytesUp", lane: 1), slot: 0] = 1_500
    #expect(ledger.mirror(lane: 1, of: former), "places have become free")
    #expect(own.shared[.current].value == 4)
    #expect(ledger.total(.bytesUp, slot: 0) == 1_500)
    // Its worker has died.
    #expect(ledger.settle(lane: 1, slots: 1))
    #expect(own.shared[.current].value == 1)
    #expect(ledger.takeLane(generation: 2, workerSlot: 1, now: 1) == 1)
    #expect(ledger.total(.bytesUp, slot: 0) == 1_500, "counts stay")
  }

  @Test("those who count there see the places of others, and are given them back")
  func otherWay() throws {
    let other = try OtherLedger()
    other.addSlot(SlotKey(kind: .process))
    other[.gauge("current"), slot: 0] = 5
    let former = try other.former()
    let file = try LedgerFile()
    #expect(file.ledger.carryOver(former))
    let own = file.ledger.slot(0, lane: 4)
    #expect(own.enter() && own.enter())
    #expect(!former.hold(4, asIn: file.ledger))
    #expect(other[.gauge("current"), slot: 0] == 7)
    own.leave()
    #expect(former.hold(4, asIn: file.ledger), "a place has become free")
    #expect(!former.hold(4, asIn: file.ledger))
    #expect(other[.gauge("current"), slot: 0] == 6)
    former.release(4)
    #expect(other[.gauge("current"), slot: 0] == 5)
    // One that the other ledger has no lane for.
    #expect(!former.hold(100, asIn: file.ledger))
  }

  @Test("more than fits is refused")
  func tooMuch() throws {
    let other = try OtherLedger()
    other.slots = SharedLedger.slotCapacity + 1
    // No more are there than its directory has entries.
    let file = try LedgerFile()
    #expect(file.ledger.carryOver(try other.former()))
    other.lanes = 1_000
    #expect(try other.former().lanes == OtherLedger.laneCount)
  }
}

/// A ledger that is laid out in another way: areas in another order, blocks of other sizes, cells with
/// other numbers.
private final class OtherLedger {
  static let laneCount = 8
  private let memory: SharedMemory
  private static let slotCount = 64
  private static let lanes = LedgerDescription.Area(offset: 40_960, stride: 256, count: laneCount)
  private static let directory = LedgerDescription.Area(
    offset: 45_056, stride: 16, count: slotCount)
  private static let gauges = LedgerDescription.Area(offset: 8192, stride: 512, count: slotCount)
  private static let counters = LedgerDescription.Area(
    offset: 65_536, stride: 320, count: slotCount * laneCount)
  private let cells: [String: Int]

  enum Place {
    case gauge(String)
    case counter(String, lane: Int)
    case lane(String, Int)
  }

  init() throws(Errno) {
    memory = try SharedMemory(name: "test-ledger", size: 1 << 20)
    // Backwards, and one is not there at all.
    func numbered(_ names: [String]) -> [(String, Int)] {
      names.enumerated().map { ($1, names.count - $0) }
    }
    cells = Dictionary(
      uniqueKeysWithValues: numbered(Gauge.allCases.map(\.name))
        + numbered(Counter.allCases.map(\.name).filter { $0 != Counter.queuedShare.name })
        + numbered(LaneCell.allCases.map(\.name)))
    var text = ""
    for (name, area) in [
      ("lanes", Self.lanes), ("directory", Self.directory), ("gauges", Self.gauges),
      ("counters", Self.counters),
    ] {
      text += "area \(name) \(area.offset) \(area.stride) \(area.count)\n"
    }
    for (name, number) in cells { text += "cell \(name) \(number)\n" }
    let bytes = Array(text.utf8)
    for (index, byte) in bytes.enumerated() {
      let cell = cell(512 + index / 8 * 8)
      cell.store(cell.value | UInt64(byte) << UInt64(index % 8 * 8))
    }
    cell(48).store(UInt64(bytes.count))
    cell(8).store(77)
    cell(0).store(Layout.magic)
    cell(24).store(3)
  }

  private func cell(_ offset: Int) -> Cell { Cell(at: memory.address + UInt(offset)) }

  var lanes: Int = 0 { didSet { cell(24).store(UInt64(lanes)) } }
  var slots: Int = 0 { didSet { cell(32).store(UInt64(slots)) } }

  func addSlot(_ key: SlotKey) {
    cell(Self.directory.block(slots)).store(key.fingerprint.0)
    cell(Self.directory.block(slots) + 8).store(key.fingerprint.1)
    slots += 1
  }

  func former() throws(Errno) -> FormerLedger {
    guard case .former(let former) = try LedgerFound(in: memory.descriptor.duplicate()) else {
      throw .invalidArgument
    }
    return former
  }

  subscript(place: Place, slot slot: Int) -> UInt64 {
    get { cell(offset(place, slot)).value }
    set { cell(offset(place, slot)).store(newValue) }
  }

  private func offset(_ place: Place, _ slot: Int) -> Int {
    switch place {
    case .gauge(let name): Self.gauges.block(slot) + cells["gauge.\(name)", default: 0] * 8
    case .counter(let name, let lane):
      Self.counters.block(lane * Self.slotCount + slot) + cells["counter.\(name)", default: 0] * 8
    case .lane(let name, let lane): Self.lanes.block(lane) + cells["lane.\(name)", default: 0] * 8
    }
  }
}
