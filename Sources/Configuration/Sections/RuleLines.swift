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
    guard let rule = try rule(stage.text, &statement, &draft.settings.scope) else { return }
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
    _ stage: String, _ statement: inout Statement, _ scope: inout ACLScope
  ) throws(Diagnostic) -> Rule? {
    let word = try statement.require("an action, such as accept or reject")
    guard let action = try action(word, stage, &statement) else { return nil }
    return Rule(
      action: action, condition: try condition(&statement, &scope),
      position: statement.span(of: word).position)
  }

  private mutating func action(
    _ word: Word, _ stage: String, _ statement: inout Statement
  ) throws(Diagnostic) -> Rule.Action? {
    switch word.text {
    case "accept": return .accept
    case "reject": return .reject
    case "silent-drop":
      if statement.skip("rst-ttl") { _ = try statement.integer("a TTL", in: 1...255) }
      return .silentDrop
    case "expect-proxy":
      _ = try statement.choice("layer", ["layer4": ()])
      guard stage == "connection" else {
        throw statement.span(of: word).error(
          "'expect-proxy' has no place in 'tcp-request \(stage)'",
          hint: "write 'tcp-request connection expect-proxy layer4'")
      }
      return .expectProxyHeader
    default:
      let name = word.text.split(atFirst: "(").head
      guard let meaning = Self.foreignAction(name) else { throw unknownAction(word, statement) }
      statement.skipAll()
      try apply(meaning, to: "tcp-request \(stage) \(name)", statement.span)
      return nil
    }
  }

  private static func foreignAction(_ name: String) -> ForeignMeaning? {
    name.hasPrefix("lua.") ? .refused("there is no Lua") : ForeignKeywords.actions[name]
  }

  private func unknownAction(_ word: Word, _ statement: Statement) -> Diagnostic {
    let actions = ["accept", "reject", "silent-drop", "expect-proxy"]
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
    let reference = try reference("backend", &statement)
    let condition = try condition(&statement, &draft.settings.scope)
    draft.backendRules.append((reference, condition))
  }

  mutating func readUseServer(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let reference = try reference("server", &statement)
    let condition = try condition(&statement, &draft.settings.scope)
    draft.serverRules.append((reference, condition))
  }

  private func reference(
    _ what: String, _ statement: inout Statement
  ) throws(Diagnostic) -> Reference {
    let word = try statement.require("the name of a \(what)")
    guard !word.text.includes("%[") else {
      throw statement.span(of: word).error(
        "names of \(what)s from expressions are not supported in this version",
        hint: "write one rule for each \(what)")
    }
    return Reference(name: word.text, span: statement.span(of: word))
  }
}
