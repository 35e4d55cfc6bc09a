/// What a slot counts for.
public struct SlotKey: Hashable, Sendable {
  public enum Kind: UInt64, Sendable {
    /// Everything: the slot's gauges are those of the whole process.
    case process = 1
    case frontend = 2
    case listener = 3
    case backend = 4
    case server = 5
  }

  public var kind: Kind
  /// The frontend's or backend's name; empty for the process.
  public var proxy: String
  /// The server's name, or the listener's; empty for a proxy.
  public var name: String
  /// Tells things of one name apart, in the order of the file.
  public var ordinal: Int

  public init(kind: Kind, proxy: String = "", name: String = "", ordinal: Int = 0) {
    self.kind = kind
    self.proxy = proxy
    self.name = name
    self.ordinal = ordinal
  }

  /// Two independent FNV-1a hashes: what the directory knows a key by.
  var fingerprint: (UInt64, UInt64) {
    var first: UInt64 = 0xcbf2_9ce4_8422_2325
    var second: UInt64 = 0x8422_2325_cbf2_9ce4
    func mix(_ byte: UInt8) {
      first = (first ^ UInt64(byte)) &* 0x100_0000_01b3
      second = (second ^ UInt64(byte)) &* 0x9e37_79b9_7f4a_7c15
      second ^= second >> 29
    }
    mix(UInt8(kind.rawValue))
    for byte in proxy.utf8 { mix(byte) }
    mix(0)
    for byte in name.utf8 { mix(byte) }
    mix(0)
    for shift in [0, 8, 16, 24] { mix(UInt8(truncatingIfNeeded: ordinal >> shift)) }
    return (first, second | 1)
  }
}

/// Finds slots by their keys. One process at a time, the master, adds to it.
public struct SlotDirectory: Sendable {
  private struct Fingerprint: Hashable {
    let first: UInt64
    let second: UInt64
  }

  private var slots: [Fingerprint: Int] = [:]
  private var used: Int

  /// How many slots have ever been given out.
  public var count: Int { used }

  /// Reads what the ledger has.
  public init(_ ledger: SharedLedger) {
    used = min(
      Int(clamping: ledger.cell(at: Layout.slotsUsed).value), SharedLedger.slotCapacity)
    slots.reserveCapacity(used)
    for slot in 0..<used {
      let entry = Layout.directoryEntry(slot: slot)
      let fingerprint = Fingerprint(
        first: ledger.cell(at: entry).value, second: ledger.cell(at: entry + 8).value)
      slots[fingerprint] = slot
    }
  }

  public func slot(_ key: SlotKey) -> Int? {
    let fingerprint = key.fingerprint
    return slots[Fingerprint(first: fingerprint.0, second: fingerprint.1)]
  }

  /// The key's slot, made when it has none; nil when the ledger is full.
  public mutating func takeSlot(_ key: SlotKey, in ledger: SharedLedger) -> Int? {
    if let slot = slot(key) { return slot }
    guard used < SharedLedger.slotCapacity else { return nil }
    let fingerprint = key.fingerprint
    let entry = Layout.directoryEntry(slot: used)
    ledger.cell(at: entry).store(fingerprint.0)
    ledger.cell(at: entry + 8).store(fingerprint.1)
    ledger.cell(at: Layout.slotsUsed).store(UInt64(used + 1))
    slots[Fingerprint(first: fingerprint.0, second: fingerprint.1)] = used
    used += 1
    return used - 1
  }
}
