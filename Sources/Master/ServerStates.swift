import Configuration
import Ledger
import Linux

/// Brings the ledger's states of servers up to a configuration.
///
/// What was changed at run time (weight, address, maintenance) outlives a reload, unless the file's
/// own value for that very item changed: then the file's counts.
struct ServerStates {
  let ledger: SharedLedger
  /// Wall clock, seconds.
  let now: UInt64

  func prepare(_ configuration: ProxyConfiguration, _ slots: SlotMap) {
    for (index, backend) in configuration.backends.enumerated() {
      for (number, server) in backend.servers.enumerated() {
        prepare(server, ledger.gauges(of: slots.servers[index][number]))
      }
      // Workers look at states again when it changes.
      ledger.gauges(of: slots.backends[index])[.epoch].fetchAdd(1)
    }
  }

  private func prepare(_ server: Server, _ gauges: GaugeBlock) {
    let hash = Self.hash(of: server.address)
    let isNew = gauges[.configuredAddressHash].value == 0
    if isNew { begin(server, gauges) }
    takeWeight(of: server, gauges)
    if !isNew, gauges[.configuredAddressHash].value != hash { gauges.setAddress(nil) }
    gauges[.configuredAddressHash].store(hash)
    takeMaintenance(of: server, gauges)
    gauges[.isUsable].store(Self.isUsable(gauges) ? 1 : 0)
  }

  private func begin(_ server: Server, _ gauges: GaugeBlock) {
    gauges[.operationalState].store(OperationalState.running.rawValue)
    gauges[.weight].store(UInt64(clamping: server.weight))
    gauges[.configuredWeight].store(UInt64(clamping: server.weight))
    gauges[.health].store(UInt64(clamping: server.check?.rise ?? 0))
    gauges[.lastChange].store(now)
  }

  private func takeWeight(of server: Server, _ gauges: GaugeBlock) {
    let weight = UInt64(clamping: server.weight)
    guard gauges[.configuredWeight].value != weight else { return }
    gauges[.configuredWeight].store(weight)
    gauges[.weight].store(weight)
  }

  private func takeMaintenance(of server: Server, _ gauges: GaugeBlock) {
    var state = AdministrativeState(rawValue: gauges[.administrativeState].value)
    let before = state
    if server.isDisabled {
      state.insert(.configuredMaintenance)
    } else {
      state.remove(.configuredMaintenance)
    }
    if case .name = server.address.host {
      if gauges.address == nil { state.insert(.unresolved) }
    } else {
      state.remove(.unresolved)
    }
    guard state != before else { return }
    gauges[.administrativeState].store(state.rawValue)
    gauges[.lastChange].store(now)
  }

  static func isUsable(_ gauges: GaugeBlock) -> Bool {
    let operational = OperationalState(rawValue: gauges[.operationalState].value)
    let administrative = AdministrativeState(rawValue: gauges[.administrativeState].value)
    return (operational == .running || operational == .starting)
      && administrative.isDisjoint(with: .maintenance) && administrative.isDisjoint(with: .drain)
      && gauges[.weight].value > 0
  }

  /// FNV-1a over what the file says of the address; never zero, which is a slot that nobody used.
  static func hash(of address: ServerAddress) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func mix(_ text: String) {
      for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      hash = (hash ^ 0xff) &* 0x100_0000_01b3
    }
    switch address.host {
    case .address(let address): mix("a\(address)")
    case .name(let name): mix("n\(name)")
    case .original: mix("o")
    }
    switch address.port {
    case .fixed(let port): mix("=\(port)")
    case .relative(let offset): mix("+\(offset)")
    }
    return max(hash, 1)
  }
}
