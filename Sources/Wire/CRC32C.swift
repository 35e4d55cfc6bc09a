/// The checksum of Castagnoli (RFC 3720 appendix B.4), bit by bit.
///
/// No table: it covers one short header a connection at most, and a table would be a global whose
/// first use takes a lock.
struct CRC32C {
  private var register: UInt32 = 0xffff_ffff

  var value: UInt32 { ~register }

  mutating func add(_ byte: UInt8) {
    register ^= UInt32(byte)
    for _ in 0..<8 {
      register = register >> 1 ^ (register & 1 == 0 ? 0 : 0x82f6_3b78)
    }
  }
}
