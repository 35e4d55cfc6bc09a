public import Configuration
import Linux

extension RuleSet {
  /// Compiles the rules of all proxies.
  ///
  /// The names of certificates must be in the configuration by then.
  ///
  /// - Throws: Everything that is wrong, such as regular expressions that PCRE2 refuses.
  public init(compiling configuration: ProxyConfiguration) throws(RuleErrors) {
    var compiler = RuleCompiler(configuration)
    for frontend in configuration.frontends { compiler.add(frontend) }
    for backend in configuration.backends {
      compiler.add(backend)
      compiler.examine(backend.check)
    }
    if !compiler.diagnostics.isEmpty { throw RuleErrors(diagnostics: compiler.diagnostics) }
    self = compiler.finish()
  }

  /// What PCRE2 says against a pattern of `-m reg`, if anything: for the parser of the
  /// configuration, which links no library for it.
  public static func fault(
    ofExpression pattern: String, ignoringCase: Bool
  ) -> RegularExpressionFault? {
    RegularExpressions.fault(of: pattern, ignoresCase: ignoringCase)
  }
}

/// Grows the arrays of a rule set.
struct RuleCompiler: ~Copyable {
  private(set) var diagnostics: [RuleDiagnostic] = []

  private var frontends: [RuleSet.FrontendPrograms] = []
  private var backends: [RuleSet.BackendPrograms] = []
  private var steps: [Step] = []
  private var targets: [UInt32] = []
  private var lookups: [Lookup] = []
  private var conditions: [CompiledCondition] = []
  private var alternatives: [Slice] = []
  private var terms: [CompiledTerm] = []
  private var criteria: [CompiledCriterion] = []
  private var tables: [PatternTable] = []
  private var patterns = PatternTables()
  private var integers = OrderedRanges<Int>()
  private var addresses = OrderedRanges<AddressKey>()
  private var expressions: RegularExpressions
  private var certificates: [CertificateNames] = []

  /// The ACLs of the proxy at hand, and what was made of those that were used so far.
  private var acls: [ACL] = []
  private var compiledACLs: [Slice?] = []

  private let configuration: ProxyConfiguration
  private var samples: ExpressionCompiler
  private var maps = MapCompiler()
  private var logExpressions: [UInt32] = []

  init(_ configuration: ProxyConfiguration) {
    self.configuration = configuration
    samples = ExpressionCompiler(configuration)
    expressions = RegularExpressions(longestSubject: configuration.global.bufferSize)
    for map in configuration.maps {
      do throws(RuleErrors) {
        try maps.add(map, &patterns, &tables, &expressions, &samples.constants)
      } catch {
        diagnostics += error.diagnostics
      }
    }
  }

  consuming func finish() -> RuleSet {
    let names = NameTable(configuration, in: &samples.constants)
    let backends = configuration.backends.enumerated().map { index, backend in
      PatternTables.Pattern(backend.identity.name.utf8, label: UInt32(index))
    }
    let backendNames = patterns.insert(backends, walk: .whole, folding: .none)
    return RuleSet(
      frontends: frontends, backends: self.backends, steps: steps, targets: targets,
      lookups: lookups,
      conditions: conditions, alternatives: alternatives, terms: terms, criteria: criteria,
      tables: tables, patterns: patterns, integers: integers, addresses: addresses,
      expressions: expressions, certificates: certificates,
      expressionTable: samples.table, operations: samples.operations,
      constants: samples.constants.bytes, pieces: samples.pieces, texts: samples.texts,
      actions: samples.actions, mapTables: maps.tables, mapTexts: maps.texts,
      mapNumbers: maps.numbers, mapAddresses: maps.addresses,
      integerLabels: maps.integerLabels, addressLabels: maps.addressLabels,
      logExpressions: logExpressions, backendNames: backendNames, names: names,
      bench: Workbench(size: configuration.global.bufferSize),
      variables: VariableStore(count: configuration.variables.count, connections: 1),
      gauges: LedgerGauges(configuration))
  }

