import Testing

@testable import Ledger

@Suite("Rates and averages")
struct RateTests {
  private let file: LedgerBox
  private var gauges: GaugeBlock { file.ledger.gauges(of: 0) }

  init() throws { file = try LedgerBox() }

  /// The rate as its definition has it, from a list of all that happened.
  private struct Model {
    var events: [UInt32: UInt64] = [:]
    var last: UInt32

    mutating func count(_ second: UInt32) { events[second, default: 0] += 1 }

    func rate(_ second: UInt32, _ milliseconds: UInt64) -> UInt64 {
      events[second, default: 0] + events[second &- 1, default: 0] * (1000 - milliseconds) / 1000
    }
  }

  @Test("the rate is this second's count and the rest of the last one's", arguments: [0, 1, 77])
  func model(_ seed: UInt64) {
    var random = SeededGenerator(state: seed)
    let gauge = RateGauge(sessionsOf: gauges)
    // Begins just before the number of the second wraps.
    var second = UInt32.max - 5
    var model = Model(last: second)
    gauges[.rateNow].store(UInt64(second) << 32)
    var highest: UInt64 = 0
    for _ in 0..<5_000 {
      if random.next() % 10 == 0 { second &+= UInt32(random.next() % 3) }
      if random.next() % 20 == 0 { second &+= 10 }
      for _ in 0..<random.next() % 4 {
        gauge.count(second: second)
        model.count(second)
        highest = max(highest, model.events[second] ?? 0)
      }
      let milliseconds = random.next() % 1_001
      #expect(
        gauge.rate(second: second, milliseconds: milliseconds) == model.rate(second, milliseconds))
      #expect(
        gauge.rate(second: second &+ 1, milliseconds: milliseconds)
          == model.rate(second &+ 1, milliseconds))
      #expect(gauge.rate(second: second &+ 2, milliseconds: 0) == model.rate(second &+ 2, 0))
    }
    #expect(gauges[.rateMaximum].value == highest)
  }

  @Test("a worker whose clock is behind neither loses counts nor sees too few")
  func behind() {
    let gauge = RateGauge(connectionsOf: gauges)
    for _ in 0..<10 { gauge.count(second: 99) }
    for _ in 0..<4 { gauge.count(second: 100) }
    for _ in 0..<3 { gauge.count(second: 99) }
    gauge.count(second: 100)
    #expect(gauge.rate(second: 100, milliseconds: 1000) == 8)
    #expect(gauge.rate(second: 100, milliseconds: 500) == 8 + 5)
    #expect(gauge.rate(second: 99, milliseconds: 900) == 8 + 10)
    #expect(gauges[.connectionRateMaximum].value == 10)
    #expect(gauges[.rateNow].value == 0)
  }

  @Test("a sliding average comes to its samples, from below and from above")
  func average() {
    for _ in 0..<20_000 { gauges.sample(.totalTime, 250) }
    #expect(gauges.average(.totalTime) == 250)
    for _ in 0..<20_000 { gauges.sample(.totalTime, 3) }
    #expect(gauges.average(.totalTime) == 3)
    for _ in 0..<20_000 { gauges.sample(.totalTime, 0) }
    #expect(gauges.average(.totalTime) == 0)
  }

  @Test("a sliding average follows the last thousand and twenty-four")
  func window() {
    var random = SeededGenerator(state: 4)
    var exact = 0.0
    for _ in 0..<50_000 {
      let sample = random.next() % 1_000
      gauges.sample(.queueTime, sample)
      exact += (Double(sample) - exact) / 1024
    }
    #expect(abs(Double(gauges.average(.queueTime)) - exact) <= 2)
  }
}
