public import Configuration
import Linux
import Wire

/// What would become of a connection, rule by rule, and why.
public struct Explanation: Equatable, Sendable {
  /// Lines for people, without a final newline.
  public var text: String
  /// Whether a server would get the connection, in each frontend that would accept it.
  public var isServed: Bool
}

/// Explains connections without making any: the rules are the worker's own, compiled and heard as a
/// worker hears them, over facts that are made up.
///
/// All that a client sends counts as sent, so nothing is waited for. What rules read of the ledger
/// (`nbsrv`, `be_conn`, …) has no value.
public struct Explainer: ~Copyable {
  private let configuration: ProxyConfiguration
  private let rules: RuleSet
  private let standing: (_ backend: Int, _ server: Int) -> ServerStanding
  private var source: SourceText
  private var lines: [String] = []

  /// - Parameters:
  ///   - configuration: What runs, or would.
  ///   - rules: Its rules.
  ///   - snapshot: The files that it was read from.
  ///   - standing: How a server stands now; what the file says where it is not given.
  public init(
    _ configuration: ProxyConfiguration, _ rules: consuming RuleSet,
    _ snapshot: ConfigurationSnapshot,
    standing: ((_ backend: Int, _ server: Int) -> ServerStanding)? = nil
  ) {
    self.configuration = configuration
    self.rules = rules
    source = SourceText(snapshot)
    let backends = configuration.backends
    self.standing =
      standing ?? { backend, server in ServerStanding(backends[backend].servers[server]) }
  }

  /// - Throws: when no frontend would accept such a connection.
  public mutating func explain(
    _ supposed: SupposedConnection
  ) throws(SupposedConnection.Mistake) -> Explanation {
    let doors = try doors(for: supposed)
    lines = ["\(supposed)"]
    var isServed = true
    for door in doors {
      if !explain(supposed, at: door) { isServed = false }
    }
    return Explanation(text: lines.joined(separator: "\n"), isServed: isServed)
  }

  // MARK: Frontends

  /// A bind that would take the connection.
  private struct Door {
    var frontend: Int
    var bind: Int
  }

  private func doors(
    for supposed: SupposedConnection
  ) throws(SupposedConnection.Mistake) -> [Door] {
    if let name = supposed.frontend,
      !configuration.frontends.contains(where: { $0.identity.name == name })
    {
      throw SupposedConnection.Mistake(message: "there is no frontend '\(name)'")
    }
    let doors = configuration.frontends.indices.compactMap { index -> Door? in
      let frontend = configuration.frontends[index]
      guard !frontend.identity.isDisabled,
        supposed.frontend == nil || supposed.frontend == frontend.identity.name
      else { return nil }
      return frontend.binds.firstIndex { $0.takes(supposed) }.map {
        Door(frontend: index, bind: $0)
      }
    }
    guard !doors.isEmpty else {
      throw SupposedConnection.Mistake(
        message: "no 'bind' line would take a connection to \(supposed.destinationText)")
    }
    return doors
  }

  /// - Returns: whether a server would get it.
  private mutating func explain(_ supposed: SupposedConnection, at door: Door) -> Bool {
    let frontend = configuration.frontends[door.frontend]
    let bind = frontend.binds[door.bind]
    let place = source.place(of: frontend.identity.position)
    lines.append("frontend '\(frontend.identity.name)' (\(place)), bind \(bind.text)")

    let bytes = supposed.bytes
    var parser = ClientHelloParser()
    _ = parser.consume(bytes.span)
    var facts = Facts(
      client: supposed.client, destination: bind.destination(of: supposed), parser: parser,
      request: bytes.span, awaiting: .nothing,
      certificateNames: rules.certificateNames(frontend: door.frontend, bind: door.bind))
    facts.place.frontend = door.frontend
    facts.place.bind = door.bind
    rules.forgetVariables(of: 0)
    guard admits(door, facts), let backend = backend(of: door, &facts) else { return false }
    return explain(backend: backend, &facts)
  }

