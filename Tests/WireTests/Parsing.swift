import Wire

/// What came out of a parser that was fed some bytes.
struct Parsed: Equatable, CustomStringConvertible {
  var verdict: HelloVerdict
  var hello: ClientHello

  /// Feeds `bytes` in one piece, or in pieces that end at `cuts`.
  init(_ bytes: [UInt8], cuts: [Int] = []) {
    var parser = ClientHelloParser()
    var start = 0
    for end in cuts + [bytes.count] {
      _ = parser.consume(Array(bytes[start..<end]).span)
      start = end
    }
    verdict = parser.verdict
    hello = parser.hello
  }

  static func byteByByte(_ bytes: [UInt8]) -> Parsed { Parsed(bytes, cuts: Array(1...bytes.count)) }

  var serverName: String { text(hello.serverName.bytes.span) }
  var protocols: String { text(hello.alpn.commaJoined.span) }

  var description: String {
    """
    \(verdict), “\(serverName)”, alpn “\(protocols)”, versions \(hello.supportedVersions.rawValue), \
    \(hello.extensionCount) extensions, \(hello.helloLength) bytes in \(hello.recordCount) records
    """
  }
}

/// Bytes as text, one character a byte.
func text(_ bytes: Span<UInt8>) -> String {
  var text = ""
  for index in bytes.indices { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
  return text
}
