import Linux

/// Lines of a proxy that set one value.
extension ConfigurationReader {
  mutating func readValue(
    _ keyword: ProxyKeyword, _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    switch keyword {
    case .mode: draft.settings.mode = try Self.readMode(&statement)
    case .description: draft.settings.description = statement.rest(or: "")
    case .disabled: draft.settings.isDisabled = true
    case .enabled: draft.settings.isDisabled = false
    case .id: try readIdentifier(&statement, into: &draft)
    case .defaultBackend: try readDefaultBackend(&statement, &draft.settings)
    case .balance: try readBalance(&statement, &draft.settings)
    case .hashType: try readHashType(&statement, &draft.settings)
    case .source:
      let word = try statement.require("an address")
      draft.settings.source = try source(word, &statement)
    case .log, .logFormat, .logFormatStructured, .errorLogFormat, .logTag:
      try readLogLine(keyword, &statement, &draft.settings.log)
    case .redispatch:
      warnOfRename(statement, "option redispatch")
      draft.settings.redispatch = -1
    case .connectTimeout, .clientTimeout, .serverTimeout:
      try readRenamedTimeout(keyword, &statement, &draft.settings.timeouts)
    case .clientKeepaliveCount, .clientKeepaliveIdle, .clientKeepaliveInterval:
      try readKeepalive(keyword, &statement, &draft.settings.clientKeepalive)
    case .serverKeepaliveCount, .serverKeepaliveIdle, .serverKeepaliveInterval:
      try readKeepalive(keyword, &statement, &draft.settings.serverKeepalive)
    default: try readLimit(keyword, &statement, &draft.settings)
    }
  }

  private mutating func readIdentifier(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let id = try statement.integer("a positive number", in: 1...Int(Int32.max))
    guard usedProxyIDs.insert(id).inserted else {
      throw statement.span.error("the id \(id) is taken by another proxy")
    }
    draft.explicitID = id
  }

  private func readLimit(
    _ keyword: ProxyKeyword, _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    let count = 0...Int(Int32.max)
    switch keyword {
    case .backlog: settings.backlog = try statement.integer("a number", in: count)
    case .fullConnections:
      settings.fullConnections = try statement.integer("a number of connections", in: count)
    case .maxConnections:
      let number = try statement.integer("a number of connections", in: count)
      settings.maxConnections = number == 0 ? nil : number
    case .retries: settings.retries = try statement.integer("a number of retries", in: 0...10_000)
    case .rateLimit:
      _ = try statement.choice("rate limit", ["sessions": ()])
      let number = try statement.integer("sessions a second", in: count)
      settings.sessionRateLimit = number == 0 ? nil : number
    default: preconditionFailure("'\(keyword.rawValue)' is no limit")
    }
  }

  private func readKeepalive(
    _ keyword: ProxyKeyword, _ statement: inout Statement, _ keepalive: inout Keepalive
  ) throws(Diagnostic) {
    switch keyword {
    case .clientKeepaliveCount, .serverKeepaliveCount:
      keepalive.count = try statement.integer("a number of probes", in: 1...127)
    case .clientKeepaliveIdle, .serverKeepaliveIdle:
      keepalive.idle = try Self.seconds(&statement)
    default: keepalive.interval = try Self.seconds(&statement)
    }
  }

  /// What TCP_KEEPIDLE takes: whole seconds, 1 to 32767.
  private static func seconds(_ statement: inout Statement) throws(Diagnostic) -> Int {
    let time = try statement.time(defaultUnit: .seconds, minimum: 1)
    return min(max((time + 999) / 1000, 1), 32_767)
  }

  mutating func warnOfRename(_ statement: Statement, _ replacement: String) {
    let old = statement.keyword?.text ?? ""
    log.warn(
      statement.span, "'\(old)' was removed from the language",
      hints: ["it is taken as '\(replacement)'"])
  }

  private mutating func readLogLine(
    _ keyword: ProxyKeyword, _ statement: inout Statement, _ draft: inout LogDraft
  ) throws(Diagnostic) {
    switch keyword {
    case .logTag: draft.settings.tag = try statement.require("a tag").text
    case .logFormat:
      let word = try statement.require("a format")
      draft.settings.format = .custom(try logFormat(word, of: statement))
    case .logFormatStructured:
      let word = try statement.require("a format")
      draft.settings.structuredData = try logFormat(word, of: statement)
    case .errorLogFormat:
      let word = try statement.require("a format")
      draft.settings.errorFormat = try logFormat(word, of: statement)
    default:
      if statement.skip("global") {
        draft.usesGlobal = true
      } else if let target = try logTarget(&statement) {
        draft.settings.targets.append(target)
      }
    }
  }

  private func readDefaultBackend(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    let word = try statement.require("the name of a backend")
    guard !word.text.includes("%[") else {
      throw statement.span(of: word).error("'default_backend' takes a plain name")
    }
    settings.defaultBackend = Reference(name: word.text, span: statement.span(of: word))
  }

  // MARK: Balance

  private mutating func readBalance(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    let word = try statement.require("an algorithm, such as roundrobin or leastconn")
    let span = statement.span(of: word)
    let (name, arguments) = word.text.split(atFirst: "(")
    switch name {
    case "roundrobin": settings.balance = .roundRobin
    case "static-rr": settings.balance = .staticRoundRobin
    case "leastconn": settings.balance = .leastConnections
    case "first": settings.balance = .first
    case "source": settings.balance = .source
    case "random": settings.balance = .random(draws: try Self.draws(arguments, span))
    case "uri", "url_param", "hdr":
      log.warn(span, "'balance \(word.text)' needs 'mode http'; it is taken as roundrobin")
      settings.balance = .roundRobin
      statement.skipAll()
    case "hash", "rdp-cookie", "sticky":
      throw span.error(
        "'balance \(name)' is not supported in this version",
        hint: "clients would be distributed otherwise than the line says")
    default:
      let known = ["roundrobin", "static-rr", "leastconn", "first", "source", "random"]
      throw span.error(
        "unknown algorithm '\(word.text)'", hint: "expected \(Statement.list(known))",
        suggestion: Suggestion.nearest(to: name, among: known))
    }
    if arguments != nil, name != "random", name != "hdr" {
      throw span.error("'\(name)' takes no arguments")
    }
  }

  private static func draws(
    _ arguments: String?, _ span: SourceSpan
  ) throws(Diagnostic) -> Int {
    guard let arguments else { return 2 }
    guard arguments.hasSuffix(")"), let draws = Int(arguments.dropLast()), draws > 0,
      draws <= 4096
    else { throw span.error("bad number of draws", hint: "expected random or random(2)") }
    return draws
  }

  private mutating func readHashType(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    settings.hashType.method = try statement.choice(
      "hash type", ["map-based": HashType.Method.mapBased, "consistent": .consistent])
    guard let function = statement.peek else { return }
    _ = try statement.choice(
      "hash function", ["sdbm": (), "djb2": (), "wt6": (), "crc32": (), "none": ()])
    if statement.skip("avalanche") || function.text != "sdbm" {
      log.notice(
        statement.span(of: function), "the hash function is of no consequence here",
        hints: ["'balance source' does not use it"])
    }
  }
}
