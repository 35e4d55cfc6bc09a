import Testing
import Wire

/// What `write` put into an ample buffer.
func encoded(_ write: (inout MutableSpan<UInt8>) -> Int) -> [UInt8] {
  var buffer = [UInt8](repeating: 0xee, count: 512)
  var output = buffer.mutableSpan
  let count = write(&output)
  return Array(buffer[..<count])
}

func parse(_ bytes: [UInt8]) -> ProxyVerdict { ProxyHeader.parse(bytes.span) }

func parse(_ line: String) -> ProxyVerdict { parse(Array(line.utf8)) }

/// A name as a ClientHello would have brought it.
func serverName(_ name: String) -> ServerName {
  var hello = HelloBuilder()
  hello.add(serverName: name)
  return Parsed(hello.bytes).hello.serverName
}

@Suite("ProxyHeader, version 1")
struct ProxyLineTests {
  @Test(
    "reads addresses in every form",
    arguments: [
      ("TCP4 192.0.2.1 198.51.100.7 51000 443", .inet(0xc000_0201, port: 51_000)),
      ("TCP4 0.0.0.0 255.255.255.255 0 65535", .inet(0, port: 0)),
      ("TCP6 :: ::1 1 2", .inet6(high: 0, low: 0, port: 1)),
      ("TCP6 ::1 :: 1 2", .inet6(high: 0, low: 1, port: 1)),
      ("TCP6 1:: ::1 1 2", .inet6(high: 1 << 48, low: 0, port: 1)),
      ("TCP6 2001:db8::ABCD ::1 1 2", .inet6(high: 0x2001_0db8_0000_0000, low: 0xabcd, port: 1)),
      (
        "TCP6 1:2:3:4:5:6:7:8 ::1 1 2",
        .inet6(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0007_0008, port: 1)
      ),
      (
        "TCP6 1:2:3:4:5:6:7:: ::1 1 2",
        .inet6(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0007_0000, port: 1)
      ),
      ("TCP6 ::ffff:192.0.2.1 ::1 1 2", .inet6(high: 0, low: 0xffff_c000_0201, port: 1)),
      ("TCP6 1::3:4 ::1 9 2", .inet6(high: 1 << 48, low: 0x0003_0004, port: 9)),
      (
        "TCP6 1:2:3:4:5:6:1.2.3.4 ::1 1 2",
        .inet6(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0102_0304, port: 1)
      ),
    ] as [(String, WireAddress)])
  func addresses(line: String, source: WireAddress) throws {
    guard case .complete(let header) = parse("PROXY \(line)\r\nrest") else {
      Issue.record("\(parse("PROXY \(line)\r\n"))")
      return
    }
    #expect(header.version == .v1)
    #expect(header.command == .proxy)
    #expect(header.source == source)
    #expect(header.destination.family == source.family)
    #expect(header.hasAddresses)
    #expect(header.length == line.utf8.count + 8)
  }

