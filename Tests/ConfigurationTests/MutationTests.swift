import Configuration
import Testing

/// A thousand configurations with one line changed: the unharmed ones load equal to the original,
/// and every refusal names the line that was harmed.
@Suite("Mutations")
struct MutationTests {
  private static let rounds = 1000

  /// Files whose every line matters, which is what makes harm visible.
  private static let subjects = ["sni_routing", "listen_and_rules", "named_defaults", "addresses"]

  private struct Subject {
    let name: String
    let lines: [String]
    let original: String
    let patterns: [String: String]

    func load(_ lines: [String]) -> LoadResult {
      ConfigurationTests.load(
        lines.map { $0 + "\n" }.joined(), patterns: patterns)
    }
  }

  private func subject(_ name: String) throws -> Subject {
    let text = String(decoding: try Fixtures.bytes("valid", name + ".cfg"), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      .map(String.init)
    let blocked = String(decoding: try Fixtures.bytes("valid", "blocked.lst"), as: UTF8.self)
    let empty = Subject(
      name: name, lines: lines, original: "", patterns: ["blocked.lst": blocked])
    let result = empty.load(lines)
    return Subject(
      name: name, lines: lines, original: Self.shape(of: try #require(result.configuration)),
      patterns: empty.patterns)
  }

  /// A configuration without its positions and hash, which every change of the text changes.
  private static func shape(of configuration: ProxyConfiguration) -> String {
    var configuration = configuration
    configuration.hash = 0
    var shape = ""
    for (index, part) in "\(configuration)".split(separator: "SourcePosition(").enumerated() {
      shape += index == 0 ? part : part.drop { $0 != ")" }
    }
    return shape
  }

  // MARK: Harmless changes

  @Test("blanks, comments, empty lines and quotes change nothing")
  func harmless() throws {
    var random = SeededGenerator(seed: 20_260_101)
    let subjects = try Self.subjects.map(subject)
    for round in 0..<(Self.rounds / 2) {
      let subject = subjects[round % subjects.count]
      var lines = subject.lines
      let index = Int.random(in: 0..<lines.count, using: &random)
      change(&lines, index, &random)
      let result = subject.load(lines)
      guard let configuration = result.configuration else {
        Issue.record("round \(round), \(subject.name):\(index + 1): \(result.report)")
        continue
      }
      #expect(Self.shape(of: configuration) == subject.original, "round \(round)")
    }
  }

  private func change(_ lines: inout [String], _ index: Int, _ random: inout SeededGenerator) {
    switch Int.random(in: 0..<7, using: &random) {
    case 0: lines.insert("", at: index)
    case 1: lines.insert("   # server s 192.0.2.1:1 \"", at: index)
    case 2: lines[index] += "\t "
    case 3: lines[index] += " # no more"
    case 4: lines[index] = lines[index].replacing(" ", with: "  ")
    case 5: lines[index] += "\r"
    default: lines[index] = quotingLastWord(of: lines[index])
    }
  }

  private func quotingLastWord(of line: String) -> String {
    let line = line.replacing("\t", with: " ")
    guard !line.contains("#"), !line.contains("\\"), let last = line.split(separator: " ").last
    else { return line }
    return line.dropLast(last.count) + "'" + last + "'"
  }

  // MARK: Harm

  /// A way to break a line, nil where the line has nothing to break that way.
  private enum Harm: CaseIterable {
    case misspellsKeyword, unbalancesQuote, ruinsNumber, dropsArguments, addsWord, doublesBrace
    case ruinsOption, namesNobody
  }

  @Test("every refusal names the line that was harmed, and harm is refused")
  func harmful() throws {
    var random = SeededGenerator(seed: 20_260_102)
    let subjects = try Self.subjects.map(subject)
    var done = 0
    for round in 0..<(Self.rounds / 2) {
      let subject = subjects[round % subjects.count]
      let harm = Harm.allCases[round / subjects.count % Harm.allCases.count]
      for index in subject.lines.indices.shuffled(using: &random) {
        guard let harmed = apply(harm, to: subject.lines[index], &random) else { continue }
        var lines = subject.lines
        lines[index] = harmed
        judge(subject.load(lines), line: index + 1, of: subject, harm, harmed)
        done += 1
        break
      }
    }
    // Not every file has a brace or a rule to break.
    #expect(done > Self.rounds * 4 / 10)
  }

  private func judge(
    _ result: LoadResult, line: Int, of subject: Subject, _ harm: Harm, _ harmed: String
  ) {
    #expect(result.configuration == nil, "\(harm) in \(subject.name):\(line): \(harmed)")
    guard result.configuration == nil else { return }
    let places = result.diagnostics.filter { $0.severity == .error }.map { $0.position?.line }
    #expect(
      places.contains(line), "\(harm) in \(subject.name):\(line): \(harmed)\n\(result.report)")
    // One wrong line is one error, unless others refer to what it would have named.
    #expect(places.count == 1, "\(harm) in \(subject.name):\(line): \(harmed)\n\(result.report)")
  }

  private func apply(
    _ harm: Harm, to line: String, _ random: inout SeededGenerator
  ) -> String? {
    let code = line.prefix { $0 != "#" }
    let indent = String(code.prefix { $0 == " " || $0 == "\t" })
    var words = code.split { $0 == " " || $0 == "\t" }.map(String.init)
    guard let keyword = words.first else { return nil }
    switch harm {
    case .misspellsKeyword:
      // Another letter in the middle; ends could make a keyword of another.
      guard keyword.count > 2 else { return nil }
      let at = keyword.index(
        keyword.startIndex, offsetBy: Int.random(in: 1..<(keyword.count - 1), using: &random))
      let letter = keyword[at] == "q" ? "x" : "q"
      words[0] = keyword[..<at] + letter + keyword[keyword.index(after: at)...]
    case .unbalancesQuote:
      let at = Int.random(in: 0..<words.count, using: &random)
      guard !words[at].contains("\\") else { return nil }
      words[at] += Bool.random(using: &random) ? "\"" : "'"
    case .ruinsNumber:
      let numbers = words.indices.dropFirst().filter { isQuantity(words[$0]) }
      guard !isUnchecked(words), let at = numbers.randomElement(using: &random) else { return nil }
      words[at] = "x" + words[at]
    case .dropsArguments:
      guard words.count > 1, !Self.complete.contains(keyword), !isUnchecked(words) else {
        return nil
      }
      words = [keyword]
    case .addsWord:
      guard !Self.openEnded.contains(keyword), !isUnchecked(words) else { return nil }
      words.append("surplus")
    case .doublesBrace:
      guard let at = words.firstIndex(of: "{") else { return nil }
      words.insert(["{", "}"].randomElement(using: &random) ?? "{", at: at)
    case .ruinsOption:
      guard keyword == "option" || keyword == "timeout" || keyword == "balance" else { return nil }
      words[1] += "q"
    case .namesNobody:
      guard ["use_backend", "default_backend", "use-server"].contains(keyword) else { return nil }
      words[1] += "q"
    }
    return indent + words.joined(separator: " ")
  }

  /// Lines about TLS and HTTP are passed over, whatever they say.
  private func isUnchecked(_ words: [String]) -> Bool {
    words[0].contains("ssl") || words.contains { $0.hasPrefix("http-") }
  }

  private func isQuantity(_ word: String) -> Bool {
    guard let first = word.first, first.isNumber else { return false }
    return word.allSatisfy { $0.isNumber || $0.isLetter }
  }

  /// Keywords that say all without an argument.
  private static let complete = ["defaults", "global", "daemon"]
  /// Keywords that another word may follow: a pattern, a name.
  private static let openEnded = ["acl", "defaults"]
}

/// SplitMix64: the same sequence for the same seed, everywhere and always.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}
