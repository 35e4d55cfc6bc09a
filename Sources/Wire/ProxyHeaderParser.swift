/// The type-length-value fields of version 2 that are understood.
enum ProxyField {
  static let alpn: UInt8 = 0x01
  static let authority: UInt8 = 0x02
  static let crc32c: UInt8 = 0x03
  static let uniqueID: UInt8 = 0x05
  static let ssl: UInt8 = 0x20
}

extension ProxyHeader {
  /// The longest line of version 1, CR LF included.
  public static let maximumV1Length = 107

  /// The longest header of version 2 that is accepted. The protocol allows 65551 bytes; addresses
  /// and every field known take less than 1 KiB, unless a client's certificate comes along.
  public static let maximumLength = 4096

  /// Looks for a header at the start of a connection.
  ///
  /// `bytes` is everything that arrived so far, not only what is new: a header is short, and its
  /// length is known from 16 bytes, so that looking again costs next to nothing.
  #if !DEBUG
    @_noLocks
  #endif
  public static func parse(_ bytes: Span<UInt8>) -> ProxyVerdict {
    guard bytes.count > 0 else { return .needMore }
    return bytes[0] == UInt8(ascii: "P") ? parseV1(bytes) : parseV2(bytes)
  }

  /// Whether the first bytes are those of a header, as far as there are any.
  private static func begins(_ bytes: Span<UInt8>, with opening: UInt64, _ length: Int) -> Bool {
    OpeningBytes(bytes).agree(with: opening, length: length)
  }
}

// MARK: - Version 1

extension ProxyHeader {
  private static func parseV1(_ bytes: Span<UInt8>) -> ProxyVerdict {
    guard begins(bytes, with: 0x5052_4f58_5920, 6) else { return .notProxy }
    guard let end = lineFeed(in: bytes) else {
      return bytes.count < maximumV1Length ? .needMore : .malformed(.lineTooLong)
    }
    guard bytes[end - 1] == UInt8(ascii: "\r") else { return .malformed(.lineEnd) }

    let header = ProxyHeader(version: .v1, command: .proxy, length: end + 1)
    var text = AddressScanner(from: 6, to: end - 1)
    if text.skip(0x554e_4b4e_4f57_4e, length: 7, in: bytes) {
      // UNKNOWN: whatever else the line says must be ignored.
      guard !text.isAtEnd else { return .complete(header) }
      return text.skip(UInt8(ascii: " "), in: bytes) ? .complete(header) : .malformed(.family)
    }
    if text.skip(0x5443_5034, length: 4, in: bytes) {
      return parseLine(bytes, header, text, .inet)
    }
    if text.skip(0x5443_5036, length: 4, in: bytes) {
      return parseLine(bytes, header, text, .inet6)
    }
    return .malformed(.family)
  }

  private static func lineFeed(in bytes: Span<UInt8>) -> Int? {
    for index in 6..<max(6, min(bytes.count, maximumV1Length))
    where bytes[index] == UInt8(ascii: "\n") {
      return index
    }
    return nil
  }

  /// Reads ` source destination port port`.
  private static func parseLine(
    _ bytes: Span<UInt8>, _ partial: ProxyHeader, _ words: AddressScanner,
    _ family: WireAddress.Family
  ) -> ProxyVerdict {
    var header = partial
    var text = words
    let space = UInt8(ascii: " ")
    guard text.skip(space, in: bytes) else { return .malformed(.line) }
    guard let source = text.address(family, in: bytes) else { return .malformed(.address) }
    guard text.skip(space, in: bytes) else { return .malformed(.line) }
    guard let destination = text.address(family, in: bytes) else { return .malformed(.address) }
    guard text.skip(space, in: bytes) else { return .malformed(.line) }
    guard let sourcePort = text.port(in: bytes) else { return .malformed(.port) }
    guard text.skip(space, in: bytes) else { return .malformed(.line) }
    guard let destinationPort = text.port(in: bytes) else { return .malformed(.port) }
    guard text.isAtEnd else { return .malformed(.line) }
    header.source = source.with(port: sourcePort)
    header.destination = destination.with(port: destinationPort)
    return .complete(header)
  }
}

// MARK: - Version 2

extension ProxyHeader {
  static let signature: UInt64 = 0x0d0a_0d0a_000d_0a51
  static let signatureTail: UInt32 = 0x5549_540a

  private static func parseV2(_ bytes: Span<UInt8>) -> ProxyVerdict {
    guard begins(bytes, with: signature, 8) else { return .notProxy }
    for index in 8..<max(8, min(bytes.count, 12)) {
      let expected = UInt8(truncatingIfNeeded: signatureTail >> UInt32(8 * (11 - index)))
      guard bytes[index] == expected else { return .notProxy }
    }
    guard bytes.count > 12 else { return .needMore }
    guard bytes[12] >> 4 == 2 else { return .malformed(.version) }
    guard let command = Command(rawValue: bytes[12] & 0xf) else { return .malformed(.command) }
    guard bytes.count >= 16 else { return .needMore }

    let length = 16 + bytes.number(at: 14)
    guard length <= maximumLength else { return .malformed(.tooLong) }
    guard bytes.count >= length else { return .needMore }

    let header = ProxyHeader(version: .v2, command: command, length: length)
    // LOCAL: the rest, its family included, must be ignored.
    return command == .local ? .complete(header) : parseAddresses(bytes, header)
  }

