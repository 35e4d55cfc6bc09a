/// Lines that decide: `tcp-request`, `tcp-response`, `use_backend`, `use-server`.
extension ConfigurationReader {
  // MARK: tcp-request

  mutating func readTCPRequest(
    _ statement: inout Statement, into draft: inout ProxyDraft, isNamed: Bool
  ) throws(Diagnostic) {
    let stage = try statement.require("inspect-delay, connection, session or content")
    let span = statement.span(of: stage)
    guard ["inspect-delay", "connection", "session", "content"].contains(stage.text) else {
      throw span.error(
        "unknown stage '\(stage.text)'",
        hint: "expected inspect-delay, connection, session or content",
        suggestion: Suggestion.nearest(
          to: stage.text, among: ["inspect-delay", "connection", "session", "content"]))
    }
    guard draft.kind != .defaults || isNamed else {
      throw span.error(
        "'tcp-request' needs a 'defaults' section with a name",
        hint: "write 'defaults NAME', and 'from NAME' where it is to be used")
    }
    if stage.text == "inspect-delay" {
      draft.settings.inspectDelay = try statement.time()
      return
    }
    guard stage.text == "content" || draft.kind != .backend else {
      throw span.error(
        "'tcp-request \(stage.text)' has no place in \(draft.title)",
        hint: "write it in a frontend, or write 'tcp-request content'")
    }
    guard let rule = try rule(stage.text, &statement, &draft) else { return }
    switch stage.text {
    case "connection": draft.settings.connectionRules.append(rule)
    case "session": draft.settings.sessionRules.append(rule)
    default:
      warnOfOrder(draft, statement)
      draft.settings.contentRules.append(rule)
    }
  }

  private mutating func warnOfOrder(_ draft: ProxyDraft, _ statement: Statement) {
    guard !draft.backendRules.isEmpty else { return }
    log.warn(
      statement.span, "this rule is evaluated before the 'use_backend' rules above it",
      hints: ["all 'tcp-request' rules come first, in whatever order they are written"])
  }

  /// An action and its condition; nil if it was skipped with a warning.
  private mutating func rule(
    _ stage: String, _ statement: inout Statement, _ draft: inout ProxyDraft
  ) throws(Diagnostic) -> Rule? {
    let word = try statement.require("an action, such as accept or reject")
    guard let action = try action(word, stage, &statement, &draft) else { return nil }
    let rule = Rule(
      action: action, condition: try condition(&statement, &draft.settings.scope),
      position: statement.span(of: word).position)
    if stage != "content" { try checkEarly(rule, stage, word, statement, draft.settings.scope) }
    return rule
  }

  private mutating func action(
    _ word: Word, _ stage: String, _ statement: inout Statement, _ draft: inout ProxyDraft
  ) throws(Diagnostic) -> Rule.Action? {
    let (name, tail) = word.text.split(atFirst: "(")
    switch name {
    case "accept" where tail == nil: return .accept
    case "reject" where tail == nil: return .reject
    case "silent-drop" where tail == nil:
      if statement.skip("rst-ttl") { _ = try statement.integer("a TTL", in: 1...255) }
      return .silentDrop
    case "expect-proxy" where tail == nil:
      return try expectProxy(word, stage, &statement)
    case "set-var", "set-var-fmt", "unset-var":
      return try variableAction(word, &statement)
    case "capture" where tail == nil && stage == "content":
      guard draft.kind != .backend else {
        throw statement.span(of: word).error(
          "'tcp-request content capture' has no place in \(draft.title)",
          hint: "slots of captures belong to a frontend: write it there")
      }
      return try captureAction(&statement, &draft.settings)
    default:
      guard let meaning = Self.foreignAction(name) else { throw unknownAction(word, statement) }
      statement.skipAll()
      try apply(meaning, to: "tcp-request \(stage) \(name)", statement.span)
      return nil
    }
  }

  private func expectProxy(
    _ word: Word, _ stage: String, _ statement: inout Statement
  ) throws(Diagnostic) -> Rule.Action {
    _ = try statement.choice("layer", ["layer4": ()])
    guard stage == "connection" else {
      throw statement.span(of: word).error(
        "'expect-proxy' has no place in 'tcp-request \(stage)'",
        hint: "write 'tcp-request connection expect-proxy layer4'")
    }
    return .expectProxyHeader
  }