  // MARK: Proxies

  mutating func add(_ frontend: Frontend) {
    begin(frontend.acls)
    samples.ownBackend = configuration.backends.firstIndex {
      $0.identity.name == frontend.identity.name
        && $0.identity.position == frontend.identity.position
    }
    var programs = RuleSet.FrontendPrograms()
    programs.connection = program(of: frontend.connectionRules)
    programs.session = program(of: frontend.sessionRules)
    programs.content = program(of: frontend.contentRules)
    programs.routes = routes(of: frontend.backendRules)
    programs.log = log(of: frontend.log, at: frontend.identity.position)
    programs.captures = captures(of: frontend)
    let start = certificates.count
    for bind in frontend.binds {
      certificates.append(CertificateNames(bind.tls?.certificateNames ?? [], in: &patterns))
    }
    programs.certificates = Slice(start..<certificates.count)
    frontends.append(programs)
  }

  mutating func add(_ backend: Backend) {
    begin(backend.acls)
    samples.ownBackend = nil
    var programs = RuleSet.BackendPrograms()
    programs.content = program(of: backend.contentRules)
    programs.routes = program(
      of: backend.serverRules.map { ($0.condition, $0.server, $0.position) })
    backends.append(programs)
  }

  private mutating func begin(_ acls: [ACL]) {
    self.acls = acls
    compiledACLs = Array(repeating: nil, count: acls.count)
  }

  // MARK: Rules

  private mutating func program(of rules: [Rule]) -> Program {
    var needs: Needs = []
    var compiled: [(condition: Condition?, target: Int, position: SourcePosition)] = []
    for rule in rules {
      var target = Int(Verdict(rule.action).rawValue)
      attempt(at: rule.position) { compiler throws(RegularExpressionFault) in
        let action = try compiler.samples.compile(
          rule.action, needs: &needs, &compiler.expressions)
        if let action { target = Int(RuleSet.indirect) | action }
      }
      compiled.append((rule.condition, target, rule.position))
    }
    var program = program(of: compiled)
    program.needs.formUnion(needs)
    return program
  }

  private mutating func routes(of rules: [BackendRule]) -> Program {
    var needs: Needs = []
    var compiled: [(condition: Condition?, target: Int, position: SourcePosition)] = []
    for rule in rules {
      var target = 0
      switch rule.target {
      case .backend(let index): target = index
      case .named(let pieces):
        attempt(at: rule.position) { compiler throws(RegularExpressionFault) in
          let text = try compiler.samples.compile(
            text: pieces, needs: &needs, &compiler.expressions)
          target = Int(RuleSet.indirect) | text
        }
      }
      compiled.append((rule.condition, target, rule.position))
    }
    var program = program(of: compiled)
    program.needs.formUnion(needs)
    return program
  }

  /// The expressions of all log formats of a frontend, by their places among its samples.
  private mutating func log(of settings: LogSettings, at position: SourcePosition) -> Slice {
    let start = logExpressions.count
    for case .sample(let expression, _) in settings.items {
      var index: UInt32 = 0
      attempt(at: position) {
        compiler throws(RegularExpressionFault) in
        index = try compiler.samples.compile(expression, &compiler.expressions)
      }
      logExpressions.append(index)
    }
    return Slice(start..<logExpressions.count)
  }

  private mutating func captures(of frontend: Frontend) -> Slice {
    let start = logExpressions.count
    for variable in frontend.captures {
      let expression = SampleExpression(fetch: .variable(variable, default: nil))
      attempt(at: frontend.identity.position) { compiler throws(RegularExpressionFault) in
        compiler.logExpressions.append(
          try compiler.samples.compile(expression, &compiler.expressions))
      }
    }
    return Slice(start..<logExpressions.count)
  }

  /// Runs a part that may meet a bad regular expression, which is a diagnostic.
  private mutating func attempt(
    at position: SourcePosition,
    _ body: (inout RuleCompiler) throws(RegularExpressionFault) -> Void
  ) {
    do throws(RegularExpressionFault) {
      try body(&self)
    } catch {
      diagnostics.append(
        RuleDiagnostic(
          message: "regular expression is refused at byte \(error.offset): \(error.message)",
          position: position))
    }
  }

