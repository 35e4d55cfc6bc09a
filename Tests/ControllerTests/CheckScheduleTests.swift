import Configuration
import Testing

@testable import Controller

@Suite("CheckSchedule")
struct CheckScheduleTests {
  static func check(_ interval: Int, fast: Int? = nil, down: Int? = nil) -> HealthCheck {
    var check = HealthCheck()
    check.interval = interval
    check.fastInterval = fast
    check.downInterval = down
    return check
  }

  @Test("spreads first checks over the shortest interval")
  func firstChecks() {
    let checks = [Self.check(2000), Self.check(2000), Self.check(4000), Self.check(2000)]
    #expect(CheckSchedule.firstDelays(of: checks, limit: nil) == [0, 500, 2000, 1500])
  }

  @Test("is not made to hurry by intervals below a second")
  func shortIntervals() {
    let checks = [Self.check(100), Self.check(2000)]
    #expect(CheckSchedule.firstDelays(of: checks, limit: nil) == [0, 1000])
  }

  @Test("obeys max-spread-checks")
  func limit() {
    let checks = [Self.check(10_000), Self.check(10_000)]
    #expect(CheckSchedule.firstDelays(of: checks, limit: 300) == [0, 150])
  }

  @Test("checks fast on the way, and by downinter at the bottom only")
  func intervals() {
    let check = Self.check(2000, fast: 100, down: 9000)
    func interval(_ value: Int) -> Int {
      CheckSchedule.interval(of: check, health: HealthCounter(rise: 2, fall: 3, value: value))
    }
    #expect((0...4).map(interval) == [9000, 100, 100, 100, 2000])
    let plain = Self.check(2000)
    #expect(
      CheckSchedule.interval(of: plain, health: HealthCounter(rise: 2, fall: 3, value: 0)) == 2000)
  }

  @Test("waits as long as the interval, or as clients do where timeout check is set")
  func timeouts() {
    var timeouts = Timeouts()
    timeouts.connect = 300
    #expect(CheckSchedule.connectTimeout(of: Self.check(2000), timeouts) == 2000)
    timeouts.check = 1000
    #expect(CheckSchedule.connectTimeout(of: Self.check(2000), timeouts) == 300)
    #expect(CheckSchedule.connectTimeout(of: Self.check(200), timeouts) == 200)
  }

  @Test("spreads by per cents")
  func spread() {
    #expect(CheckSchedule.spread(2000, percent: 50, draw: 1) == 3000)
    #expect(CheckSchedule.spread(2000, percent: 50, draw: -1) == 1000)
    #expect(CheckSchedule.spread(2000, percent: 0, draw: 0.7) == 2000)
  }
}
