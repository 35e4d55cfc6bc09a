import Linux

/// From what was read to the whole: names become indices, what was not said is filled in.
extension ConfigurationReader {
  /// Where things are, while the configuration is put together.
  private struct Index {
    var backends: [String: Int] = [:]
    /// `mode http` sections with a backend half, by name.
    var http: [String: HTTPSection] = [:]
    /// Of those: what a tcp frontend routes to, and why it may not where it may not.
    var forwarded: Set<String> = []
    var refusals: [String: String] = [:]
  }

  mutating func assemble() -> ProxyConfiguration {
    var configuration = ProxyConfiguration()
    configuration.global = global.settings
    configuration.hash = snapshot.hash
    var index = Index()
    for section in httpSections where section.kind.roles.contains(.backend) {
      index.http[section.name] = section
    }
    for draft in proxies where draft.roles.contains(.backend) {
      addBackend(draft, to: &configuration, &index)
    }
    // Routing to an http section adds a backend, so the proxies may grow; frontends do not.
    for draft in proxies where draft.roles.contains(.frontend) {
      let frontend = frontend(draft, in: &configuration, &index)
      configuration.frontends.append(frontend)
    }
    warnOfSectionsLeftOut(served: index.forwarded)
    numberProxies(&configuration)
    configuration.variables = variables
    configuration.maps = maps
    checkGauges(in: configuration)
    return configuration
  }

  /// Tells of proxies and servers that expressions name and that are not there.
  private mutating func checkGauges(in configuration: ProxyConfiguration) {
    for reference in gaugeReferences {
      guard case .named(let proxy, let server) = reference.target else { continue }
      if reference.kind.isOfFrontend {
        if !configuration.frontends.contains(where: { $0.identity.name == proxy }) {
          log.report(
            reference.span.error(
              "no such frontend: '\(proxy)'",
              suggestion: nearest(to: proxy, among: frontendNames.keys)))
        }
        continue
      }
      guard let backend = configuration.backends.first(where: { $0.identity.name == proxy }) else {
        if brokenBackends.mayInclude(proxy) { continue }
        log.report(
          reference.span.error(
            "no such backend: '\(proxy)'", suggestion: nearest(to: proxy, among: backendNames.keys))
        )
        continue
      }
      guard let server, !backend.servers.contains(where: { $0.name == server }) else { continue }
      log.report(
        reference.span.error(
          "backend '\(proxy)' has no server '\(server)'",
          suggestion: nearest(to: server, among: backend.servers.map(\.name))))
    }
  }

  /// Gives ids to proxies without one: from 2, in the order of the file. Sections that are not
  /// served have theirs too, so that the others keep their numbers.
  private func numberProxies(_ configuration: inout ProxyConfiguration) {
    var ids: [Int: Int] = [:]
    var next = 2
    var explicit: [Int: Int] = [:]
    for draft in proxies { explicit[draft.ordinal] = draft.explicitID }
    for ordinal in stride(from: 1, through: proxyCount, by: 1) {
      if let id = explicit[ordinal] {
        ids[ordinal] = id
        continue
      }
      while usedProxyIDs.contains(next) { next += 1 }
      ids[ordinal] = next
      next += 1
    }
    for index in configuration.frontends.indices {
      let ordinal = configuration.frontends[index].identity.id
      configuration.frontends[index].identity.id = ids[ordinal] ?? ordinal
    }
    for index in configuration.backends.indices {
      let ordinal = configuration.backends[index].identity.id
      configuration.backends[index].identity.id = ids[ordinal] ?? ordinal
    }
  }

  /// The identity of a proxy, with its ordinal in the place of its id for now.
  private func identity(of draft: ProxyDraft) -> ProxyIdentity {
    var identity = ProxyIdentity(
      name: draft.name, id: draft.ordinal, position: draft.header.position)
    identity.isDisabled = draft.settings.isDisabled
    identity.description = draft.settings.description
    identity.isListen = draft.kind == .listen
    return identity
  }

  private func logSettings(_ draft: LogDraft) -> LogSettings {
    var settings = draft.settings
    if draft.usesGlobal { settings.targets = global.settings.log + settings.targets }
    return settings
  }

  // MARK: Backends

  private mutating func addBackend(
    _ draft: ProxyDraft, to configuration: inout ProxyConfiguration, _ index: inout Index
  ) {
    let settings = draft.settings
    var backend = Backend(identity: identity(of: draft))
    backend.servers = numbered(draft.servers)
    backend.balance = settings.balance
    backend.hashType = settings.hashType
    backend.timeouts = settings.timeouts.effective
    backend.keepalive = settings.serverKeepalive
    backend.retries = settings.retries
    backend.redispatch = settings.redispatch
    backend.fullConnections = settings.fullConnections
    backend.allBackups = settings.allBackups
    backend.abortOnClose = settings.abortOnClose
    backend.noLinger = settings.noLinger
    backend.check = settings.check.script ?? CheckScript()
    backend.logsHealthChecks = settings.logsHealthChecks
    backend.log = logSettings(settings.log)
    backend.source = settings.source
    if draft.kind == .backend {
      // Both halves of a `listen` share their rules; its front half evaluates them.
      backend.contentRules = settings.contentRules
      backend.inspectDelay = settings.inspectDelay
    }
    backend.acls = settings.scope.acls
    backend.serverRules = serverRules(of: draft)
    warnOfDoubles(draft)
    refuseChecks(draft)
    if draft.kind == .backend { warnOfTimeouts(draft) }
    index.backends[draft.name] = configuration.backends.count
    configuration.backends.append(backend)
  }

