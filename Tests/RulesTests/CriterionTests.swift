import Configuration
import Linux
import Testing

@testable import Rules

@Suite("Criteria")
struct CriterionTests {
  /// Whether a name matches, for each method.
  private func matches(
    _ match: Match, _ pattern: String, _ name: String,
    _ converters: [SampleExpression.Converter] = [], ignoresCase: Bool = false
  ) throws -> Bool {
    let rules = try rules(
      rejecting: .test(
        .serverName, match, .strings([pattern]), converters: converters, ignoresCase: ignoresCase))
    return rules.holds(.hello(name)) == true
  }

  @Test(
    "text methods",
    arguments: [
      (Match.string, "a.b", "a.b", true), (.string, "a.b", "a.bc", false),
      (.string, "a.b", "A.b", false),
      (.begin, "ab", "abc", true), (.begin, "ab", "ab", true), (.begin, "ab", "a", false),
      (.end, ".com", "x.com", true), (.end, "com", "x.com", true), (.end, "x.com", ".com", false),
      (.substring, "b.c", "ab.cd", true), (.substring, "ab.cd", "b.c", false),
      (.domain, "example", "www.example.com", true),
      (.domain, "example.com", "www.example.com", true),
      (.domain, ".example.", "www.example.com", true),
      (.domain, "xample", "www.example.com", false),
      (.domain, "www.example.co", "www.example.com", false),
      (.domain, "443", "host:443", true), (.domain, ".", "a.b", false),
      (.directory, "b", "a/b/c", true), (.directory, "b.c", "a/b.c?d", true),
      (.directory, "b", "a.b.c", false), (.directory, "a/b", "a/b/c", true),
      (.regularExpression, "^w+\\.", "www.example", true),
      (.regularExpression, "^\\d+$", "123x", false),
    ])
  func text(match: Match, pattern: String, name: String, expected: Bool) throws {
    #expect(try matches(match, pattern, name) == expected)
  }

  @Test("-i folds both sides; converters fold the sample alone")
  func folding() throws {
    #expect(try matches(.string, "A.Test", "a.TEST", ignoresCase: true))
    #expect(try !matches(.string, "A.Test", "A.Test", [.lower]))
    #expect(try matches(.string, "a.test", "A.Test", [.lower]))
    #expect(try matches(.string, "A.TEST", "a.test", [.lower, .upper]))
    #expect(try !matches(.string, "A.TEST", "a.test", [.upper, .lower]))
    #expect(try matches(.string, "A", "a", [.upper], ignoresCase: true))
    #expect(try matches(.regularExpression, "^A", "abc", ignoresCase: true))
    #expect(try matches(.regularExpression, "^A", "abc", [.upper]))
    #expect(try !matches(.regularExpression, "^a", "abc", [.upper]))
  }

  @Test("a sample is there or not, whatever it is")
  func found() throws {
    let rules = try rules(rejecting: .test(.serverName, .found))
    #expect(rules.holds(.hello("x")) == true)
    #expect(rules.holds(.hello("")) == false)
    #expect(rules.holds(.notTLS) == false)
    #expect(rules.holds(.waiting(for: .hello)) == nil)
  }

