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
}
