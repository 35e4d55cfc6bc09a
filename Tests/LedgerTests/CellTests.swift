import Linux
import Testing

@testable import Ledger

@Suite("Cells, slots and lanes")
struct CellTests {
  private let file: LedgerBox
  private var ledger: SharedLedger { file.ledger }

  init() throws { file = try LedgerBox() }

  @Test("a cell adds and subtracts, and stays above zero where many write")
  func arithmetic() {
    let cell = ledger.gauges(of: 0)[.current]
    cell.store(5)
    cell.add(3)
    cell.subtract(2)
    #expect(cell.value == 6)
    #expect(cell.fetchAdd(4) == 6)
    cell.fetchSubtract(3)
    #expect(cell.value == 7)
    cell.fetchSubtract(100)
    #expect(cell.value == 0)
    cell.raise(to: 9)
    cell.raise(to: 8)
    #expect(cell.value == 9)
    let isExchanged = (cell.exchange(8, for: 1), cell.exchange(9, for: 1))
    #expect(isExchanged == (false, true))
    #expect(cell.latest == 1)
  }

  @Test("no more enter than the limit has places")
  func limit() {
    let slot = ledger.slot(3, lane: 0)
    let other = ledger.slot(3, lane: 1)
    let entered = [slot, other, slot, other].map { $0.enter(limit: 3) }
    #expect(entered == [true, true, true, false])
    #expect(slot.shared[.current].value == 3)
    #expect(slot.own[.currentShare].value == 2)
    #expect(other.own[.currentShare].value == 1)
    #expect(ledger.total(.currentShare, slot: 3) == 0, "no lane was ever taken")
    let none = slot.enter(limit: 0)
    #expect(!none)
    slot.leave()
    let again = other.enter(limit: 3)
    #expect(again)
    slot.raiseMaximum()
    slot.leave()
    other.leave()
    other.leave()
    slot.raiseMaximum()
    #expect(slot.shared[.current].value == 0)
    #expect(slot.shared[.maximum].value == 3)
    #expect(ledger.intent(of: 0).slot == nil)
  }

  @Test("waiting is counted, and its most")
  func waiting() {
    let slot = ledger.slot(4, lane: 2)
    slot.beginToWait()
    slot.beginToWait()
    slot.endWait()
    #expect(slot.shared[.queued].value == 1)
    #expect(slot.shared[.queuedMaximum].value == 2)
    #expect(slot.own[.queuedShare].value == 1)
  }

  @Test("every cell is a cell of its own")
  func layout() {
    var cells: [Cell] = []
    for slot in [0, 1, 2, SharedLedger.slotCapacity - 1] {
      cells += Gauge.allCases.map { ledger.gauges(of: slot)[$0] }
      for lane in [0, 1, SharedLedger.laneCapacity - 1] {
        cells += Counter.allCases.map { ledger.counters(slot: slot, lane: lane)[$0] }
      }
    }
    for lane in [0, 1, SharedLedger.laneCapacity - 1] {
      cells += LaneCell.allCases.map { ledger.lane(lane)[$0] }
    }
    let header = [0, 8, 16].map { ledger.cell(at: $0).value }
    for (number, cell) in cells.enumerated() { cell.store(UInt64(number + 1)) }
    for (number, cell) in cells.enumerated() { #expect(cell.value == UInt64(number + 1)) }
    #expect([0, 8, 16].map { ledger.cell(at: $0).value } == header)
  }

  @Test("what lies outside is not touched")
  func outside() async {
    await #expect(processExitsWith: .failure) {
      _ = try LedgerFile().ledger.gauges(of: SharedLedger.slotCapacity)
    }
    await #expect(processExitsWith: .failure) {
      _ = try LedgerFile().ledger.slot(0, lane: SharedLedger.laneCapacity)
    }
    await #expect(processExitsWith: .failure) { _ = try LedgerFile().ledger.lane(-1) }
  }

  @Test("lanes are given out once, and counted on in when they are taken again")
  func lanes() {
    for lane in 0..<SharedLedger.laneCapacity {
      #expect(ledger.takeLane(generation: 1, workerSlot: lane, now: 9) == lane)
    }
    #expect(ledger.takeLane(generation: 1, workerSlot: 0, now: 9) == nil)
    #expect(ledger.lanesEverUsed == SharedLedger.laneCapacity)

    ledger.slot(7, lane: 5).count(.connections, 12)
    ledger.slot(7, lane: 6).count(.connections, 30)
    let settled = ledger.settle(lane: 5, slots: 8)
    #expect(settled)
    #expect(ledger.lane(5)[.state].value == LaneState.free.rawValue)
    #expect(ledger.takeLane(generation: 2, workerSlot: 3, now: 10) == 5)
    #expect(ledger.lane(5)[.generation].value == 2)
    #expect(ledger.lane(5)[.workerSlot].value == 3)
    #expect(ledger.lane(5)[.state].value == LaneState.starting.rawValue)
    ledger.slot(7, lane: 5).count(.connections)
    #expect(ledger.total(.connections, slot: 7) == 43)
  }

  @Test("numbers that a worker may have spoilt are not believed")
  func spoilt() {
    for number in [UInt64.max, 1 << 63, 1 << 40] {
      ledger.cell(at: Layout.header + 24).store(number)
      ledger.cell(at: Layout.header + 32).store(number)
      #expect(ledger.lanesEverUsed == SharedLedger.laneCapacity)
      #expect(SlotDirectory(ledger).count == SharedLedger.slotCapacity)
      ledger.lane(3)[.intent].store(number)
      let settled = ledger.settle(lane: 3, slots: 4)
      #expect(settled)
    }
  }

  @Test("an address set at run time stands until it is taken back")
  func address() {
    let gauges = ledger.gauges(of: 1)
    #expect(gauges.address == nil)
    for endpoint in [
      Endpoint(address: IPAddress(ipv4: 0x0a00_0001), port: 443),
      Endpoint(address: IPAddress(high: 0xfe80 << 48, low: 1), port: 65_535, scope: .max),
      Endpoint(address: .anyIPv4, port: 0),
    ] {
      gauges.setAddress(endpoint)
      #expect(gauges.address == endpoint)
    }
    gauges.setAddress(nil)
    #expect(gauges.address == nil)
  }

  @Test("an address half written stands for none, and its successor's is whole")
  func interruptedAddress() {
    let gauges = ledger.gauges(of: 1)
    let endpoint = Endpoint(address: IPAddress(ipv4: 1), port: 1)
    gauges.setAddress(endpoint)
    gauges[.addressVersion].add(1)
    gauges[.addressHigh].store(77)
    #expect(gauges.address == nil)
    gauges.setAddress(endpoint)
    #expect(gauges.address == endpoint)
  }
}
