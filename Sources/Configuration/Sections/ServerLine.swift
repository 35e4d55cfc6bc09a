import Linux

/// What `server` and `default-server` lines say beside name and address.
struct ServerSettings {
  var weight = 1
  var isBackup = false
  var isDisabled = false
  var maxConnections: Int?
  var minConnections: Int?
  var maxQueue: Int?
  var proxyHeader = SendProxy.none
  var source: SocketAddress?
  var userTimeout: Int?
  var isChecked = false
  var check = HealthCheck()
  /// `check-send-proxy`.
  var checkSendsProxy = false
  var shutsDownSessions = false
  var id: Int?
  /// `ssl`: refused, unless taken back before the line ends; `check-ssl`.
  var tls: SourceSpan?
  var checkTLS: SourceSpan?
  /// What `check-ssl` will mean.
  var tlsOfChecks = CheckTLS()
}

extension ConfigurationReader {
  /// `server NAME ADDRESS [option …]`.
  mutating func readServer(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let first = statement.peek
    do throws(Diagnostic) {
      let name = try statement.name("a name for the server")
      let word = try statement.require("the address of the server")
      let address = try serverAddress(word, of: statement)
      var settings = draft.settings.server
      while let option = statement.next() {
        try readServerOption(option, &statement, &settings)
      }
      try refuseTLS(settings, "server '\(name.text)' of \(draft.title)")
      let server = server(named: name, address, word, settings, statement)
      try requireCheckPort(server, settings, statement)
      draft.servers.append(server)
    } catch {
      draft.brokenServers.add(first?.text)
      throw error
    }
  }

  mutating func readDefaultServer(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    guard !statement.isAtEnd else {
      throw statement.end.error(
        "'default-server' ends too early", hint: "expected options of 'server' lines")
    }
    while let option = statement.next() {
      try readServerOption(option, &statement, &settings.server)
    }
  }

  private mutating func readServerOption(
    _ option: Word, _ statement: inout Statement, _ settings: inout ServerSettings
  ) throws(Diagnostic) {
    switch option.text {
    case "weight": settings.weight = try statement.integer("a weight", in: 0...256)
    case "backup": settings.isBackup = true
    case "no-backup": settings.isBackup = false
    case "disabled": settings.isDisabled = true
    case "enabled": settings.isDisabled = false
    case "maxconn": settings.maxConnections = try Self.limit(&statement)
    case "minconn": settings.minConnections = try Self.limit(&statement)
    case "maxqueue": settings.maxQueue = try Self.limit(&statement)
    case "id": settings.id = try statement.integer("a positive number", in: 1...Int(Int32.max))
    case "tcp-ut": settings.userTimeout = try statement.time()
    case "source":
      let word = try statement.require("an address")
      settings.source = try source(word, &statement)
    case "on-marked-down":
      _ = try statement.choice("action", ["shutdown-sessions": ()])
      settings.shutsDownSessions = true
    case "ssl": settings.tls = statement.span(of: option)
    case "no-ssl": settings.tls = nil
    default:
      if try readProxyHeaderOption(option, statement, &settings) { return }
      if try readCheckOption(option, &statement, &settings) { return }
      try readForeignServerOption(option, &statement)
    }
  }

  /// Zero is no limit.
  private static func limit(_ statement: inout Statement) throws(Diagnostic) -> Int? {
    let number = try statement.integer("a number of connections", in: 0...Int(Int32.max))
    return number == 0 ? nil : number
  }

  private mutating func readProxyHeaderOption(
    _ option: Word, _ statement: Statement, _ settings: inout ServerSettings
  ) throws(Diagnostic) -> Bool {
    switch option.text {
    case "send-proxy": settings.proxyHeader = .version1
    case "send-proxy-v2": settings.proxyHeader = .version2
    case "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn":
      settings.proxyHeader = .version2
      log.warn(
        statement.span(of: option), "'\(option.text)' is taken as 'send-proxy-v2'",
        hints: ["TLS does not end here, so there is nothing to tell about it"])
    case "no-send-proxy", "no-send-proxy-v2", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn":
      settings.proxyHeader = .none
    case let name where name.hasPrefix("set-proxy-v2-tlv-fmt"):
      throw statement.span(of: option).error(
        "'set-proxy-v2-tlv-fmt' is not supported in this version",
        hint: "PROXY headers carry addresses and nothing else")
    default: return false
    }
    return true
  }

  private mutating func readCheckOption(
    _ option: Word, _ statement: inout Statement, _ settings: inout ServerSettings
  ) throws(Diagnostic) -> Bool {
    switch option.text {
    case "check": settings.isChecked = true
    case "no-check": settings.isChecked = false
    case "inter": settings.check.interval = try statement.time(minimum: 1)
    case "fastinter": settings.check.fastInterval = try statement.time(minimum: 1)
    case "downinter": settings.check.downInterval = try statement.time(minimum: 1)
    case "rise": settings.check.rise = try statement.integer("a number of checks", in: 1...65_535)
    case "fall": settings.check.fall = try statement.integer("a number of checks", in: 1...65_535)
    case "port":
      settings.check.port = UInt16(try statement.integer("a port", in: 1...65_535))
    case "addr": try readCheckAddress(&statement, &settings.check)
    case "check-send-proxy": settings.checkSendsProxy = true
    case "no-check-send-proxy": settings.checkSendsProxy = false
    case "check-ssl": settings.checkTLS = statement.span(of: option)
    case "no-check-ssl": settings.checkTLS = nil
    case "check-sni":
      settings.tlsOfChecks.serverName = try statement.require("a server name").text
    case "check-alpn": settings.tlsOfChecks.protocols = try readProtocols(&statement)
    case "ca-file": settings.tlsOfChecks.authorities = try statement.require("a file").text
    case "verify":
      settings.tlsOfChecks.trustsAnyone = try statement.choice(
        "way to verify", ["none": true, "required": false])
    case "init-addr": try readInitialAddress(&statement)
    default: return false
    }
    return true
  }

