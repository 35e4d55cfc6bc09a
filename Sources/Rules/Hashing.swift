public import Linux

/// Hashes that every node computes alike: no seed that is drawn at start, no machine word order.
/// Their values are part of what sluice promises: nodes agree on servers without talking.
public enum Hashing {
  /// What `balance source` takes modulo the total weight: the exclusive-or of the address's 32-bit
  /// words, one for IPv4 and four for IPv6. The same number as HAProxy's.
  public static func source(_ address: IPAddress) -> UInt32 {
    if address.isIPv4 { return address.ipv4 }
    let folded = address.high ^ address.low
    return UInt32(truncatingIfNeeded: folded >> 32) ^ UInt32(truncatingIfNeeded: folded)
  }

  /// FNV-1a over `bytes`, 64 bits wide, with its bits spread by MurmurHash3's finalizer so that
  /// any of them can be used.
  public static func bytes(_ bytes: Span<UInt8>) -> UInt64 {
    var hash = ByteHash()
    for index in bytes.indices { hash.add(bytes[index]) }
    return hash.value
  }
}

/// A hash that grows byte by byte, so that all prefixes (or suffixes) of a text cost one pass.
struct ByteHash: BitwiseCopyable {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  init() {}

  /// One step of FNV-1a (RFC 9923).
  mutating func add(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
  }

  /// The hash of what was added so far. FNV alone mixes its low bits poorly.
  var value: UInt64 {
    var mixed = state
    mixed = (mixed ^ mixed >> 33) &* 0xff51_afd7_ed55_8ccd
    mixed = (mixed ^ mixed >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return mixed ^ mixed >> 33
  }
}