  private mutating func program(
    of rules: [(condition: Condition?, target: Int, position: SourcePosition)]
  ) -> Program {
    var program = Program()
    let firstTarget = targets.count
    targets.append(contentsOf: rules.map { UInt32($0.target) })
    program.targets = Slice(firstTarget..<targets.count)

    let runs = rules.map { settledFetch(of: $0.condition) }
    let firstStep = steps.count
    var index = 0
    while index < rules.count {
      var end = index + 1
      if let fetch = runs[index] {
        while end < rules.count, runs[end] == fetch { end += 1 }
      }
      let test: Step.Test
      if let fetch = runs[index], end - index > 1 {
        program.needs.formUnion(.hello)
        test = lookup(fetch, of: rules[index..<end].map(\.condition), firstLabel: index)
      } else {
        end = index + 1
        test = condition(rules[index].condition, needs: &program.needs)
      }
      steps.append(Step(test: test, lastRule: UInt32(end - 1)))
      index = end
    }
    program.steps = Slice(firstStep..<steps.count)
    return program
  }

  private mutating func condition(_ condition: Condition?, needs: inout Needs) -> Step.Test {
    guard let condition else { return .always }
    var conjunctions: [Slice] = []
    for alternative in condition.alternatives {
      var compiled: [CompiledTerm] = []
      for term in alternative {
        let criteria = self.criteria(ofACL: term.acl, needs: &needs)
        compiled.append(CompiledTerm(isNegated: term.isNegated, criteria: criteria))
      }
      conjunctions.append(Slice(terms.count..<terms.count + compiled.count))
      terms.append(contentsOf: compiled)
    }
    let start = alternatives.count
    alternatives.append(contentsOf: conjunctions)
    conditions.append(
      CompiledCondition(
        isNegated: condition.isNegated, alternatives: Slice(start..<alternatives.count)))
    return .condition(UInt32(conditions.count - 1))
  }

  private mutating func criteria(ofACL index: Int, needs: inout Needs) -> Slice {
    let slice: Slice
    if let known = compiledACLs[index] {
      slice = known
    } else {
      let compiled = acls[index].lines.compactMap { criterion($0) }
      slice = Slice(criteria.count..<criteria.count + compiled.count)
      criteria.append(contentsOf: compiled)
      compiledACLs[index] = slice
    }
    for index in slice.indices { needs.formUnion(criteria[index].fetch.needs) }
    return slice
  }

  // MARK: Runs

  /// The sample that a rule's condition is about, if the condition is nothing but a choice of
  /// patterns for it: then a run of such rules over one sample becomes one lookup.
  private mutating func settledFetch(of condition: Condition?) -> SettledText? {
    guard let condition, !condition.isNegated else { return nil }
    var common: SettledText?
    for alternative in condition.alternatives {
      guard alternative.count == 1, !alternative[0].isNegated else { return nil }
      for line in acls[alternative[0].acl].lines {
        guard line.sample.isPlain else { return nil }
        guard let fetch = samples.fetch(line.sample.fetch).settledText, line.match.walk != nil,
          common == nil || common == fetch
        else { return nil }
        common = fetch
      }
    }
    return common
  }

  private struct TableKind: Hashable {
    var walk: Walk
    var folding: CaseFolding
  }

