import Synchronization

/// A byte that keeps the struct that holds it where it is.
///
/// The compiler lends a struct that could live in registers by copying it to the stack, however large
/// it is and though it may not be copied: measured, 1,400 bytes for each call that borrows what the
/// stages of a worker share, a third of all instructions of a connection. An atomic has an address
/// that others may know, so what holds one is lent by its address.
public struct InPlace: ~Copyable, Sendable {
  private let mark = Atomic<UInt8>(0)

  public init() {}
}
