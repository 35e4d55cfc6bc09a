import Testing

@testable import Wire

/// The corpora from which the fuzzers start reach every state of their parsers.
@Suite("Fuzz corpora")
struct CorpusTests {
  static func cases(_ parser: String) throws -> [[UInt8]] {
    try Fixtures.names(in: "Fuzz/Corpus/\(parser)").map {
      try Fixtures.bytes("Fuzz/Corpus/\(parser)/\($0)")
    }
  }

  @Test("ClientHello: every field, every verdict, every fact")
  func clientHello() throws {
    var fields: Set<UInt8> = []
    var verdicts: Set<String> = []
    var hellos: [ClientHello] = []
    for bytes in try Self.cases("ClientHello") {
      var parser = ClientHelloParser()
      for byte in bytes {
        _ = parser.consume([byte].span)
        fields.insert(parser.field.rawValue)
      }
      verdicts.insert("\(Parsed(bytes).verdict)")
      hellos.append(parser.hello)
    }
    #expect(fields == Set(ClientHelloParser.Field.allCases.map(\.rawValue)))
    let expected: [HelloVerdict] =
      [.needMore, .complete, .tooLarge] + NotTLSReason.allCases.map { .notTLS($0) }
      + HelloDefect.allCases.map { .malformed($0) }
    #expect(verdicts == Set(expected.map { "\($0)" }))

    #expect(hellos.contains { $0.framing == .ssl2 && $0.legacyVersion == 0x0002 })
    #expect(hellos.contains { $0.recordCount > 100 })
    #expect(hellos.contains { $0.extensionCount > 64 })
    #expect(hellos.contains { $0.serverName.isTruncated })
    #expect(hellos.contains { !$0.serverName.isEmpty && !$0.serverName.isValid })
    #expect(hellos.contains { $0.alpn.isTruncated })
    #expect(hellos.contains { $0.hasECH && $0.hasGREASE && $0.helloLength > 1700 })
    #expect(Set(hellos.map(\.sessionTicket)) == [.absent, .empty, .present])
  }

  @Test("ProxyHeader: every verdict, both commands, every family, every field")
  func proxyHeader() throws {
    var headers: [ProxyHeader] = []
    var others: Set<String> = []
    for bytes in try Self.cases("ProxyHeader") {
      switch ProxyHeader.parse(bytes.span) {
      case .complete(let header): headers.append(header)
      case let verdict: others.insert("\(verdict)")
      }
    }
    let expected: [ProxyVerdict] =
      [.needMore, .notProxy] + ProxyDefect.allCases.map { .malformed($0) }
    #expect(others == Set(expected.map { "\($0)" }))
    for version in [ProxyHeader.Version.v1, .v2] {
      for family in [WireAddress.Family.none, .inet, .inet6] {
        #expect(headers.contains { $0.version == version && $0.source.family == family })
      }
    }
    #expect(headers.contains { $0.source.family == .unix })
    #expect(headers.contains { $0.command == .local })
    #expect(headers.contains { !$0.alpn.isEmpty && !$0.authority.isEmpty && !$0.uniqueID.isEmpty })
  }

  @Test("Message: every kind and every error")
  func message() throws {
    var kinds: Set<UInt8> = []
    var errors: Set<String> = []
    for bytes in try Self.cases("Message") {
      do {
        _ = try Message(decoding: bytes)
        kinds.insert(bytes[1])
      } catch {
        errors.insert("\(error)".prefix { $0 != "(" }.description)
      }
    }
    #expect(kinds == Set((UInt8.min ... .max).filter { Message.Kind(rawValue: $0) != nil }))
    // `tooLong` is not for a corpus: the fuzzer would only carry its 64 KiB along.
    let expected = [
      "tooShort", "unknownFormat", "unknownKind", "overrun", "missingField", "invalidField",
    ]
    #expect(errors == Set(expected))
  }
}
