extension ProxyHeader {
  /// Room that is enough for any header written here: the fixed part, two IPv6 addresses, a name
  /// of 255 bytes and a checksum.
  public static let maximumEncodedLength = 16 + 36 + (3 + 255) + (3 + 4)

  /// Writes the line of version 1 and returns its length.
  ///
  /// Version 1 knows internet addresses of one family only: an IPv4 address beside an IPv6 one is
  /// written as IPv6 has it, and anything else makes the line say UNKNOWN. `output` must have room
  /// for `maximumV1Length` bytes.
  #if !DEBUG
    @_noLocks
  #endif
  public static func encodeV1(
    source: WireAddress, destination: WireAddress, into output: inout MutableSpan<UInt8>
  ) -> Int {
    var pen = Pen()
    pen.write(0x5052_4f58_5920, bytes: 6, into: &output)  // "PROXY "
    switch Endpoints(source, destination) {
    case .unspecified:
      pen.write(0x554e_4b4e_4f57_4e, bytes: 7, into: &output)  // "UNKNOWN"
    case .inet:
      pen.write(0x5443_5034, bytes: 4, into: &output)  // "TCP4"
      write(source, destination, with: &pen, into: &output)
    case .inet6:
      pen.write(0x5443_5036, bytes: 4, into: &output)  // "TCP6"
      write(source.mappedToInet6, destination.mappedToInet6, with: &pen, into: &output)
    }
    pen.write(0x0d0a, bytes: 2, into: &output)
    return pen.count
  }

  /// Writes the header of version 2 for a connection on a client's behalf and returns its length.
  ///
  /// Where there is no pair of internet addresses the family is said to be unspecified, as the
  /// protocol asks. `authority` is the name the client asked for; an empty one is not sent, nor
  /// one that was cut. `output` must have room for `maximumEncodedLength` bytes.
  #if !DEBUG
    @_noLocks
  #endif
  public static func encodeV2(
    source: WireAddress, destination: WireAddress, authority: ServerName = ServerName(),
    checksum: Bool = false, into output: inout MutableSpan<UInt8>
  ) -> Int {
    var pen = Pen()
    writeSignature(.proxy, with: &pen, into: &output)
    switch Endpoints(source, destination) {
    case .unspecified:
      pen.write(0x00_0000, bytes: 3, into: &output)
    case .inet:
      pen.write(0x11_0000, bytes: 3, into: &output)
      writeRaw(source, destination, with: &pen, into: &output)
    case .inet6:
      pen.write(0x21_0000, bytes: 3, into: &output)
      writeRaw(source.mappedToInet6, destination.mappedToInet6, with: &pen, into: &output)
    }
    if !authority.isEmpty, !authority.isTruncated {
      write(authority, with: &pen, into: &output)
    }
    if checksum {
      pen.write(UInt64(ProxyField.crc32c) << 48 | 4 << 32, bytes: 7, into: &output)
    }
    let length = pen.count
    output[14] = UInt8(truncatingIfNeeded: (length - 16) >> 8)
    output[15] = UInt8(truncatingIfNeeded: length - 16)
    if checksum { seal(&output, length: length) }
    return length
  }

  /// Writes the header of version 2 for a connection of our own, such as a health check, and
  /// returns its length, 16 bytes. The server then goes by the connection's real addresses.
  #if !DEBUG
    @_noLocks
  #endif
  public static func encodeLocal(into output: inout MutableSpan<UInt8>) -> Int {
    var pen = Pen()
    writeSignature(.local, with: &pen, into: &output)
    pen.write(0x00_0000, bytes: 3, into: &output)
    return pen.count
  }
}

extension ProxyHeader {
  /// How a pair of addresses can be said.
  private enum Endpoints {
    case unspecified
    case inet
    case inet6

    init(_ source: WireAddress, _ destination: WireAddress) {
      if source.family == .inet, destination.family == .inet {
        self = .inet
      } else if source.isInternet, destination.isInternet {
        self = .inet6
      } else {
        self = .unspecified
      }
    }
  }

  private static func write(
    _ source: WireAddress, _ destination: WireAddress, with pen: inout Pen,
    into output: inout MutableSpan<UInt8>
  ) {
    let space = UInt8(ascii: " ")
    pen.write(space, into: &output)
    pen.write(address: source, into: &output)
    pen.write(space, into: &output)
    pen.write(address: destination, into: &output)
    pen.write(space, into: &output)
    pen.write(decimal: source.port, into: &output)
    pen.write(space, into: &output)
    pen.write(decimal: destination.port, into: &output)
  }

  private static func writeSignature(
    _ command: Command, with pen: inout Pen, into output: inout MutableSpan<UInt8>
  ) {
    pen.write(signature, bytes: 8, into: &output)
    pen.write(UInt64(signatureTail), bytes: 4, into: &output)
    pen.write(0x20 | command.rawValue, into: &output)
  }

  private static func writeRaw(
    _ source: WireAddress, _ destination: WireAddress, with pen: inout Pen,
    into output: inout MutableSpan<UInt8>
  ) {
    pen.write(rawAddress: source, into: &output)
    pen.write(rawAddress: destination, into: &output)
    pen.write(UInt64(source.port) << 16 | UInt64(destination.port), bytes: 4, into: &output)
  }

  private static func write(
    _ authority: ServerName, with pen: inout Pen, into output: inout MutableSpan<UInt8>
  ) {
    pen.write(ProxyField.authority, into: &output)
    pen.write(UInt64(authority.count), bytes: 2, into: &output)
    for index in 0..<authority.count { pen.write(authority.bytes[index], into: &output) }
  }

  /// Puts the checksum of the whole header into its last four bytes, which are zero so far.
  private static func seal(_ output: inout MutableSpan<UInt8>, length: Int) {
    var checksum = CRC32C()
    for index in 0..<length { checksum.add(output[index]) }
    for index in 0..<4 {
      output[length - 4 + index] = UInt8(
        truncatingIfNeeded: checksum.value >> UInt32(8 * (3 - index)))
    }
  }
}
