import Testing
import Wire

@Suite("ClientHelloParser")
struct ClientHelloParserTests {
  static func modernHello() -> HelloBuilder {
    var hello = HelloBuilder()
    hello.cipherSuites = [0x2a2a, 0x1301, 0x1302]
    hello.add(0x1a1a, [])
    hello.add(serverName: "WWW.Example.test.")
    hello.add(10, [0, 2, 0, 29])
    hello.add(35, [])
    hello.add(protocols: ["h2", "http/1.1"])
    hello.add(versions: [0x3a3a, 0x0304, 0x0303])
    hello.add(0xfe0d, [0, 1, 2])
    return hello
  }

  @Test("reads every fact of a modern hello")
  func facts() {
    let hello = Self.modernHello()
    let parsed = Parsed(hello.bytes)
    #expect(parsed.verdict == .complete)
    #expect(parsed.serverName == "WWW.Example.test.")
    #expect(text(parsed.hello.serverName.lowercased.bytes.span) == "www.example.test.")
    #expect(parsed.hello.serverName.isValid)
    #expect(parsed.protocols == "h2,http/1.1")
    #expect(text(parsed.hello.alpn.wire.span) == "\u{2}h2\u{8}http/1.1")
    #expect(parsed.hello.helloType == 1)
    #expect(parsed.hello.recordVersion == 0x0301)
    #expect(parsed.hello.legacyVersion == 0x0303)
    #expect(parsed.hello.versionNumber == 0x30003)
    #expect(parsed.hello.supportedVersions == [.tls12, .tls13])
    #expect(parsed.hello.highestVersion == 0x0304)
    #expect(parsed.hello.sessionIDLength == 32)
    #expect(parsed.hello.cipherSuiteCount == 3)
    #expect(parsed.hello.extensionCount == 7)
    #expect(
      (0..<7).map { parsed.hello.extensionType(at: $0) } == [0x1a1a, 0, 10, 35, 16, 43, 0xfe0d])
    #expect(parsed.hello.sessionTicket == .empty)
    #expect(parsed.hello.hasSupportedGroups)
    #expect(parsed.hello.hasECH)
    #expect(parsed.hello.hasGREASE)
    #expect(parsed.hello.helloLength == hello.message.count)
    #expect(parsed.hello.recordCount == 1)
    #expect(parsed.hello.rawLength == hello.bytes.count)
  }

  @Test("knows the same whether the hello comes whole, byte by byte, or in records of one byte")
  func segmentation() {
    let hello = Self.modernHello()
    let whole = Parsed(hello.bytes)
    #expect(Parsed.byteByByte(hello.bytes) == whole)
    let records = inRecords(of: 1, hello.message)
    #expect(records.count == 6 * hello.message.count)
    for parsed in [Parsed(records), .byteByByte(records)] {
      #expect(parsed.verdict == .complete)
      #expect(parsed.hello.isSameMessage(as: whole.hello))
      #expect(parsed.hello.recordCount == hello.message.count)
      #expect(parsed.hello.rawLength == records.count)
    }
  }

  @Test("needs more of every beginning of a hello, and never shows half a name")
  func beginnings() {
    let bytes = Self.modernHello().bytes
    for count in 0..<bytes.count {
      let parsed = Parsed(Array(bytes[..<count]))
      #expect(parsed.verdict == .needMore, "after \(count) bytes")
      #expect(["", "WWW.Example.test."].contains(parsed.serverName))
      #expect(["", "h2,http/1.1"].contains(parsed.protocols))
      #expect([[], [.tls12, .tls13]].contains(parsed.hello.supportedVersions))
    }
    let early = Parsed(Array(bytes[..<(bytes.count - 20)]))
    #expect(early.verdict == .needMore)
    #expect(early.serverName == "WWW.Example.test.")
  }

  @Test("finds the name in the last record of a hello with 15 KiB of extensions")
  func nameBehindManyExtensions() {
    var hello = HelloBuilder()
    for type in 0..<15 { hello.add(0xfa00 + UInt16(type), [UInt8](repeating: 7, count: 1020)) }
    hello.add(serverName: "last.example.test")
    #expect(hello.message.count > 15 * 1024)
    for size in [1, 2, 100, 4096, hello.message.count - 12] {
      let raw = inRecords(of: size, hello.message)
      for parsed in [Parsed(raw), .byteByByte(raw)] {
        #expect(parsed.verdict == .complete)
        #expect(parsed.serverName == "last.example.test")
      }
    }
  }

  @Test("the record version is that of the first record")
  func recordVersions() {
    let message = HelloBuilder().message
    let raw =
      inRecords(of: 99, Array(message[..<9]), version: 0x0300)
      + inRecords(of: 99, Array(message[9...]), version: 0x0304)
    #expect(Parsed(raw).verdict == .complete)
    #expect(Parsed(raw).hello.recordVersion == 0x0300)
  }

  @Test("reads the largest hello in the smallest records, and nothing larger")
  func limits() {
    var hello = HelloBuilder()
    hello.add(21, [])
    let rest = ClientHelloParser.maximumBodyLength + 4 - hello.message.count
    hello.extensions = [(21, [UInt8](repeating: 0, count: rest))]
    let raw = inRecords(of: 1, hello.message)
    #expect(raw.count == ClientHelloParser.maximumRawLength)
    #expect(Parsed(raw).verdict == .complete)
    #expect(Parsed(raw).hello.rawLength == ClientHelloParser.maximumRawLength)

    hello.extensions = [(21, [UInt8](repeating: 0, count: rest + 1))]
    #expect(Parsed(Array(hello.bytes[..<9])).verdict == .tooLarge)
  }

  @Test("stops at the end of the hello and leaves what follows alone")
  func rest() {
    let bytes = Self.modernHello().bytes
    let parsed = Parsed(bytes + [20, 3, 3, 0, 1, 1, 0xff])
    #expect(parsed == Parsed(bytes))
    #expect(Parsed(bytes + [0], cuts: [bytes.count]) == parsed)
    // In the same record too: what an early server flight would be confused by is not our business.
    let coalesced = Parsed(inRecords(of: 16_384, Self.modernHello().message + [14, 0, 0, 0]))
    #expect(coalesced.verdict == .complete)
    #expect(coalesced.hello.rawLength == bytes.count)
  }

  @Test("a hello from before extensions asks for no name")
  func noExtensions() {
    var hello = HelloBuilder()
    hello.legacyVersion = 0x0300
    hello.extensions = nil
    let parsed = Parsed(hello.bytes)
    #expect(parsed.verdict == .complete)
    #expect(parsed.hello.serverName.isEmpty)
    #expect(parsed.hello.highestVersion == 0x0300)
    #expect(parsed.hello.versionNumber == 0x30000)
  }

  @Test("keeps what a name says and tells whether a host can have it")
  func names() {
    let valid = [
      "a", "a.b.", "xn--bcher-kva.test", "_dns.x", "1.2.3.4", String(repeating: "a", count: 63),
    ]
    let label = String(repeating: "a", count: 49) + "."
    let odd = [
      ".", ".a", "a..b", "a\u{0}b", "a b", "bücher", "[::1]", "*.test", "a/b",
      String(repeating: "a", count: 64), String(repeating: label, count: 5) + "abcd",
    ]
    for (names, validity) in [(valid, true), (odd, false)] {
      for name in names {
        var hello = HelloBuilder()
        hello.add(serverName: name)
        let parsed = Parsed.byteByByte(hello.bytes)
        #expect(parsed.verdict == .complete)
        #expect(Array(parsed.serverName.unicodeScalars.map(\.value)) == name.utf8.map(UInt32.init))
        #expect(parsed.hello.serverName.isValid == validity, "\(name)")
      }
    }
    let longest = String(repeating: label, count: 5) + "abc"
    var hello = HelloBuilder()
    hello.add(serverName: longest + ".")
    #expect(Parsed(hello.bytes).hello.serverName.isValid)
  }

  @Test("keeps 255 bytes of a longer name, which then is no host's")
  func longName() {
    for length in [255, 256, 4000] {
      var hello = HelloBuilder()
      hello.add(
        serverName: String(repeating: "a.", count: length / 2) + (length % 2 == 1 ? "b" : ""))
      hello.add(protocols: ["h2"])
      let parsed = Parsed.byteByByte(hello.bytes)
      #expect(parsed.verdict == .complete)
      #expect(parsed.hello.serverName.count == 255)
      #expect(parsed.hello.serverName.isTruncated == (length > 255))
      #expect(!parsed.hello.serverName.isValid)
      #expect(parsed.protocols == "h2")
    }
  }

  @Test("takes the first host name and passes over other kinds of names")
  func severalNames() {
    var hello = HelloBuilder()
    let entries: [[UInt8]] = [
      [7] + counted(2, [1, 2, 3]), [0] + counted(2, Array("one.test".utf8)), [9] + counted(2, []),
      [0] + counted(2, Array("two.test".utf8)),
    ]
    hello.add(0, counted(2, entries.flatMap { $0 }))
    #expect(Parsed(hello.bytes).serverName == "one.test")
    #expect(Parsed.byteByByte(hello.bytes) == Parsed(hello.bytes))
  }

  @Test("keeps the first protocols that fit, without a gap")
  func manyProtocols() {
    var hello = HelloBuilder()
    let long = String(repeating: "p", count: 120)
    hello.add(protocols: ["h2", long, long, "tiny", long, "h3"])
    let parsed = Parsed.byteByByte(hello.bytes)
    #expect(parsed.verdict == .complete)
    #expect(parsed.hello.alpn.isTruncated)
    #expect(parsed.protocols == "h2,\(long),\(long),tiny")

    var over = HelloBuilder()
    over.add(protocols: [String(repeating: "p", count: 127), String(repeating: "q", count: 128)])
    #expect(Parsed(over.bytes).hello.alpn.isTruncated)
    #expect(Parsed(over.bytes).protocols == String(repeating: "p", count: 127))

    var exact = HelloBuilder()
    exact.add(protocols: [String(repeating: "q", count: 255)])
    #expect(!Parsed(exact.bytes).hello.alpn.isTruncated)
    #expect(Parsed(exact.bytes).protocols.count == 255)
  }

  @Test("lists 64 extensions and counts them all")
  func manyExtensions() {
    var hello = HelloBuilder()
    for type in 0..<100 { hello.add(0xf100 + UInt16(type), []) }
    let parsed = Parsed(hello.bytes)
    #expect(parsed.verdict == .complete)
    #expect(parsed.hello.extensionCount == 100)
    #expect(parsed.hello.listedExtensionCount == 64)
    #expect(parsed.hello.extensionType(at: 63) == 0xf100 + 63)
  }

  @Test("tells the three states of a session ticket apart")
  func tickets() {
    var hello = HelloBuilder()
    #expect(Parsed(hello.bytes).hello.sessionTicket == .absent)
    hello.extensions = [(35, [])]
    #expect(Parsed(hello.bytes).hello.sessionTicket == .empty)
    hello.extensions = [(35, [1])]
    #expect(Parsed(hello.bytes).hello.sessionTicket == .present)
  }

  @Test("finds reserved values wherever they stand", arguments: [0, 1, 2])
  func grease(place: Int) {
    var hello = HelloBuilder()
    hello.add(versions: [0x0a1a, 0x0304])
    #expect(!Parsed(hello.bytes).hello.hasGREASE)
    switch place {
    case 0: hello.cipherSuites = [0x1301, 0xfafa]
    case 1: hello.add(0xbaba, [1])
    default: hello.extensions = [(43, counted(1, [0x0a, 0x0a, 3, 4]))]
    }
    #expect(Parsed(hello.bytes).hello.hasGREASE)
    #expect(Parsed.byteByByte(hello.bytes).hello.hasGREASE)
    hello.cipherSuites = [0x011a, 0x1a01]
    hello.extensions = []
    #expect(!Parsed(hello.bytes).hello.hasGREASE, "across two cipher suites")
  }
}
