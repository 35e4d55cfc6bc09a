import Configuration
import Ledger
import Linux

/// A server: what the file says of it, and what the ledger says of it now.
struct ServerView: Sendable {
  let id: ServerID
  let settings: Server
  let backendName: String
  let slot: Int
  let gauges: GaugeBlock

  /// `backend/server`.
  var name: String { "\(backendName)/\(settings.name)" }

  /// As log lines begin.
  var title: String { (settings.isBackup ? "Backup " : "") + "Server " + name }

  /// Whether it answers, as checks and operators say: what the ledger holds.
  var answering: OperationalState {
    OperationalState(rawValue: gauges[.operationalState].value) ?? .stopped
  }

  /// Whether it serves: in maintenance nobody does, and nobody looks. The ledger keeps what was
  /// before, so that a file that no longer says `disabled` finds it again.
  var operational: OperationalState { isInMaintenance ? .stopped : answering }

  var administrative: AdministrativeState {
    AdministrativeState(rawValue: gauges[.administrativeState].value)
  }

  var isInMaintenance: Bool { !administrative.isDisjoint(with: .maintenance) }
  var isDraining: Bool { !administrative.isDisjoint(with: .drain) }
  var weight: UInt64 { gauges[.weight].value }
  var isUsable: Bool { gauges[.isUsable].value != 0 }

  /// `maxconn`, as set at run time or in the file; nil is unlimited.
  var limit: Int? {
    let override = gauges[.limitOverride].value
    let limit = override == 0 ? settings.maxConnections : Int(clamping: override - 1)
    return limit == 0 ? nil : limit
  }

  /// Where it is now; nil while its name does not resolve, or when it is wherever clients went.
  var address: SocketAddress? {
    if let endpoint = gauges.address { return .internet(endpoint) }
    return settings.address.configured
  }

  /// The port as the file writes it; 0 where it follows the client's.
  var port: UInt16 {
    if case .internet(let endpoint)? = address, endpoint.port != 0 { return endpoint.port }
    if case .fixed(let port) = settings.address.port { return port }
    return 0
  }

  /// As `addr` in `show stat`.
  var addressText: String? {
    switch address {
    case .internet(let endpoint)?: Endpoint(address: endpoint.address, port: port).description
    case .unix?, .abstract?: "unix"
    case nil: nil
    }
  }

  /// Seconds in which it did not answer, or was kept from it.
  func downtime(now: UInt64) -> UInt64 {
    let settled = gauges[.downtime].value
    return operational == .stopped
      ? settled + now.since(gauges[.lastChange].value) : settled
  }
}

extension ServerAddress {
  /// The address that the file gives, with its port; nil for a name, or where it gives none.
  var configured: SocketAddress? {
    guard case .address(let address) = host else { return nil }
    guard case .internet(var endpoint) = address else { return address }
    endpoint.port = if case .fixed(let port) = port { port } else { 0 }
    return .internet(endpoint)
  }
}

extension UInt64 {
  /// Seconds from `earlier` to here; zero if the clock was set back.
  func since(_ earlier: UInt64) -> UInt64 { self > earlier ? self - earlier : 0 }
}
