/// A rule that was heard, and what came of it: for whoever asks why a connection went where it did.
struct HeardRule {
  /// Its place in its list.
  var rule: Int
  var holds: Bool
  /// Whether each term of its condition holds, alternative by alternative, an empty list where
  /// nobody had to look; nil for one of a run that a single lookup decides, and for a rule without
  /// a condition.
  var terms: [[Bool]]?
}

/// Deciding as the worker does, and telling of each rule on the way. It allocates: it is for people.
///
/// Nothing is awaited here, so nothing waits.
extension RuleSet {
  enum RuleList {
    case connection(frontend: Int)
    case session(frontend: Int)
    case content(frontend: Int)
    case routes(frontend: Int)
    case backendContent(backend: Int)
    case servers(backend: Int)

    /// Whether a rule that holds ends the list whatever it says.
    fileprivate var leads: Bool {
      switch self {
      case .routes, .servers: true
      case .connection, .session, .content, .backendContent: false
      }
    }
  }

  private func program(of list: RuleList) -> Program {
    switch list {
    case .connection(let frontend): frontends[frontend].connection
    case .session(let frontend): frontends[frontend].session
    case .content(let frontend): frontends[frontend].content
    case .routes(let frontend): frontends[frontend].routes
    case .backendContent(let backend): backends[backend].content
    case .servers(let backend): backends[backend].routes
    }
  }

  /// The rules of a list that are heard, from `start` on, the one that decides last; the actions of
  /// those on the way are done.
  func hear(
    _ list: RuleList, _ facts: borrowing Facts, from start: Int = 0
  ) -> [HeardRule] {
    let program = program(of: list)
    let tests = tests(of: program)
    var heard: [HeardRule] = []
    var next = start
    while next < tests.count {
      let outcome = firstRule(of: program, facts, from: next)
      let rule = if case .rule(let rule) = outcome { rule } else { tests.count }
      for failed in next..<rule {
        heard.append(
          HeardRule(rule: failed, holds: false, terms: terms(of: tests[failed], facts)))
      }
      guard rule < tests.count else { break }
      heard.append(HeardRule(rule: rule, holds: true, terms: terms(of: tests[rule], facts)))
      if list.leads || isLast(rule, of: program, facts) { break }
      next = rule + 1
    }
    return heard
  }

  /// Whether an action ends its list; does it, if it does not.
  private func isLast(_ rule: Int, of program: Program, _ facts: borrowing Facts) -> Bool {
    if let action = action(of: program, rule: rule) {
      _ = perform(action, facts)
      return false
    }
    return verdict(of: program, rule: rule) != .expectProxyHeader
  }

  /// What decides on each rule, by its place.
  private func tests(of program: Program) -> [Step.Test] {
    var tests: [Step.Test] = []
    for index in program.steps.indices {
      let step = steps[index]
      let count = Int(step.lastRule) + 1 - tests.count
      tests += Array(repeating: step.test, count: count)
    }
    return tests
  }

  private func terms(of test: Step.Test, _ facts: borrowing Facts) -> [[Bool]]? {
    guard case .condition(let index) = test else { return nil }
    var all: [[Bool]] = []
    for alternative in conditions[Int(index)].alternatives.indices {
      var values: [Bool] = []
      for term in alternatives[alternative].indices {
        let isTrue = truth(ofAny: terms[term].criteria, facts) == .yes
        values.append(isTrue != terms[term].isNegated)
        // As the worker does, nobody looks at what cannot matter any more.
        if values.last == false { break }
      }
      all.append(values)
      if values.allSatisfy(\.self) { break }
    }
    return all
  }

  /// The name that a `use_backend` rule puts together; nil where it names one from the start, or
  /// where a part of it is missing.
  func assembledName(frontend: Int, rule: Int, _ facts: borrowing Facts) -> [UInt8]? {
    let code = targets[frontends[frontend].routes.targets.start + rule]
    guard code & Self.indirect != 0,
      let count = assemble(texts[Int(code & ~Self.indirect)], facts)
    else { return nil }
    let name = bench.span(Workbench.textSide, 0..<count)
    return name.indices.map { name[$0] }
  }
}
