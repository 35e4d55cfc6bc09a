import Linux

/// `defaults`, `frontend`, `backend` and `listen`: their headers, and which line is whose.
extension ConfigurationReader {
  // MARK: Headers

  mutating func readDefaults(_ section: Section) {
    var header = section.header
    var draft = ProxyDraft(
      kind: .defaults, name: "", header: header.span, settings: ProxySettings())
    var name: Word?
    if header.isBroken { brokenDefaults.add(header.peek?.text) }
    attempt { reader throws(Diagnostic) in
      if header.isBroken { return }
      if let word = header.peek, word.text != "from" { name = try header.name("a name") }
      if header.skip("from") { draft.settings = try reader.defaults(named: &header) }
      try header.finish()
    }
    readLines(section, into: &draft, isNamed: name != nil)
    currentDefaults = draft.settings
    // Rules and ACLs are inherited by name only, as in the reference.
    if let name { namedDefaults[name.text] = draft.settings }
  }

  private mutating func defaults(
    named header: inout Statement
  ) throws(Diagnostic) -> ProxySettings {
    let word = try header.require("the name of a 'defaults' section")
    if let settings = namedDefaults[word.text] { return settings }
    if brokenDefaults.mayInclude(word.text) { return ProxySettings() }
    throw header.span(of: word).error(
      "no 'defaults' section is named '\(word.text)'",
      hint: "expected the name of one above this line",
      suggestion: nearest(to: word.text, among: namedDefaults.keys))
  }

  mutating func readProxy(_ section: Section, _ kind: SectionKind) {
    var header = section.header
    var settings = currentDefaults
    settings.check = settings.check.inherited
    var name = ""
    var address: Word?
    if header.isBroken { brokenBackends.add(header.peek?.text) }
    attempt { reader throws(Diagnostic) in
      if header.isBroken { return }
      if header.isAtEnd { reader.brokenBackends.add(nil) }
      name = try header.name("a name for the \(kind.rawValue)").text
      reader.claim(name, kind, header)
      if let word = header.peek, word.text != "from", kind != .backend { address = header.next() }
      if header.skip("from") {
        settings = try reader.defaults(named: &header)
        settings.check = settings.check.inherited
      }
      try header.finish()
    }
    proxyCount += 1
    settings.mode = mode(of: section, inherited: settings.mode)
    guard case .tcp = settings.mode else {
      return httpSections.append(
        HTTPSection(
          section: section, kind: kind, name: name, settings: settings, ordinal: proxyCount))
    }
    // Slots of captures belong to a frontend, which has inherited the same rules.
    if kind == .backend { settings.contentRules.removeAll(where: \.action.isCapture) }
    var draft = ProxyDraft(kind: kind, name: name, header: header.span, settings: settings)
    draft.ordinal = proxyCount
    if let address { bindInHeader(address, header, &draft) }
    readLines(section, into: &draft, isNamed: true)
    proxies.append(draft)
  }

  /// Notes that a name is taken. A frontend and a backend may share one.
  private mutating func claim(_ name: String, _ kind: SectionKind, _ header: Statement) {
    let position = header.span.position
    if kind.roles.contains(.frontend) {
      if let earlier = frontendNames.updateValue(position, forKey: name) {
        reportDouble("frontend", name, header.span, earlier)
      }
    }
    if kind.roles.contains(.backend) {
      if let earlier = backendNames.updateValue(position, forKey: name) {
        reportDouble("backend", name, header.span, earlier)
      }
    }
  }

  private mutating func reportDouble(
    _ what: String, _ name: String, _ span: SourceSpan, _ earlier: SourcePosition
  ) {
    let path = snapshot.files[earlier.file].path
    log.error(
      span, "there is a \(what) '\(name)' already", hints: ["at \(path):\(earlier.line)"])
  }

  /// `listen NAME ADDRESS` of old releases: a bind line in the header.
  private mutating func bindInHeader(
    _ address: Word, _ header: Statement, _ draft: inout ProxyDraft
  ) {
    log.warn(
      header.span(of: address), "an address in the section's header was removed from the language",
      hints: ["it is taken as: bind \(address.text)"])
    var bind = Statement(file: header.file, line: header.line, words: [address])
    attempt { reader throws(Diagnostic) in try reader.readBind(&bind, into: &draft) }
  }

  private func mode(of section: Section, inherited: ProxyMode) -> ProxyMode {
    var mode = inherited
    for line in section.statements where line.words.first?.text == "mode" {
      var statement = line
      // Errors are reported when the line is read in its turn.
      if let read = try? Self.readMode(&statement) { mode = read }
    }
    return mode
  }

  private static let modes: KeyValuePairs<String, ProxyMode> = [
    "tcp": .tcp, "http": .http, "log": .other("log"), "spop": .other("spop"),
  ]

  static func readMode(_ statement: inout Statement) throws(Diagnostic) -> ProxyMode {
    let mode = try statement.choice("mode", modes)
    try statement.finish()
    return mode
  }

