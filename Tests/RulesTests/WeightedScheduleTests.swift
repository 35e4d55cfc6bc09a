import Testing

@testable import Rules

@Suite("WeightedSchedule")
struct WeightedScheduleTests {
  @Test("equal weights take turns in the order of the configuration")
  func equal() {
    #expect(WeightedSchedule(weights: [5, 5, 5]).turns == [0, 1, 2])
    #expect(WeightedSchedule(weights: [1]).turns == [0])
  }

  @Test("shares are spread, not bunched")
  func weighted() {
    #expect(WeightedSchedule(weights: [3, 1]).turns == [0, 0, 1, 0])
    #expect(WeightedSchedule(weights: [2, 1]).turns == [0, 1, 0])
    #expect(WeightedSchedule(weights: [10, 20, 30]).turns == [2, 1, 0, 2, 1, 2])
  }

  @Test("weight 0 gets no turn")
  func zero() {
    #expect(WeightedSchedule(weights: [0, 2, 0, 4]).turns == [3, 1, 3])
    #expect(WeightedSchedule(weights: [0, 0]).turns.isEmpty)
    #expect(WeightedSchedule(weights: []).turns.isEmpty)
  }

  @Test("each server gets its share of any turn of the wheel, and is never far from it on the way")
  func fairness() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<50 {
      let weights = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
        Int.random(in: 1...256, using: &generator)
      }
      let turns = WeightedSchedule(weights: weights).turns
      let sum = weights.reduce(0, +)
      var served = [Int](repeating: 0, count: weights.count)
      for (position, server) in turns.enumerated() {
        served[Int(server)] += 1
        let due = Double(weights[Int(server)]) * Double(position + 1) / Double(sum)
        #expect(abs(Double(served[Int(server)]) - due) < Double(weights.count))
      }
      for (server, weight) in weights.enumerated() {
        #expect(served[server] * sum == weight * turns.count)
      }
    }
  }

  @Test("a schedule is never longer than its cap, and still serves everyone")
  func cap() {
    let weights = (0..<3_000).map { $0 % 255 + 1 }
    let turns = WeightedSchedule(weights: weights).turns
    #expect(turns.count <= WeightedSchedule.maximumLength)
    #expect(Set(turns).count == weights.count)
  }
}