  @Test("an unknown connection has no addresses, whatever else the line says")
  func unknown() {
    let longest = "PROXY UNKNOWN " + String(repeating: "f", count: 107 - 16) + "\r\n"
    #expect(longest.utf8.count == ProxyHeader.maximumV1Length)
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ::1 1 x\r\n", longest] {
      guard case .complete(let header) = parse(line) else {
        Issue.record("\(line): \(parse(line))")
        continue
      }
      #expect(!header.hasAddresses)
      #expect(header.source == .none)
      #expect(header.length == line.utf8.count)
    }
  }

  @Test(
    "refuses lines that are not as the protocol has them",
    arguments: [
      ("TCP4 192.0.2.1 198.51.100.7 51000 443\n", .lineEnd),
      ("TCP5 192.0.2.1 198.51.100.7 51000 443\r\n", .family),
      ("UNKNOWNX\r\n", .family),
      ("TCP4  192.0.2.1 198.51.100.7 51000 443\r\n", .address),
      ("TCP4 192.0.2.1  198.51.100.7 51000 443\r\n", .address),
      ("TCP4 192.0.2.01 198.51.100.7 51000 443\r\n", .address),
      ("TCP4 192.0.2.256 198.51.100.7 51000 443\r\n", .address),
      ("TCP4 192.0.2 198.51.100.7 51000 443\r\n", .address),
      ("TCP4 ::1 ::1 51000 443\r\n", .address),
      ("TCP4 192.0.2.1 198.51.100.7 051000 443\r\n", .port),
      ("TCP4 192.0.2.1 198.51.100.7 65536 443\r\n", .port),
      ("TCP4 192.0.2.1 198.51.100.7 -1 443\r\n", .port),
      ("TCP4 192.0.2.1 198.51.100.7 51000 \r\n", .port),
      ("TCP4 192.0.2.1 198.51.100.7 51000\r\n", .line),
      ("TCP4 192.0.2.1 198.51.100.7\r\n", .line),
      ("TCP4 192.0.2.1\r\n", .line),
      ("TCP4\r\n", .line),
      ("TCP4 192.0.2.1 198.51.100.7 51000 443 \r\n", .line),
      ("TCP6 192.0.2.1 198.51.100.7 1 2\r\n", .address),
      ("TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", .address),
      ("TCP6 1:2:3:4:5:6:7:8:: ::1 1 2\r\n", .address),
      ("TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", .line),
      ("TCP6 1::2::3 ::1 1 2\r\n", .line),
      ("TCP6 12345:: ::1 1 2\r\n", .address),
      ("TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 2\r\n", .address),
      ("TCP6 ::1%eth0 ::1 1 2\r\n", .line),
      ("TCP6 1: ::1 1 2\r\n", .address),
      ("TCP6 : ::1 1 2\r\n", .address),
      (String(repeating: "x", count: 101), .lineTooLong),
      (String(repeating: "x", count: 101) + "\r\n", .lineTooLong),
    ] as [(String, ProxyDefect)])
  func defects(line: String, defect: ProxyDefect) {
    #expect(parse("PROXY " + line) == .malformed(defect))
  }

  @Test("needs more of every beginning, and decides by the first byte that fits nothing")
  func beginnings() {
    let line = Array("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 51000 443\r\n".utf8)
    for count in 0..<line.count { #expect(parse(Array(line[..<count])) == .needMore) }
    for wrong in 0..<6 {
      var other = Array(line[...wrong])
      other[wrong] = UInt8(ascii: "x")
      #expect(parse(other) == .notProxy)
    }
    #expect(parse([22, 3, 1]) == .notProxy)
  }
}

@Suite("ProxyHeader, version 2")
struct ProxyBinaryTests {
  static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

  static func header(
    _ command: UInt8 = 0x21, family: UInt8 = 0x11, addresses: [UInt8] = [UInt8](1...12),
    fields: [(UInt8, [UInt8])] = []
  ) -> [UInt8] {
    let tail = fields.flatMap { [$0.0] + counted(2, $0.1) }
    return signature + [command, family] + counted(2, addresses + tail)
  }

  static func complete(_ bytes: [UInt8]) throws -> ProxyHeader {
    guard case .complete(let header) = parse(bytes + [22, 3, 1]) else {
      throw Failure(verdict: parse(bytes))
    }
    return header
  }

  struct Failure: Error { let verdict: ProxyVerdict }

  @Test("reads internet addresses, stream or datagram", arguments: [0x11, 0x12] as [UInt8])
  func inet(family: UInt8) throws {
    let header = try Self.complete(Self.header(family: family))
    #expect(header.version == .v2)
    #expect(header.source == .inet(0x0102_0304, port: 0x090a))
    #expect(header.destination == .inet(0x0506_0708, port: 0x0b0c))
    #expect(header.length == 28)
    let six = try Self.complete(Self.header(family: family + 16, addresses: [UInt8](1...36)))
    let high: UInt64 = 0x0102_0304_0506_0708
    #expect(six.source == .inet6(high: high, low: 0x090a_0b0c_0d0e_0f10, port: 0x2122))
    #expect(six.destination.port == 0x2324)
  }

  @Test("goes by the real addresses for LOCAL, unspecified and unix connections")
  func realAddresses() throws {
    let cases = [
      Self.header(0x20, family: 0, addresses: []), Self.header(0x20, family: 0x77, addresses: [1]),
      Self.header(family: 0, addresses: []),
      Self.header(family: 0x31, addresses: [UInt8](repeating: 47, count: 216)),
    ]
    for bytes in cases {
      let header = try Self.complete(bytes)
      #expect(!header.hasAddresses)
      #expect(header.length == bytes.count)
    }
    #expect(try Self.complete(cases[0]).command == .local)
    #expect(try Self.complete(cases[3]).source == .unix)
  }

