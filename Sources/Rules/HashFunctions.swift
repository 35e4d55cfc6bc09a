import Configuration

/// Hash functions of the language, byte for byte as others compute them: fingerprints and choices
/// that are made by them must be the same everywhere.
extension SampleExpression.HashFunction {
  func hash(_ bytes: Span<UInt8>, argument: Int) -> Int {
    switch self {
    case .xxh32: Int(XXHash.hash32(bytes, seed: UInt32(truncatingIfNeeded: argument)))
    case .xxh64:
      Int(bitPattern: UInt(XXHash.hash64(bytes, seed: UInt64(truncatingIfNeeded: argument))))
    case .crc32: Int(Self.mixed(Self.checksum(bytes, polynomial: 0xedb8_8320), argument))
    case .crc32c: Int(Self.mixed(Self.checksum(bytes, polynomial: 0x82f6_3b78), argument))
    case .djb2: Int(Self.mixed(Self.bernstein(bytes), argument))
    case .sdbm: Int(Self.mixed(Self.database(bytes), argument))
    }
  }

  /// A reflected CRC-32 (ISO 3309, RFC 3385), bit by bit: names are short.
  private static func checksum(_ bytes: Span<UInt8>, polynomial: UInt32) -> UInt32 {
    var crc = UInt32.max
    for index in bytes.indices {
      crc ^= UInt32(bytes[index])
      for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ polynomial }
    }
    return ~crc
  }

  /// Bernstein's: times 33, plus the byte.
  private static func bernstein(_ bytes: Span<UInt8>) -> UInt32 {
    var hash: UInt32 = 5381
    for index in bytes.indices { hash = hash &* 33 &+ UInt32(bytes[index]) }
    return hash
  }

  /// The one of the database library sdbm: times 65599, plus the byte.
  private static func database(_ bytes: Span<UInt8>) -> UInt32 {
    var hash: UInt32 = 0
    for index in bytes.indices { hash = hash &* 65_599 &+ UInt32(bytes[index]) }
    return hash
  }

  /// Spreads the bits, if `argument` asks for it: Jenkins's 32-bit integer mix, then a factor near
  /// three quarters of the range, as the reference has it.
  private static func mixed(_ hash: UInt32, _ argument: Int) -> UInt32 {
    guard argument != 0 else { return hash }
    var mixed = hash
    mixed = mixed &+ 0x7ed5_5d16 &+ (mixed << 12)
    mixed = mixed ^ 0xc761_c23c ^ (mixed >> 19)
    mixed = mixed &+ 0x1656_67b1 &+ (mixed << 5)
    mixed = (mixed &+ 0xd3a2_646c) ^ (mixed << 9)
    mixed = mixed &+ 0xfd70_46c5 &+ (mixed << 3)
    mixed = mixed ^ 0xb55a_4f09 ^ (mixed >> 16)
    return mixed &* 3_221_225_473
  }
}

/// xxHash, by its specification: github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
private enum XXHash {
  // MARK: 32 bits

  private static let small: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
    0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1
  )

  static func hash32(_ bytes: Span<UInt8>, seed: UInt32) -> UInt32 {
    var position = 0
    var hash: UInt32
    if bytes.count >= 16 {
      var lanes: InlineArray<4, UInt32> = [
        seed &+ small.0 &+ small.1, seed &+ small.1, seed, seed &- small.0,
      ]
      while bytes.count - position >= 16 {
        for lane in lanes.indices {
          let word = word32(bytes, position + 4 * lane)
          lanes[lane] = rotated(lanes[lane] &+ word &* small.1, 13) &* small.0
        }
        position += 16
      }
      hash =
        rotated(lanes[0], 1) &+ rotated(lanes[1], 7) &+ rotated(lanes[2], 12)
        &+ rotated(lanes[3], 18)
    } else {
      hash = seed &+ small.4
    }
    hash = hash &+ UInt32(truncatingIfNeeded: bytes.count)
    while bytes.count - position >= 4 {
      hash = rotated(hash &+ word32(bytes, position) &* small.2, 17) &* small.3
      position += 4
    }
    while position < bytes.count {
      hash = rotated(hash &+ UInt32(bytes[position]) &* small.4, 11) &* small.0
      position += 1
    }
    hash = (hash ^ hash >> 15) &* small.1
    hash = (hash ^ hash >> 13) &* small.2
    return hash ^ hash >> 16
  }

  private static func word32(_ bytes: Span<UInt8>, _ index: Int) -> UInt32 {
    var word: UInt32 = 0
    for offset in 0..<4 { word |= UInt32(bytes[index + offset]) << UInt32(8 * offset) }
    return word
  }

  private static func rotated(_ value: UInt32, _ count: UInt32) -> UInt32 {
    value << count | value >> (32 - count)
  }

  // MARK: 64 bits

  private static let large: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
    0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5
  )

  static func hash64(_ bytes: Span<UInt8>, seed: UInt64) -> UInt64 {
    var position = 0
    var hash: UInt64
    if bytes.count >= 32 {
      var lanes: InlineArray<4, UInt64> = [
        seed &+ large.0 &+ large.1, seed &+ large.1, seed, seed &- large.0,
      ]
      while bytes.count - position >= 32 {
        for lane in lanes.indices {
          lanes[lane] = round(lanes[lane], word64(bytes, position + 8 * lane))
        }
        position += 32
      }
      hash =
        rotated(lanes[0], 1) &+ rotated(lanes[1], 7) &+ rotated(lanes[2], 12)
        &+ rotated(lanes[3], 18)
      for lane in lanes.indices {
        hash = (hash ^ round(0, lanes[lane])) &* large.0 &+ large.3
      }
    } else {
      hash = seed &+ large.4
    }
    hash = hash &+ UInt64(bytes.count)
    return finished(hash, bytes, position)
  }

  private static func finished(_ start: UInt64, _ bytes: Span<UInt8>, _ from: Int) -> UInt64 {
    var hash = start
    var position = from
    while bytes.count - position >= 8 {
      hash = rotated(hash ^ round(0, word64(bytes, position)), 27) &* large.0 &+ large.3
      position += 8
    }
    if bytes.count - position >= 4 {
      hash = rotated(hash ^ UInt64(word32(bytes, position)) &* large.0, 23) &* large.1 &+ large.2
      position += 4
    }
    while position < bytes.count {
      hash = rotated(hash ^ UInt64(bytes[position]) &* large.4, 11) &* large.0
      position += 1
    }
    hash = (hash ^ hash >> 33) &* large.1
    hash = (hash ^ hash >> 29) &* large.2
    return hash ^ hash >> 32
  }

  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* large.1, 31) &* large.0
  }

  private static func word64(_ bytes: Span<UInt8>, _ index: Int) -> UInt64 {
    UInt64(word32(bytes, index)) | UInt64(word32(bytes, index + 4)) << 32
  }

  private static func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 {
    value << count | value >> (64 - count)
  }
}
