import Configuration
import Ledger
import Linux
import Testing

@testable import Master

@Suite("When a child is started again")
struct BackoffTests {
  @Test("at once, then 100 ms doubling to 5 s")
  func doubling() {
    var backoff = Backoff()
    let delays = (0..<9).map { _ in backoff.delay(afterLifeOf: 0) / 1_000_000 }
    #expect(delays == [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  }

  @Test("anew after ten seconds of life")
  func healthy() {
    var backoff = Backoff()
    for _ in 0..<5 { _ = backoff.delay(afterLifeOf: 0) }
    let delays = [
      backoff.delay(afterLifeOf: Backoff.healthyLife), backoff.delay(afterLifeOf: 0),
    ]
    #expect(delays == [0, Backoff.first])
  }

  @Test("each slot has a pause of its own, and is taken once")
  func schedule() {
    var schedule = RestartSchedule(workers: 2)
    #expect(schedule.nextDue == .max)
    schedule.restartWorker(slot: 0, afterLifeOf: 0, now: 1_000)
    schedule.restartWorker(slot: 0, afterLifeOf: 0, now: 1_000)
    schedule.restartWorker(slot: 1, afterLifeOf: 0, now: 2_000)
    schedule.restartController(afterLifeOf: 0, now: 3_000)
    #expect(schedule.nextDue == 2_000)
    let workers = [schedule.takeWorkers(2_000), schedule.takeWorkers(2_000)]
    #expect(workers == [[1], []])
    let controllers = [schedule.takeController(3_000), schedule.takeController(3_000)]
    #expect(controllers == [true, false])
    let delayed = schedule.takeWorkers(1_000 + Backoff.first)
    #expect(delayed == [0])
    schedule.restartWorker(slot: 9, afterLifeOf: 0, now: 0)
    #expect(schedule.nextDue == .max)
  }
}

@Suite("Which workers hang")
struct HangWatchTests {
  private var watch = HangWatch()
  private var now: Int64 = 1_000_000_000_000

  /// One look, a second after the last.
  private mutating func look(laps: UInt64, hasWork: Bool, after: Int64 = 1) -> HangWatch.Verdict {
    now += after * 1_000_000_000
    watch.begin(now)
    defer { watch.end(now, of: [7]) }
    return watch.look(at: 7, laps: laps, hasWork: hasWork)
  }

