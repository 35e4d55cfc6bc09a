/// Composes a ClientHello byte by byte, right or wrong as a test wants it.
struct HelloBuilder {
  var legacyVersion: UInt16 = 0x0303
  var sessionID = [UInt8](repeating: 0x5e, count: 32)
  var cipherSuites: [UInt16] = [0x1301, 0x1302, 0xc02f]
  var compressionMethods: [UInt8] = [0]
  /// In the order sent; nil for a hello from before there were any.
  var extensions: [(type: UInt16, body: [UInt8])]? = []

  mutating func add(_ type: UInt16, _ body: [UInt8]) {
    extensions = (extensions ?? []) + [(type, body)]
  }

  mutating func add(serverName: [UInt8]) {
    add(0, counted(2, [0] + counted(2, serverName)))
  }

  mutating func add(serverName: String) { add(serverName: Array(serverName.utf8)) }

  mutating func add(protocols: [String]) {
    add(16, counted(2, protocols.flatMap { counted(1, Array($0.utf8)) }))
  }

  mutating func add(versions: [UInt16]) {
    add(43, counted(1, versions.flatMap(bigEndian)))
  }

  /// The handshake message, header included.
  var message: [UInt8] {
    var body = bigEndian(legacyVersion) + [UInt8](repeating: 0xaa, count: 32)
    body += counted(1, sessionID)
    body += counted(2, cipherSuites.flatMap(bigEndian))
    body += counted(1, compressionMethods)
    if let extensions {
      body += counted(2, extensions.flatMap { bigEndian($0.type) + counted(2, $0.body) })
    }
    return [1] + counted(3, body)
  }

  /// The message in one record, or in as many as it takes.
  var bytes: [UInt8] { inRecords(of: 16_384, message) }
}

/// `body` behind its length in `width` bytes.
func counted(_ width: Int, _ body: [UInt8]) -> [UInt8] {
  (0..<width).reversed().map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) } + body
}

func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

/// A handshake message cut into records of at most `size` bytes.
func inRecords(of size: Int, _ message: [UInt8], version: UInt16 = 0x0301) -> [UInt8] {
  var raw: [UInt8] = []
  for start in stride(from: 0, to: message.count, by: size) {
    raw += [22] + bigEndian(version)
    raw += counted(2, Array(message[start..<min(start + size, message.count)]))
  }
  return raw
}

/// The handshake message inside `raw`, which holds nothing but whole handshake records.
func message(inRecords raw: [UInt8]) -> [UInt8] {
  var message: [UInt8] = []
  var position = 0
  while position + 5 <= raw.count {
    let length = Int(raw[position + 3]) << 8 | Int(raw[position + 4])
    message += raw[(position + 5)..<min(position + 5 + length, raw.count)]
    position += 5 + length
  }
  return message
}