  /// `set-var(name)`, `set-var-fmt(name)`, `unset-var(name)`.
  private mutating func variableAction(
    _ word: Word, _ statement: inout Statement
  ) throws(Diagnostic) -> Rule.Action {
    let span = statement.span(of: word)
    let calls = try CallScanner.calls(in: word.text, span)
    let call = calls[0]
    guard calls.count == 1 else {
      throw call.error(
        "an action takes no converters: '\(calls[1].name)'",
        hint: "write them behind the expression: src,\(calls[1].name)")
    }
    guard call.count == 1 else {
      throw call.error(
        "'\(call.name)' takes the name of a variable", hint: "expected \(call.name)(sess.name)")
    }
    let variable = try variableIndex(call.text(0), span)
    switch call.name {
    case "unset-var": return .unsetVariable(variable)
    case "set-var":
      let expression = try statement.require("an expression, such as req.ssl_sni")
      return .setVariable(
        variable, try sample(expression, of: statement), longest: nil)
    default:
      let format = try statement.require("a format")
      return .setVariableFormat(variable, try textPieces(format, of: statement))
    }
  }

  /// `capture EXPRESSION len N`, or `… id SLOT` of one that was declared.
  private mutating func captureAction(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) -> Rule.Action {
    let word = try statement.require("an expression, such as req.ssl_sni")
    let expression = try sample(word, of: statement)
    if statement.skip("id") {
      let slot = try statement.integer(
        "the slot of a 'declare capture'", in: 0...max(0, settings.captureLengths.count - 1))
      guard slot < settings.captureLengths.count else {
        throw statement.span.error("no slot is declared", hint: "write 'declare capture request'")
      }
      return .setVariable(
        captureVariable(slot), expression, longest: settings.captureLengths[slot])
    }
    guard statement.skip("len") else {
      throw statement.end.error("'capture' needs a length", hint: "expected 'len' and a number")
    }
    let slot = try declareCapture(&statement, &settings)
    return .setVariable(
      captureVariable(slot), expression, longest: settings.captureLengths[slot])
  }

  /// `declare capture request len N`.
  mutating func readDeclare(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    _ = try statement.choice("declaration", ["capture": ()])
    let isRequest = try statement.choice("direction", ["request": true, "response": false])
    _ = try statement.choice("word", ["len": ()])
    guard isRequest else {
      _ = try statement.integer("a length", in: 1...Variable.longestText)
      log.warn(
        statement.span, "captures of answers are never filled",
        hints: ["servers' answers are not inspected"])
      return
    }
    _ = try declareCapture(&statement, &settings)
  }

  private func declareCapture(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) -> Int {
    let length = try statement.integer("a length in bytes", in: 1...65_535)
    guard settings.captureLengths.count < Self.mostCaptures else {
      throw statement.span.error("there are more than \(Self.mostCaptures) captures")
    }
    settings.captureLengths.append(min(length, Variable.longestText))
    return settings.captureLengths.count - 1
  }

  // MARK: Rules before there is a request

  /// Connection and session rules run before a byte was read: what they ask of the hello is never
  /// there. The reference says so in these words, and refuses what would be stored.
  private mutating func checkEarly(
    _ rule: Rule, _ stage: String, _ word: Word, _ statement: Statement, _ scope: ACLScope
  ) throws(Diagnostic) {
    if let expression = rule.action.samples.first(where: \.readsRequest) {
      throw statement.span(of: word).error(
        "'\(expression.fetch.name)' has no value yet in 'tcp-request \(stage)'",
        hint: "write 'tcp-request content \(word.text) …'")
    }
    let terms = rule.condition?.alternatives.joined() ?? [].joined()
    for acl in Set(terms.map(\.acl)).sorted() {
      warn(ofEarly: scope.acls[acl], stage, statement)
    }
  }

