import Testing
import Wire

@Suite("TLSAlert")
struct TLSAlertTests {
  static func bytes(_ alert: TLSAlert) -> [UInt8] {
    let bytes = alert.bytes
    return bytes.indices.map { bytes[$0] }
  }

  @Test("is a fatal alert in a record of seven bytes")
  func bytes() {
    #expect(Self.bytes(TLSAlert(.unrecognizedName)) == [21, 3, 1, 0, 2, 2, 112])
    #expect(Self.bytes(TLSAlert(.handshakeFailure)) == [21, 3, 1, 0, 2, 2, 40])
    #expect(Self.bytes(TLSAlert(.accessDenied)) == [21, 3, 1, 0, 2, 2, 49])
    #expect(Self.bytes(TLSAlert(.internalError)) == [21, 3, 1, 0, 2, 2, 80])
  }

  @Test("names no newer version than the client knows, and none beyond TLS 1.2")
  func version() {
    #expect(TLSAlert(.accessDenied, offered: 0x0300).recordVersion == 0x0300)
    #expect(TLSAlert(.accessDenied, offered: 0x0303).recordVersion == 0x0303)
    #expect(TLSAlert(.accessDenied, offered: 0x0304).recordVersion == 0x0303)
    #expect(TLSAlert(.accessDenied, offered: 0x0002).recordVersion == 0x0300)
  }
}