  private mutating func numbered(_ servers: [Server]) -> [Server] {
    var servers = servers
    var used: Set<Int> = []
    for server in servers where server.id != 0 {
      if !used.insert(server.id).inserted {
        log.error(
          SourceSpan(position: server.position, length: server.name.utf8.count),
          "the id \(server.id) is taken by another server")
      }
    }
    var next = 1
    for index in servers.indices where servers[index].id == 0 {
      while used.contains(next) { next += 1 }
      servers[index].id = next
      next += 1
    }
    return servers
  }

  private mutating func warnOfDoubles(_ draft: ProxyDraft) {
    var seen: Set<String> = []
    for server in draft.servers where !seen.insert(server.name).inserted {
      log.warn(
        SourceSpan(position: server.position, length: server.name.utf8.count),
        "\(draft.title) has another server '\(server.name)'",
        hints: ["the runtime API reaches the first one only"])
    }
  }

  private mutating func serverRules(of draft: ProxyDraft) -> [ServerRule] {
    guard !draft.serverRules.isEmpty else { return [] }
    var indices: [String: Int] = [:]
    for (index, server) in draft.servers.enumerated() where indices[server.name] == nil {
      indices[server.name] = index
    }
    return draft.serverRules.compactMap { reference, condition in
      if let server = indices[reference.name] {
        return ServerRule(
          server: server, condition: condition, position: reference.span.position)
      }
      if !draft.brokenServers.mayInclude(reference.name) {
        log.report(
          reference.span.error(
            "\(draft.title) has no server '\(reference.name)'",
            suggestion: nearest(to: reference.name, among: draft.servers.map(\.name))))
      }
      return nil
    }
  }

  /// Checks that speak a protocol keep traffic off servers that merely accept connections, such
  /// as databases' replicas. To fall back to less would send it there.
  private mutating func refuseChecks(_ draft: ProxyDraft) {
    let settings = draft.settings
    let checked = draft.servers.filter { $0.check != nil }
    guard let first = checked.first else { return }
    let servers =
      checked.count == 1
      ? "server '\(first.name)'" : "\(checked.count) servers, first '\(first.name)',"
    let rest = "which checks \(servers) of \(draft.title), is not supported in this version"
    let hint = "a plain connection would let traffic to servers that this check keeps it from"
    let check = settings.check
    var usesTCP = false
    var usesHTTP = false
    switch check.method {
    case .steps: usesTCP = true
    case .http: usesHTTP = true
    case .connection, .known: break
    case .unsupported(let option, let span):
      return log.error(span, "'option \(option)', \(rest)", hints: [hint])
    }
    // Without their option such lines do nothing in the reference either.
    if !usesTCP {
      for step in check.tcp.spans {
        log.warn(step, "'tcp-check' without 'option tcp-check' is ignored")
      }
    }
    if !usesHTTP {
      for step in check.http.spans {
        log.warn(step, "'http-check' without 'option httpchk' is ignored")
      }
    }
  }

  private mutating func warnOfTimeouts(_ draft: ProxyDraft) {
    // A line that could not be read may have held one.
    guard !log.hasErrors else { return }
    let timeouts = draft.settings.timeouts
    var missing: [String] = []
    if draft.roles.contains(.frontend), timeouts.client == nil { missing.append("client") }
    if draft.roles.contains(.backend), !draft.servers.isEmpty {
      if timeouts.connect == nil { missing.append("connect") }
      if timeouts.server == nil, timeouts.tunnel == nil { missing.append("server") }
    }
    guard !missing.isEmpty else { return }
    let names = missing.map { "'timeout \($0)'" }.joined(separator: ", ")
    log.warn(
      draft.header, "missing timeouts for \(draft.title): \(names)",
      hints: ["without them, connections that have died may stay for ever"])
  }

  // MARK: Frontends

