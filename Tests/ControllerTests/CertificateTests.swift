import Glibc
import Testing
import Wire

@testable import Controller

/// Runs openssl(1), which makes real certificates.
private func openssl(_ arguments: [String], stdin: [UInt8] = []) throws -> [UInt8] {
  let directory = "/tmp/sluice-certificate-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  mkdir(directory, 0o700)
  defer {
    unlink(directory + "/out")
    rmdir(directory)
  }
  let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
  let status = system(
    "cd \(directory) && openssl \(quoted) >out 2>/dev/null; e=$?; rm -f key; exit $e")
  try #require(status == 0, "openssl \(quoted)")
  guard let file = fopen(directory + "/out", "r") else { return [] }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var byte = fgetc(file)
  while byte != EOF {
    bytes.append(UInt8(byte))
    byte = fgetc(file)
  }
  return bytes
}

private func certificate(
  key: [String], subject: String = "/CN=common.example.test", names: String? = nil, days: Int = 30
) throws -> [UInt8] {
  try openssl(
    ["req", "-x509", "-nodes", "-keyout", "key", "-days", String(days), "-subj", subject] + key
      + (names.map { ["-addext", "subjectAltName=" + $0] } ?? []))
}

@Suite("CertificateProcess")
struct CertificateProcessTests {
  static let keys = [
    ["-newkey", "rsa:2048"], ["-newkey", "ed25519"],
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  ]

  private func names(_ bytes: [UInt8]) -> [String]? {
    var names: [String] = []
    for message in CertificateProcess.answer(to: bytes) {
      guard case .certificateNames(let some, _) = message else { return nil }
      names += some.map(\.name)
    }
    return names
  }

  private func failure(_ bytes: [UInt8]) -> String? {
    guard case .certificateFailure(let text)? = CertificateProcess.answer(to: bytes).first else {
      return nil
    }
    return text
  }

  @Test("reads names and the end, whatever the key", arguments: keys.indices)
  func anyKey(index: Int) throws {
    let bytes = try certificate(
      key: Self.keys[index],
      names: "DNS:www.example.test,DNS:*.example.test,IP:192.0.2.1,IP:2001:db8::1,email:a@b.test")
    guard case .certificateNames(let names, false)? = CertificateProcess.answer(to: bytes).first
    else {
      Issue.record("no names")
      return
    }
    #expect(
      names.map(\.name) == ["www.example.test", "*.example.test", "192.0.2.1", "2001:db8::1"])
    let monthAhead = Int64(time(nil)) + 30 * 86_400
    #expect(names.allSatisfy { abs($0.notAfter - monthAhead) < 120 })
  }

  @Test("takes the common name where there is no alternative")
  func commonName() throws {
    #expect(
      names(try certificate(key: Self.keys[2], subject: "/O=Example/CN=old.example.test"))
        == ["old.example.test"])
    #expect(
      names(try certificate(key: Self.keys[2], subject: "/CN=Not A Host Name")) == [])
  }

  @Test("reads years beyond 2050, which X.509 writes in another way")
  func farFuture() throws {
    let bytes = try certificate(key: Self.keys[2], days: 20_000)
    guard case .certificateNames(let names, _)? = CertificateProcess.answer(to: bytes).first else {
      Issue.record("no names")
      return
    }
    let ahead = Int64(time(nil)) + 20_000 * 86_400
    #expect(names.count == 1 && names.allSatisfy { abs($0.notAfter - ahead) < 120 })
  }

  @Test("tells many names in as many messages as they need")
  func manyNames() throws {
    let wanted = (0..<450).map { "host\($0).example.test" }
    let bytes = try certificate(
      key: Self.keys[2], names: wanted.map { "DNS:" + $0 }.joined(separator: ","))
    let messages = CertificateProcess.answer(to: bytes)
    #expect(messages.count == 3)
    #expect(names(bytes) == wanted)
    #expect(
      messages.compactMap {
        if case .certificateNames(_, let hasMore) = $0 { hasMore } else { nil }
      } == [true, true, false])
  }

  @Test("reads several certificates, and passes over those that vouch for an earlier one")
  func chain() throws {
    let one = try certificate(key: Self.keys[2], subject: "/CN=one.example.test")
    let two = try certificate(key: Self.keys[1], subject: "/CN=two.example.test")
    #expect(names(one + two) == ["one.example.test", "two.example.test"])
    // The second is its own issuer, and so of the same subject as the first one's.
    #expect(names(one + two + two) == ["one.example.test", "two.example.test"])
  }

  @Test("passes over keys, comments and either end of lines")
  func surroundings() throws {
    let bytes = try certificate(key: Self.keys[2], subject: "/CN=one.example.test")
    let text = String(decoding: bytes, as: UTF8.self)
    let odd =
      "# a comment\r\n-----BEGIN DH PARAMETERS-----\r\nAAAA\r\n"
      + "-----END DH PARAMETERS-----\r\n" + text.split(separator: "\n").joined(separator: "\r\n")
    #expect(names(Array(odd.utf8)) == ["one.example.test"])
  }

  @Test("says what is wrong")
  func broken() throws {
    #expect(failure([]) == "there is no certificate in it")
    #expect(failure(Array("hello".utf8)) == "there is no certificate in it")
    #expect(
      failure(Array((PEM.begin + "\nAAAA\n").utf8)) == "a certificate begins and does not end")
    #expect(
      failure(Array((PEM.begin + "\n!!!!\n" + PEM.end).utf8)) == "certificate 1 is not base64")
    #expect(
      failure(Array((PEM.begin + "\nMAAB\n" + PEM.end).utf8))?
        .hasPrefix("certificate 1 is malformed") == true)
  }

  @Test("survives every certificate that has been cut or changed")
  func mutations() throws {
    let der = try #require(
      PEM.certificates(
        in: certificate(key: Self.keys[2], names: "DNS:www.example.test,IP:192.0.2.1")
      ).first)
    for length in 0..<der.count {
      #expect(throws: (any Error).self) { try Certificate(der: Array(der[..<length])) }
    }
    // A changed byte may leave it readable; it must never end the process.
    var readable = 0
    for place in der.indices {
      for value in [UInt8(0), 0x7f, 0x80, 0xff, der[place] ^ 1] {
        var changed = der
        changed[place] = value
        if (try? Certificate(der: changed)) != nil { readable += 1 }
      }
    }
    #expect(readable > 0)
  }

  @Test("decodes base64 as RFC 4648 has it")
  func base64() {
    let table: [(String, [UInt8]?)] = [
      ("", []), ("Zg==", [0x66]), ("Zm8=", [0x66, 0x6f]), ("Zm9v", [0x66, 0x6f, 0x6f]),
      ("Zm9vYg==", Array("foob".utf8)), ("Zm9vYmE=", Array("fooba".utf8)),
      ("+/+/", [251, 255, 191]),
      ("Z", nil), ("Zg", nil), ("Zg=", nil), ("Zg===", nil), ("Zg==Zg==", nil), ("Z-==", nil),
    ]
    for (text, bytes) in table { #expect(Base64.decode(Array(text.utf8)) == bytes, "\(text)") }
  }

  @Test("counts seconds as the Gregorian calendar does")
  func calendar() {
    #expect(CivilTime.seconds(1970, 1, 1, 0, 0, 0) == 0)
    #expect(CivilTime.seconds(2000, 2, 29, 12, 0, 0) == 951_825_600)
    #expect(CivilTime.seconds(2026, 11, 24, 14, 0, 17) == 1_795_528_817)
    #expect(CivilTime.seconds(2100, 3, 1, 0, 0, 0) == 4_107_542_400)
  }
}
