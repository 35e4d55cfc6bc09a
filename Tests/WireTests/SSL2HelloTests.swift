import Testing
import Wire

@Suite("Hellos in the SSLv2 format")
struct SSL2HelloTests {
  static func hello(
    version: UInt16 = 0x0301, ciphers: Int = 4, sessionID: Int = 0, challenge: Int = 32,
    lie: Int = 0
  ) -> [UInt8] {
    var body: [UInt8] = [1] + bigEndian(version)
    for count in [3 * ciphers, sessionID, challenge + lie] { body += bigEndian(UInt16(count)) }
    body += [UInt8](repeating: 9, count: 3 * ciphers + sessionID + challenge)
    return bigEndian(0x8000 | UInt16(body.count)) + body
  }

  @Test("are hellos without a name", arguments: [0x0002, 0x0300, 0x0301, 0x0303] as [UInt16])
  func complete(version: UInt16) {
    let bytes = Self.hello(version: version, sessionID: 16)
    let parsed = Parsed(bytes + [1, 2, 3])
    #expect(parsed.verdict == .complete)
    #expect(parsed.hello.framing == .ssl2)
    #expect(parsed.hello.helloType == 1)
    #expect(parsed.hello.versionNumber == Int(version >> 8) << 16 | Int(version & 0xff))
    #expect(parsed.hello.cipherSuiteCount == 4)
    #expect(parsed.hello.sessionIDLength == 16)
    #expect(parsed.hello.serverName.isEmpty)
    #expect(parsed.hello.rawLength == bytes.count)
    #expect(parsed.hello.helloLength == bytes.count)
    #expect(Parsed.byteByByte(bytes) == parsed)
    for count in 0..<bytes.count { #expect(Parsed(Array(bytes[..<count])).verdict == .needMore) }
  }

  @Test("are refused when their lengths contradict each other")
  func defects() {
    #expect(Parsed(Self.hello(lie: 1)).verdict == .malformed(.ssl2Lengths))
    #expect(Parsed(Self.hello(ciphers: 9, challenge: 15)).verdict == .malformed(.ssl2Lengths))
    #expect(Parsed(Self.hello(sessionID: 33)).verdict == .malformed(.sessionID))
    #expect(Parsed(Self.hello(ciphers: 0, challenge: 40)).verdict == .malformed(.cipherSuites))
    #expect(Parsed(Self.hello(ciphers: 8000)).verdict == .tooLarge)
  }

  @Test("are not seen in what merely begins with a high byte")
  func noise() {
    #expect(Parsed([0x80, 0]).verdict == .notTLS(.unknown))
    #expect(Parsed([0x80, 46, 2]).verdict == .notTLS(.unknown))
    #expect(Parsed([0x80, 46, 1, 9, 9]).verdict == .notTLS(.unknown))
    #expect(Parsed([0xff, 0xff, 0xff]).verdict == .notTLS(.unknown))
  }
}