  /// Asks all that may refuse the connection before its backend is chosen.
  private mutating func admits(_ door: Door, _ facts: borrowing Facts) -> Bool {
    let frontend = configuration.frontends[door.frontend]
    let early = Facts(client: facts.client, destination: facts.destination)
    var admitted = hear(
      .connection(frontend: door.frontend), frontend.connectionRules, frontend.acls, early)
    admitted =
      admitted
      && hear(.session(frontend: door.frontend), frontend.sessionRules, frontend.acls, early)
    admitted = admitted && fitsTLS(door, facts)
    return admitted
      && hear(.content(frontend: door.frontend), frontend.contentRules, frontend.acls, facts)
  }

  private mutating func fitsTLS(_ door: Door, _ facts: borrowing Facts) -> Bool {
    let bind = configuration.frontends[door.frontend].binds[door.bind]
    guard let tls = bind.tls else { return true }
    guard facts.hello.state == .complete else {
      return conclude("refused: this bind carries TLS only", at: bind.position)
    }
    guard tls.strictNames, let names = facts.certificateNames,
      !rules.covers(facts.serverName, by: names)
    else { return true }
    return conclude("refused: no certificate of this bind has the name", at: bind.position)
  }

  private mutating func conclude(_ text: String, at position: SourcePosition) -> Bool {
    lines.append("  -> \(text) (\(source.place(of: position)))")
    return false
  }

  private mutating func backend(of door: Door, _ facts: inout Facts) -> Int? {
    let frontend = configuration.frontends[door.frontend]
    let heard = rules.hear(.routes(frontend: door.frontend), facts)
    tell(heard, frontend.backendRules.map(RuleLine.init), frontend.acls, facts)
    if let last = heard.last, last.holds {
      if let backend = frontend.backendRules[last.rule].backend { return backend }
      if let backend = namedBackend(of: door, rule: last.rule, facts) { return backend }
    }
    guard let backend = frontend.defaultBackend else {
      lines.append("  -> closed: no rule chose a backend, and there is no default_backend")
      return nil
    }
    let ownServers = configuration.backends[backend].identity.position == frontend.identity.position
    lines.append(ownServers ? "  its own servers" : "  default_backend")
    return backend
  }

  /// The backend whose name a rule puts together.
  private mutating func namedBackend(of door: Door, rule: Int, _ facts: borrowing Facts) -> Int? {
    guard let bytes = rules.assembledName(frontend: door.frontend, rule: rule, facts) else {
      return nil
    }
    let name = String(decoding: bytes, as: UTF8.self)
    let backend = configuration.backends.firstIndex { $0.identity.name == name }
    lines.append("      the name is '\(name)'" + (backend == nil ? ", which is no backend" : ""))
    return backend
  }

  // MARK: Backends

  private mutating func explain(backend index: Int, _ facts: inout Facts) -> Bool {
    let backend = configuration.backends[index]
    let place = source.place(of: backend.identity.position)
    lines.append("  -> backend '\(backend.identity.name)' (\(place))")
    facts.place.backend = index
    guard hear(.backendContent(backend: index), backend.contentRules, backend.acls, facts) else {
      return false
    }
    if let server = serverByRule(index, facts) {
      lines.append("  -> server '\(backend.servers[server].name)', by that rule")
      return true
    }
    return balance(index, facts.client.address)
  }

  /// `use-server`: the first rule that holds and whose server can be reached.
  private mutating func serverByRule(_ index: Int, _ facts: borrowing Facts) -> Int? {
    let backend = configuration.backends[index]
    let ruleLines = backend.serverRules.map(RuleLine.init)
    var next = 0
    while next < backend.serverRules.count {
      let heard = rules.hear(.servers(backend: index), facts, from: next)
      tell(heard, ruleLines, backend.acls, facts)
      guard let last = heard.last, last.holds else { return nil }
      let server = backend.serverRules[last.rule].server
      if standing(index, server).isUsable { return server }
      lines.append("      but '\(backend.servers[server].name)' cannot be used")
      next = last.rule + 1
    }
    return nil
  }

