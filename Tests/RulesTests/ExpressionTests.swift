import Configuration
import Linux
import Testing

@testable import Rules

@Suite("Expressions")
struct ExpressionTests {
  /// What an expression gives as text for a hello for `name`; nil where it gives nothing.
  private func value(
    _ fetch: SampleExpression.Fetch, _ converters: SampleExpression.Converter...,
    maps: [PatternMap] = [], scene: Scene = .hello("Www.Example.com")
  ) throws -> String? {
    var sketch = Sketch()
    sketch.configuration.maps = maps
    sketch.configuration.variables = [Variable(name: "sess.a")]
    let expression = SampleExpression(fetch: fetch, converters: converters)
    sketch.configuration.frontends[0].log.format = .custom([.sample(expression)])
    let rules = try sketch.compiled()
    return scene.withFacts { facts in
      guard let text = rules.logText(frontend: 0, 0, facts) else { return nil }
      return String(decoding: text.indices.map { text[$0] }, as: UTF8.self)
    }
  }

  private func text(_ text: String) -> SampleExpression.Fetch {
    .constant(.string(Array(text.utf8)))
  }

  // The values are what HAProxy 3.5 gives; see Tests/Integration/test_expressions.py.

  @Test("take texts apart")
  func parts() throws {
    let dot = Array(".".utf8)
    #expect(try value(text("a.b.c.d"), .field(index: 2, delimiters: dot, count: 2)) == "b.c")
    #expect(try value(text("a.b.c.d"), .field(index: -1, delimiters: dot, count: 1)) == "d")
    #expect(try value(text("a..b"), .field(index: 2, delimiters: dot, count: 1)) == "")
    #expect(try value(text("a..b"), .word(index: 2, delimiters: dot, count: 1)) == "b")
    #expect(try value(text("a.b.c.d"), .word(index: -2, delimiters: dot, count: 0)) == "a.b.c")
    #expect(try value(text("a.b"), .field(index: 3, delimiters: dot, count: 1)) == nil)
    #expect(try value(text("abcdef"), .bytes(offset: 1, length: 3)) == "bcd")
    #expect(try value(text("abcdef"), .bytes(offset: 7, length: 3)) == nil)
    #expect(try value(text("h.example:443"), .hostOnly) == "h.example")
    #expect(try value(text("h.example:443"), .portOnly) == "443")
    #expect(try value(.serverName, .lower, .length) == "15")
  }

  @Test("hash as everybody does")
  func hashes() throws {
    #expect(try value(text("abc"), .hash(.crc32, argument: 0)) == "891568578")
    #expect(try value(text("abc"), .hash(.crc32, argument: 1)) == "930845320")
    #expect(try value(text("abc"), .hash(.crc32c, argument: 0)) == "910901175")
    #expect(try value(text("abc"), .hash(.djb2, argument: 1)) == "2235766107")
    #expect(try value(text("abc"), .hash(.sdbm, argument: 0)) == "807794786")
    #expect(try value(text("abc"), .hash(.xxh32, argument: 0)) == "852579327")
    #expect(try value(text("abc"), .hash(.xxh32, argument: 5)) == "1562728233")
    #expect(try value(text("abc"), .hash(.xxh64, argument: 0)) == "4952883123889572249")
  }

  @Test("reckon without ever trapping")
  func arithmetic() throws {
    func result(_ left: Int, _ operation: SampleExpression.Arithmetic, _ right: Int) throws
      -> String?
    {
      try value(.constant(.integer(left)), .arithmetic(operation, .number(right)))
    }
    #expect(try result(7, .divide, 0) == String(Int.max))
    #expect(try result(.min, .divide, -1) == String(Int.max))
    #expect(try result(7, .remainder, 0) == "0")
    #expect(try result(.max, .add, 1) == String(Int.max))
    #expect(try result(.min, .subtract, 1) == String(Int.min))
    #expect(try result(.min, .multiply, -1) == String(Int.max))
    #expect(try result(6, .exclusiveOr, 3) == "5")
  }

