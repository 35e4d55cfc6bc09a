public import Linux

/// The memory that a ledger is in: what is handed from process to process.
public struct LedgerFile: ~Copyable, Sendable {
  private let memory: SharedMemory

  /// Makes an empty ledger.
  public init() throws(Errno) {
    memory = try SharedMemory(name: "sluice-ledger", size: Layout.size)
    ledger.cell(at: Layout.header + 8).store(Layout.version)
    ledger.cell(at: Layout.header + 16).store(UInt64(Layout.size))
    ledger.describe(.own)
    // Last, since it says that the rest is there.
    ledger.cell(at: Layout.header).store(Layout.magic)
  }

  init(_ memory: consuming SharedMemory) { self.memory = memory }

  /// Maps the one that another process made.
  ///
  /// - Throws: `EINVAL` when it is no ledger, or one of another layout.
  public init(adopting descriptor: consuming Descriptor) throws(Errno) {
    guard case .own(let file) = try LedgerFound(in: descriptor) else { throw .invalidArgument }
    self = file
  }

  /// Whether a ledger is as this release lays one out.
  static func hasThisLayout(_ memory: borrowing SharedMemory) -> Bool {
    memory.size == Layout.size
      && SharedLedger(address: memory.address).cell(at: Layout.header + 8).value == Layout.version
  }

  public var ledger: SharedLedger { SharedLedger(address: memory.address) }

  /// What another process adopts it by.
  public var descriptor: Descriptor { _read { yield memory.descriptor } }
}

extension SharedLedger {
  /// Writes down how it is laid out, eight bytes a cell.
  fileprivate func describe(_ description: LedgerDescription) {
    let bytes = Array(description.text.utf8)
    precondition(bytes.count <= Layout.headerSize - Layout.description, "the header is too small")
    for (index, byte) in bytes.enumerated() {
      let cell = cell(at: Layout.description + index / 8 * 8)
      cell.store(cell.value | UInt64(byte) << UInt64(index % 8 * 8))
    }
    cell(at: Layout.descriptionLength).store(UInt64(bytes.count))
  }

  /// What it says of itself; nil when that would be more than the whole file has bytes.
  func description(limit: Int) -> String? {
    let length = Int(clamping: cell(at: Layout.descriptionLength).value)
    guard length > 0, length <= min(limit, Layout.longestDescription) - Layout.description else {
      return nil
    }
    let bytes = (0..<length).map { index in
      let word = cell(at: Layout.description + index / 8 * 8).value
      return UInt8(truncatingIfNeeded: word >> UInt64(index % 8 * 8))
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
