/// What a worker is changing of the gauges that limits obey, so that they can be made exact should it
/// die between two writes.
///
/// The lower half is the slot's number plus one, or 0 between changes. The upper half counts the
/// changes that were begun: who reads it before and after something else, and finds the same, knows
/// that nothing was changed in between, not even there and back.
@frozen @usableFromInline struct Intent: Sendable {
  @usableFromInline let cell: Cell

  @inlinable
  init(_ cell: Cell) { self.cell = cell }

  @usableFromInline static let slotBits: UInt64 = 0xffff_ffff

  /// The owner begins to change a slot.
  @inlinable
  func begin(_ slot: UInt64) {
    cell.store((cell.value | Self.slotBits) &+ 2 &+ slot)
  }

  /// The change is complete.
  @inlinable
  func end() {
    cell.store(cell.value & ~Self.slotBits)
  }

  /// The slot that is being changed, read before whatever is read after it.
  var slot: Int? {
    let number = Int(cell.latest & Self.slotBits)
    return number > 0 && number <= SharedLedger.slotCapacity ? number - 1 : nil
  }

  /// How many changes were begun, modulo 2³².
  var changes: UInt64 { cell.latest >> 32 }
}