  @Test("replace what a pattern finds, with its groups")
  func substitution() throws {
    func replaced(_ subject: String, _ pattern: String, _ replacement: String, all: Bool = false)
      throws -> String?
    {
      try value(
        text(subject),
        .substitute(
          pattern: pattern, replacement: Array(replacement.utf8), all: all, ignoresCase: false))
    }
    #expect(try replaced("hello", "l", "L") == "heLlo")
    #expect(try replaced("hello", "l", "L", all: true) == "heLLo")
    #expect(try replaced("www.example.com", "^www\\.(.*)$", "bk-\\1") == "bk-example.com")
    #expect(try replaced("abc", "x*", "-", all: true) == "-a-b-c-")
    #expect(try replaced("abc", "d", "-") == "abc")
    #expect(try replaced("abc", "(a)(b)(c)()()()()()()()()", "\\3\\2\\9") == "cb")
    #expect(try replaced("ac", "(a)(b)?(c)", "[\\2\\3]") == "[c]")
  }

  @Test("replace nothing by a group that the pattern does not have, whatever was found before")
  func absentGroups() throws {
    func replacing(_ pattern: String, _ replacement: String) -> SampleExpression.Converter {
      .substitute(
        pattern: pattern, replacement: Array(replacement.utf8), all: false, ignoresCase: false)
    }
    let longer = replacing("^.{200}(.{90})(.*)$", "abc")
    let long = String(repeating: "x", count: 300)
    #expect(try value(text(long), longer, replacing("b", "[\\1\\2\\9]")) == "a[]c")
  }

  private func map(_ text: String, _ match: Match, _ output: SampleType = .string) -> PatternMap {
    let bytes = Array(text.utf8)
    var entries: [PatternMap.Entry] = []
    var start = 0
    for line in text.utf8.split(separator: 10, omittingEmptySubsequences: false) {
      if let blank = line.firstIndex(of: 32) {
        let key = UInt32(text.utf8.distance(from: line.startIndex, to: blank))
        let first = UInt32(start)
        let length = UInt32(line.count) - key - 1
        entries.append(
          PatternMap.Entry(
            keyStart: first, keyLength: key, valueStart: first + key + 1, valueLength: length))
      }
      start += line.count + 1
    }
    return PatternMap(
      path: "m", match: match, output: output, bytes: bytes, entries: entries, position: .start,
      file: 0)
  }

  @Test(
    "look up in maps, the first entry or the nearest",
    arguments: [
      (Match.string, "b 1\na 2\na 3", "a", "2"), (.begin, "a 1\nab 2\nabc 3", "abd", "2"),
      (.end, "com 1\nexample.com 2", "www.example.com", "1"), (.substring, "b 1\na 2", "xab", "1"),
      (.domain, "net 1\nexample 2", "www.example.com", "2"),
      (.regularExpression, "^b 1\n^a 2\na 3", "abc", "2"), (.string, "a 1", "c", "none"),
    ])
  func maps(match: Match, file: String, key: String, expected: String) throws {
    let found = try value(
      text(key), .map(0, default: .string(Array("none".utf8))), maps: [map(file, match)])
    #expect(found == expected)
    let missing = try value(text("zzz"), .map(0, default: nil), maps: [map(file, match)])
    #expect(missing == nil)
  }

  @Test("find the smallest network and the first range")
  func ranges() throws {
    let networks = map("10.0.0.0/8 big\n10.1.0.0/16 small\n2001:db8::/32 six", .address)
    func network(_ address: String) throws -> String? {
      try value(text(address), .map(0, default: nil), maps: [networks])
    }
    #expect(try network("10.1.2.3") == "small")
    #expect(try network("10.2.2.3") == "big")
    #expect(try network("11.2.2.3") == nil)
    #expect(try network("2001:db8::1") == "six")
    #expect(try network("no address") == nil)
    let numbers = map("5:10 first\n1:7 second\n443 tls", .integer)
    func number(_ value: Int) throws -> String? {
      try self.value(.constant(.integer(value)), .map(0, default: nil), maps: [numbers])
    }
    #expect(try number(6) == "first")
    #expect(try number(2) == "second")
    #expect(try number(443) == "tls")
    #expect(try number(11) == nil)
  }

