import Configuration
import Ledger
import Testing

@testable import Linux
@testable import Worker

@Suite("Balancing")
struct BalancerTests {
  @Test("round robin is exact over workers, whoever asks")
  func roundRobin() throws {
    let farm = try Farm([.init(), .init(), .init()], balance: .roundRobin, workers: 2)
    var random = SeededGenerator(state: 3)
    var seen: [Int] = []
    for _ in 0..<300 { seen += farm.lanes[Int(random.next() % 2)].sequence(1) }
    #expect(seen == (0..<300).map { $0 % 3 })
  }

  @Test("weights give shares, exactly, over each cycle")
  func weights() throws {
    let farm = try Farm(
      [.init(weight: 3), .init(weight: 1), .init(weight: 0), .init(weight: 2)],
      balance: .roundRobin, workers: 2)
    for _ in 0..<10 {
      let cycle = farm.lanes[0].sequence(3) + farm.lanes[1].sequence(3)
      #expect([0, 1, 2, 3].map { server in cycle.count { $0 == server } } == [3, 1, 0, 2])
    }
  }

  @Test("a change of state or weight counts at once, in every worker")
  func epochs() throws {
    let farm = try Farm([.init(), .init()], balance: .roundRobin, workers: 2)
    #expect(Set(farm.lanes[0].sequence(4)) == [0, 1])
    #expect(Set(farm.lanes[1].sequence(4)) == [0, 1])
    farm.setUsable(0, false)
    for lane in farm.lanes { #expect(lane.sequence(4) == [1, 1, 1, 1]) }
    farm.setUsable(0, true)
    farm.setWeight(0, 3)
    #expect(farm.lanes[1].sequence(4).count { $0 == 0 } == 3)
    farm.setUsable(0, false)
    farm.setUsable(1, false)
    for lane in farm.lanes { #expect(lane.choose() == .none) }
  }

  @Test("backups serve when no active server is left: the first one, or all")
  func backups() throws {
    let plans: [Farm.Plan] = [.init(), .init(isBackup: true), .init(isBackup: true)]
    for allBackups in [false, true] {
      let farm = try Farm(plans, balance: .roundRobin) { $0.allBackups = allBackups }
      let lane = farm.lanes[0]
      #expect(Set(lane.sequence(6)) == [0])
      farm.setUsable(0, false)
      #expect(Set(lane.sequence(6)) == (allBackups ? [1, 2] : [1]))
      farm.setUsable(1, false)
      #expect(Set(lane.sequence(6)) == [2])
      farm.setUsable(0, true)
      #expect(Set(lane.sequence(6)) == [0])
    }
  }

  @Test("a backup takes nobody from the queue while an active server can be used")
  func waiting() throws {
    let farm = try Farm(
      [.init(limit: 1), .init(isBackup: true), .init(weight: 0)], balance: .roundRobin)
    let lane = farm.lanes[0]
    func taking() -> [Bool] { (0..<3).map { lane.balancer.takesWaiting($0, lane.tables) } }
    #expect(lane.choose() == .server(0))
    #expect(lane.choose() == .full(wanted: -1))
    #expect(taking() == [true, false, false])
    farm.setUsable(0, false)
    #expect(taking() == [false, true, false])
  }

  @Test("limits hold over all workers, and one that is full is passed over")
  func limits() throws {
    let farm = try Farm([.init(limit: 2), .init(limit: 3)], balance: .roundRobin, workers: 2)
    let choices = (0..<7).map { farm.lanes[$0 % 2].choose() }
    #expect(choices.count { $0 == .server(0) } == 2)
    #expect(choices.count { $0 == .server(1) } == 3)
    #expect(choices.suffix(2) == [.full(wanted: -1), .full(wanted: -1)])
    #expect([farm.current(0), farm.current(1)] == [2, 3])
    farm.lanes[0].leave(0)
    #expect(farm.lanes[1].choose() == .server(0))

    // A limit set at run time stands instead of the file's, lower or higher.
    farm.server(0)[.limitOverride].store(5)
    #expect(
      (0..<3).map { _ in farm.lanes[0].choose() }
        == [.server(0), .server(0), .full(wanted: -1)])
    farm.server(0)[.limitOverride].store(2)
    #expect(farm.lanes[1].choose() == .full(wanted: -1))
  }

  @Test("least connections go by load for the weight; who is idle comes first")
  func leastConnections() throws {
    let farm = try Farm(
      [.init(weight: 1), .init(weight: 3)], balance: .leastConnections, workers: 2)
    for number in 0..<40 { _ = farm.lanes[number % 2].choose() }
    #expect([farm.current(0), farm.current(1)] == [10, 30])
    while farm.current(0) > 0 { farm.lanes[0].leave(0) }
    #expect(farm.lanes[1].choose() == .server(0))

    let even = try Farm([.init(), .init(), .init()], balance: .leastConnections)
    #expect(
      Set((0..<3).map { _ in even.lanes[0].sequence(1)[0] }) == [0, 1, 2], "equals take turns")
    for _ in 0..<9 { _ = even.lanes[0].choose() }
    #expect((0..<3).map { even.current($0) } == [3, 3, 3])
    even.server(1)[.queued].store(2)
    even.lanes[0].leave(1)
    #expect(even.lanes[0].choose() != .server(1), "who waits for it counts too")
  }