  @Test("says where its fields lie")
  func fields() throws {
    let ssl: [UInt8] = [1, 0, 0, 0, 0, 0x21, 0, 7] + Array("TLSv1.3".utf8)
    let bytes = Self.header(fields: [
      (4, [0, 0]), (1, Array("h2".utf8)), (2, Array("a.test".utf8)), (5, [1, 2, 3]), (0x20, ssl),
      (0xea, [9]),
    ])
    let header = try Self.complete(bytes)
    func text(_ extent: ProxyHeader.Extent) -> [UInt8] {
      Array(bytes[extent.offset..<extent.offset + extent.count])
    }
    #expect(text(header.alpn) == Array("h2".utf8))
    #expect(text(header.authority) == Array("a.test".utf8))
    #expect(text(header.uniqueID) == [1, 2, 3])
    #expect(text(header.fields) == Array(bytes[28...]))
    #expect(text(header.extent(ofField: 0xea, in: bytes.span)) == [9])
    #expect(text(header.extent(ofField: 0x20, in: bytes.span)) == ssl)
    #expect(header.extent(ofField: 0x30, in: bytes.span) == .none)
  }

  @Test(
    "refuses what the protocol forbids",
    arguments: [
      (.version, header(0x11)), (.version, header(0x31)), (.command, header(0x22)),
      (.family, header(family: 0x41)), (.family, header(family: 0x13)),
      (.addressesMissing, header(addresses: [UInt8](1...11))),
      (.addressesMissing, header(family: 0x21)),
      (.addressesMissing, header(family: 0x31, addresses: [UInt8](repeating: 0, count: 215))),
      (.fieldOverrun, header(addresses: [UInt8](1...12) + [1])),
      (.fieldOverrun, header(addresses: [UInt8](1...12) + [1, 0])),
      (.fieldOverrun, header(addresses: [UInt8](1...12) + [1, 0, 2, 0])),
      (.fieldOverrun, header(fields: [(0x20, [1, 0, 0, 0, 0, 0x21, 0, 1])])),
      (.fieldLength, header(fields: [(0x20, [1, 0, 0, 0])])),
      (.fieldLength, header(fields: [(2, [UInt8](repeating: 65, count: 256))])),
      (.fieldLength, header(fields: [(5, [UInt8](repeating: 65, count: 129))])),
      (.fieldLength, header(fields: [(3, [1, 2, 3])])),
      (.checksum, header(fields: [(3, [1, 2, 3, 4])])),
      (.tooLong, signature + [0x21, 0x11, 0x0f, 0xf1]),
    ] as [(ProxyDefect, [UInt8])])
  func defects(defect: ProxyDefect, bytes: [UInt8]) {
    #expect(parse(bytes) == .malformed(defect))
  }

  @Test("needs more of every beginning, and decides by the first byte that fits nothing")
  func beginnings() throws {
    let longest = Self.header(fields: [(4, [UInt8](repeating: 0, count: 4096 - 31))])
    #expect(longest.count == ProxyHeader.maximumLength)
    #expect(try Self.complete(longest).length == 4096)
    for count in 0..<longest.count { #expect(parse(Array(longest[..<count])) == .needMore) }
    for wrong in 0..<12 {
      var other = Array(longest[...wrong])
      other[wrong] ^= 0x80
      #expect(parse(other) == .notProxy)
    }
  }

  @Test("finds every bit that a checksum covers, and the checksum of a known header")
  func checksum() throws {
    let bytes = encoded {
      ProxyHeader.encodeV2(
        source: .inet(0x7f00_0001, port: 1), destination: .inet(0x7f00_0001, port: 2),
        authority: serverName("a.test"), checksum: true, into: &$0)
    }
    #expect(try Self.complete(bytes).authority.count == 6)
    for index in 16..<bytes.count {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(bit)
        guard case .malformed = parse(damaged) else {
          // A field that is no longer the checksum takes its protection along.
          #expect(index == bytes.count - 7, "byte \(index)")
          continue
        }
      }
    }
  }

  @Test("knows the texts of all defects apart")
  func texts() {
    #expect(Set(ProxyDefect.allCases.map { "\($0.text)" }).count == ProxyDefect.allCases.count)
  }
}

@Suite("ProxyHeader, encoded")
struct ProxyEncoderTests {
  static let four = WireAddress.inet(0xc000_0201, port: 51_000)
  static let six = WireAddress.inet6(high: 0x2001_0db8_0000_0000, low: 0xabcd, port: 443)

  static func line(_ source: WireAddress, _ destination: WireAddress) -> String {
    text(encoded { ProxyHeader.encodeV1(source: source, destination: destination, into: &$0) }.span)
  }

