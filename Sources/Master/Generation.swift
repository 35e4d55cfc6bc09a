import Configuration
import Linux
import Rules

/// What one generation runs: a configuration that is known to be good, and what follows from it.
struct Generation {
  let configuration: ProxyConfiguration
  let snapshot: ConfigurationSnapshot
  let rules: HeritableRules
  let plan: ListenerPlan
  let identity: RunIdentity
  let budget: DescriptorBudget

  var workerCount: Int { plan.workers }
}

/// Compiled rules, of which every child has a copy to take.
final class HeritableRules {
  private var rules: RuleSet?

  init(_ rules: consuming RuleSet) { self.rules = .some(rules) }

  /// To be called in a child, once: what the child takes from its copy, the master still has.
  func take() -> RuleSet {
    guard let rules = rules.take() else { preconditionFailure("rules are taken once a process") }
    return rules
  }
}

/// Turns files, or a snapshot of them, into a generation.
struct GenerationLoader: ~Copyable {
  let arguments: Arguments
  let log: MasterLog
  /// The program that reads certificates; nil where none was found.
  let controller: Descriptor?

  /// Why there is no generation. Everything has been told to the log by then.
  struct Refusal: Error, Equatable {}

  /// Reads the files that the command line names.
  ///
  /// - Throws: when anything is an error, or a warning where `-dW` makes it one.
  func loadFiles() throws(Refusal) -> Generation {
    guard !arguments.files.isEmpty else {
      log.alert("no configuration file: name one with '-f'")
      throw Refusal()
    }
    let result = ConfigurationLoader.load(
      paths: arguments.files, environment: Process.variables,
      judge: RuleSet.fault(ofExpression:ignoringCase:))
    return try check(result, strictly: true)
  }

  /// Reads what was good before: by now certificates may be gone, which is no reason to end.
  func load(_ snapshot: ConfigurationSnapshot) throws(Refusal) -> Generation {
    try check(ConfigurationLoader.load(snapshot: snapshot), strictly: false)
  }

  private func check(_ result: LoadResult, strictly: Bool) throws(Refusal) -> Generation {
    var diagnostics = result.diagnostics
    let findings = examine(result, &diagnostics, strictly: strictly)
    if strictly { tell(diagnostics, in: result.snapshot) }
    guard let findings, !strictly || !isRefused(diagnostics, findings) else { throw Refusal() }
    return generation(findings, result.snapshot, strictly: strictly)
  }

  /// What was found to be good, before it is known what that amounts to.
  private struct Findings {
    var configuration: ProxyConfiguration
    var identity: RunIdentity
    var rules: HeritableRules
  }

  /// Looks at what the parser cannot know.
  private func examine(
    _ result: LoadResult, _ diagnostics: inout [Diagnostic], strictly: Bool
  ) -> Findings? {
    guard var configuration = result.configuration else { return nil }
    arguments.apply(to: &configuration)
    let identity = RunIdentity(configuration, strictly && concernsThisUser ? log : log.silenced)
    diagnostics += readCertificates(&configuration, identity)
    // At a start it is told where the socket is made.
    if arguments.action == .check { diagnostics += configuration.unknownSocketOwners }
    // A file that was cut short must not take down what runs.
    if ListenerPlan(configuration, workers: 1).binds.isEmpty {
      diagnostics.append(Diagnostic(.error, at: nil, "there is no 'bind' line: nothing to do"))
      return nil
    }
    do throws(RuleErrors) {
      let rules = HeritableRules(try RuleSet(compiling: configuration))
      return Findings(configuration: configuration, identity: identity, rules: rules)
    } catch {
      diagnostics += error.diagnostics.map { Diagnostic(.error, at: $0.position, $0.message) }
      return nil
    }
  }

  /// Whoever checks a file is often not who will run it.
  private var concernsThisUser: Bool {
    arguments.action == .run || Credentials.current.isSuperuser
  }

  private func tell(_ diagnostics: [Diagnostic], in snapshot: ConfigurationSnapshot) {
    var renderer = DiagnosticRenderer(snapshot)
    for diagnostic in diagnostics {
      let text = renderer.render(diagnostic)
      switch diagnostic.severity {
      case .notice: log.notice(text)
      case .warning: log.warning(text)
      case .error: log.alert(text)
      }
    }
  }

  private func isRefused(_ diagnostics: [Diagnostic], _ findings: Findings) -> Bool {
    if diagnostics.contains(where: { $0.severity == .error }) { return true }
    let isStrict =
      arguments.warningsAreErrors || findings.configuration.global.warningsAreErrors
    guard isStrict, diagnostics.contains(where: { $0.severity == .warning }) else { return false }
    let who = arguments.warningsAreErrors ? "-dW" : "'zero-warning'"
    log.alert("there are warnings, and \(who) takes them for errors")
    return true
  }

