/// All rules of a configuration, compiled: facts in, decision out.
///
/// Built once before the workers are forked, so that all of them share its pages; what a worker
/// writes to, its workbench and its connections' variables, is its own. Evaluation does no I/O,
/// allocates nothing and counts no reference; only `date` and rates read the clock, only numbers of
/// proxies and servers the ledger.
///
/// Rules mean what HAProxy's mean. They are evaluated in order, again from the first whenever more
/// is known. A rule that needs what may still come stops the evaluation: it is not false, it is
/// not yet decided, and no later rule gets its turn. The one difference is that a condition never
/// waits for a fact that could not change its result.
///
/// Memory: a rule takes 8 bytes for its step, 4 for its target and, unless it is part of a run
/// that one lookup decides, some 60 for its condition with one criterion; a pattern takes what
/// ``PatternTables`` says. A `use_backend` line in a run of 100,000 names takes some 32 bytes and
/// its name.
public struct RuleSet: ~Copyable {
  let frontends: [FrontendPrograms]
  let backends: [BackendPrograms]

  let steps: [Step]
  let targets: [UInt32]
  let lookups: [Lookup]
  let conditions: [CompiledCondition]
  let alternatives: [Slice]
  let terms: [CompiledTerm]
  let criteria: [CompiledCriterion]

  let tables: [PatternTable]
  let patterns: PatternTables
  let integers: OrderedRanges<Int>
  let addresses: OrderedRanges<AddressKey>
  let expressions: RegularExpressions
  let certificates: [CertificateNames]

  let expressionTable: [CompiledExpression]
  let operations: [Operation]
  let constants: [UInt8]
  let pieces: [CompiledPiece]
  let texts: [Slice]
  let actions: [CompiledAction]
  let mapTables: [CompiledMap]
  let mapTexts: [Constant]
  let mapNumbers: [Int]
  let mapAddresses: [AddressKey]
  let integerLabels: LabelledRanges<Int>
  let addressLabels: LabelledRanges<AddressKey>
  let logExpressions: [UInt32]
  /// By name, for names that are put together.
  let backendNames: PatternTable
  let names: NameTable
  let bench: Workbench
  var variables: VariableStore
  var gauges: LedgerGauges

  struct FrontendPrograms: BitwiseCopyable {
    var connection = Program()
    var session = Program()
    var content = Program()
    var routes = Program()
    /// One set for each bind, among `certificates`.
    var certificates = Slice.empty
    /// The expressions of its log format, in their order.
    var log = Slice.empty
    /// What `tcp-request content capture` kept, slot by slot: expressions too.
    var captures = Slice.empty
  }

  struct BackendPrograms: BitwiseCopyable {
    var content = Program()
    var routes = Program()
  }

  // MARK: What is to be known in advance

  /// What the content rules of a frontend look at.
  public func contentNeeds(frontend index: Int) -> Needs { frontends[index].content.needs }

  /// What the `use_backend` rules of a frontend look at.
  public func routeNeeds(frontend index: Int) -> Needs { frontends[index].routes.needs }

  /// What the content rules of a backend look at.
  public func contentNeeds(backend index: Int) -> Needs { backends[index].content.needs }

  /// What the `use-server` rules of a backend look at.
  public func routeNeeds(backend index: Int) -> Needs { backends[index].routes.needs }

  public func hasConnectionRules(frontend index: Int) -> Bool {
    !frontends[index].connection.isEmpty
  }

  public func hasSessionRules(frontend index: Int) -> Bool { !frontends[index].session.isEmpty }

  public func hasContentRules(frontend index: Int) -> Bool { !frontends[index].content.isEmpty }

  public func hasContentRules(backend index: Int) -> Bool { !backends[index].content.isEmpty }

  /// The names that a bind's certificates are for; nil for a bind without certificates.
  public func certificateNames(frontend: Int, bind: Int) -> CertificateNames.ID? {
    let index = frontends[frontend].certificates.start + bind
    return certificates[index].isEmpty ? nil : CertificateNames.ID(index: UInt32(index))
  }

  /// Whether one of those names covers `name`: what `strict-sni` asks.
  public func covers(_ name: Span<UInt8>, by names: CertificateNames.ID) -> Bool {
    certificates[Int(names.index)].contains(name, in: patterns)
  }

  // MARK: Decisions

  /// `tcp-request connection`: right after accept, over the socket's own addresses. Never waits.
  public func connectionVerdict(frontend index: Int, _ facts: borrowing Facts) -> Verdict {
    verdict(of: frontends[index].connection, facts)
  }

  /// `tcp-request session`: once the addresses are final. Never waits.
  public func sessionVerdict(frontend index: Int, _ facts: borrowing Facts) -> Verdict {
    verdict(of: frontends[index].session, facts)
  }

  /// `tcp-request content` of a frontend.
  public func contentVerdict(frontend index: Int, _ facts: borrowing Facts) -> Verdict {
    verdict(of: frontends[index].content, facts)
  }

