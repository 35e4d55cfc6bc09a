import Testing
import Wire

@Suite("ProxyHeader")
struct ProxyHeaderTests {
  @Test("reads what it wrote, in both versions")
  func roundTrip() {
    let source = WireAddress.inet(0xc000_0201, port: 51_000)
    let destination = WireAddress.inet(0xc633_6407, port: 443)
    let line = encoded { ProxyHeader.encodeV1(source: source, destination: destination, into: &$0) }
    #expect(text(line.span) == "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n")
    let binary = encoded {
      ProxyHeader.encodeV2(source: source, destination: destination, checksum: true, into: &$0)
    }
    for bytes in [line, binary] {
      guard case .complete(let header) = ProxyHeader.parse((bytes + [22, 3, 1]).span) else {
        Issue.record("not complete: \(ProxyHeader.parse(bytes.span))")
        continue
      }
      #expect(header.source == source)
      #expect(header.destination == destination)
      #expect(header.length == bytes.count)
      for count in 0..<bytes.count {
        #expect(ProxyHeader.parse(Array(bytes[..<count]).span) == .needMore)
      }
    }
  }
}

/// What `write` put into an ample buffer.
func encoded(_ write: (inout MutableSpan<UInt8>) -> Int) -> [UInt8] {
  var buffer = [UInt8](repeating: 0xee, count: 512)
  var output = buffer.mutableSpan
  let count = write(&output)
  return Array(buffer[..<count])
}
