import Linux
import Reactor
import Testing

@Suite("Timers")
struct TimersTests {
  /// The naive list that the wheel must agree with: nothing early, nothing later than a tick.
  @Test("agrees with a list, whatever is set, moved and cancelled", arguments: 1...20)
  func agreesWithList(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var now: Int64 = Int64(random.next() % 1_000_000)
    var timers = try Timers(capacity: 50, at: now)
    var model: [Int: Int64] = [:]

    for step in 0..<5_000 {
      let id = Int(random.next() % 50)
      switch random.next() % 4 {
      case 0, 1:
        let distance = Int64(random.next() % 100) << Int64(random.next() % 22)
        timers.set(id, to: now + distance)
        model[id] = now + distance
      case 2:
        timers.cancel(id)
        model[id] = nil
      default:
        if let wait = timers.wait(at: now) {
          let earliest = model.values.min() ?? Int64.max / 2
          #expect(
            now + Int64(wait) <= max(now, earliest) + 8, "would sleep past a deadline, seed \(seed)"
          )
        } else {
          #expect(model.isEmpty, "nothing waits though something does, seed \(seed)")
        }
        now += Int64(random.next() % 64) << Int64(random.next() % 16)
        var due: Set<Int> = []
        while let id = timers.next(at: now) {
          #expect(
            model[id].map { $0 <= now } == true, "early or cancelled, step \(step), seed \(seed)")
          due.insert(id)
          model[id] = nil
        }
        for (id, deadline) in model {
          #expect(deadline > now - 8, "\(id) is late, step \(step), seed \(seed)")
        }
      }
    }
  }

  @Test("sleeps until the deadline, in few steps")
  func fewWakeUps() throws {
    var timers = try Timers(capacity: 1, at: 1_000_000)
    timers.set(0, to: 1_000_000 + 3_600_000)
    var now: Int64 = 1_000_000
    var wakeUps = 0
    var due: Int?
    while due == nil, wakeUps < 100 {
      let wait = timers.wait(at: now)
      now += Int64(try #require(wait))
      wakeUps += 1
      due = timers.next(at: now)
    }
    #expect(due == 0)
    #expect(now >= 1_000_000 + 3_600_000)
    #expect(now <= 1_000_000 + 3_600_000 + 8)
    #expect(wakeUps <= 4)
  }

  @Test("an earlier deadline is moved, a later one is found in time")
  func moves() throws {
    var timers = try Timers(capacity: 2, at: 0)
    timers.set(0, to: 10_000)
    timers.set(0, to: 100)
    let early = timers.next(at: 99)
    let first = timers.next(at: 104)
    #expect(early == nil)
    #expect(first == 0)
    timers.set(1, to: 200)
    timers.set(1, to: 50_000)
    let stale = timers.next(at: 49_000)
    let second = timers.next(at: 50_008)
    let wait = timers.wait(at: 50_008)
    #expect(stale == nil)
    #expect(second == 1)
    #expect(wait == nil)
  }
}

/// A seeded generator, so that a failure can be repeated.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