  private func generation(
    _ findings: Findings, _ snapshot: ConfigurationSnapshot, strictly: Bool
  ) -> Generation {
    let configuration = findings.configuration
    let log = strictly ? log : log.silenced
    let wanted = configuration.global.workers ?? WorkerCount.standard
    let workers = max(1, min(wanted, WorkerCount.most))
    if workers < wanted { log.warning("\(wanted) workers are too many: \(workers) are started") }
    let plan = ListenerPlan(configuration, workers: workers)
    let budget = DescriptorBudget.arrange(
      for: configuration.global, workers: workers, listeners: plan.binds.count, log)
    return Generation(
      configuration: configuration, snapshot: snapshot, rules: findings.rules, plan: plan,
      identity: findings.identity, budget: budget)
  }

  // MARK: Certificates

  /// Fills in whom `bind … ssl crt` lines are for.
  private func readCertificates(
    _ configuration: inout ProxyConfiguration, _ identity: RunIdentity
  ) -> [Diagnostic] {
    var diagnostics: [Diagnostic] = []
    var known: [[String]: [String]] = [:]
    for (index, frontend) in configuration.frontends.enumerated()
    where !frontend.identity.isDisabled {
      for (number, bind) in frontend.binds.enumerated() {
        // Of those that cannot be read whoever read the configuration has told.
        let files = bind.tls?.certificateFiles.filter(File.isReadable) ?? []
        guard let tls = bind.tls, !files.isEmpty else { continue }
        do throws(CertificateReader.Failure) {
          let names: [String]
          if let found = known[files] {
            names = found
          } else {
            names = try self.names(of: files, identity)
          }
          known[files] = names
          configuration.frontends[index].binds[number].tls?.certificateNames = names
        } catch {
          let isNeeded = tls.strictNames || frontend.readsCertificateNames
          diagnostics.append(
            Diagnostic(
              isNeeded ? .error : .warning, at: bind.position, length: bind.text.utf8.count,
              "\(files.joined(separator: ", ")): \(error.message)"))
        }
      }
    }
    return diagnostics
  }

  private func names(
    of files: [String], _ identity: RunIdentity
  ) throws(CertificateReader.Failure) -> [String] {
    switch controller {
    case .none:
      throw CertificateReader.Failure(message: "there is no sluice-controller to read it")
    case .some(let controller):
      guard let program = try? controller.duplicate() else {
        throw CertificateReader.Failure(message: "out of descriptors")
      }
      return try CertificateReader(program: program, identity: identity).names(in: files)
    }
  }
}

extension Frontend {
  /// Whether a rule asks for the names in the bind's certificates.
  fileprivate var readsCertificateNames: Bool {
    acls.contains { acl in
      acl.lines.contains { $0.sample.fetch == .serverNameInCertificate }
    }
  }
}

extension ProxyConfiguration {
  /// Users and groups that unix sockets shall belong to and that this machine does not have.
  fileprivate var unknownSocketOwners: [Diagnostic] {
    let binds = frontends.flatMap(\.binds).map { ($0.permissions, $0.position, $0.text) }
    let sockets = global.statsSockets.map { ($0.permissions, $0.position, $0.text) }
    return (binds + sockets).flatMap { permissions, position, text in
      permissions.unknownOwners.map { owner in
        Diagnostic(
          .warning, at: position, length: text.utf8.count, "there is no \(owner)",
          hints: ["the socket keeps the owner that it is made with"])
      }
    }
  }
}

extension SocketPermissions {
  /// `user 'x'`, `group 'y'`
  fileprivate var unknownOwners: [String] {
    var owners: [String] = []
    if case .name(let name) = user, Credentials.ofUser(name) == nil {
      owners.append("user '\(name)'")
    }
    if case .name(let name) = group, Credentials.groupNumber(name) == nil {
      owners.append("group '\(name)'")
    }
    return owners
  }
}

extension Arguments {
  /// Puts what the command line says in place of what the file says.
  func apply(to configuration: inout ProxyConfiguration) {
    if let maxConnections { configuration.global.maxConnections = maxConnections }
    if let pidFile { configuration.global.pidFile = pidFile }
    if noSplice { configuration.global.noSplice = true }
    if noReusePort { configuration.global.noReusePort = true }
    if daemonize { configuration.global.daemonize = true }
    if staysInForeground { configuration.global.daemonize = false }
    guard let frontendConnections else { return }
    for index in configuration.frontends.indices
    where configuration.frontends[index].maxConnections == nil {
      configuration.frontends[index].maxConnections = frontendConnections
    }
  }
}
