import Testing
import Wire

@Suite("Defects of a ClientHello")
struct HelloDefectTests {
  static func with(_ change: (inout HelloBuilder) -> Void) -> [UInt8] {
    var hello = HelloBuilder()
    change(&hello)
    return hello.bytes
  }

  static func with(extension type: UInt16, _ body: [UInt8]) -> [UInt8] {
    with { $0.add(type, body) }
  }

  /// The plain hello with one byte of its message changed.
  static func with(_ byte: UInt8, at offset: Int) -> [UInt8] {
    var message = HelloBuilder().message
    message[offset] = byte
    return inRecords(of: 16_384, message)
  }

  static let host: [UInt8] = [0] + counted(2, Array("a.test".utf8))

  static let cases: [(String, HelloDefect, [UInt8])] = [
    ("a record without content", .emptyRecord, [22, 3, 1, 0, 0]),
    ("an empty record in the middle", .emptyRecord, [22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0]),
    ("a record of 16385 bytes", .recordTooLong, [22, 3, 1, 0x40, 1]),
    ("a second record of SSL 2", .recordVersion, [22, 3, 1, 0, 1, 1, 22, 2]),
    ("an alert between two records", .recordInterrupted, [22, 3, 1, 0, 1, 1, 21]),
    ("a ServerHello", .notClientHello, [22, 3, 3, 0, 4, 2]),
    ("a hello of no bytes", .overrun, [22, 3, 1, 0, 4, 1, 0, 0, 0]),
    ("a hello that ends in its random", .overrun, inRecords(of: 99, [1, 0, 0, 4, 3, 3, 1, 1])),
    ("a session id of 33 bytes", .sessionID, with { $0.sessionID += [1] }),
    ("no cipher suites", .cipherSuites, with { $0.cipherSuites = [] }),
    ("half a cipher suite", .cipherSuites, with(3, at: 4 + 2 + 32 + 33 + 1)),
    ("no compression method", .compression, with { $0.compressionMethods = [] }),
    ("compression methods to beyond the end", .overrun, with(99, at: 4 + 2 + 32 + 33 + 8)),
    ("extensions to beyond the end", .overrun, with(1, at: HelloBuilder().message.count - 1)),
    (
      "bytes behind the extensions", .trailingBytes,
      inRecords(of: 999, [1] + counted(3, HelloBuilder().message.dropFirst(4) + [0]))
    ),
    (
      "half an extension", .overrun,
      inRecords(
        of: 999, [1] + counted(3, HelloBuilder().message.dropFirst(4).dropLast(2) + [0, 1, 0]))
    ),
    ("an extension that overruns", .overrun, with { $0.extensions = [(0, [])] }),
    ("a server name list that overruns", .overrun, with(extension: 0, [0, 10] + host)),
    ("a server name list that is too short", .trailingBytes, with(extension: 0, [0, 8] + host)),
    ("a server name that overruns", .overrun, with(extension: 0, counted(2, [0, 0, 9, 65]))),
    ("an empty server name", .emptyServerName, with(extension: 0, counted(2, [0, 0, 0]))),
    (
      "two server name extensions", .repeatedExtension,
      with {
        $0.add(0, counted(2, host)); $0.add(0, counted(2, host))
      }
    ),
    (
      "two lists of protocols", .repeatedExtension,
      with {
        $0.add(protocols: ["a"]); $0.add(protocols: ["b"])
      }
    ),
    (
      "two lists of versions", .repeatedExtension,
      with {
        $0.add(versions: [0x0304]); $0.add(versions: [0x0303])
      }
    ),
    ("an empty protocol", .emptyProtocolName, with { $0.add(protocols: ["a", ""]) }),
    ("a protocol that overruns", .overrun, with(extension: 16, counted(2, [5, 65]))),
    ("no versions", .versions, with { $0.add(versions: []) }),
    ("half a version", .versions, with(extension: 43, counted(1, [3, 4, 3]))),
    ("bytes behind the versions", .trailingBytes, with(extension: 43, [2, 3, 4, 0])),
  ]

  @Test("is named for what it is, however it arrives", arguments: cases)
  func defect(name: String, defect: HelloDefect, bytes: [UInt8]) {
    let whole = Parsed(bytes)
    #expect(whole.verdict == .malformed(defect))
    #expect(Parsed.byteByByte(bytes) == whole)
  }

  @Test("every defect but the SSLv2 one has a case here, and all have different texts")
  func coverage() {
    #expect(Set(Self.cases.map(\.1)) == Set(HelloDefect.allCases).subtracting([.ssl2Lengths]))
    #expect(Set(HelloDefect.allCases.map { "\($0.text)" }).count == HelloDefect.allCases.count)
    #expect(Set(NotTLSReason.allCases.map { "\($0.text)" }).count == NotTLSReason.allCases.count)
  }
}