  @Test("one that has work and makes no lap hangs in the end, and not before")
  mutating func hangs() {
    #expect(look(laps: 5, hasWork: true) == .suspected)
    for _ in 1..<HangWatch.patience { #expect(look(laps: 5, hasWork: true) == .stuck) }
    #expect(look(laps: 5, hasWork: true) == .hangs)
  }

  @Test("one without work may sleep for ever, and is looked at seldom")
  mutating func sleeps() {
    for _ in 0..<50 { #expect(look(laps: 5, hasWork: false) == .lives) }
    #expect(watch.due == now + HangWatch.interval)
  }

  @Test("a lap, or the end of the work, ends the suspicion")
  mutating func recovers() {
    for round in 0..<5 {
      for _ in 0..<HangWatch.patience {
        #expect(look(laps: UInt64(round), hasWork: true) != .hangs)
      }
      #expect(watch.due == now + HangWatch.shortInterval)
    }
    for _ in 0..<20 {
      #expect(look(laps: 9, hasWork: true) != .hangs)
      #expect(look(laps: 9, hasWork: false) == .lives)
    }
  }

  @Test("when the master has not looked for a while, nobody is at fault")
  mutating func pause() {
    for _ in 0..<HangWatch.patience { _ = look(laps: 5, hasWork: true) }
    #expect(look(laps: 5, hasWork: true, after: 3_600) == .suspected)
  }

  @Test("a process of the same number is another once the first is forgotten")
  mutating func forgets() {
    for _ in 0..<HangWatch.patience { _ = look(laps: 5, hasWork: true) }
    watch.end(now, of: [])
    #expect(look(laps: 5, hasWork: true) == .suspected)
  }
}

@Suite("How many connections there may be")
struct DescriptorBudgetTests {
  @Test("two sockets each and half a pipe, less the reserve, over all workers")
  func derived() {
    let budget = DescriptorBudget(
      limit: 20_000, workers: 2, listeners: 4, configured: nil, pipes: nil)
    #expect(budget.maxConnections == (20_000 - 196) * 2 / 5 * 2)
    #expect(budget.descriptorsNeeded <= 20_000)
  }

  @Test("what is configured stands, and says what it needs")
  func configured() {
    let budget = DescriptorBudget(
      limit: 1_024, workers: 2, listeners: 0, configured: 4_000, pipes: 100)
    #expect(budget.maxConnections == 4_000)
    #expect(budget.descriptorsNeeded == 2_000 * 2 + 50 * 2 + 192)
  }

  @Test(
    "a derived number always fits the limit it was derived from",
    arguments: [64, 300, 1024, 20_000])
  func fits(limit: Int) {
    for workers in 1...8 {
      let derived = DescriptorBudget(
        limit: limit, workers: workers, listeners: 2, configured: nil, pipes: nil)
      #expect(derived.maxConnections >= 1)
      guard limit > 300 else { continue }
      let checked = DescriptorBudget(
        limit: limit, workers: workers, listeners: 2, configured: derived.maxConnections,
        pipes: nil)
      #expect(checked.descriptorsNeeded <= limit)
    }
  }
}

@Suite("How many workers there are")
struct WorkerCountTests {
  @Test("a group's share of time counts in whole processors, rounded up")
  func quota() {
    #expect(WorkerCount.processors(quota: "max 100000\n") == nil)
    #expect(WorkerCount.processors(quota: "150000 100000\n") == 2)
    #expect(WorkerCount.processors(quota: "1000 100000\n") == 1)
    #expect(WorkerCount.processors(quota: "") == nil)
    #expect(WorkerCount.processors(quota: "1 0") == nil)
  }

  @Test("the group is the one without a controller's name")
  func group() {
    #expect(ControlGroup.unifiedGroup("4:cpu:/a\n0::/b/c\n") == "/b/c")
    #expect(ControlGroup.unifiedGroup("4:cpu:/a\n") == nil)
  }

  @Test("a reload always finds room for as many again")
  func room() {
    #expect(WorkerCount.standard >= 1)
    #expect(WorkerCount.most * 2 <= SharedLedger.laneCapacity)
  }
}

@Suite("States of servers")
struct ServerStatesTests {
  private func backend(
    address: String = "192.0.2.1", weight: Int = 10, isDisabled: Bool = false
  ) -> ProxyConfiguration {
    let position = SourcePosition(file: 0, line: 1, column: 1)
    let host: ServerAddress.Host =
      IPAddress(address).map { .address(.ip($0, port: 443)) } ?? .name(address)
    var server = Server(
      name: "s", id: 1, address: ServerAddress(host: host, port: .fixed(443)), text: address,
      position: position)
    server.weight = weight
    server.isDisabled = isDisabled
    var backend = Backend(identity: ProxyIdentity(name: "b", id: 2, position: position))
    backend.servers = [server]
    var configuration = ProxyConfiguration()
    configuration.backends = [backend]
    return configuration
  }

  /// Prepares for one configuration after the other, with changes at run time in between.
  private func gauges(
    _ steps: [(ProxyConfiguration, (GaugeBlock) -> Void)],
    _ look: (GaugeBlock) -> Void
  ) throws {
    let file = try LedgerFile()
    var directory = SlotDirectory(file.ledger)
    for (configuration, change) in steps {
      let slots = try #require(
        SlotMap.taking(for: configuration, from: &directory, in: file.ledger))
      ServerStates(ledger: file.ledger, now: 7).prepare(configuration, slots)
      change(file.ledger.gauges(of: slots.servers[0][0]))
      look(file.ledger.gauges(of: slots.servers[0][0]))
    }
  }

  @Test("a new server runs, with the file's weight")
  func new() throws {
    try gauges([(backend(), { _ in })]) { gauges in
      #expect(gauges[.operationalState].value == OperationalState.running.rawValue)
      #expect(gauges[.weight].value == 10)
      #expect(gauges[.isUsable].value == 1)
      #expect(gauges[.lastChange].value == 7)
    }
  }

  @Test("what was set at run time outlives a reload, unless the file's own value changed")
  func runtimeChanges() throws {
    var seen: [UInt64] = []
    try gauges([
      (backend(), { $0[.weight].store(3) }), (backend(), { _ in }),
      (backend(weight: 20), { _ in }),
    ]) { seen.append($0[.weight].value) }
    #expect(seen == [3, 3, 20])
  }

  @Test("an address set at run time stands until the file's changes")
  func address() throws {
    let other = Endpoint(address: IPAddress(ipv4: 1), port: 1)
    var seen: [Endpoint?] = []
    try gauges([
      (backend(), { $0.setAddress(other) }), (backend(), { _ in }),
      (backend(address: "192.0.2.2"), { _ in }),
    ]) { seen.append($0.address) }
    #expect(seen == [other, other, nil])
  }

  @Test("'disabled' follows the file, what operators ordered stays")
  func maintenance() throws {
    var seen: [AdministrativeState] = []
    try gauges([
      (
        backend(isDisabled: true),
        { $0[.administrativeState].store($0[.administrativeState].value | 8) }
      ),
      (backend(), { _ in }),
    ]) { gauges in
      seen.append(AdministrativeState(rawValue: gauges[.administrativeState].value))
      #expect(!ServerStates.isUsable(gauges))
    }
    #expect(seen == [[.configuredMaintenance, .forcedDrain], [.forcedDrain]])
  }

  @Test("a name waits for its address")
  func name() throws {
    try gauges([(backend(address: "name.test"), { _ in })]) { gauges in
      let state = AdministrativeState(rawValue: gauges[.administrativeState].value)
      #expect(state == .unresolved)
      #expect(gauges[.isUsable].value == 0)
    }
  }
}

@Suite("Certificates")
struct CertificateReaderTests {
  @Test("only the first certificate of a file goes to the process that reads it, never the key")
  func firstCertificate() {
    let file = """
      -----BEGIN PRIVATE KEY-----
      c2VjcmV0
      -----END PRIVATE KEY-----
      subject=example\r
      -----BEGIN CERTIFICATE-----\r
      Zmlyc3Q=\r
      -----END CERTIFICATE-----\r
      -----BEGIN CERTIFICATE-----
      aXNzdWVy
      -----END CERTIFICATE-----

      """
    let found = CertificateReader.firstCertificate(in: Array(file.utf8))
    let expected = """
      -----BEGIN CERTIFICATE-----
      Zmlyc3Q=
      -----END CERTIFICATE-----

      """
    #expect(String(decoding: found, as: UTF8.self) == expected)
  }

  @Test("a file without a whole one has none")
  func none() {
    for text in ["", "-----BEGIN CERTIFICATE-----\nabc", "-----END CERTIFICATE-----\n"] {
      #expect(CertificateReader.firstCertificate(in: Array(text.utf8)).isEmpty)
    }
  }
}