  private mutating func warn(ofEarly acl: ACL, _ stage: String, _ statement: Statement) {
    let early = acl.lines.filter { $0.sample.readsRequest }
    guard let keyword = early.first?.sample.fetch.name else { return }
    let place = "'frontend tcp-request \(stage) rule'"
    let message: String
    switch (acl.name, early.count == acl.lines.count) {
    case (nil, _):
      message =
        "anonymous acl will never match in 'tcp-request \(stage)' because it uses keyword "
        + "'\(keyword)' which is incompatible with \(place)"
    case (let name?, true):
      message =
        "acl '\(name)' will never match in 'tcp-request \(stage)' because it only involves "
        + "keywords that are incompatible with \(place)"
    case (let name?, false):
      message = "acl '\(name)' involves keyword '\(keyword)' which is incompatible with \(place)"
    }
    log.warn(
      statement.span, message, hints: ["'tcp-request content' rules see what the client sends"])
  }

  private static func foreignAction(_ name: String) -> ForeignMeaning? {
    name.hasPrefix("lua.") ? .refused("there is no Lua") : ForeignKeywords.actions[name]
  }

  private func unknownAction(_ word: Word, _ statement: Statement) -> Diagnostic {
    let actions = [
      "accept", "reject", "silent-drop", "expect-proxy", "set-var", "unset-var", "capture",
    ]
    return statement.span(of: word).error(
      "unknown action '\(word.text)'", hint: "expected \(Statement.list(actions))",
      suggestion: Suggestion.nearest(
        to: word.text, among: actions + ForeignKeywords.actions.keys.sorted()))
  }

  // MARK: tcp-response

  /// Answers are not looked at. Rules that only let them pass are as good as none.
  mutating func readTCPResponse(_ statement: inout Statement) throws(Diagnostic) {
    let stage = try statement.require("inspect-delay or content")
    switch stage.text {
    case "inspect-delay": _ = try statement.time()
    case "content":
      let word = try statement.require("an action, such as accept")
      let name = word.text.split(atFirst: "(").head
      statement.skipAll()
      if name == "accept" {
        log.notice(statement.span, "servers' answers are not inspected: they pass anyway")
        return
      }
      if name == "close" || name == "reject" || name == "silent-drop" {
        throw statement.span.error(
          "'tcp-response content \(name)' is not supported in this version",
          hint: "servers' answers are not inspected")
      }
      guard let meaning = Self.foreignAction(name) else { throw unknownAction(word, statement) }
      try apply(meaning, to: "tcp-response content \(name)", statement.span)
    default:
      throw statement.span(of: stage).error(
        "unknown stage '\(stage.text)'", hint: "expected inspect-delay or content",
        suggestion: Suggestion.nearest(to: stage.text, among: ["inspect-delay", "content"]))
    }
  }

  // MARK: use_backend, use-server

  mutating func readUseBackend(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let word = try statement.require("the name of a backend")
    let span = statement.span(of: word)
    let isMadeUp = word.text.includes("%[")
    let pieces = isMadeUp ? try textPieces(word, of: statement) : []
    var rule = BackendRuleDraft(
      reference: Reference(name: word.text, span: span), pieces: pieces, condition: nil)
    // Whatever is wrong with its condition, the backend is looked for too.
    defer { draft.backendRules.append(rule) }
    rule.condition = try condition(&statement, &draft.settings.scope)
  }

  mutating func readUseServer(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let word = try statement.require("the name of a server")
    guard !word.text.includes("%[") else {
      throw statement.span(of: word).error(
        "names of servers from expressions are not supported in this version",
        hint: "write one rule for each server")
    }
    let reference = Reference(name: word.text, span: statement.span(of: word))
    var parsed: Condition?
    defer { draft.serverRules.append((reference, parsed)) }
    parsed = try condition(&statement, &draft.settings.scope)
  }
}

extension Rule.Action {
  /// Whether it is `capture`: what it stores is cut.
  var isCapture: Bool {
    if case .setVariable(_, _, .some) = self { true } else { false }
  }

  /// What is evaluated when the action is done.
  fileprivate var samples: [SampleExpression] {
    switch self {
    case .setVariable(_, let expression, _): return [expression]
    case .setVariableFormat(_, let pieces):
      return pieces.compactMap { piece in
        if case .sample(let expression) = piece { expression } else { nil }
      }
    case .accept, .reject, .silentDrop, .expectProxyHeader, .unsetVariable: return []
    }
  }
}
