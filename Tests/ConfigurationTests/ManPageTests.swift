import Foundation
import Testing

@testable import Configuration

/// sluice.cfg(5) and the parser know the same words.
@Suite("man page")
struct ManPageTests {
  /// The words of the page as a reader sees them, without punctuation around them.
  private let words: Set<String>
  private let lines: [String]

  init() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../man/sluice.cfg.5").standardized
    let text = try String(contentsOf: page, encoding: .utf8).replacing("\\&", with: "")
    lines = text.components(separatedBy: "\n")
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

  // MARK: Examples

  /// The files that the page shows, as they would be typed.
  private var examples: [String] {
    let section = lines.drop { $0 != ".Sh EXAMPLES" }
    let blocks = section.split(separator: ".Bd -literal -offset indent").dropFirst()
    return blocks.map { block in
      block.prefix { $0 != ".Ed" }.map { $0.replacing("\\\\", with: "\\") + "\n" }.joined()
    }
  }

  @Test("shows files that load without an error")
  func examplesLoad() {
    #expect(examples.count >= 2)
    for example in examples {
      let patterns = ["/etc/sluice/www.names": "www.example.com\n"]
      #expect(load(example, patterns: patterns).errors == [])
    }
  }

  /// Words of older releases, which no file should hold any more.
  private static let renamed: Set<String> = [
    "contimeout", "clitimeout", "srvtimeout", "redispatch",
  ]

  /// Keywords that the page tells of in sections of their own, with what they take.
  private static let elsewhere: Set<String> = [
    "drain-delay", "external-check", "insecure-fork-wanted", "stick", "stick-table",
  ]

  @Test("shows every keyword in a file")
  func everyKeywordHasAnExample() {
    let used = Set(
      examples.joined().split(separator: "\n").compactMap { line in
        line.split(separator: " ").first.map(String.init)
      })
    let keywords = GlobalKeyword.allCases.map(\.rawValue) + ProxyKeyword.allCases.map(\.rawValue)
    let missing = Set(keywords).subtracting(used)
      .subtracting(Self.renamed).subtracting(Self.elsewhere).sorted()
    #expect(missing.isEmpty, "no example of sluice.cfg(5) uses these")
  }

  // MARK: Entries

  /// Of each keyword that begins an entry under PROXIES, the sections that the page gives it: the
  /// letters in the parentheses that its text begins with.
  private func sectionsOfEntries() -> [String: Set<Character>] {
    let page = lines.drop { $0 != ".Sh PROXIES" }.prefix { $0 != ".Sh BIND OPTIONS" }
    var sections: [String: Set<Character>] = [:]
    for (entry, text) in zip(page, page.dropFirst()) where entry.hasPrefix(".It Cm ") {
      guard text.hasPrefix("("), let end = text.firstIndex(of: ")") else { continue }
      let letters = Set(text[..<end].dropFirst())
      for part in entry.dropFirst(4).components(separatedBy: " , ") {
        guard let word = part.split(separator: " ").dropFirst().first else { continue }
        sections[String(word)] = letters
      }
    }
    return sections
  }

  @Test("gives every keyword of proxies the sections that the parser gives it")
  func sectionsOfKeywords() {
    let told = sectionsOfEntries()
    #expect(told.count > 25)
    // Each option has an entry and sections of its own.
    for keyword in ProxyKeyword.allCases
    where keyword != .option && !Self.elsewhere.contains(keyword.rawValue) {
      guard let letters = told[keyword.rawValue] else { continue }
      var expected: Set<Character> = []
      if keyword.roles.contains(.defaults) { expected.insert("D") }
      if keyword.roles.contains(.frontend) { expected.insert("F") }
      if keyword.roles.contains(.backend) { expected.insert("B") }
      #expect(letters == expected, "(\(letters.sorted())) for \(keyword.rawValue)")
    }
  }

  @Test("would miss a keyword that it does not tell of")
  func canFail() {
    #expect(!words.contains("tune.nonsense"))
  }
}
