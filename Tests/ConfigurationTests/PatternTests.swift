import Configuration
import Linux
import Testing

@Suite("Patterns")
struct PatternTests {
  private func criterion(_ text: String, _ patterns: [String: String] = [:]) -> Criterion? {
    load("frontend f\n acl a \(text)\n", patterns: patterns)
      .configuration?.frontends[0].acls[0].lines[0]
  }

  private func network(_ address: String, _ length: Int) throws -> Network {
    Network(address: try #require(IPAddress(address)), prefixLength: length)
  }

  @Test(
    "of integers",
    arguments: [
      ("443", [443...443]), ("1 2", [1...1, 2...2]), ("gt 3", [4...Int.max]),
      ("ge 3", [3...Int.max]), ("lt 3", [Int.min...2]), ("le 3", [Int.min...3]),
      ("eq 3 gt 9", [3...3, 10...Int.max]), ("10:20", [10...20]), ("10:", [10...Int.max]),
      (":20", [Int.min...20]), ("-5", [-5...(-5)]), ("-- -5:5", [-5...5]),
    ])
  func integers(text: String, expected: [ClosedRange<Int>]) {
    #expect(criterion("dst_port \(text)")?.patterns == .integers(expected))
  }

  @Test("of versions, by dots or as one number")
  func versions() {
    #expect(
      criterion("req.ssl_ver 3.1 3.3: 5")?.patterns
        == .integers([0x3_0001...0x3_0001, 0x3_0003...Int.max, 5...5]))
  }

  @Test("of networks, abbreviated, masked, and without their host bits")
  func networks() throws {
    let pairs = [
      ("10.0.0.0/8", "10.0.0.0", 8), ("10/8", "10.0.0.0", 8), ("192.168/16", "192.168.0.0", 16),
      ("10.1.2.3/8", "10.0.0.0", 8), ("10.1.2.3", "10.1.2.3", 32), ("0.0.0.0/0", "0.0.0.0", 0),
      ("10.0.0.0/255.255.0.0", "10.0.0.0", 16), ("2001:db8::1/32", "2001:db8::", 32),
      ("::1", "::1", 128), ("::/0", "::", 0), ("2001:db8::ffff/127", "2001:db8::fffe", 127),
      ("::ffff:10.1.2.3/104", "10.0.0.0", 8),
    ]
    for (text, address, length) in pairs {
      #expect(criterion("src \(text)")?.patterns == .networks([try network(address, length)]))
    }
  }

  @Test("of bytes, in hexadecimal")
  func bytes() {
    #expect(criterion("payload(0,2) 1603 00ff")?.patterns == .binaries([[0x16, 3], [0, 0xff]]))
  }

  @Test("of what there is or is not have none")
  func none() {
    #expect(criterion("req.ssl_sni -m found")?.patterns == Patterns.none)
    #expect(criterion("wait_end")?.match == .boolean)
  }

  @Test("in files: one a line, blanks and comments left out, in order, before those on the line")
  func files() {
    let file = "# names\n\n  a.example \r\nb.example # not a comment\n"
    #expect(
      criterion("req.ssl_sni -f names -i c.example", ["names": file])?.patterns
        == .strings(["a.example", "b.example # not a comment", "c.example"]))
    #expect(
      criterion("req.ssl_sni -M -f names", ["names": "a 1\nb 2\n"])?.patterns
        == .strings(["a", "b"]))
    #expect(criterion("req.ssl_sni -f opt@missing")?.patterns == .strings([]))
    #expect(criterion("req.ssl_sni -f missing") == nil)
  }

  @Test("in files are told of where they stand")
  func fileErrors() {
    let result = load(
      "frontend f\n acl a src -f nets\n", patterns: ["nets": "10.0.0.0/8\n  10.0.0.0/99\n"])
    #expect(result.report.hasPrefix("nets:2:3: error: bad pattern '10.0.0.0/99'"))
  }

  @Test("that are bad regular expressions are told where their judge finds fault")
  func badExpressions() {
    let text = """
      frontend f
       acl a req.ssl_sni -m reg ok 0123(
       acl a req.ssl_sni -m reg "12 ("
       acl a req.ssl_sni -i -m reg -f names
       acl a req.ssl_sni -m str 4(
       acl a req.ssl_sni,regsub([,x,gi) -m str b
      """
    let result = load(bytes: Array(text.utf8), patterns: ["names": "ok\n  012(\n"]) {
      pattern, ignoresCase in
      if pattern == "[" { return RegularExpressionFault(message: "open", offset: 0) }
      guard let offset = pattern.utf8.firstIndex(of: UInt8(ascii: "(")) else { return nil }
      return RegularExpressionFault(
        message: ignoresCase ? "caseless" : "bad",
        offset: pattern.utf8.distance(from: pattern.startIndex, to: offset))
    }
    let expected = [
      (1, 2, 6, "bad regular expression '012(': caseless"),
      (0, 2, 34, "bad regular expression '0123(': bad"),
      (0, 3, 27, "bad regular expression '12 (': bad"),
      (0, 6, 8, "bad regular expression '[': open"),
    ]
    for (file, line, column, message) in expected {
      #expect(
        result.diagnostics.contains {
          $0.position == SourcePosition(file: file, line: line, column: column)
            && $0.message == message
        })
    }
    #expect(!result.report.contains("'4('"))
  }

  @Test("that are wrong are all told, up to twenty of one list")
  func allFaults() {
    let file = "10.0.0.0/8\nbananas\n10.0.0.0/99\n"
    let result = load(
      "frontend f\n acl a src -f nets 1.2.3.4 pears 5.6.7.8/99\n", patterns: ["nets": file])
    #expect(
      result.diagnostics.filter { $0.message.hasPrefix("bad pattern") }.map(\.position) == [
        SourcePosition(file: 0, line: 2, column: 28), SourcePosition(file: 0, line: 2, column: 34),
        SourcePosition(file: 1, line: 2, column: 1), SourcePosition(file: 1, line: 3, column: 1),
      ])
    let many = String(repeating: "bananas\n", count: 100)
    let bounded = load("frontend f\n acl a src -f nets\n", patterns: ["nets": many])
    #expect(bounded.errors.count { $0.hasPrefix("bad pattern") } == 20)
  }

  @Test("take the flags before them")
  func flags() {
    let line = criterion("req.ssl_sni -i -m end -n -u 3 -- -a.example")
    #expect(line?.ignoresCase == true)
    #expect(line?.match == .end)
    #expect(line?.patterns == .strings(["-a.example"]))
  }

  @Test(
    "name their match",
    arguments: [
      ("str", Match.string), ("beg", .begin), ("end", .end), ("sub", .substring),
      ("dom", .domain), ("dir", .directory), ("reg", .regularExpression),
    ])
  func matches(name: String, match: Match) {
    #expect(criterion("req.ssl_sni -m \(name) x")?.match == match)
  }

  @Test("that are missing are warned of, since nothing matches them")
  func missing() {
    let result = load(
      "defaults\n timeout client 1s\nfrontend f\n bind :1\n acl a req.ssl_sni\n")
    #expect(result.warnings == ["'req.ssl_sni' is compared with nothing and never matches"])
  }
}
