import Testing
import Wire

@Suite("What is not TLS")
struct NotTLSTests {
  static let openings: [(NotTLSReason, [UInt8])] = [
    (.http, Array("GET / HTTP/1.1\r\n".utf8)), (.http, Array("POST /x".utf8)),
    (.http, Array("PRI * HTTP/2.0".utf8)), (.http, Array("CONNECT a:1".utf8)),
    (.http, Array("OPTIONS *".utf8)), (.http, Array("PUT".utf8)), (.http, Array("P".utf8)),
    (.ssh, Array("SSH-2.0-OpenSSH".utf8)), (.proxyHeader, Array("PROXY TCP4 1.2.3.4".utf8)),
    (.proxyHeader, [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55]),
    (.postgreSQL, [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), (.zeroBytes, [0, 0, 0, 0, 0, 0, 0]),
    (.alert, [21, 3, 3, 0, 2]), (.applicationData, [23, 3, 3]), (.changeCipherSpec, [20, 3, 3]),
    (.unknown, Array("HELO x".utf8)), (.unknown, Array("GETX".utf8)), (.unknown, [1]),
    (.unknown, [0x7f, 1, 2]),
  ]

  @Test("is known from its first byte, and guessed from its first segment", arguments: openings)
  func opening(reason: NotTLSReason, bytes: [UInt8]) {
    #expect(Parsed(bytes).verdict == .notTLS(reason))
    guard case .notTLS = Parsed([bytes[0]]).verdict else {
      Issue.record("\(bytes[0]) was not decided at once")
      return
    }
  }

  @Test("every first byte but those of a record and of SSLv2 decides at once")
  func firstBytes() {
    for byte in UInt8.min ... .max {
      let isOpen = byte == 22 || byte >= 0x80
      #expect((Parsed([byte]).verdict == .needMore) == isOpen, "\(byte)")
    }
    #expect(Parsed([]).verdict == .needMore)
    #expect(Parsed([22, 2]).verdict == .notTLS(.unknown))
  }
}