  private mutating func readCheckAddress(
    _ statement: inout Statement, _ check: inout HealthCheck
  ) throws(Diagnostic) {
    let word = try statement.require("an address to check")
    let (address, port) = try ipAddress(word, of: statement)
    check.address = .ip(address, port: port)
    if port != 0, check.port == nil { check.port = port }
  }

  /// `init-addr last,libc,none`: a start never waits for a name here, nor fails for one.
  private mutating func readInitialAddress(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("how to find the first address: last, libc, none or one")
    for method in word.text.split(separator: ",", omittingEmptySubsequences: false) {
      if ["last", "libc", "none"].contains(method) { continue }
      guard IPAddress(String(method)) != nil else {
        throw statement.span(of: word).error(
          "'\(method)' is no way to find an address",
          hint: "expected last, libc, none or an address")
      }
      log.warn(
        statement.span(of: word), "addresses in 'init-addr' are not supported in this version",
        hints: ["the server has no address until its name is resolved"])
    }
  }

  private mutating func readForeignServerOption(
    _ option: Word, _ statement: inout Statement
  ) throws(Diagnostic) {
    let span = statement.span(of: option)
    guard let foreign = OptionTables.server[option.text] else {
      throw span.error(
        "unknown option '\(option.text)' of a server",
        suggestion: nearest(to: option.text, among: OptionTables.serverNames))
    }
    if foreign.arguments == 1 {
      let value = try statement.require("an argument of '\(option.text)'")
      if option.text == "proto", value.text == "none" { return }
    }
    try apply(foreign.meaning, to: option.text, span)
  }

  // MARK: The server as a whole

  private func refuseTLS(_ settings: ServerSettings, _ who: String) throws(Diagnostic) {
    if let span = settings.tls {
      throw span.error(
        "'ssl' to \(who) is not possible: sluice never encrypts or decrypts",
        hint: "the client's TLS reaches the server as it is: remove 'ssl'")
    }
    if let span = settings.checkTLS, settings.isChecked, !settings.tlsOfChecks.trustsAnyone,
      settings.tlsOfChecks.authorities == nil
    {
      throw span.error(
        "'check-ssl' of \(who) does not say whom to trust",
        hint: "add 'verify none', or 'ca-file' with the certificates of whom to trust")
    }
  }

  private func server(
    named name: Word, _ address: ServerAddress, _ text: Word, _ settings: ServerSettings,
    _ statement: Statement
  ) -> Server {
    var server = Server(
      name: name.text, id: settings.id ?? 0, address: address, text: text.text,
      position: statement.span(of: name).position)
    server.weight = settings.weight
    server.isBackup = settings.isBackup
    server.isDisabled = settings.isDisabled
    server.maxConnections = settings.maxConnections
    server.minConnections = settings.minConnections
    server.maxQueue = settings.maxQueue
    server.proxyHeader = settings.proxyHeader
    server.source = settings.source
    server.userTimeout = settings.userTimeout
    server.shutsDownSessionsWhenMarkedDown = settings.shutsDownSessions
    if settings.isChecked {
      var check = settings.check
      let goesWhereTrafficGoes = check.port == nil && check.address == nil
      let sendsProxy = settings.checkSendsProxy || goesWhereTrafficGoes
      check.sendsProxy = sendsProxy ? settings.proxyHeader : .none
      if settings.checkTLS != nil { check.tls = settings.tlsOfChecks }
      server.check = check
    }
    return server
  }

  private func requireCheckPort(
    _ server: Server, _ settings: ServerSettings, _ statement: Statement
  ) throws(Diagnostic) {
    guard let check = server.check, check.port == nil else { return }
    if case .fixed = server.address.port { return }
    throw SourceSpan(position: server.position, length: server.name.utf8.count).error(
      "server '\(server.name)' has no port to check",
      hint: "add ':PORT' to its address, or 'port PORT'")
  }

  /// `ADDRESS[:PORT]`, of `source` in a proxy or on a server, and what must not follow it.
  mutating func source(
    _ word: Word, _ statement: inout Statement
  ) throws(Diagnostic) -> SocketAddress? {
    if let next = statement.peek, next.text == "usesrc" || next.text == "interface" {
      throw statement.span(of: next).error(
        "'source … \(next.text)' is not supported in this version",
        hint: "servers would see another address")
    }
    let (_, port) = word.text.split(atFirst: ":")
    if let port, port.split(atFirst: "-").head.isDecimal, port.contains("-") {
      throw statement.span(of: word).error(
        "ranges of source ports are not supported in this version")
    }
    let (address, number) = try ipAddress(word, of: statement)
    // `source 0.0.0.0` is how a line takes back what `defaults` say.
    return address.isUnspecified && number == 0 ? nil : .ip(address, port: number)
  }
}