  private mutating func balance(_ index: Int, _ client: IPAddress) -> Bool {
    let backend = configuration.backends[index]
    let standings = backend.servers.indices.map { standing(index, $0) }
    let shares = Self.shares(of: backend, standings)
    let total = shares.reduce(0, +)
    lines.append("  balance \(backend.balance.word)")
    let chosen = Self.chosen(by: backend.balance, client, shares)
    for (number, server) in backend.servers.enumerated() {
      var text = "    \(server.name) \(server.text)"
      if shares[number] > 0 {
        if let chosen {
          text += number == chosen ? ": this one" : ""
        } else {
          text += ": \((shares[number] * 100 + total / 2) / total) % of connections"
        }
      } else {
        text += ": none, \(Self.reason(server, standings[number], total))"
      }
      lines.append(text)
    }
    if total == 0 {
      lines.append("  -> closed: no server of '\(backend.identity.name)' can be used")
      return false
    }
    if let chosen { lines.append("  -> server '\(backend.servers[chosen].name)'") }
    return true
  }

  /// By server: its weight, 0 where it gets nothing. Backups count while no other server can be
  /// used: the first of them, or all where the file says so.
  private static func shares(of backend: Backend, _ standings: [ServerStanding]) -> [Int] {
    func weights(ofBackups: Bool) -> [Int] {
      backend.servers.indices.map {
        standings[$0].isUsable && backend.servers[$0].isBackup == ofBackups
          ? standings[$0].weight : 0
      }
    }
    let active = weights(ofBackups: false)
    if active.contains(where: { $0 > 0 }) { return active }
    var backups = weights(ofBackups: true)
    if !backend.allBackups, let first = backups.firstIndex(where: { $0 > 0 }) {
      for index in backups.indices where index != first { backups[index] = 0 }
    }
    return backups
  }

  /// The server that it must be, where the algorithm leaves no choice.
  private static func chosen(
    by balance: Balance, _ client: IPAddress, _ shares: [Int]
  ) -> Int? {
    guard let first = shares.firstIndex(where: { $0 > 0 }) else { return nil }
    if shares.count(where: { $0 > 0 }) == 1 || balance == .first { return first }
    guard balance == .source else { return nil }
    let schedule = WeightedSchedule(weights: shares)
    return schedule[Int(Hashing.source(client) % UInt32(schedule.count))]
  }

  private static func reason(
    _ server: Server, _ standing: ServerStanding, _ total: Int
  ) -> String {
    if !standing.remark.isEmpty { return standing.remark }
    if standing.weight == 0 { return "weight 0" }
    return server.isBackup ? "a backup, while others can be used" : "it cannot be used"
  }

  // MARK: Rules

  /// Hears `tcp-request` rules and tells of them; whether they let the connection pass.
  private mutating func hear(
    _ list: RuleSet.RuleList, _ all: [Rule], _ acls: [ACL], _ facts: borrowing Facts
  ) -> Bool {
    let heard = rules.hear(list, facts)
    tell(heard, all.map(RuleLine.init), acls, facts)
    guard let last = heard.last, last.holds else { return true }
    let action = all[last.rule].action
    guard action == .reject || action == .silentDrop else { return true }
    return conclude(
      action == .reject ? "refused by a rule" : "dropped by a rule", at: all[last.rule].position)
  }

  private mutating func tell(
    _ heard: [HeardRule], _ all: [RuleLine], _ acls: [ACL], _ facts: borrowing Facts
  ) {
    var index = 0
    while index < heard.count {
      let run = heard[index...].prefix { !$0.holds && $0.terms == nil }
      if run.count > 1 {
        tell(run: run.map { all[$0.rule].position })
        index += run.count
      } else {
        tell(heard[index], all[heard[index].rule], acls)
        index += 1
      }
    }
  }

  /// Rules of a run of names, none of which is the connection's.
  private mutating func tell(run positions: [SourcePosition]) {
    guard let first = positions.first, let last = positions.last else { return }
    lines.append(
      "  \(source.place(of: first))-\(last.line): \(positions.count) rules about other names")
  }

  private mutating func tell(_ heard: HeardRule, _ rule: RuleLine, _ acls: [ACL]) {
    let text = source.line(at: rule.position).map { String(decoding: $0, as: UTF8.self) } ?? ""
    lines.append("  \(source.place(of: rule.position)): \(Self.shortened(text))")
    lines.append("      \(heard.holds ? "yes" : "no")\(reason(heard, rule.condition, acls))")
  }

