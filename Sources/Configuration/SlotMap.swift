public import Ledger

/// Which slots of the ledger the parts of a configuration have: the same numbers in every process
/// of a generation, and over reloads for whatever keeps its name.
public struct SlotMap: Sendable {
  /// The slot of the whole process.
  public var process = 0
  /// By index of the frontend.
  public var frontends: [Int] = []
  /// By index of the frontend, then of its bind.
  public var listeners: [[Int]] = []
  /// By index of the backend.
  public var backends: [Int] = []
  /// By index of the backend, then of its server.
  public var servers: [[Int]] = []

  /// Finds or makes them. Only the master calls it.
  ///
  /// - Returns: nil when the ledger has no room for so many.
  public static func taking(
    for configuration: ProxyConfiguration, from directory: inout SlotDirectory,
    in ledger: SharedLedger
  ) -> SlotMap? {
    configuration.slotMap { directory.takeSlot($0, in: ledger) }
  }

  /// Finds them where the master has made them.
  ///
  /// - Returns: nil when it has not.
  public static func finding(
    for configuration: ProxyConfiguration, in directory: SlotDirectory
  ) -> SlotMap? {
    configuration.slotMap { directory.slot($0) }
  }
}

extension ProxyConfiguration {
  fileprivate func slotMap(_ find: (SlotKey) -> Int?) -> SlotMap? {
    var map = SlotMap()
    var seen: [SlotKey: Int] = [:]

    /// Things of one name are told apart by their order.
    func slot(_ kind: SlotKey.Kind, _ proxy: String = "", _ name: String = "") -> Int? {
      var key = SlotKey(kind: kind, proxy: proxy, name: name)
      key.ordinal = seen[key, default: 0]
      seen[SlotKey(kind: kind, proxy: proxy, name: name), default: 0] += 1
      return find(key)
    }

    guard let process = slot(.process) else { return nil }
    map.process = process
    for frontend in frontends {
      let name = frontend.identity.name
      let listeners = frontend.binds.map { slot(.listener, name, $0.name ?? $0.text) }
      guard let own = slot(.frontend, name), !listeners.contains(nil) else { return nil }
      map.frontends.append(own)
      map.listeners.append(listeners.compactMap(\.self))
    }
    for backend in backends {
      let name = backend.identity.name
      let servers = backend.servers.map { slot(.server, name, $0.name) }
      guard let own = slot(.backend, name), !servers.contains(nil) else { return nil }
      map.backends.append(own)
      map.servers.append(servers.compactMap(\.self))
    }
    return map
  }
}
