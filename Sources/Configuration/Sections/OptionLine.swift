/// `option …`, `no option …`, `default option …`.
extension ConfigurationReader {
  private enum Option: String, CaseIterable {
    case abortOnClose = "abortonclose"
    case allBackups = "allbackups"
    case clientKeepalive = "clitcpka"
    case skipNormal = "dontlog-normal"
    case skipNull = "dontlognull"
    case httpLog = "httplog"
    case httpsLog = "httpslog"
    case logHealthChecks = "log-health-checks"
    case separateErrors = "log-separate-errors"
    case logEarly = "logasap"
    case noLinger = "nolinger"
    case redispatch
    case serverKeepalive = "srvtcpka"
    case socketStats = "socket-stats"
    case tcpCheck = "tcp-check"
    case keepalive = "tcpka"
    case tcpLog = "tcplog"

    /// Where it counts.
    var roles: ProxyRoles {
      switch self {
      case .clientKeepalive, .skipNormal, .skipNull, .httpLog, .httpsLog, .separateErrors,
        .logEarly, .socketStats, .tcpLog:
        [.defaults, .frontend]
      case .allBackups, .logHealthChecks, .redispatch, .serverKeepalive, .tcpCheck:
        [.defaults, .backend]
      case .abortOnClose, .keepalive, .noLinger: .any
      }
    }
  }

  /// Checks that are not done here. Servers that fail one must get no traffic, so a connection that
  /// merely succeeds is no substitute.
  private static let otherChecks: Set<String> = ["external-check", "spop-check"]

  private static let checks = otherChecks.union(knownChecks).union(["httpchk"])

  mutating func readOption(
    _ statement: inout Statement, into draft: inout ProxyDraft, isOn: Bool
  ) throws(Diagnostic) {
    let word = try statement.require("the name of an option")
    let span = statement.span(of: word)
    if Self.checks.contains(word.text) {
      return try readCheckOption(word, &statement, &draft.settings.check, isOn)
    }
    guard let option = Option(rawValue: word.text) else {
      return try readForeignOption(word, &statement, &draft, isOn: isOn)
    }
    guard !option.roles.isDisjoint(with: draft.roles) else {
      log.warn(span, "'option \(word.text)' is ignored in \(draft.title)")
      return statement.skipAll()
    }
    try set(option, isOn, &statement, &draft.settings)
  }

  private mutating func readCheckOption(
    _ word: Word, _ statement: inout Statement, _ check: inout CheckDraft, _ isOn: Bool
  ) throws(Diagnostic) {
    guard isOn else {
      check.method = .connection
      return statement.skipAll()
    }
    switch word.text {
    case "httpchk":
      check.http.begin()
      check.method = .http
      check.request = try readHTTPCheckOption(&statement)
    case let name where Self.knownChecks.contains(name):
      check.method = .known(try readKnownCheck(name, &statement))
    default:
      check.method = .unsupported(option: word.text, statement.span(of: word))
      statement.skipAll()
    }
  }

  private mutating func readForeignOption(
    _ word: Word, _ statement: inout Statement, _ draft: inout ProxyDraft, isOn: Bool
  ) throws(Diagnostic) {
    guard let meaning = ForeignKeywords.options[word.text] else {
      let known =
        Option.allCases.map(\.rawValue) + ForeignKeywords.options.keys + Self.checks
      throw unknownKeyword(word, "after 'option'", among: known, statement)
    }
    statement.skipAll()
    guard isOn else { return }
    if case .needsHTTP = meaning {
      draft.settings.rewritesHTTP = draft.settings.rewritesHTTP ?? statement.span
      if draft.kind == .defaults { return }
    }
    try apply(meaning, to: "option \(word.text)", statement.span)
  }

  private mutating func set(
    _ option: Option, _ isOn: Bool, _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    switch option {
    case .abortOnClose: settings.abortOnClose = isOn
    case .allBackups: settings.allBackups = isOn
    case .logHealthChecks: settings.logsHealthChecks = isOn
    case .noLinger: settings.noLinger = isOn
    case .socketStats: settings.socketStats = isOn
    case .tcpCheck: settings.check.method = isOn ? .steps : .connection
    case .clientKeepalive: settings.clientKeepalive.isEnabled = isOn
    case .serverKeepalive: settings.serverKeepalive.isEnabled = isOn
    case .keepalive:
      settings.clientKeepalive.isEnabled = isOn
      settings.serverKeepalive.isEnabled = isOn
    case .redispatch:
      let interval =
        statement.isAtEnd ? -1 : try statement.integer("a number of retries", in: -1000...1000)
      settings.redispatch = isOn ? interval : 0
    case .skipNormal, .skipNull, .separateErrors, .logEarly, .tcpLog, .httpLog, .httpsLog:
      try setLogOption(option, isOn, &statement, &settings.log.settings)
    }
  }

  private mutating func setLogOption(
    _ option: Option, _ isOn: Bool, _ statement: inout Statement, _ log: inout LogSettings
  ) throws(Diagnostic) {
    switch option {
    case .skipNormal: log.skipsNormal = isOn
    case .skipNull: log.skipsNull = isOn
    case .separateErrors: log.separatesErrors = isOn
    case .logEarly: log.logsEarly = isOn
    default:
      log.format = isOn ? .tcp : .connect
      if option != .tcpLog {
        self.log.warn(
          statement.span, "'option \(option.rawValue)' needs 'mode http'; it is taken as tcplog")
      }
      guard statement.skip("clf"), isOn else { return }
      let format = Word(text: Self.commonFormat, column: 1, length: 1)
      log.format = .custom(try logFormat(format, of: statement))
    }
  }

  /// `no option X`, `no log`, `default option X`; `default` is the state without any line.
  mutating func readNegation(
    _ keyword: ProxyKeyword, _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let word = try statement.require("'option' or 'log'")
    switch word.text {
    case "option": try readOption(&statement, into: &draft, isOn: isOnByDefault(keyword, statement))
    case "log" where keyword == .no:
      draft.settings.log.usesGlobal = false
      draft.settings.log.settings.targets = []
    case "disabled" where keyword == .no: draft.settings.isDisabled = false
    default:
      throw statement.span(of: word).error(
        "'\(word.text)' cannot follow '\(keyword.rawValue)'", hint: "expected 'option' or 'log'")
    }
  }

  /// Keepalive is the one option that is on where the file is silent.
  private func isOnByDefault(_ keyword: ProxyKeyword, _ statement: Statement) -> Bool {
    keyword == .default && ["tcpka", "clitcpka", "srvtcpka"].contains(statement.peek?.text)
  }
}