  private mutating func reason(
    _ heard: HeardRule, _ condition: Condition?, _ acls: [ACL]
  ) -> String {
    guard let condition else { return ": it has no condition" }
    guard let values = heard.terms else { return "" }
    var holding: [String] = []
    var failing: [String] = []
    for (alternative, values) in zip(condition.alternatives, values) {
      let texts = zip(alternative, values).map { term, _ in name(of: term, acls) }
      if values.allSatisfy(\.self) { holding = texts } else { failing += texts.suffix(1) }
    }
    return holding.isEmpty
      ? ": \(failing.joined(separator: ", nor ")) does not hold"
      : ": \(holding.joined(separator: " and ")) \(holding.count == 1 ? "holds" : "hold")"
  }

  /// A term as it is written, with the place of the ACL that it names.
  private mutating func name(of term: Condition.Term, _ acls: [ACL]) -> String {
    let acl = acls[term.acl]
    let mark = term.isNegated ? "!" : ""
    guard let name = acl.name else {
      return mark + "{ " + (acl.lines.first.map { text(of: $0) } ?? "") + " }"
    }
    // Predefined ones stand on no line of their own.
    guard let position = acl.lines.first?.position, let line = source.line(at: position),
      Self.shortened(String(decoding: line, as: UTF8.self)).hasPrefix("acl")
    else { return mark + name }
    return "\(mark)\(name) (\(source.place(of: position)))"
  }

  /// What stands between the braces.
  private mutating func text(of criterion: Criterion) -> String {
    guard let line = source.line(at: criterion.position) else { return "" }
    let rest = String(decoding: line.dropFirst(criterion.position.column - 1), as: UTF8.self)
    var words: [Substring] = []
    for word in rest.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
      if word == "}" { break }
      words.append(word)
    }
    return Self.shortened(words.joined(separator: " "))
  }

  /// Rules about a thousand names are not repeated whole.
  private static func shortened(_ text: String) -> String {
    let trimmed = String(text.drop { $0 == " " || $0 == "\t" })
    return trimmed.count > 120 ? trimmed.prefix(117) + "..." : trimmed
  }
}

/// What all kinds of rules have in common.
private struct RuleLine {
  var condition: Condition?
  var position: SourcePosition

  init(_ rule: Rule) {
    condition = rule.condition
    position = rule.position
  }

  init(_ rule: BackendRule) {
    condition = rule.condition
    position = rule.position
  }

  init(_ rule: ServerRule) {
    condition = rule.condition
    position = rule.position
  }
}

extension ServerStanding {
  /// As the file has it, while checks find no fault.
  fileprivate init(_ server: Server) {
    self.init(
      weight: server.weight, isUsable: !server.isDisabled,
      remark: server.isDisabled ? "disabled" : "")
  }
}

extension Balance {
  fileprivate var word: String {
    let words: [(Balance, String)] = [
      (.roundRobin, "roundrobin"), (.staticRoundRobin, "static-rr"),
      (.leastConnections, "leastconn"), (.first, "first"), (.source, "source"),
    ]
    return words.first { $0.0 == self }?.1 ?? "\(self)"
  }
}

extension SupposedConnection {
  fileprivate var destinationText: String {
    let host = destination.map { "\($0)" } ?? "any address"
    return host + (destinationPort.map { ", port \($0)" } ?? "")
  }
}

extension Bind {
  /// Whether a connection to that address and port comes to this bind.
  fileprivate func takes(_ supposed: SupposedConnection) -> Bool {
    guard case .socket(.internet(let own)) = address else {
      return supposed.destination == nil && supposed.destinationPort == nil
    }
    if let port = supposed.destinationPort, port != own.port { return false }
    guard let wanted = supposed.destination else { return true }
    if own.address == wanted { return true }
    return own.address.isUnspecified && (wanted.isIPv4 == own.address.isIPv4 || dualStack != false)
  }

  /// Where the client went: what it says, or what the bind says.
  fileprivate func destination(of supposed: SupposedConnection) -> Endpoint {
    guard case .socket(.internet(let own)) = address else { return .none }
    let standIn = own.address.isUnspecified ? IPAddress(ipv4: 0x7f00_0001) : own.address
    return Endpoint(
      address: supposed.destination ?? standIn, port: supposed.destinationPort ?? own.port)
  }
}
