import ArgumentParser

extension Sluicectl {
  /// Runs the command that the words name. Options that stand before it mean the same as behind it:
  /// `sluicectl --socket PATH status`.
  static func main() {
    main(reordered(Array(CommandLine.arguments.dropFirst())))
  }

  /// Moves the options before the first word that is none behind it.
  private static func reordered(_ words: [String]) -> [String] {
    var command = 0
    while command < words.count, let length = lengthOfOption(words[command]) { command += length }
    guard command > 0, command < words.count else { return words }
    return [words[command]] + words[..<command] + words[(command + 1)...]
  }

  /// How many words an option takes that every command has; nil if the word is none.
  private static func lengthOfOption(_ word: String) -> Int? {
    switch word {
    case "-s", "--socket": 2
    case "--json": 1
    case let word where word.hasPrefix("--socket="): 1
    default: nil
    }
  }
}