  /// One lookup for a run of rules; its labels are the rules' places in their list.
  private mutating func lookup(
    _ fetch: SettledText, of conditions: [Condition?], firstLabel: Int
  ) -> Step.Test {
    var kinds: [TableKind] = []
    var contents: [TableKind: [PatternTables.Pattern]] = [:]
    for (offset, condition) in conditions.enumerated() {
      for alternative in condition?.alternatives ?? [] {
        for line in acls[alternative[0].acl].lines {
          guard let walk = line.match.walk else { continue }
          let kind = TableKind(walk: walk, folding: line.readFolding)
          if contents[kind] == nil { kinds.append(kind) }
          contents[kind, default: []].append(
            contentsOf: line.texts(label: UInt32(firstLabel + offset)))
        }
      }
    }
    let start = tables.count
    for kind in kinds {
      tables.append(
        patterns.insert(contents[kind] ?? [], walk: kind.walk, folding: kind.folding))
    }
    lookups.append(Lookup(fetch: fetch, tables: Slice(start..<tables.count)))
    return .lookup(UInt32(lookups.count - 1))
  }

  // MARK: Criteria

  /// Compiles a line of an ACL; nil after a complaint.
  private mutating func criterion(_ line: Criterion) -> CompiledCriterion? {
    guard let fetch = fetch(of: line), let test = test(line, of: fetch) else { return nil }
    return CompiledCriterion(
      fetch: fetch, endsAtNUL: line.readsBytesAsString,
      folding: line.sample.isPlain ? line.sample.folding : .none, test: test)
  }

  /// What a line looks at: where it lies, or what an expression makes of it.
  private mutating func fetch(of line: Criterion) -> CompiledFetch? {
    if line.sample.isPlain { return samples.fetch(line.sample.fetch) }
    var index: UInt32?
    let wanted: SampleType? = line.match == .binary ? .binary : line.match.subject
    attempt(at: line.position) { compiler throws(RegularExpressionFault) in
      index = try compiler.samples.compile(
        line.sample, as: wanted, &compiler.expressions)
    }
    guard let index else { return nil }
    return .computed(index, needs: samples.table[Int(index)].fetch.needs)
  }

  private mutating func test(_ line: Criterion, of fetch: CompiledFetch)
    -> CompiledCriterion.Test?
  {
    if let walk = line.match.walk {
      if walk == .whole, line.match == .binary, !fetch.isBytes {
        return refuse(line, "cannot match bytes against a number or an address")
      }
      let table = patterns.insert(line.texts(label: 0), walk: walk, folding: line.readFolding)
      tables.append(table)
      return .text(UInt32(tables.count - 1))
    }
    switch line.match {
    case .found:
      return .found
    case .boolean, .integer:
      if fetch.isPayload { return refuse(line, "cannot read a payload as a number") }
      return line.match == .boolean ? .nonzero : .integer(integers.insert(line.integers))
    case .length:
      return .length(integers.insert(line.integers))
    case .address:
      if fetch.isBytes, line.sample.isPlain {
        return refuse(line, "cannot look for an address in text")
      }
      return .address(addresses.insert(line.networks))
    case .regularExpression:
      return expression(line)
    case .string, .begin, .end, .substring, .domain, .directory, .binary:
      preconditionFailure("tables serve \(line.match)")
    }
  }

  private mutating func expression(_ line: Criterion) -> CompiledCriterion.Test? {
    let start = expressions.count
    for pattern in line.strings {
      do throws(RegularExpressionFault) {
        try expressions.compile(pattern, ignoresCase: line.ignoresCase)
      } catch {
        _ = refuse(
          line,
          "regular expression '\(pattern)' is refused at byte \(error.offset): \(error.message)")
      }
    }
    return .expression(Slice(start..<expressions.count))
  }

  /// Checks are the controller's, but whoever reads the file wants to know now.
  mutating func examine(_ check: CheckScript) {
    for (pattern, position) in check.expressions {
      do throws(SolePatternError) {
        _ = try SolePattern(pattern)
      } catch {
        diagnostics.append(
          RuleDiagnostic(
            message: "regular expression '\(pattern)' is refused at byte \(error.offset): "
              + error.message,
            position: position))
      }
    }
  }

  private mutating func refuse(_ line: Criterion, _ message: String) -> CompiledCriterion.Test? {
    diagnostics.append(RuleDiagnostic(message: message, position: line.position))
    return nil
  }
}

// MARK: - Reading the configuration's types

