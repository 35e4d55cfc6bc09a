import Testing

@testable import Controller

@Suite("HealthCounter")
struct HealthCounterTests {
  /// What checks (`+` passed, `-` failed) do to a server that starts up.
  static let stories: [(rise: Int, fall: Int, checks: String, values: [Int], last: String)] = [
    // The first failure of a server that has passed no check yet brings it down.
    (2, 3, "-", [0], "down"),
    (2, 3, "+", [4], "counted"),
    (2, 3, "+-", [4, 3], "counted"),
    (2, 3, "+--", [4, 3, 2], "counted"),
    (2, 3, "+---", [4, 3, 2, 0], "down"),
    // A pass in between makes it whole only step by step of one, and that is the jump to the top.
    (2, 3, "+-+", [4, 3, 4], "counted"),
    (2, 3, "+--+", [4, 3, 2, 4], "counted"),
    (2, 3, "-+", [0, 1], "counted"),
    (2, 3, "-++", [0, 1, 4], "up"),
    // A failure on the way up throws back to the bottom.
    (2, 3, "-+-", [0, 1, 0], "counted"),
    (2, 3, "--", [0, 0], "none"),
    (2, 3, "++", [4, 4], "none"),
    (1, 1, "-", [0], "down"),
    (1, 1, "-+", [0, 1], "up"),
    (1, 1, "+", [1], "none"),
    (5, 1, "-++++", [0, 1, 2, 3, 4], "counted"),
    (5, 1, "-+++++", [0, 1, 2, 3, 4, 5], "up"),
    (5, 1, "-+++++-", [0, 1, 2, 3, 4, 5, 0], "down"),
  ]

  @Test("follows the reference's table", arguments: stories.indices)
  func table(index: Int) {
    let story = Self.stories[index]
    var counter = HealthCounter(rise: story.rise, fall: story.fall, value: story.rise)
    var change = HealthCounter.Change.none
    var values: [Int] = []
    for check in story.checks {
      change = counter.record(passed: check == "+")
      values.append(counter.value)
    }
    #expect(values == story.values)
    let names: [HealthCounter.Change: String] = [
      .none: "none", .counted: "counted", .wentUp: "up", .wentDown: "down",
    ]
    #expect(names[change] == story.last)
    #expect(counter.isUp == (counter.value >= story.rise))
  }

  @Test("says how far a server is on its way")
  func progress() {
    #expect(HealthCounter(rise: 2, fall: 3, value: 4).progress == "3/3")
    #expect(HealthCounter(rise: 2, fall: 3, value: 2).progress == "1/3")
    #expect(HealthCounter(rise: 2, fall: 3, value: 1).progress == "1/2")
    #expect(HealthCounter(rise: 2, fall: 3, value: 0).progress == "0/2")
  }

  @Test("brings what a ledger says into its range")
  func range() {
    #expect(HealthCounter(rise: 2, fall: 3, value: 99).isFullyUp)
    #expect(HealthCounter(rise: 2, fall: 3, value: -1).isFullyDown)
  }
}