  private mutating func frontend(
    _ draft: ProxyDraft, in configuration: inout ProxyConfiguration, _ index: inout Index
  ) -> Frontend {
    let settings = draft.settings
    var frontend = Frontend(identity: identity(of: draft))
    frontend.binds = draft.binds
    frontend.maxConnections = settings.maxConnections
    frontend.backlog = settings.backlog
    frontend.sessionRateLimit = settings.sessionRateLimit
    frontend.timeouts = settings.timeouts.effective
    frontend.log = logSettings(settings.log)
    frontend.keepalive = settings.clientKeepalive
    frontend.noLinger = settings.noLinger
    frontend.socketStats = settings.socketStats
    frontend.connectionRules = settings.connectionRules
    frontend.sessionRules = settings.sessionRules
    frontend.contentRules = settings.contentRules
    frontend.inspectDelay = settings.inspectDelay
    frontend.acls = settings.scope.acls
    // A slot may be declared and never captured into.
    frontend.captures = settings.captureLengths.indices.map { captureVariable($0) }
    for rule in draft.backendRules {
      guard let target = target(of: rule, from: draft, in: &configuration, &index) else {
        continue
      }
      frontend.backendRules.append(
        BackendRule(
          target: target, condition: rule.condition, position: rule.reference.span.position))
    }
    frontend.defaultBackend = index.backends[draft.kind == .listen ? draft.name : ""]
    if let reference = settings.defaultBackend {
      frontend.defaultBackend = backend(reference, from: draft, in: &configuration, &index)
    }
    checkBinds(draft)
    warnOfTimeouts(draft)
    return frontend
  }

  private mutating func checkBinds(_ draft: ProxyDraft) {
    if draft.binds.isEmpty, draft.kind == .frontend, !log.hasErrors {
      log.warn(draft.header, "\(draft.title) has no 'bind' line and listens nowhere")
    }
    guard source.isDisk else { return }
    let rulesNeedNames = draft.settings.scope.use(.serverNameInCertificate)
    for (path, span, isStrict) in draft.certificates where !File.isReadable(path) {
      let message = "cannot read the certificate '\(path)'"
      if isStrict || rulesNeedNames {
        let reason = isStrict ? "'strict-sni' needs" : "'req.ssl_sni_crt' needs"
        log.error(span, message, hints: ["\(reason) the names in it"])
      } else {
        log.warn(span, message, hints: ["nothing depends on it but the names that it tells"])
      }
    }
  }

  // MARK: Routing

  private mutating func target(
    of rule: BackendRuleDraft, from draft: ProxyDraft,
    in configuration: inout ProxyConfiguration, _ index: inout Index
  ) -> BackendRule.Target? {
    if !rule.pieces.isEmpty { return .named(rule.pieces) }
    return backend(rule.reference, from: draft, in: &configuration, &index).map { .backend($0) }
  }

  private mutating func backend(
    _ reference: Reference, from draft: ProxyDraft,
    in configuration: inout ProxyConfiguration, _ index: inout Index
  ) -> Int? {
    if let known = index.backends[reference.name] { return known }
    if let section = index.http[reference.name] {
      return forward(to: section, reference, from: draft, in: &configuration, &index)
    }
    if brokenBackends.mayInclude(reference.name) { return nil }
    if frontendNames[reference.name] != nil {
      log.report(
        reference.span.error(
          "'\(reference.name)' is a frontend",
          hint: "expected the name of a 'backend' or 'listen' section"))
      return nil
    }
    log.report(
      reference.span.error(
        "no such backend: '\(reference.name)'",
        hint: "expected the name of a 'backend' or 'listen' section",
        suggestion: nearest(
          to: reference.name, among: Array(index.backends.keys) + index.http.keys)))
    return nil
  }

  /// A tcp frontend routes to a `mode http` backend, and the reference would read HTTP there. If
  /// that backend only balances, the bytes are the same without.
  private mutating func forward(
    to section: HTTPSection, _ reference: Reference, from draft: ProxyDraft,
    in configuration: inout ProxyConfiguration, _ index: inout Index
  ) -> Int? {
    if index.refusals[section.name] == nil, !index.forwarded.contains(section.name) {
      index.forwarded.insert(section.name)
      index.refusals[section.name] = addForwarded(section, to: &configuration, &index)
    }
    if let reason = index.refusals[section.name] {
      log.error(
        reference.span,
        "'\(section.name)' is 'mode http', and \(draft.title), which is 'mode tcp', cannot use it",
        hints: ["\(reason), which passing bytes through would leave out"])
      return nil
    }
    log.warn(
      reference.span,
      "\(draft.title) is 'mode tcp' and backend '\(section.name)' is 'mode http': "
        + "bytes are passed as they are",
      hints: ["write 'mode tcp' in the backend"])
    return index.backends[section.name]
  }

  /// Reads an http section as a tcp backend.
  ///
  /// - Returns: why it cannot be one, or nil.
  private mutating func addForwarded(
    _ section: HTTPSection, to configuration: inout ProxyConfiguration, _ index: inout Index
  ) -> String? {
    if section.kind == .listen { return "it is a 'listen' section" }
    var target = ProxyDraft(
      kind: .backend, name: section.name, header: section.section.header.span,
      settings: section.settings)
    target.ordinal = section.ordinal
    target.settings.rewritesHTTP = nil
    let before = log
    readLines(section.section, into: &target, isNamed: true)
    if target.settings.rewritesHTTP != nil {
      // What its lines would say of 'mode tcp' is beside the point then.
      log = before
      return "it has rules about HTTP"
    }
    if section.settings.rewritesHTTP != nil { return "its 'defaults' have rules about HTTP" }
    addBackend(target, to: &configuration, &index)
    return nil
  }
}
