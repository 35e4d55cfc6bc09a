import Linux
import Testing

@testable import Ledger

/// A ledger that tests can keep in a property.
final class LedgerBox {
  private let file: LedgerFile
  init() throws { file = try LedgerFile() }
  var ledger: SharedLedger { file.ledger }
}

@Suite("The directory of slots, and adoption")
struct DirectoryTests {
  @Test("keys that differ have slots of their own; equal ones share one")
  func keys() throws {
    let file = try LedgerFile()
    var directory = SlotDirectory(file.ledger)
    let keys = [
      SlotKey(kind: .process),
      SlotKey(kind: .frontend, proxy: "a"), SlotKey(kind: .backend, proxy: "a"),
      SlotKey(kind: .server, proxy: "ab", name: "c"),
      SlotKey(kind: .server, proxy: "a", name: "bc"),
      SlotKey(kind: .server, proxy: "a", name: "bc", ordinal: 1),
      SlotKey(kind: .server, proxy: "a", name: "bc", ordinal: 1 << 24),
      SlotKey(kind: .listener, proxy: "a", name: "bc"),
      SlotKey(kind: .server, proxy: "", name: "abc"),
      SlotKey(kind: .server, proxy: "abc", name: ""),
      SlotKey(kind: .server, proxy: "Ab", name: "c"),
    ]
    for key in keys { #expect(directory.slot(key) == nil) }
    for (number, key) in keys.enumerated() {
      #expect(directory.takeSlot(key, in: file.ledger) == number)
    }
    for (number, key) in keys.enumerated() {
      #expect(directory.takeSlot(key, in: file.ledger) == number)
      #expect(directory.slot(key) == number)
      #expect(SlotDirectory(file.ledger).slot(key) == number)
    }
    #expect(directory.count == keys.count)
  }

  @Test("a full ledger gives no slots, and forgets none")
  func capacity() throws {
    let file = try LedgerFile()
    var directory = SlotDirectory(file.ledger)
    for number in 0..<SharedLedger.slotCapacity {
      let key = SlotKey(kind: .server, proxy: "p", name: "s", ordinal: number)
      let slot = directory.takeSlot(key, in: file.ledger)
      try #require(slot == number)
    }
    let another = SlotKey(kind: .server, proxy: "p", name: "another")
    #expect(directory.takeSlot(another, in: file.ledger) == nil)
    let adopted = SlotDirectory(file.ledger)
    #expect(adopted.count == SharedLedger.slotCapacity)
    for number in stride(from: 0, to: SharedLedger.slotCapacity, by: 997) {
      #expect(
        adopted.slot(SlotKey(kind: .server, proxy: "p", name: "s", ordinal: number)) == number)
    }
  }

  @Test("who adopts the file sees the same numbers")
  func adoption() throws {
    let file = try LedgerFile()
    var directory = SlotDirectory(file.ledger)
    let key = SlotKey(kind: .backend, proxy: "be")
    let taken = directory.takeSlot(key, in: file.ledger)
    let slot = try #require(taken)
    file.ledger.slot(slot, lane: 0).count(.sessions, 42)

    let adopted = try LedgerFile(adopting: try file.descriptor.duplicate())
    #expect(SlotDirectory(adopted.ledger).slot(key) == slot)
    #expect(adopted.ledger.counters(slot: slot, lane: 0)[.sessions].value == 42)
    adopted.ledger.gauges(of: slot)[.weight].store(7)
    #expect(file.ledger.gauges(of: slot)[.weight].value == 7)
  }

  @Test("what is no ledger, or another release's, is not adopted")
  func foreign() throws {
    let file = try LedgerFile()
    for (offset, number) in [(8, Layout.version + 1), (0, 1)] {
      let cell = file.ledger.cell(at: Layout.header + offset)
      let before = cell.value
      cell.store(number)
      #expect(throws: Errno.invalidArgument) {
        _ = try LedgerFile(adopting: try file.descriptor.duplicate()).ledger
      }
      cell.store(before)
    }
    let small = try Descriptor.sealedFile(name: "small", Array(repeating: 0, count: 4096))
    #expect(throws: Errno.self) { _ = try LedgerFile(adopting: try small.duplicate()).ledger }
  }
}
