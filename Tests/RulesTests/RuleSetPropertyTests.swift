import Configuration
import Linux
import Testing

@testable import Rules

/// What the rules mean, written from the manual with no thought of speed: the compiled rules must
/// say the same.
struct Model {
  enum Value {
    case absent
    case unknown
    case integer(Int)
    case texts([[UInt8]])
  }

  let acls: [ACL]
  let scene: Scene

  func firstRule(of conditions: [Condition?], from start: Int) -> (waits: Bool, rule: Int?) {
    for (index, condition) in conditions.enumerated() where index >= start {
      guard let condition else { return (false, index) }
      switch holds(condition) {
      case nil: return (true, nil)
      case true?: return (false, index)
      case false?: continue
      }
    }
    return (false, nil)
  }

  private func holds(_ condition: Condition) -> Bool? {
    let any = or(
      condition.alternatives.map { terms in
        and(
          terms.map { term in
            let any = or(acls[term.acl].lines.map(holds))
            return term.isNegated ? any.map { !$0 } : any
          })
      })
    return condition.isNegated ? any.map { !$0 } : any
  }

  private func or(_ truths: [Bool?]) -> Bool? {
    truths.contains(true) ? true : truths.contains(nil) ? nil : false
  }

  private func and(_ truths: [Bool?]) -> Bool? {
    truths.contains(false) ? false : truths.contains(nil) ? nil : true
  }

  private func holds(_ criterion: Criterion) -> Bool? {
    switch value(of: criterion.sample.fetch) {
    case .absent: return false
    case .unknown: return nil
    case .integer(let value):
      let matched = test(criterion, integer: value)
      if !matched, criterion.sample.fetch == .requestLength, scene.awaiting == .request {
        return nil
      }
      return matched
    case .texts(let texts): return texts.contains { test(criterion, text: $0) }
    }
  }

  private func value(of fetch: SampleExpression.Fetch) -> Value {
    switch fetch {
    case .sourcePort: return .integer(Int(scene.client.port))
    case .requestLength: return .integer(scene.request.count)
    case .always(let value): return .integer(value ? 1 : 0)
    case .serverName, .applicationProtocols, .helloType:
      switch scene.hello.state {
      case .absent: return .absent
      case .incomplete: return scene.awaiting == .nothing ? .absent : .unknown
      case .complete: break
      }
      if fetch == .helloType { return .integer(Int(scene.hello.type)) }
      if fetch == .applicationProtocols { return .texts(scene.protocols) }
      return scene.name.isEmpty ? .absent : .texts([scene.name])
    default: preconditionFailure("not modelled: \(fetch)")
    }
  }

  private func test(_ criterion: Criterion, integer: Int) -> Bool {
    switch criterion.patterns {
    case .integers(let ranges): ranges.contains { $0.contains(integer) }
    default: criterion.match == .found || integer != 0
    }
  }

  private func test(_ criterion: Criterion, text: [UInt8]) -> Bool {
    if criterion.match == .found { return true }
    guard case .strings(let patterns) = criterion.patterns else { return false }
    var sample = String(decoding: text, as: UTF8.self)
    for converter in criterion.sample.converters {
      sample = converter == .lower ? sample.lowercased() : sample.uppercased()
    }
    return patterns.contains { pattern in
      criterion.ignoresCase
        ? test(criterion.match, sample.lowercased(), pattern.lowercased())
        : test(criterion.match, sample, pattern)
    }
  }

  private func test(_ match: Match, _ text: String, _ pattern: String) -> Bool {
    switch match {
    case .string: text == pattern
    case .begin: text.hasPrefix(pattern)
    case .end: text.hasSuffix(pattern)
    case .substring: occurrences(of: pattern, in: text).isEmpty == false
    case .domain: isWord(pattern, in: text, delimiters: "./:?")
    case .directory: isWord(pattern, in: text, delimiters: "/?")
    default: preconditionFailure("not modelled: \(match)")
    }
  }

  private func isWord(_ pattern: String, in text: String, delimiters: String) -> Bool {
    var word = Substring(pattern)
    while let first = word.first, delimiters.contains(first) { word.removeFirst() }
    while let last = word.last, delimiters.contains(last) { word.removeLast() }
    guard !word.isEmpty else { return false }
    let all = Array(text)
    return occurrences(of: String(word), in: text).contains { start in
      let end = start + word.count
      return (start == 0 || delimiters.contains(all[start - 1]))
        && (end == all.count || delimiters.contains(all[end]))
    }
  }

