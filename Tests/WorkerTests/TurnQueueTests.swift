import Testing

@testable import Worker

@Suite("Turns")
struct TurnQueueTests {
  @Test("places get their turns in order, each once however often it was put in")
  func order() throws {
    var queue = try TurnQueue(capacity: 5)
    for place in [3, 1, 3, 4, 1] { queue.append(place) }
    #expect(queue.count == 3)
    var taken: [Int] = []
    while let place = queue.takeFirst() { taken.append(place) }
    #expect(taken == [3, 1, 4])
    queue.append(3)
    #expect(queue.takeFirst() == 3)
    #expect(queue.takeFirst() == nil)
  }

  @Test("all places fit, over and over")
  func wrapping() throws {
    var queue = try TurnQueue(capacity: 7)
    for round in 0..<20 {
      let places = (0..<7).map { ($0 * 3 + round) % 7 }
      for place in places + places { queue.append(place) }
      #expect(queue.count == 7)
      var taken: [Int] = []
      for _ in 0..<(round % 7 + 1) { if let place = queue.takeFirst() { taken.append(place) } }
      #expect(taken == Array(places.prefix(round % 7 + 1)))
      while queue.takeFirst() != nil {}
    }
  }
}
