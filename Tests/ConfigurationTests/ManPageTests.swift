import Foundation
import Testing

@testable import Configuration

/// sluice.cfg(5) and the parser know the same words.
@Suite("man page")
struct ManPageTests {
  /// The words of the page as a reader sees them, without punctuation around them.
  private let words: Set<String>

  init() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../man/sluice.cfg.5").standardized
    let text = try String(contentsOf: page, encoding: .utf8).replacing("\\&", with: "")
    let separators = CharacterSet.whitespacesAndNewlines
    words = Set(text.components(separatedBy: separators))
  }

  private func expect(_ keywords: some Sequence<String>, in place: String) {
    let missing = keywords.filter { !words.contains($0) }.sorted()
    #expect(missing.isEmpty, "sluice.cfg(5) does not tell of these words of \(place)")
  }

  @Test("tells of every keyword of global")
  func global() {
    expect(GlobalKeyword.allCases.map(\.rawValue), in: "global")
  }

  @Test("tells of every keyword of proxies")
  func proxies() {
    expect(ProxyKeyword.allCases.map(\.rawValue), in: "proxies")
  }

  @Test("tells of every section, also of those that are skipped")
  func sections() {
    expect(Section.allNames, in: "a file")
  }

  @Test("tells of everything that rules can look at")
  func samples() {
    let dotted = SampleExpression.fetches.keys.filter { !$0.hasPrefix("req_") }
    expect(dotted, in: "rules")
    expect(SampleExpression.predefined.keys, in: "conditions")
  }

  @Test("would miss a keyword that it does not tell of")
  func canFail() {
    #expect(!words.contains("tune.nonsense"))
  }
}
