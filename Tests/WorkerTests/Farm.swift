import Configuration
import Ledger
import Rules

@testable import Linux
@testable import Worker

/// A backend over a ledger, as several workers see it.
final class Farm {
  /// A server of the file.
  struct Plan {
    var weight = 1
    var limit: Int?
    var isBackup = false
  }

  /// What one worker has of it.
  final class Lane {
    let tables: Tables
    var balancer: Balancer

    init(_ heritage: consuming Heritage, seed: UInt64) throws {
      let rules = try RuleSet(compiling: heritage.configuration)
      tables = Tables(heritage, rules: rules)
      balancer = Balancer(backends: 1, seed: seed)
    }

    func choose(
      for client: IPAddress = IPAddress(ipv4: 0x0a00_0001), avoiding avoided: Int = -1
    ) -> Balancer.Choice {
      balancer.choose(backend: 0, for: client, avoiding: avoided, tables)
    }

    /// Chooses, and gives the place back at once: the numbers of the servers.
    func sequence(_ count: Int) -> [Int] {
      (0..<count).map { _ in
        guard case .server(let server) = choose() else { return -1 }
        leave(server)
        return server
      }
    }

    func leave(_ server: Int) { tables.servers[server].slot.leave() }
  }

  private let file: LedgerFile
  let ledger: SharedLedger
  let slots: SlotMap
  let lanes: [Lane]

  init(
    _ plans: [Plan], balance: Balance, workers: Int = 1,
    _ change: (inout Backend) -> Void = { _ in }
  ) throws {
    let file = try LedgerFile()
    let ledger = file.ledger
    var backend = Backend(identity: ProxyIdentity(name: "be", id: 2, position: .start))
    backend.balance = balance
    for (number, plan) in plans.enumerated() {
      var server = Server(
        name: "s\(number)", id: number + 1,
        address: ServerAddress(
          host: .address(.ip(IPAddress(ipv4: 0x7f00_0001), port: 1)), port: .fixed(443)),
        text: "127.0.0.1:443", position: .start)
      server.weight = plan.weight
      server.maxConnections = plan.limit
      server.isBackup = plan.isBackup
      backend.servers.append(server)
    }
    change(&backend)
    var configuration = ProxyConfiguration()
    configuration.backends = [backend]
    var directory = SlotDirectory(ledger)
    guard let slots = SlotMap.taking(for: configuration, from: &directory, in: ledger) else {
      throw Errno.invalidArgument
    }
    for (plan, slot) in zip(plans, slots.servers[0]) {
      ledger.gauges(of: slot)[.isUsable].store(1)
      ledger.gauges(of: slot)[.operationalState].store(OperationalState.running.rawValue)
      ledger.gauges(of: slot)[.weight].store(UInt64(plan.weight))
    }
    lanes = try (0..<workers).map { worker in
      guard let lane = ledger.takeLane(generation: 1, workerSlot: worker, now: 1) else {
        throw Errno.invalidArgument
      }
      return try Lane(
        Self.heritage(configuration, slots, ledger, lane: lane), seed: UInt64(worker + 1))
    }
    self.file = file
    self.ledger = ledger
    self.slots = slots
  }

  private static func heritage(
    _ configuration: ProxyConfiguration, _ slots: SlotMap, _ ledger: SharedLedger, lane: Int
  ) throws -> Heritage {
    let orders = try Descriptor.doorbell()
    let questions = try Descriptor.doorbell()
    return Heritage(
      configuration: configuration, rules: try RuleSet(compiling: configuration), slots: slots,
      ledger: ledger, lane: lane, generation: 1, workerSlot: lane, workerCount: 1,
      maxConnections: 100, hostname: "test", listeners: DescriptorTable(), roles: [],
      master: orders, controller: questions, doorbells: DescriptorTable())
  }

  /// The shared cells of a server.
  func server(_ number: Int) -> GaugeBlock { ledger.gauges(of: slots.servers[0][number]) }

  func current(_ number: Int) -> UInt64 { server(number)[.current].value }

  /// Makes a server usable or not, as the controller does.
  func setUsable(_ number: Int, _ isUsable: Bool) {
    server(number)[.isUsable].store(isUsable ? 1 : 0)
    ledger.gauges(of: slots.backends[0])[.epoch].fetchAdd(1)
  }

  func setWeight(_ number: Int, _ weight: UInt64) {
    server(number)[.weight].store(weight)
    ledger.gauges(of: slots.backends[0])[.epoch].fetchAdd(1)
  }
}