  @Test("labelled ranges agree with a list that is searched from its beginning")
  func labelledRanges() {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<50 {
      var ranges = LabelledRanges<Int>()
      let items = (0..<Int.random(in: 0..<20, using: &random)).map { label in
        let low = Int.random(in: 0..<60, using: &random)
        let high = low + Int.random(in: 0..<20, using: &random)
        return LabelledRanges<Int>.Item(
          range: low...high, rank: UInt64(label), label: UInt32(label))
      }
      let set = ranges.insert(items)
      for value in -1...90 {
        let expected = items.first { $0.range.contains(value) }?.label
        #expect(ranges.label(of: value, in: set) == expected ?? LabelledRanges<Int>.noLabel)
      }
    }
  }

  // MARK: In rules

  private let name = SampleExpression(fetch: .serverName, converters: [.lower])

  @Test("name a backend; an unknown name leaves it to the default one, whatever follows")
  func dynamicBackend() throws {
    var sketch = Sketch()
    sketch.configuration.frontends[0].backendRules.append(
      BackendRule(
        target: .named([.text("b"), .sample(name)]), condition: nil, position: .start))
    sketch.use(0)
    let rules = try sketch.compiled()
    #expect(rules.backend(.hello("E")) == .target(0, rule: 0))
    #expect(rules.backend(.hello("other")) == .none)
    #expect(rules.backend(.waiting(for: .hello)) == .wait)
    #expect(rules.routeNeeds(frontend: 0) == .hello)
  }

  @Test("set variables that later rules read")
  func variables() throws {
    var sketch = Sketch()
    sketch.configuration.variables = [Variable(name: "sess.name")]
    sketch.content(.setVariable(0, name, longest: nil))
    let acl = sketch.acl(.test(.variable(0, default: nil), .string, .strings(["a.test"])))
    sketch.content(.reject, if: sketch.condition([acl]))
    let rules = try sketch.compiled()
    #expect(rules.content(.waiting(for: .hello)) == .wait)
    #expect(rules.content(.hello("A.test")) == .reject)
    // What has no value leaves the variable as it was, until the place is somebody else's.
    #expect(rules.content(.hello("")) == .reject)
    rules.forgetVariables(of: 0)
    #expect(rules.content(.hello("")) == .accept)
  }

  @Test("store no text that is too long, and cut captured ones")
  func longTexts() throws {
    var sketch = Sketch()
    sketch.configuration.variables = [Variable(name: "sess.a"), Variable(name: "")]
    let long = SampleExpression(
      fetch: .constant(.string(Array(repeating: 0x61, count: 300))), converters: [])
    sketch.content(.setVariable(0, long, longest: nil))
    sketch.content(.setVariable(1, long, longest: 3))
    let kept = sketch.acl(.test(.variable(0, default: nil), .found))
    sketch.content(.silentDrop, if: sketch.condition([kept]))
    let cut = sketch.acl(.test(.variable(1, default: nil), .string, .strings(["aaa"])))
    sketch.content(.reject, if: sketch.condition([cut]))
    let rules = try sketch.compiled()
    #expect(rules.content(.hello("x")) == .reject)
  }

  @Test("cut a captured text at the longest that a variable holds")
  func longestCapture() throws {
    var sketch = Sketch()
    sketch.configuration.variables = [Variable(name: "")]
    let long = SampleExpression(fetch: .constant(.string(Array(repeating: 0x61, count: 300))))
    sketch.content(.setVariable(0, long, longest: Variable.longestText))
    let length = Criterion.test(
      .variable(0, default: nil), .integer, .integers([255...255]), converters: [.length])
    let acl = sketch.acl(length)
    sketch.content(.reject, if: sketch.condition([acl]))
    #expect(try sketch.compiled().content(.hello("x")) == .reject)
    #expect(MemoryLayout<StoredVariable>.stride == 288)
  }

  @Test("read lists of a hello through its records")
  func helloLists() throws {
    var body: [UInt8] =
      [3, 3] + Array(repeating: 0, count: 32) + [0, 0, 4, 0x13, 1, 0x13, 2, 1, 0]
    let groups: [UInt8] = [0, 10, 0, 6, 0, 4, 0, 29, 0, 23]
    let shares: [UInt8] = [0, 51, 0, 8, 0, 6, 0, 29, 0, 2, 9, 9]
    body += [0, UInt8(groups.count + shares.count)] + groups + shares
    let message = [1, 0, 0, UInt8(body.count)] + body
    let records = message.flatMap { [0x16, 3, 1, 0, 1, $0] as [UInt8] }
    for raw in [[0x16, 3, 1, 0, UInt8(message.count)] + message, records] {
      var scene = Scene.hello("x")
      scene.request = raw
      #expect(try value(.helloList(.cipherSuites), .hexadecimal, scene: scene) == "13011302")
      #expect(try value(.helloList(.supportedGroups), .hexadecimal, scene: scene) == "001D0017")
      #expect(try value(.helloList(.keyShareGroups), .hexadecimal, scene: scene) == "001D")
      #expect(try value(.helloList(.signatureAlgorithms), .hexadecimal, scene: scene) == nil)
      scene.request.removeLast(30)
      #expect(try value(.helloList(.keyShareGroups), scene: scene) == nil)
    }
  }