  private func occurrences(of pattern: String, in text: String) -> [Int] {
    let (text, pattern) = (Array(text), Array(pattern))
    guard pattern.count <= text.count else { return [] }
    return (0...text.count - pattern.count).filter {
      Array(text[$0..<$0 + pattern.count]) == pattern
    }
  }
}

@Suite("Compiled rules against the model")
struct RuleSetPropertyTests {
  private static let alphabet = Array("aAbB./:?")

  private func text(_ lengths: ClosedRange<Int>, _ generator: inout SeededGenerator) -> String {
    String(
      (0..<Int.random(in: lengths, using: &generator)).map { _ in
        Self.alphabet[Int.random(in: 0..<Self.alphabet.count, using: &generator)]
      })
  }

  private func criterion(_ generator: inout SeededGenerator) -> Criterion {
    switch Int.random(in: 0..<20, using: &generator) {
    case 0: return .isTLS
    case 1: return .always(Bool.random(using: &generator))
    case 2: return .test(.requestLength, .integer, .integers([2...4]))
    case 3: return .test(.sourcePort, .integer, .integers([1...20, 30...50]))
    case 4: return .test(.serverName, .found)
    default:
      let methods: [Match] = [
        .string, .string, .end, .end, .begin, .substring, .domain, .directory,
      ]
      let converters: [[SampleExpression.Converter]] = [[], [], [.lower], [.upper]]
      let patterns = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
        text(1...4, &generator)
      }
      return .test(
        Int.random(in: 0..<4, using: &generator) == 0 ? .applicationProtocols : .serverName,
        methods.randomElement(using: &generator) ?? .string, .strings(patterns),
        converters: converters.randomElement(using: &generator) ?? [],
        ignoresCase: Bool.random(using: &generator))
    }
  }

  private func condition(_ sketch: inout Sketch, _ generator: inout SeededGenerator) -> Condition? {
    switch Int.random(in: 0..<30, using: &generator) {
    case 0:
      return nil
    case 1..<20:
      // What most files hold, and what runs are made of.
      let acl = sketch.acl(criterion(&generator))
      return sketch.condition([acl])
    default:
      let alternatives = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
        (0..<Int.random(in: 1...2, using: &generator)).map { _ in
          let lines = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
            criterion(&generator)
          }
          return Condition.Term(
            isNegated: Int.random(in: 0..<4, using: &generator) == 0, acl: sketch.acl(lines: lines))
        }
      }
      return Condition(
        isNegated: Int.random(in: 0..<6, using: &generator) == 0, alternatives: alternatives)
    }
  }

  private func scene(_ generator: inout SeededGenerator) -> Scene {
    var scene = Scene()
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: break
    case 1: scene.hello.state = .absent
    default:
      scene = .hello(
        text(0...7, &generator),
        protocols: (0..<Int.random(in: 0...2, using: &generator)).map { _ in text(1...4, &generator)
        })
    }
    scene.client.port = UInt16.random(in: 1...60, using: &generator)
    scene.request = Array(repeating: 0, count: Int.random(in: 0...6, using: &generator))
    scene.awaiting =
      [Facts.Awaiting.request, .hello, .nothing].randomElement(using: &generator) ?? .nothing
    return scene
  }

  @Test("say the same", arguments: 0..<400 as Range<UInt64>)
  func agree(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var sketch = Sketch()
    var conditions: [Condition?] = []
    for index in 0..<Int.random(in: 1...15, using: &generator) {
      let condition = condition(&sketch, &generator)
      conditions.append(condition)
      sketch.useServer(100 + index, if: condition)
    }
    let rules = try sketch.compiled()
    for _ in 0..<30 {
      let scene = scene(&generator)
      let start = Int.random(in: 0...conditions.count, using: &generator) / 3
      let model = Model(acls: sketch.configuration.backends[0].acls, scene: scene)
      let (waits, rule) = model.firstRule(of: conditions, from: start)
      let expected = waits ? Route.wait : rule.map { .target(100 + $0, rule: $0) } ?? .none
      #expect(
        rules.server(scene, from: start) == expected, "seed \(seed), \(scene), from \(start)")
    }
  }
}
