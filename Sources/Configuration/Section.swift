/// The kinds of sections that are read. All others are in ``Section/foreign``.
enum SectionKind: String, CaseIterable {
  case global, defaults, frontend, backend, listen

  /// What the section can hold.
  var roles: ProxyRoles {
    switch self {
    case .global: []
    case .defaults: [.defaults]
    case .frontend: [.frontend]
    case .backend: [.backend]
    case .listen: [.frontend, .backend]
    }
  }
}

struct ProxyRoles: OptionSet {
  let rawValue: UInt8

  static let defaults = ProxyRoles(rawValue: 1)
  static let frontend = ProxyRoles(rawValue: 2)
  static let backend = ProxyRoles(rawValue: 4)
  static let any: ProxyRoles = [.defaults, .frontend, .backend]
}

/// A section as it is collected: its lines wait for its end, since `mode`, which decides what the
/// others mean, may come last.
struct Section {
  enum Kind {
    /// Before the first section of a file.
    case none
    case known(SectionKind)
    /// Known to HAProxy, not to us: skipped.
    case foreign(String)
  }

  var kind = Kind.none
  var header = Statement(file: 0, line: 1, words: [])
  var statements: [Statement] = []

  /// What `.SECTION` expands to: the section's keyword.
  var name: String { header.words.first?.text ?? "" }

  /// Sections that HAProxy has and sluice does not, and what is missing without them.
  static let foreign: KeyValuePairs<String, String> = [
    "peers": "stick tables are not exchanged",
    "resolvers": "names are resolved by the system's resolver",
    "mailers": "no mail is sent",
    "userlist": "there is no HTTP authentication",
    "ring": "logs are not buffered in rings",
    "log-forward": "logs of others are not forwarded",
    "log-profile": "log profiles are not applied",
    "cache": "there is no HTTP cache",
    "http-errors": "there are no HTTP error pages",
    "fcgi-app": "there is no FastCGI",
    "program": "no programs are run",
    "crt-store": "certificates are not loaded",
    "acme": "certificates are not requested",
    "traces": "there are no traces",
    "healthcheck": "named health checks are not run",
  ]

  static let allNames = SectionKind.allCases.map(\.rawValue) + foreign.map(\.key)
}

extension ConfigurationReader {
  /// Begins a section, or adds a line to the present one.
  mutating func take(_ statement: Statement, into section: inout Section) {
    guard let keyword = statement.keyword else { return }
    if let kind = Self.sectionKind(keyword.text) {
      handle(section)
      section = Section(kind: kind, header: statement)
      return
    }
    switch section.kind {
    case .known(.global)
    where Self.environmentKeywords.contains(keyword.text) && !statement.isBroken:
      var statement = statement
      attempt { reader throws(Diagnostic) in
        try reader.changeEnvironment(keyword, &statement)
      }
    case .known(let known):
      guard let meant = misspeltSection(statement, in: known) else {
        section.statements.append(statement)
        return
      }
      handle(section)
      section = Section(kind: meant, header: statement)
    case .foreign:
      break
    case .none:
      if let meant = misspeltSection(statement, in: nil) {
        section = Section(kind: meant, header: statement)
      } else {
        if !statement.isBroken { reportOutside(keyword, statement) }
        // What follows stands in no section either, and that has been said.
        section = Section(kind: .foreign(""), header: statement)
      }
    }
  }

  private static let environmentKeywords: Set<String> = [
    "setenv", "presetenv", "unsetenv", "resetenv",
  ]

  private static func sectionKind(_ word: String) -> Section.Kind? {
    if let kind = SectionKind(rawValue: word) { return .known(kind) }
    return Section.foreign.contains { $0.key == word } ? .foreign(word) : nil
  }

  private mutating func reportOutside(_ keyword: Word, _ statement: Statement) {
    let isKnown = Self.isKeyword(keyword.text, in: nil)
    log.report(
      statement.span(of: keyword).error(
        "'\(keyword.text)' stands in no section",
        hint: "expected a section: \(Statement.list(SectionKind.allCases.map(\.rawValue)))",
        suggestion: isKnown
          ? nil : Suggestion.nearest(to: keyword.text, among: Section.allNames)))
  }

  /// The section that an unknown keyword at the margin must have been meant to begin. What follows
  /// it belongs there, and would make no sense in the section above.
  private mutating func misspeltSection(
    _ statement: Statement, in section: SectionKind?
  ) -> Section.Kind? {
    guard let keyword = statement.keyword, keyword.column == 1, !statement.isBroken,
      !Self.isKeyword(keyword.text, in: section),
      let meant = Suggestion.nearest(to: keyword.text, among: Section.allNames)
    else { return nil }
    log.report(
      statement.span(of: keyword).error(
        "unknown keyword '\(keyword.text)'", hint: "expected a section or a keyword",
        suggestion: meant))
    return Self.sectionKind(meant)
  }

  /// Whether `word` is a keyword of a section, or of any where none is given.
  private static func isKeyword(_ word: String, in section: SectionKind?) -> Bool {
    let isGlobal = GlobalKeyword(rawValue: word) != nil || ForeignKeywords.global(word) != nil
    let isOfProxies = ProxyKeyword(rawValue: word) != nil || ForeignKeywords.proxy[word] != nil
    return switch section {
    case nil: isGlobal || isOfProxies
    case .global: isGlobal
    default: isOfProxies
    }
  }

  /// A section is complete.
  mutating func handle(_ section: Section) {
    switch section.kind {
    case .none: break
    case .foreign(let name): skip(section, named: name)
    case .known(.global): readGlobal(section)
    case .known(.defaults): readDefaults(section)
    case .known(let kind): readProxy(section, kind)
    }
  }

  private mutating func skip(_ section: Section, named name: String) {
    guard let entry = Section.foreign.first(where: { $0.key == name }) else { return }
    log.warn(
      section.header.span, "section '\(name)' is not supported in this version and is skipped",
      hints: [entry.value])
  }
}