  @Test("writes lines as RFC 5952 and the protocol have them")
  func lines() {
    #expect(Self.line(Self.four, Self.four) == "PROXY TCP4 192.0.2.1 192.0.2.1 51000 51000\r\n")
    #expect(Self.line(Self.six, Self.six) == "PROXY TCP6 2001:db8::abcd 2001:db8::abcd 443 443\r\n")
    #expect(
      Self.line(Self.four, Self.six) == "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::abcd 51000 443\r\n")
    for pair in [(.none, .none), (Self.four, .unix), (.unix, .unix), (.none, Self.six)]
      as [(WireAddress, WireAddress)]
    {
      #expect(Self.line(pair.0, pair.1) == "PROXY UNKNOWN\r\n")
    }
  }

  @Test(
    "writes IPv6 in its one canonical form",
    arguments: [
      (0, 0, "::"), (0, 1, "::1"), (1 << 48, 0, "1::"),
      (0x2001_0db8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
      (0x2001_0db8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
      (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
      (.max, .max, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
      (0, 0xffff_0102_0304, "::ffff:1.2.3.4"),
      (0x0001_0002_0003_0004, 0x0005_0006_0000_0000, "1:2:3:4:5:6::"),
      (0x0010_0200_3000_0004, 0x0005_0006_0007_0008, "10:200:3000:4:5:6:7:8"),
    ] as [(UInt64, UInt64, String)])
  func canonical(high: UInt64, low: UInt64, expected: String) {
    let address = WireAddress.inet6(high: high, low: low, port: 0)
    #expect(Self.line(address, address) == "PROXY TCP6 \(expected) \(expected) 0 0\r\n")
  }

  @Test("writes the longest headers within the room it asks for")
  func longest() {
    let widest = WireAddress.inet6(high: .max, low: .max, port: .max)
    #expect(Self.line(widest, widest).utf8.count <= ProxyHeader.maximumV1Length)
    let name = serverName(String(repeating: "n", count: 255))
    let bytes = encoded {
      ProxyHeader.encodeV2(
        source: widest, destination: widest, authority: name, checksum: true, into: &$0)
    }
    #expect(bytes.count == ProxyHeader.maximumEncodedLength)
  }

  @Test("writes the bytes that the protocol's text gives")
  func bytes() {
    let binary = encoded {
      ProxyHeader.encodeV2(source: Self.four, destination: Self.four.with(port: 443), into: &$0)
    }
    let addresses: [UInt8] = [192, 0, 2, 1, 192, 0, 2, 1, 0xc7, 0x38, 1, 0xbb]
    #expect(binary == ProxyBinaryTests.signature + [0x21, 0x11, 0, 12] + addresses)
    #expect(
      encoded { ProxyHeader.encodeLocal(into: &$0) }
        == ProxyBinaryTests.signature + [0x20, 0, 0, 0])
    #expect(
      encoded { ProxyHeader.encodeV2(source: .unix, destination: Self.four, into: &$0) }
        == ProxyBinaryTests.signature + [0x21, 0, 0, 0])
  }

  @Test("does not send a name that was cut")
  func truncatedName() throws {
    let name = serverName(String(repeating: "n", count: 256))
    let bytes = encoded {
      ProxyHeader.encodeV2(
        source: Self.four, destination: Self.four, authority: name, into: &$0)
    }
    #expect(try ProxyBinaryTests.complete(bytes).fields.isEmpty)
  }

  @Test("reads back what it wrote, for random addresses in all versions")
  func roundTrip() throws {
    var chance = Chance()
    func address() -> WireAddress {
      let port = UInt16.random(in: 0 ... .max, using: &chance)
      // Sparse numbers, so that there are runs of zeros to shorten.
      let mask =
        UInt64.random(in: 0 ... .max, using: &chance) & .random(in: 0 ... .max, using: &chance)
      let groups = (0..<8).map { _ in Bool.random(using: &chance) ? UInt64(0) : mask & 0xffff }
      return Bool.random(using: &chance)
        ? .inet(UInt32(truncatingIfNeeded: mask), port: port)
        : .inet6(
          high: groups[0..<4].reduce(0) { $0 << 16 | $1 },
          low: groups[4..<8].reduce(0) { $0 << 16 | $1 } ^ mask >> 60, port: port)
    }
    for round in 0..<2000 {
      let (source, destination) = (address(), address())
      let isMixed = source.family != destination.family
      let sum = Bool.random(using: &chance)
      let headers = [
        encoded { ProxyHeader.encodeV1(source: source, destination: destination, into: &$0) },
        encoded {
          ProxyHeader.encodeV2(
            source: source, destination: destination, checksum: sum, into: &$0)
        },
      ]
      for bytes in headers {
        let header = try ProxyBinaryTests.complete(bytes)
        #expect(
          header.source == (isMixed ? source.mappedToInet6 : source)
            && header.destination == (isMixed ? destination.mappedToInet6 : destination),
          "seed \(chance.seed), round \(round)")
      }
    }
  }
}
