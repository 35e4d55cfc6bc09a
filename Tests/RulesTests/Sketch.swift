import Configuration
import Linux

@testable import Rules

/// Builds one frontend and one backend with rules, in a few words.
struct Sketch {
  var configuration = ProxyConfiguration()

  init() {
    configuration.frontends = [Frontend(identity: .init(name: "fe", id: 2, position: .start))]
    configuration.backends = [Backend(identity: .init(name: "be", id: 3, position: .start))]
  }

  mutating func acl(_ lines: Criterion...) -> Int { acl(lines: lines) }

  mutating func acl(lines: [Criterion]) -> Int {
    let acl = ACL(name: nil, lines: lines)
    configuration.frontends[0].acls.append(acl)
    configuration.backends[0].acls.append(acl)
    return configuration.frontends[0].acls.count - 1
  }

  /// `if` any of these, of each all; a negative number is an ACL's index negated, less one.
  func condition(unless isNegated: Bool = false, _ alternatives: [Int]...) -> Condition {
    Condition(
      isNegated: isNegated,
      alternatives: alternatives.map { terms in
        terms.map { .init(isNegated: $0 < 0, acl: $0 < 0 ? -$0 - 1 : $0) }
      })
  }

  mutating func content(_ action: Rule.Action, if condition: Condition? = nil) {
    configuration.frontends[0].contentRules.append(
      Rule(action: action, condition: condition, position: .start))
  }

  mutating func connection(_ action: Rule.Action, if condition: Condition? = nil) {
    configuration.frontends[0].connectionRules.append(
      Rule(action: action, condition: condition, position: .start))
  }

  mutating func use(_ backend: Int, if condition: Condition? = nil) {
    configuration.frontends[0].backendRules.append(
      BackendRule(backend: backend, condition: condition, position: .start))
  }

  mutating func useServer(_ server: Int, if condition: Condition? = nil) {
    configuration.backends[0].serverRules.append(
      ServerRule(server: server, condition: condition, position: .start))
  }

  func compiled() throws -> RuleSet { try RuleSet(compiling: configuration) }
}

extension SourcePosition {
  static let start = SourcePosition(file: 0, line: 1, column: 1)
}

extension Criterion {
  static func test(
    _ fetch: SampleExpression.Fetch, _ match: Match, _ patterns: Patterns = .none,
    converters: [SampleExpression.Converter] = [], ignoresCase: Bool = false
  ) -> Criterion {
    Criterion(
      sample: SampleExpression(fetch: fetch, converters: converters), match: match,
      ignoresCase: ignoresCase, patterns: patterns, position: .start)
  }

  /// `req.ssl_sni -i NAME…`
  static func name(_ names: String..., match: Match = .string, ignoresCase: Bool = true)
    -> Criterion
  {
    .test(.serverName, match, .strings(names), ignoresCase: ignoresCase)
  }

  static let isTLS = Criterion.test(.helloType, .integer, .integers([1...1]))
  static let waitEnd = Criterion.test(.waitEnd, .boolean)
  static func always(_ value: Bool) -> Criterion { .test(.always(value), .boolean) }
}

/// The facts of a test, owned, so that `Facts` can be made of them.
struct Scene {
  var client = Endpoint(address: IPAddress(ipv4: 0x7f00_0001), port: 40_000)
  var destination = Endpoint(address: IPAddress(ipv4: 0x7f00_0002), port: 443)
  var hello = HelloFacts(state: .incomplete)
  var name: [UInt8] = []
  var protocols: [[UInt8]] = []
  var request: [UInt8] = []
  var awaiting = Facts.Awaiting.nothing
  var certificateNames: CertificateNames.ID?

  static func hello(_ name: String, protocols: [String] = []) -> Scene {
    var scene = Scene()
    scene.hello = HelloFacts(state: .complete, type: 1, legacyVersion: 0x0303)
    scene.name = Array(name.utf8)
    scene.protocols = protocols.map { Array($0.utf8) }
    return scene
  }

  static func waiting(for awaiting: Facts.Awaiting, request: String = "") -> Scene {
    var scene = Scene()
    scene.awaiting = awaiting
    scene.request = Array(request.utf8)
    return scene
  }

  static let notTLS: Scene = {
    var scene = Scene()
    scene.hello.state = .absent
    scene.request = Array("GET / HTTP/1.0\r\n".utf8)
    return scene
  }()

  private var wireProtocols: [UInt8] {
    protocols.flatMap { [UInt8($0.count)] + $0 }
  }

  func withFacts<Result>(_ body: (borrowing Facts) -> Result) -> Result {
    let list = wireProtocols
    return body(
      Facts(
        client: client, destination: destination, hello: hello, serverName: name.span,
        protocolNames: list.span, request: request.span, awaiting: awaiting,
        certificateNames: certificateNames))
  }
}

extension RuleSet {
  func content(_ scene: Scene) -> Verdict {
    scene.withFacts { contentVerdict(frontend: 0, $0) }
  }

  func connection(_ scene: Scene) -> Verdict {
    scene.withFacts { connectionVerdict(frontend: 0, $0) }
  }

  func backend(_ scene: Scene) -> Route { scene.withFacts { backend(frontend: 0, $0) } }

  func server(_ scene: Scene, from rule: Int = 0) -> Route {
    scene.withFacts { server(backend: 0, $0, from: rule) }
  }

  /// Whether a content rule `reject if ACL` holds; nil while it waits.
  func holds(_ scene: Scene) -> Bool? {
    switch content(scene) {
    case .wait: nil
    case .reject: true
    default: false
    }
  }
}

/// Compiles `reject if { CRITERION }`.
func rules(rejecting criterion: Criterion) throws -> RuleSet {
  var sketch = Sketch()
  let acl = sketch.acl(criterion)
  sketch.content(.reject, if: sketch.condition([acl]))
  return try sketch.compiled()
}

/// SplitMix64: the same sequence for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