  @Test("numbers lie in ranges")
  func integers() throws {
    let rules = try rules(
      rejecting: .test(.sourcePort, .integer, .integers([10...20, 15...30, 40...40, 1...2])))
    func holds(_ port: UInt16) -> Bool? {
      var scene = Scene()
      scene.client.port = port
      return rules.holds(scene)
    }
    for port in [1, 2, 10, 20, 25, 30, 40] as [UInt16] { #expect(holds(port) == true) }
    for port in [0, 3, 9, 31, 39, 41, 65_535] as [UInt16] { #expect(holds(port) == false) }
  }

  @Test("the version is major times 65536 plus minor")
  func version() throws {
    let rules = try rules(
      rejecting: .test(.helloVersion, .integer, .integers([0x3_0003...0x3_0003])))
    #expect(rules.holds(.hello("a")) == true)
    var old = Scene.hello("a")
    old.hello.legacyVersion = 0x0301
    #expect(rules.holds(old) == false)
  }

  @Test("addresses lie in networks of either family")
  func networks() throws {
    let text = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/33", "fe80::1/128"]
    let networks = try text.map { text in
      let parts = text.split(separator: "/")
      return Network(
        address: try #require(IPAddress(parts[0])), prefixLength: try #require(Int(parts[1])))
    }
    let rules = try rules(rejecting: .test(.source, .address, .networks(networks)))
    func holds(_ address: String) throws -> Bool? {
      var scene = Scene()
      scene.client.address = try #require(IPAddress(address))
      return rules.holds(scene)
    }
    for address in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8:7fff::1", "fe80::1"] {
      #expect(try holds(address) == true, "\(address)")
    }
    for address in ["9.255.255.255", "11.0.0.0", "192.0.2.8", "2001:db8:8000::", "fe80::2", "::"] {
      #expect(try holds(address) == false, "\(address)")
    }
  }

  @Test("every IPv4 address is in 0.0.0.0/0, and no IPv6 address")
  func anyNetwork() throws {
    let any = Network(address: .anyIPv4, prefixLength: 0)
    let rules = try rules(rejecting: .test(.source, .address, .networks([any])))
    var scene = Scene()
    #expect(rules.holds(scene) == true)
    scene.client.address = try #require(IPAddress("2001:db8::1"))
    #expect(rules.holds(scene) == false)
  }

  @Test("a unix socket's end has no address")
  func noAddress() throws {
    var scene = Scene()
    scene.client = .none
    let source = try rules(rejecting: .test(.source, .found))
    #expect(source.holds(scene) == false)
    let port = try rules(rejecting: .test(.sourcePort, .found))
    #expect(port.holds(scene) == false)
  }

  @Test("samples are cast to what the method wants")
  func casts() throws {
    let port = try rules(rejecting: .test(.destinationPort, .begin, .strings(["44"])))
    #expect(port.holds(Scene()) == true)
    let address = try rules(rejecting: .test(.source, .string, .strings(["127.0.0.1"])))
    #expect(address.holds(Scene()) == true)
    let number = try rules(rejecting: .test(.serverName, .integer, .integers([42...42])))
    #expect(number.holds(.hello("42nd.example")) == true)
    #expect(number.holds(.hello("43")) == false)
    let length = try rules(rejecting: .test(.serverName, .length, .integers([3...5])))
    #expect(length.holds(.hello("abcd")) == true)
    #expect(length.holds(.hello("ab")) == false)
    let addressNumber = try rules(
      rejecting: .test(.source, .integer, .integers([0x7f00_0001...0x7f00_0001])))
    #expect(addressNumber.holds(Scene()) == true)
  }

  @Test("numbers in text: signs, junk behind them, and overflow")
  func textNumbers() {
    func number(_ text: String) -> Int? { Text(Array(text.utf8).span, folding: .none).integer }
    #expect(number("") == nil)
    #expect(number("x") == 0)
    #expect(number("-12x") == -12)
    #expect(number("+7") == 7)
    #expect(number("9223372036854775807") == Int.max)
    #expect(number("9223372036854775808") == Int.max)
    #expect(number("-9223372036854775808") == Int.min)
    #expect(number("-9223372036854775809") == Int.min)
  }

  @Test("decimal text of the extremes")
  func decimalText() {
    for value in [0, 7, -1, 65_535, Int.max, Int.min] {
      let text = DecimalText(value)
      var bytes: [UInt8] = []
      for index in text.span.indices { bytes.append(text.span[index]) }
      #expect(String(decoding: bytes, as: UTF8.self) == String(value))
    }
  }

  @Test("a pattern that PCRE2 refuses is told with its place, all of them at once")
  func badPatterns() throws {
    var sketch = Sketch()
    var bad = Criterion.test(.serverName, .regularExpression, .strings(["a(", "ok", "[z-a]"]))
    bad.position = SourcePosition(file: 0, line: 7, column: 3)
    let acl = sketch.acl(bad)
    sketch.content(.reject, if: sketch.condition([acl]))
    do throws(RuleErrors) {
      _ = try RuleSet(compiling: sketch.configuration)
      Issue.record("compiled")
    } catch {
      #expect(error.diagnostics.count == 2)
      #expect(error.diagnostics[0].position.line == 7)
      #expect(error.diagnostics[0].message.contains("'a('"))
      #expect(error.diagnostics[0].message.contains("byte 2"))
      #expect(error.diagnostics[1].message.contains("'[z-a]'"))
    }
  }

  @Test("a pattern that explodes gives up within its bound")
  func matchLimit() throws {
    let rules = try rules(
      rejecting: .test(.serverName, .regularExpression, .strings(["^(a|aa)+$"])))
    // Without the bound this would not end: there are more ways than atoms.
    #expect(rules.holds(.hello(String(repeating: "a", count: 250) + "b")) == false)
  }

  @Test("address text is the address's description")
  func addressText() throws {
    for text in [
      "0.0.0.0", "255.255.255.255", "10.20.30.40", "::", "::1", "1::", "2001:db8::1",
      "2001:0:0:1::", "1:0:2:0:3:0:4:0", "1:2:3:4:5:6:7:8",
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "0:0:1::", "a:0:0:b:0:0:0:c", "0:1:2:3:4:5:6:7", "1:2:3:4:5:6:7:0",
    ] {
      let address = try #require(IPAddress(text))
      let rendered = AddressText(address)
      var bytes: [UInt8] = []
      for index in rendered.span.indices { bytes.append(rendered.span[index]) }
      #expect(String(decoding: bytes, as: UTF8.self) == address.description)
    }
  }
}
