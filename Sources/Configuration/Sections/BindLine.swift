import Linux

/// `bind ADDRESS,… [option …]`.
extension ConfigurationReader {
  /// What a line says of all its addresses.
  private struct BindDraft {
    var bind: Bind
    /// `ssl`.
    var tls: SourceSpan?
    var certificates: [(path: String, span: SourceSpan)] = []
    var isStrict = false
    /// TLS options that lose their meaning when nothing is decrypted.
    var ignored: [(name: String, span: SourceSpan)] = []
    var verification: SourceSpan?
  }

  mutating func readBind(
    _ statement: inout Statement, into draft: inout ProxyDraft
  ) throws(Diagnostic) {
    let word = try statement.require("an address to listen on")
    let addresses = try bindAddresses(word, of: statement)
    guard let first = addresses.first else { return }
    var line = BindDraft(
      bind: Bind(
        address: first.address, text: first.text, position: statement.span(of: word).position))
    line.bind.permissions = global.unixPermissions
    while let option = statement.next() {
      try readBindOption(option, &statement, &line)
    }
    try finishTLS(&line, &draft)
    for (address, text) in addresses {
      line.bind.address = address
      line.bind.text = text
      draft.binds.append(line.bind)
    }
  }

  private mutating func readBindOption(
    _ option: Word, _ statement: inout Statement, _ line: inout BindDraft
  ) throws(Diagnostic) {
    let count = 0...Int(Int32.max)
    switch option.text {
    case "name": line.bind.name = try statement.require("a name").text
    case "id": line.bind.id = try statement.integer("a positive number", in: 1...Int(Int32.max))
    case "accept-proxy": line.bind.acceptsProxyHeader = true
    case "v4v6": line.bind.dualStack = true
    case "v6only": line.bind.dualStack = false
    case "backlog": line.bind.backlog = try statement.integer("a number", in: count)
    case "maxconn":
      let number = try statement.integer("a number of connections", in: count)
      line.bind.maxConnections = number == 0 ? nil : number
    case "interface": line.bind.interface = try statement.require("an interface").text
    case "defer-accept": line.bind.deferAccept = true
    case "tfo": line.bind.fastOpen = true
    case "transparent": line.bind.transparent = true
    case "mss":
      line.bind.maxSegmentSize = try statement.integer("a segment size", in: -65_535...65_535)
    case "tcp-ut": line.bind.userTimeout = try statement.time()
    default:
      if try readPermission(option, &statement, &line.bind.permissions) { return }
      if try readBindTLSOption(option, &statement, &line) { return }
      try readForeignBindOption(option, &statement)
    }
  }

  private mutating func readBindTLSOption(
    _ option: Word, _ statement: inout Statement, _ line: inout BindDraft
  ) throws(Diagnostic) -> Bool {
    let span = statement.span(of: option)
    switch option.text {
    case "ssl": line.tls = span
    case "crt", "default-crt":
      let word = try statement.require("a certificate file, or a directory of them")
      line.certificates.append((word.text, statement.span(of: word)))
    case "strict-sni": line.isStrict = true
    case "no-strict-sni": line.isStrict = false
    case "verify":
      let isRequired = try statement.choice(
        "verification", ["none": false, "optional": false, "required": true])
      if isRequired { line.verification = span }
    default:
      guard let arguments = OptionTables.bindTLS[option.text] else { return false }
      for _ in 0..<arguments { _ = try statement.require("an argument of '\(option.text)'") }
      line.ignored.append((option.text, span))
    }
    return true
  }

  private mutating func readForeignBindOption(
    _ option: Word, _ statement: inout Statement
  ) throws(Diagnostic) {
    let span = statement.span(of: option)
    guard let foreign = OptionTables.bind[option.text] else {
      let known = OptionTables.bindNames
      throw span.error(
        "unknown option '\(option.text)' of 'bind'",
        suggestion: nearest(to: option.text, among: known))
    }
    for _ in 0..<foreign.arguments { _ = try statement.require("an argument of '\(option.text)'") }
    try apply(foreign.meaning, to: option.text, span)
  }

  // MARK: TLS

  /// Turns the TLS options of a line into what they mean where nothing is decrypted.
  private mutating func finishTLS(
    _ line: inout BindDraft, _ draft: inout ProxyDraft
  ) throws(Diagnostic) {
    guard let tls = line.tls else {
      let options =
        line.ignored.map { ($0.name, $0.span) } + line.certificates.map { ("crt", $0.span) }
      if let first = options.first {
        log.warn(first.1, "'\(first.0)' without 'ssl' has no effect and is ignored")
      }
      return
    }
    if let verification = line.verification {
      throw verification.error(
        "'verify required' cannot be done: sluice passes TLS through and never sees the client's certificate",
        hint: "verify clients on the servers, or restrict them by address")
    }
    if let first = line.ignored.first {
      let names = line.ignored.map(\.name).joined(separator: ", ")
      log.warn(
        first.span, "ignored, since TLS does not end here: \(names)",
        hints: ["the servers decide"])
    }
    var passthrough = TLSPassthrough()
    passthrough.strictNames = line.isStrict
    for (path, span) in line.certificates {
      let resolved = certificatePath(path)
      passthrough.certificateFiles.append(resolved)
      draft.certificates.append((resolved, span, line.isStrict))
    }
    line.bind.tls = passthrough
    log.notice(
      tls, "this listener passes TLS through: clients see the servers' own certificates",
      hints: [
        "the certificates named here tell whom it carries; no private key is needed, and nothing"
          + " is decrypted"
      ])
  }

  private func certificatePath(_ path: String) -> String {
    guard let base = global.certificateBase, !path.hasPrefix("/"), !path.hasPrefix("@") else {
      return path
    }
    return base.hasSuffix("/") ? base + path : base + "/" + path
  }
}
