public import Linux

/// The memory that a ledger is in: what is handed from process to process.
public struct LedgerFile: ~Copyable, Sendable {
  private let memory: SharedMemory

  /// Makes an empty ledger.
  public init() throws(Errno) {
    memory = try SharedMemory(name: "sluice-ledger", size: Layout.size)
    ledger.cell(at: Layout.header + 8).store(Layout.version)
    ledger.cell(at: Layout.header + 16).store(UInt64(Layout.size))
    // Last, since it says that the rest is there.
    ledger.cell(at: Layout.header).store(Layout.magic)
  }

  /// Maps the one that another process made.
  ///
  /// - Throws: `EINVAL` when it is no ledger, or one of another layout.
  public init(adopting descriptor: consuming Descriptor) throws(Errno) {
    let memory = try SharedMemory(adopting: descriptor)
    guard memory.size == Layout.size else { throw .invalidArgument }
    let found = SharedLedger(address: memory.address)
    guard found.cell(at: Layout.header).value == Layout.magic,
      found.cell(at: Layout.header + 8).value == Layout.version
    else { throw .invalidArgument }
    self.memory = memory
  }

  public var ledger: SharedLedger { SharedLedger(address: memory.address) }

  /// What another process adopts it by.
  public var descriptor: Descriptor { _read { yield memory.descriptor } }
}
