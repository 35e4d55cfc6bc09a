import Testing

@testable import Configuration

@Suite("Suggestion")
struct SuggestionTests {
  @Test(
    "counts insertions, deletions, replacements and swaps",
    arguments: [
      ("bind", "bind", 0), ("bnid", "bind", 1), ("bin", "bind", 1), ("bindd", "bind", 1),
      ("bond", "bind", 1), ("", "bind", 4), ("server", "serve", 1), ("abc", "xyz", 3),
    ])
  func distance(left: String, right: String, expected: Int) {
    #expect(Suggestion.distance(Array(left.utf8), Array(right.utf8)) == expected)
  }

  @Test("names the nearest, and none where nothing is near")
  func nearest() {
    let known = ["bind", "balance", "backlog", "server"]
    #expect(Suggestion.nearest(to: "bnid", among: known) == "bind")
    #expect(Suggestion.nearest(to: "balanse", among: known) == "balance")
    #expect(Suggestion.nearest(to: "quux", among: known) == nil)
    // Two letters of three make another word, not a misspelt one.
    #expect(Suggestion.nearest(to: "rfc", among: ["raw", "iso"]) == nil)
    #expect(Suggestion.nearest(to: "", among: known) == nil)
    #expect(Suggestion.nearest(to: "bat", among: ["cat", "bar", "bad"]) == "bad")
  }
}