  @Test("`first` fills the first, then the next")
  func first() throws {
    let farm = try Farm([.init(limit: 2), .init(limit: 2), .init()], balance: .first)
    #expect(
      (0..<5).map { _ in farm.lanes[0].choose() }
        == [.server(0), .server(0), .server(1), .server(1), .server(2)])
    farm.lanes[0].leave(0)
    #expect(farm.lanes[0].choose() == .server(0))
  }

  @Test("a source keeps its server, in every worker; when that is full it waits for it")
  func source() throws {
    let farm = try Farm(
      [.init(limit: 1), .init(limit: 1), .init(limit: 1)], balance: .source, workers: 2)
    var chosen: Set<Int> = []
    for number in 0..<UInt32(100) {
      let client = IPAddress(ipv4: 0x0a00_0000 + number)
      guard case .server(let server) = farm.lanes[0].choose(for: client) else {
        Issue.record("no server for \(client)")
        continue
      }
      #expect(farm.lanes[1].choose(for: client) == .full(wanted: server))
      farm.lanes[0].leave(server)
      #expect(farm.lanes[1].choose(for: client) == .server(server))
      farm.lanes[1].leave(server)
      chosen.insert(server)
    }
    #expect(chosen == [0, 1, 2])
  }

  @Test("random goes by weight, and two draws even the load out")
  func random() throws {
    let one = try Farm([.init(weight: 1), .init(weight: 3)], balance: .random(draws: 1))
    let share = one.lanes[0].sequence(4_000).count { $0 == 1 }
    #expect((2_850...3_150).contains(share), "\(share) of 4000, not about 3000")

    let two = try Farm(Array(repeating: .init(), count: 10), balance: .random(draws: 2))
    for _ in 0..<1_000 { _ = two.lanes[0].choose() }
    let loads = (0..<10).map { two.current($0) }
    #expect(loads.reduce(0, +) == 1_000)
    #expect(loads.allSatisfy { (90...110).contains($0) }, "\(loads)")
  }

  @Test(
    "the one to avoid is taken when there is no other",
    arguments: [
      Balance.roundRobin, .leastConnections, .first, .random(draws: 2),
    ])
  func avoiding(_ balance: Balance) throws {
    let farm = try Farm([.init(), .init(), .init(isBackup: true)], balance: balance)
    for avoided in [0, 1] {
      for _ in 0..<10 {
        #expect(farm.lanes[0].choose(avoiding: avoided) == .server(1 - avoided))
        farm.lanes[0].leave(1 - avoided)
      }
    }
    farm.setUsable(1, false)
    #expect(farm.lanes[0].choose(avoiding: 0) == .server(0))
    // One that may not be used any more, though it was tried last.
    #expect(farm.lanes[0].choose(avoiding: 1) == .server(0))
  }
}