  private static func parseAddresses(
    _ bytes: Span<UInt8>, _ partial: ProxyHeader
  ) -> ProxyVerdict {
    var header = partial
    let size: Int
    switch bytes[13] {
    case 0x00: size = 0
    case 0x11, 0x12: size = 12
    case 0x21, 0x22: size = 36
    case 0x31, 0x32: size = 216
    default: return .malformed(.family)
    }
    guard 16 + size <= header.length else { return .malformed(.addressesMissing) }
    switch size {
    case 12:
      header.source = bytes.inet(at: 16, portAt: 24)
      header.destination = bytes.inet(at: 20, portAt: 26)
    case 36:
      header.source = bytes.inet6(at: 16, portAt: 48)
      header.destination = bytes.inet6(at: 32, portAt: 50)
    case 216:
      header.source = .unix
      header.destination = .unix
    default:
      break
    }
    header.fields = Extent(offset: 16 + size, count: header.length - 16 - size)
    return parseFields(bytes, header)
  }

  private static func parseFields(_ bytes: Span<UInt8>, _ partial: ProxyHeader) -> ProxyVerdict {
    var header = partial
    var position = header.fields.offset
    while position < header.length {
      guard let value = field(in: bytes, at: position, end: header.length) else {
        return .malformed(.fieldOverrun)
      }
      switch bytes[position] {
      case ProxyField.alpn:
        header.alpn = value
      case ProxyField.authority:
        guard value.count <= 255 else { return .malformed(.fieldLength) }
        header.authority = value
      case ProxyField.uniqueID:
        guard value.count <= 128 else { return .malformed(.fieldLength) }
        header.uniqueID = value
      case ProxyField.crc32c:
        guard value.count == 4 else { return .malformed(.fieldLength) }
        guard hasChecksum(bytes, header.length, at: value.offset) else {
          return .malformed(.checksum)
        }
      case ProxyField.ssl:
        // One byte of flags and four of verification, then fields again.
        guard value.count >= 5 else { return .malformed(.fieldLength) }
        guard areFields(bytes, from: value.offset + 5, to: value.offset + value.count) else {
          return .malformed(.fieldOverrun)
        }
      default:
        break
      }
      position = value.offset + value.count
    }
    return .complete(header)
  }

  /// The value of the field that begins at `position`; nil if it does not end before `end`.
  private static func field(in bytes: Span<UInt8>, at position: Int, end: Int) -> Extent? {
    guard end - position >= 3 else { return nil }
    let count = bytes.number(at: position + 1)
    guard count <= end - position - 3 else { return nil }
    return Extent(offset: position + 3, count: count)
  }

  private static func areFields(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
    var position = start
    while position < end {
      guard let value = field(in: bytes, at: position, end: end) else { return false }
      position = value.offset + value.count
    }
    return true
  }

  /// Whether the checksum at `offset` is that of the header with zeros in its place.
  private static func hasChecksum(_ bytes: Span<UInt8>, _ length: Int, at offset: Int) -> Bool {
    var checksum = CRC32C()
    for index in 0..<length {
      checksum.add((offset..<offset + 4).contains(index) ? 0 : bytes[index])
    }
    return UInt64(checksum.value) == bytes.number64(at: offset, count: 4)
  }

  /// Where the first field of `type` lies in the header's bytes; `none` if there is none.
  public func extent(ofField type: UInt8, in bytes: Span<UInt8>) -> Extent {
    var position = fields.offset
    let end = fields.offset + fields.count
    while position < end, let value = Self.field(in: bytes, at: position, end: end) {
      if bytes[position] == type { return value }
      position = value.offset + value.count
    }
    return .none
  }
}

extension Span<UInt8> {
  /// The big-endian number of `count` bytes at `offset`.
  fileprivate func number64(at offset: Int, count: Int) -> UInt64 {
    var number: UInt64 = 0
    for index in offset..<offset + count { number = number << 8 | UInt64(self[index]) }
    return number
  }

  fileprivate func number(at offset: Int) -> Int { Int(number64(at: offset, count: 2)) }

  fileprivate func inet(at offset: Int, portAt port: Int) -> WireAddress {
    .inet(
      UInt32(truncatingIfNeeded: number64(at: offset, count: 4)),
      port: UInt16(truncatingIfNeeded: number(at: port)))
  }

  fileprivate func inet6(at offset: Int, portAt port: Int) -> WireAddress {
    .inet6(
      high: number64(at: offset, count: 8), low: number64(at: offset + 8, count: 8),
      port: UInt16(truncatingIfNeeded: number(at: port)))
  }
}
