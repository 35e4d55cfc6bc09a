public import Synchronization

/// One number in shared memory.
///
/// A handle, trivially copyable: the memory it points to stays mapped for the life of the process.
@frozen @safe public struct Cell: @unchecked Sendable {
  @usableFromInline let pointer: UnsafeMutablePointer<Atomic<UInt64>>

  @inlinable
  init(_ pointer: UnsafeMutablePointer<Atomic<UInt64>>) {
    unsafe self.pointer = unsafe pointer
  }

  /// The cell at an address, which has to be mapped for the life of the process.
  init(at address: UInt) {
    guard let pointer = unsafe UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: address) else {
      preconditionFailure("the ledger is not mapped")
    }
    unsafe self.init(pointer)
  }

  /// The number as it is now.
  @inlinable
  public var value: UInt64 {
    unsafe pointer.pointee.load(ordering: .relaxed)
  }

  /// The number as it is now, read before whatever is read after it.
  @inlinable
  public var latest: UInt64 {
    unsafe pointer.pointee.load(ordering: .acquiring)
  }

  @inlinable
  public func store(_ value: UInt64) {
    // Releasing, so that a writer's stores are seen in the order it made them.
    unsafe pointer.pointee.store(value, ordering: .releasing)
  }

  /// Adds, for a cell that one process writes: a load and a store, which x86 does without a lock.
  @inlinable
  public func add(_ amount: UInt64) {
    unsafe pointer.pointee.store(
      pointer.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  /// Subtracts, for a cell that one process writes.
  @inlinable
  public func subtract(_ amount: UInt64) {
    unsafe pointer.pointee.store(
      pointer.pointee.load(ordering: .relaxed) &- amount, ordering: .releasing)
  }

  /// Adds, for a cell that many write, and returns what was there before.
  @inlinable
  @discardableResult
  public func fetchAdd(_ amount: UInt64) -> UInt64 {
    unsafe pointer.pointee.wrappingAdd(amount, ordering: .acquiringAndReleasing).oldValue
  }

  /// Subtracts, for a cell that many write, and never below zero.
  @inlinable
  public func fetchSubtract(_ amount: UInt64) {
    var seen = value
    while !exchange(seen, for: seen > amount ? seen &- amount : 0) { seen = value }
  }

  /// Raises the number to `candidate` if that is higher.
  @inlinable
  public func raise(to candidate: UInt64) {
    var seen = value
    while seen < candidate, !exchange(seen, for: candidate) { seen = value }
  }

  /// Adds one unless the number has reached `limit`.
  ///
  /// - Returns: whether it was added.
  @inlinable
  public func increment(below limit: UInt64) -> Bool {
    var seen = value
    while seen < limit {
      if exchange(seen, for: seen &+ 1) { return true }
      seen = value
    }
    return false
  }

  /// Replaces `expected` by `desired`, and says whether it was still there.
  @inlinable
  public func exchange(_ expected: UInt64, for desired: UInt64) -> Bool {
    unsafe pointer.pointee.compareExchange(
      expected: expected, desired: desired, ordering: .acquiringAndReleasing
    ).exchanged
  }
}
