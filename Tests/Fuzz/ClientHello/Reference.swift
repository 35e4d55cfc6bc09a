import Wire

/// A ClientHello read the plain way: all at once, into arrays, field by field.
struct Reference {
  enum Outcome { case complete, incomplete, malformed }

  var outcome = Outcome.malformed
  var helloLength = 0
  var serverName: [UInt8] = []
  var protocols: [[UInt8]] = []
  var versions = TLSVersions()
  var extensionTypes: [UInt16] = []
  var hasGREASE = false

  init(_ raw: [UInt8]) {
    let handshake = Self.handshake(in: raw)
    do {
      var reader = Reader(handshake.bytes)
      guard try reader.number(1) == 1 else { return }
      let length = try reader.number(3)
      helloLength = 4 + length
      guard length <= 16_384 else { return }
      guard reader.bytes.count >= length else {
        outcome = handshake.isBroken ? .malformed : .incomplete
        return
      }
      try read(Reader(reader.take(length)))
      outcome = .complete
    } catch {
      // Too few bytes for type and length: more could come, unless the records are broken.
      if handshake.bytes.count < 4, !handshake.isBroken { outcome = .incomplete }
    }
  }

  /// The content of the handshake records at the start of `raw`.
  static func handshake(in raw: [UInt8]) -> (bytes: [UInt8], isBroken: Bool) {
    var bytes: [UInt8] = []
    var position = 0
    while position + 5 <= raw.count {
      let length = Int(raw[position + 3]) << 8 | Int(raw[position + 4])
      guard raw[position] == 22, raw[position + 1] == 3, (1...16_384).contains(length) else {
        return (bytes, true)
      }
      bytes += raw[(position + 5)..<min(raw.count, position + 5 + length)]
      position += 5 + length
    }
    return (bytes, false)
  }

  private mutating func read(_ whole: Reader) throws {
    var body = whole
    _ = try body.take(2 + 32)
    guard try body.counted(1).count <= 32 else { throw Malformed() }
    var suites = Reader(try body.counted(2))
    guard !suites.bytes.isEmpty else { throw Malformed() }
    while !suites.bytes.isEmpty { note(try suites.number(2)) }
    guard try !body.counted(1).isEmpty else { throw Malformed() }
    guard !body.bytes.isEmpty else { return }

    var extensions = Reader(try body.counted(2))
    guard body.bytes.isEmpty else { throw Malformed() }
    while !extensions.bytes.isEmpty {
      let type = UInt16(try extensions.number(2))
      let content = try extensions.counted(2)
      if [0, 16, 43].contains(type), extensionTypes.contains(type) { throw Malformed() }
      extensionTypes.append(type)
      note(Int(type))
      switch type {
      case 0: try readNames(Reader(content))
      case 16: try readProtocols(Reader(content))
      case 43: try readVersions(Reader(content))
      default: break
      }
    }
  }

  private mutating func readNames(_ content: Reader) throws {
    var names = try content.onlyList(2)
    while !names.bytes.isEmpty {
      let type = try names.number(1)
      let name = try names.counted(2)
      guard type == 0, serverName.isEmpty else { continue }
      guard !name.isEmpty else { throw Malformed() }
      serverName = name
    }
  }

  private mutating func readProtocols(_ content: Reader) throws {
    var names = try content.onlyList(2)
    var room = 256
    while !names.bytes.isEmpty {
      let name = try names.counted(1)
      guard !name.isEmpty else { throw Malformed() }
      room -= 1 + name.count
      if room >= 0 { protocols.append(name) } else { room = -1 }
    }
  }

  private mutating func readVersions(_ content: Reader) throws {
    var list = try content.onlyList(1)
    guard !list.bytes.isEmpty else { throw Malformed() }
    while !list.bytes.isEmpty {
      let version = try list.number(2)
      note(version)
      versions.formUnion(TLSVersions(wireVersion: UInt16(version)))
    }
  }

  private mutating func note(_ value: Int) {
    if value & 0x0f0f == 0x0a0a, value >> 8 == value & 0xff { hasGREASE = true }
  }
}

struct Malformed: Error {}

/// Takes fields off the front of some bytes.
struct Reader {
  private(set) var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  mutating func take(_ count: Int) throws -> [UInt8] {
    guard count <= bytes.count else { throw Malformed() }
    defer { bytes.removeFirst(count) }
    return Array(bytes.prefix(count))
  }

  mutating func number(_ width: Int) throws -> Int {
    try take(width).reduce(0) { $0 << 8 | Int($1) }
  }

  mutating func counted(_ width: Int) throws -> [UInt8] { try take(number(width)) }

  /// A list that is all there is.
  func onlyList(_ width: Int) throws -> Reader {
    var content = self
    let list = try content.counted(width)
    guard content.bytes.isEmpty else { throw Malformed() }
    return Reader(list)
  }
}