  @Test("measure payloads by the length before them")
  func payloadByLength() throws {
    var scene = Scene.notTLS
    scene.request = [0xff, 0, 3, 0x61, 0x62, 0x63, 0x64]
    func holds(
      _ size: Int, at offset: Int, _ second: SampleExpression.Second, _ expected: [UInt8]
    ) throws -> Bool? {
      let fetch = SampleExpression.Fetch.payloadByLength(
        offset: offset, size: size, second: second)
      return try rules(rejecting: .test(fetch, .binary, .binaries([expected]))).holds(scene)
    }
    #expect(try holds(2, at: 1, .behind(0), [0x61, 0x62, 0x63]) == true)
    #expect(try holds(2, at: 1, .behind(1), [0x62, 0x63, 0x64]) == true)
    #expect(try holds(1, at: 2, .at(0), [0xff, 0, 3]) == true)
    #expect(try holds(1, at: 0, .behind(0), []) == false)
    scene.awaiting = .request
    #expect(try holds(2, at: 6, .behind(0), []) == nil)
    // A length of 0 measures nothing, and what no buffer holds never comes.
    #expect(try holds(1, at: 1, .behind(0), []) == false)
    #expect(try holds(2, at: 0, .behind(0), []) == false)
    #expect(try holds(2, at: 20_000, .behind(0), []) == false)
    #expect(try holds(2, at: 1, .behind(8), []) == nil)
  }

  @Test("wait where a converter gives nothing for what may change")
  func failingConverter() throws {
    let rules = try rules(
      rejecting: .test(
        .payload(offset: 0, length: 0), .string, .strings(["cd"]),
        converters: [.field(index: 2, delimiters: [0x2e], count: 1)]))
    #expect(rules.holds(.waiting(for: .request, request: "ab")) == nil)
    #expect(rules.holds(.waiting(for: .request, request: "ab.cd")) == true)
    #expect(rules.holds(.waiting(for: .nothing, request: "ab")) == false)
  }

  @Test("print chunks of eight bytes without a sign")
  func unsignedChunks() throws {
    let decimals = SampleExpression.Converter.decimalChunks(
      separator: [], size: 8, truncates: false, isLittleEndian: false)
    let bytes = SampleExpression.Fetch.constant(.binary(Array(repeating: 0xff, count: 8)))
    #expect(try value(bytes, decimals) == "18446744073709551615")
  }

  @Test("know no ticket where only a log line's facts are left of the hello")
  func ticketInLogs() throws {
    #expect(try value(.helloTicket) == nil)
    var scene = Scene.hello("x")
    scene.hello.ticket = 2
    #expect(try value(.helloTicket, scene: scene) == "2")
  }

  @Test("mean the backend of the same section where a listen names none")
  func ownBackend() throws {
    var sketch = Sketch()
    sketch.configuration.backends.append(
      Backend(identity: sketch.configuration.frontends[0].identity))
    for kind in [SampleExpression.Gauge.Kind.backendConnections, .frontendConnections] {
      let gauge = SampleExpression.Fetch.gauge(.init(kind: kind, target: .current))
      let acl = sketch.acl(.test(gauge, .integer, .integers([1...9])))
      sketch.content(.reject, if: sketch.condition([acl]))
    }
    let rules = try sketch.compiled()
    let targets = rules.expressionTable.map { expression in
      guard case .gauge(let gauge) = expression.fetch else { return "none" }
      return switch gauge.target {
      case .backend(let index): "backend \(index)"
      case .current: "current"
      default: "other"
      }
    }
    #expect(targets.prefix(2) == ["backend 1", "current"])
  }
}