  /// `tcp-request content` of a backend, after those of the frontend have accepted.
  public func contentVerdict(backend index: Int, _ facts: borrowing Facts) -> Verdict {
    verdict(of: backends[index].content, facts)
  }

  /// `use_backend`: the backend of the first rule, from `rule` on, that matches.
  public func backend(frontend index: Int, _ facts: borrowing Facts, from rule: Int = 0) -> Route {
    route(of: frontends[index].routes, facts, from: rule)
  }

  /// `use-server`: the server of the first rule, from `rule` on, that matches.
  ///
  /// A server that is down is passed over: ask again from the rule after.
  public func server(backend index: Int, _ facts: borrowing Facts, from rule: Int = 0) -> Route {
    route(of: backends[index].routes, facts, from: rule)
  }

  // MARK: Evaluation

  /// The first rule, from `start` on, whose condition holds.
  enum Outcome {
    case wait
    case none
    case rule(Int)
  }

  private func verdict(of program: Program, _ facts: borrowing Facts) -> Verdict {
    var expectsProxyHeader = false
    var start = 0
    while true {
      let verdict: Verdict
      switch firstRule(of: program, facts, from: start) {
      case .wait: return .wait
      case .none: verdict = .accept
      case .rule(let rule):
        start = rule + 1
        if let action = action(of: program, rule: rule) {
          guard perform(action, facts) else { return .wait }
          continue
        }
        verdict = self.verdict(of: program, rule: rule)
      }
      switch verdict {
      case .expectProxyHeader: expectsProxyHeader = true  // and the rules after it are heard too
      case .accept: return expectsProxyHeader ? .expectProxyHeader : .accept
      default: return verdict
      }
    }
  }

  func verdict(of program: Program, rule: Int) -> Verdict {
    let code = UInt8(truncatingIfNeeded: targets[program.targets.start + rule])
    guard let verdict = Verdict(rawValue: code) else { preconditionFailure("verdict \(code)") }
    return verdict
  }

  func action(of program: Program, rule: Int) -> CompiledAction? {
    let code = targets[program.targets.start + rule]
    return code & Self.indirect == 0 ? nil : actions[Int(code & ~Self.indirect)]
  }

  /// Marks a target that is no verdict or index itself: an action, or a name to be put together.
  static let indirect: UInt32 = 0x8000_0000

  private func route(of program: Program, _ facts: borrowing Facts, from start: Int) -> Route {
    switch firstRule(of: program, facts, from: start) {
    case .wait: return .wait
    case .none: return .none
    case .rule(let rule):
      let code = targets[program.targets.start + rule]
      if code & Self.indirect == 0 { return .target(Int(code), rule: rule) }
      guard let count = assemble(texts[Int(code & ~Self.indirect)], facts) else { return .wait }
      let name = bench.span(Workbench.textSide, 0..<count)
      let backend = patterns.label(of: name, in: backendNames)
      // As in the reference, an unknown name ends the search: the default backend has it.
      return backend == PatternTables.noLabel ? .none : .target(Int(backend), rule: rule)
    }
  }

  func firstRule(of program: Program, _ facts: borrowing Facts, from start: Int) -> Outcome {
    for index in program.steps.indices {
      let step = steps[index]
      guard Int(step.lastRule) >= start else { continue }
      switch step.test {
      case .always:
        return .rule(Int(step.lastRule))
      case .condition(let condition):
        switch truth(of: conditions[Int(condition)], facts) {
        case .yes: return .rule(Int(step.lastRule))
        case .unknown: return .wait
        case .no: continue
        }
      case .lookup(let lookup):
        switch self.lookup(lookups[Int(lookup)], facts, from: start) {
        case .none: continue
        case let outcome: return outcome
        }
      }
    }
    return .none
  }

  /// A run of rules over a settled text: unknown for all of them or for none.
  private func lookup(_ lookup: Lookup, _ facts: borrowing Facts, from start: Int) -> Outcome {
    switch facts.hello.state {
    case .incomplete: return facts.awaiting == .nothing ? .none : .wait
    case .absent: return .none
    case .complete: break
    }
    let label =
      lookup.fetch == .serverName
      ? lowestLabel(of: facts.serverName, lookup.tables, from: UInt32(start))
      : lowestLabel(ofNamesIn: facts.protocolNames, lookup.tables, from: UInt32(start))
    return label == PatternTables.noLabel ? .none : .rule(Int(label))
  }

  private func lowestLabel(of text: Span<UInt8>, _ set: Slice, from least: UInt32) -> UInt32 {
    var lowest = PatternTables.noLabel
    guard !text.isEmpty else { return lowest }
    for index in set.indices {
      lowest = min(lowest, patterns.label(of: text, in: tables[index], from: least))
    }
    return lowest
  }

  private func lowestLabel(ofNamesIn list: Span<UInt8>, _ set: Slice, from least: UInt32)
    -> UInt32
  {
    var lowest = PatternTables.noLabel
    var names = ProtocolNameReader(list)
    while let name = names.next() {
      lowest = min(lowest, lowestLabel(of: name, set, from: least))
    }
    return lowest
  }
}
