import Configuration
import Ledger
import Linux

@testable import Controller

/// A configuration, a ledger with its slots, and what the master would have written into it.
struct Fixture {
  var configuration = ProxyConfiguration()
  private static let nowhere = SourcePosition(file: 0, line: 1, column: 1)

  /// A place further down in the file each time.
  private var line: SourcePosition {
    SourcePosition(
      file: 0, line: 1 + configuration.frontends.count + configuration.backends.count, column: 1)
  }

  mutating func addFrontend(_ name: String, port: UInt16 = 443, backend: Int? = nil) {
    var frontend = Frontend(identity: ProxyIdentity(name: name, id: nextID, position: line))
    frontend.binds = [
      Bind(
        address: .socket(.ip(IPAddress(ipv4: 0x7f00_0001), port: port)), text: "127.0.0.1:\(port)",
        position: Self.nowhere)
    ]
    frontend.maxConnections = 100
    frontend.defaultBackend = backend
    configuration.frontends.append(frontend)
  }

  mutating func addBackend(_ name: String, _ servers: [Server] = []) {
    var backend = Backend(identity: ProxyIdentity(name: name, id: nextID, position: line))
    backend.servers = servers
    configuration.backends.append(backend)
  }

  private var nextID: Int { 2 + configuration.frontends.count + configuration.backends.count }

  static func server(
    _ name: String, id: Int, port: UInt16, _ change: (inout Server) -> Void = { _ in }
  ) -> Server {
    var server = Server(
      name: name, id: id,
      address: ServerAddress(
        host: .address(.ip(IPAddress(ipv4: 0x7f00_0001), port: port)), port: .fixed(port)),
      text: "127.0.0.1:\(port)", position: nowhere)
    change(&server)
    return server
  }

  static func check(interval: Int, rise: Int = 2, fall: Int = 3) -> HealthCheck {
    var check = HealthCheck()
    check.interval = interval
    check.rise = rise
    check.fall = fall
    return check
  }

  /// Makes the ledger. Its memory stays mapped, whoever lets go of the file.
  func deployed() throws -> Deployment {
    let ledger = try LedgerFile().ledger
    var directory = SlotDirectory(ledger)
    guard let slots = SlotMap.taking(for: configuration, from: &directory, in: ledger) else {
      throw Errno.invalidArgument
    }
    let deployment = Deployment(
      configuration: configuration, slots: slots, ledger: ledger, generation: 1, workerCount: 2,
      maxConnections: 1000)
    for id in deployment.servers {
      let server = deployment.server(id)
      let gauges = server.gauges
      gauges[.operationalState].store(OperationalState.running.rawValue)
      gauges[.weight].store(UInt64(server.settings.weight))
      gauges[.configuredWeight].store(UInt64(server.settings.weight))
      gauges[.health].store(UInt64(server.settings.check?.rise ?? 0))
      gauges[.lastChange].store(.wallClock)
      if server.settings.isDisabled {
        gauges[.administrativeState].store(AdministrativeState.configuredMaintenance.rawValue)
      }
    }
    return deployment
  }
}