  // MARK: Lines

  mutating func readLines(_ section: Section, into draft: inout ProxyDraft, isNamed: Bool) {
    presentProxy = draft.name
    // Of a defaults section whose header is broken nobody knows whether it had a name.
    let isNamed = isNamed || section.header.isBroken
    for line in section.statements {
      if line.isBroken {
        note(line, in: &draft)
        continue
      }
      var statement = line
      do throws(Diagnostic) {
        try readProxyLine(&statement, into: &draft, isNamed: isNamed)
      } catch {
        log.report(error)
      }
    }
  }

  /// Notes what a line that cannot be read was to declare.
  private func note(_ line: Statement, in draft: inout ProxyDraft) {
    let name = line.words.dropFirst().first?.text
    let keyword = line.words.first?.text ?? ""
    switch Suggestion.nearest(to: keyword, among: ["acl", "server"]) {
    case "acl": draft.settings.scope.addBroken(name)
    case "server": draft.brokenServers.add(name)
    default: break
    }
  }

  private mutating func readProxyLine(
    _ statement: inout Statement, into draft: inout ProxyDraft, isNamed: Bool
  ) throws(Diagnostic) {
    guard let word = statement.keyword else { return }
    guard let keyword = ProxyKeyword(rawValue: word.text) else {
      return try readForeignLine(word, statement, &draft)
    }
    guard try belongs(word, keyword.roles, in: draft, statement) else { return }
    switch keyword {
    case .bind: try readBind(&statement, into: &draft)
    case .server: try readServer(&statement, into: &draft)
    case .defaultServer: try readDefaultServer(&statement, &draft.settings)
    case .useBackend: try readUseBackend(&statement, into: &draft)
    case .useServer: try readUseServer(&statement, into: &draft)
    case .acl:
      try requireName(isNamed, word, statement)
      try parseACL(&statement, into: &draft.settings.scope)
    case .tcpRequest: try readTCPRequest(&statement, into: &draft, isNamed: isNamed)
    case .declare: try readDeclare(&statement, &draft.settings)
    case .tcpResponse: try readTCPResponse(&statement)
    case .tcpCheck: try readTCPCheck(&statement, &draft.settings)
    case .httpCheck: try readHTTPCheck(&statement, &draft.settings)
    case .option: try readOption(&statement, into: &draft, isOn: true)
    case .no, .default: try readNegation(keyword, &statement, into: &draft)
    case .timeout: try readTimeout(&statement, into: &draft)
    default: try readValue(keyword, &statement, into: &draft)
    }
    try statement.finish()
  }

  private func requireName(
    _ isNamed: Bool, _ word: Word, _ statement: Statement
  ) throws(Diagnostic) {
    guard isNamed else {
      throw statement.span(of: word).error(
        "'\(word.text)' needs a 'defaults' section with a name",
        hint: "write 'defaults NAME', and 'from NAME' where it is to be used")
    }
  }

  /// Whether a keyword has a meaning in this section. Where it has none, it is ignored with a
  /// warning, except for servers: whoever wrote one here meant another section.
  private mutating func belongs(
    _ word: Word, _ roles: ProxyRoles, in draft: ProxyDraft, _ statement: Statement
  ) throws(Diagnostic) -> Bool {
    if !roles.isDisjoint(with: draft.roles) { return true }
    let span = statement.span(of: word)
    if draft.kind == .defaults {
      throw span.error("'\(word.text)' has no place in 'defaults'")
    }
    let half = roles.contains(.frontend) ? "frontend" : "backend"
    let hint =
      word.text == "maxconn" ? "do you mean 'fullconn'?" : "write it in the \(half) it is for"
    if word.text == "server" {
      throw span.error("'\(word.text)' has no place in \(draft.title)", hint: hint)
    }
    log.warn(
      span, "'\(word.text)' is ignored: \(draft.title) is no \(half)", hints: [hint])
    return false
  }

  private mutating func readForeignLine(
    _ word: Word, _ statement: Statement, _ draft: inout ProxyDraft
  ) throws(Diagnostic) {
    guard let meaning = ForeignKeywords.proxy[word.text] else {
      let known =
        ProxyKeyword.allCases.map(\.rawValue) + ForeignKeywords.proxy.keys + Section.allNames
      note(statement, in: &draft)
      throw unknownKeyword(word, "in \(sectionTitle(draft))", among: known, statement)
    }
    if case .needsHTTP = meaning {
      draft.settings.rewritesHTTP = draft.settings.rewritesHTTP ?? statement.span
      // `defaults` serve http sections too; what of it matters is said where it matters.
      if draft.kind == .defaults { return }
    }
    try apply(meaning, to: word.text, statement.span)
  }

  private func sectionTitle(_ draft: ProxyDraft) -> String {
    draft.kind == .defaults ? "'defaults'" : draft.title
  }
}
