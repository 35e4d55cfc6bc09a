import Configuration
import Linux

/// Whom workers and the controller run as, and where.
struct RunIdentity: Equatable {
  /// Nil when they stay who the master is, which is not the superuser then.
  var credentials: Credentials?
  /// `chroot`
  var root: String?
  /// What workers need beyond that.
  var capabilities: [Capability] = []

  /// Users without any rights, best first, for a file that names none.
  private static let unprivilegedUsers = ["sluice", "nobody"]

  /// Reads it out of the configuration, and warns of what cannot be had.
  init(_ configuration: ProxyConfiguration, _ log: MasterLog) {
    guard Credentials.current.isSuperuser else {
      Self.warnWithoutRoot(configuration.global, log)
      return
    }
    credentials = Self.credentials(configuration.global, log)
    root = configuration.global.root.flatMap { Self.usableRoot($0, log) }
    capabilities = Self.needs(of: configuration)
  }

  private static func warnWithoutRoot(_ global: GlobalSettings, _ log: MasterLog) {
    if global.root != nil { log.warning("'chroot' needs root: workers are not confined") }
    guard let wanted = global.user else { return }
    let own = Credentials.current.user
    let number: UInt32? =
      switch wanted {
      case .number(let number): number
      case .name(let name): Credentials.ofUser(name)?.user
      }
    if number != own { log.warning("'user' needs root: workers run as user \(own)") }
  }

  private static func credentials(_ global: GlobalSettings, _ log: MasterLog) -> Credentials {
    var credentials = user(global.user, log)
    switch global.group {
    case .number(let number): credentials.group = number
    case .name(let name):
      if let number = Credentials.groupNumber(name) {
        credentials.group = number
      } else {
        log.warning("there is no group '\(name)': workers keep their user's")
      }
    case nil: break
    }
    return credentials
  }

  private static func user(_ wanted: Identity?, _ log: MasterLog) -> Credentials {
    switch wanted {
    case .number(let number): return Credentials(user: number, group: number)
    case .name(let name):
      if let found = Credentials.ofUser(name) { return found }
      log.warning("there is no user '\(name)'")
    case nil: break
    }
    for name in unprivilegedUsers {
      guard let found = Credentials.ofUser(name) else { continue }
      if name != unprivilegedUsers[0] || wanted != nil {
        log.warning("workers run as '\(name)'; name a user of their own with 'user' in 'global'")
      }
      return found
    }
    log.warning("there is neither user 'sluice' nor 'nobody': workers run as user 65534")
    return Credentials(user: 65_534, group: 65_534)
  }

  /// An empty directory is all that a root needs to be, so a missing one is made.
  private static func usableRoot(_ path: String, _ log: MasterLog) -> String? {
    if let status = try? File.status(path), status.isDirectory { return path }
    do throws(Errno) {
      try File.makeDirectories(path, mode: 0o755)
      return path
    } catch {
      log.warning("workers are not confined to '\(path)': \(error)")
      return nil
    }
  }

  /// Two things that a file may order take a right in the worker itself.
  private static func needs(of configuration: ProxyConfiguration) -> [Capability] {
    var needs: [Capability] = []
    if configuration.connectsFromPrivilegedPorts { needs.append(.bindService) }
    // TCP_REPAIR: to forget a connection without a packet.
    if configuration.dropsSilently { needs.append(.networkAdministration) }
    return needs
  }

  /// Becomes it, for good.
  func assume() throws(Errno) {
    if let root { try Credentials.confine(to: root) }
    try (credentials ?? .current).assume(keeping: capabilities)
    Credentials.renounceNewRights()
  }

  /// The controller's: the same, but in the whole file system, where its program and the libraries
  /// and files that names are resolved with can be found. It has no rights to do harm there.
  var unconfined: RunIdentity {
    var identity = self
    identity.root = nil
    identity.capabilities = []
    return identity
  }
}

extension ProxyConfiguration {
  fileprivate var connectsFromPrivilegedPorts: Bool {
    let sources = backends.flatMap { [$0.source] + $0.servers.map(\.source) }
    return sources.contains { source in
      source?.endpoint.map { (1..<1024).contains($0.port) } ?? false
    }
  }

  fileprivate var dropsSilently: Bool {
    let rules =
      frontends.flatMap { $0.connectionRules + $0.sessionRules + $0.contentRules }
      + backends.flatMap(\.contentRules)
    return rules.contains { $0.action == .silentDrop }
  }
}