extension Verdict {
  fileprivate init(_ action: Rule.Action) {
    switch action {
    case .accept: self = .accept
    case .reject: self = .reject
    case .silentDrop: self = .silentDrop
    case .expectProxyHeader: self = .expectProxyHeader
    // Its target is not a verdict; see `RuleSet.indirect`.
    case .setVariable, .setVariableFormat, .unsetVariable: self = .accept
    }
  }
}

extension CompiledFetch {
  fileprivate var isPayload: Bool {
    switch self {
    case .payload, .never: true
    default: false
    }
  }

  /// Whether the sample may be text or bytes, rather than a number or an address.
  fileprivate var isBytes: Bool {
    if case .computed = self { true } else { isSettledText || isPayload }
  }
}

extension Match {
  /// How a table finds its patterns in a text; nil for what is not looked up in tables.
  var walk: Walk? {
    switch self {
    case .string, .binary: .whole
    case .begin: .prefixes
    case .end: .suffixes
    case .substring: .substrings
    case .domain: .domainWords
    case .directory: .pathWords
    case .found, .boolean, .integer, .address, .regularExpression, .length: nil
    }
  }
}

extension SampleExpression {
  /// What the converters come to: of several, the last one wins.
  fileprivate var folding: CaseFolding {
    switch converters.last {
    case .lower: .lower
    case .upper: .upper
    default: .none
    }
  }

  /// Whether it can be looked at where it lies: a fact, read through nothing but changes of case.
  fileprivate var isPlain: Bool {
    let isFact =
      switch fetch {
      case .helloTicket, .helloHasGroups, .helloList, .payloadByLength, .constant, .variable,
        .random, .date, .process, .identity, .gauge:
        false
      default: true
      }
    guard isFact, !converters.isEmpty else { return isFact }
    return (fetch.type == .string || fetch.type == .binary)
      && converters.allSatisfy { $0 == .lower || $0 == .upper }
  }
}

extension Criterion {
  /// `-i` means nothing to `bin`.
  private var foldsPatterns: Bool { ignoresCase && match != .binary }

  /// How a text is read before it is looked up: as the patterns are under `-i`, which is lower
  /// case, else as its converters leave it.
  fileprivate var readFolding: CaseFolding {
    foldsPatterns ? .lower : sample.isPlain ? sample.folding : .none
  }

  fileprivate var strings: [String] {
    if case .strings(let strings) = patterns { strings } else { [] }
  }

  fileprivate var integers: [ClosedRange<Int>] {
    if case .integers(let ranges) = patterns { ranges } else { [] }
  }

  fileprivate var networks: [ClosedRange<AddressKey>] {
    if case .networks(let networks) = patterns { networks.map(\.range) } else { [] }
  }

  /// The patterns as a table wants them.
  fileprivate func texts(label: UInt32) -> [PatternTables.Pattern] {
    switch patterns {
    case .strings(let strings):
      let folding = foldsPatterns ? CaseFolding.lower : .none
      return strings.map { string in .init(string.utf8.lazy.map { folding($0) }, label: label) }
    case .binaries(let binaries):
      return binaries.map { .init($0, label: label) }
    case .none, .integers, .networks:
      return []
    }
  }

  /// A payload is bytes; every match but these, and every converter, wants a string.
  fileprivate var readsBytesAsString: Bool {
    guard sample.isPlain, case .payload = sample.fetch else { return false }
    return !sample.converters.isEmpty || (match != .binary && match != .found)
  }
}

extension Network {
  /// The first and the last address of it.
  var range: ClosedRange<AddressKey> {
    let prefix = address.isIPv4 ? prefixLength + 96 : prefixLength
    let hostHigh = prefix >= 64 ? 0 : UInt64.max >> UInt64(prefix)
    let hostLow = prefix <= 64 ? UInt64.max : prefix >= 128 ? 0 : UInt64.max >> UInt64(prefix - 64)
    let first = AddressKey(high: address.high & ~hostHigh, low: address.low & ~hostLow)
    return first...AddressKey(high: first.high | hostHigh, low: first.low | hostLow)
  }
}
