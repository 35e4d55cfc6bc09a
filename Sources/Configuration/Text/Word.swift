/// A word of a line, with quotes, escapes and variables resolved.
struct Word {
  var text: String
  /// Where it stands on its line, quotes included: bytes from 1, and how many.
  var column: Int
  var length: Int
  /// False if the bytes were no UTF-8 and `text` has replacement characters in their place.
  var isUTF8 = true
}

/// One line of a configuration, read from left to right.
///
/// What is missing or superfluous is reported where it is missing or superfluous.
struct Statement {
  let file: Int
  let line: Int
  let words: [Word]
  /// The line could not be read to its end, which has been reported.
  var isBroken = false
  private(set) var index = 0

  init(file: Int, line: Int, words: [Word]) {
    self.file = file
    self.line = line
    self.words = words
  }

  /// The whole line, from its first word to its last.
  var span: SourceSpan {
    guard let first = words.first, let last = words.last else {
      return SourceSpan(position: position(column: 1), length: 1)
    }
    return SourceSpan(
      position: position(column: first.column), length: last.column + last.length - first.column)
  }

  /// Just behind the last word: where something is missing.
  var end: SourceSpan {
    let column = words.last.map { $0.column + $0.length } ?? 1
    return SourceSpan(position: position(column: column), length: 1)
  }

  var keyword: Word? { words.first }
  var peek: Word? { index < words.count ? words[index] : nil }
  var isAtEnd: Bool { index == words.count }

  func span(of word: Word) -> SourceSpan {
    SourceSpan(position: position(column: word.column), length: max(word.length, 1))
  }

  private func position(column: Int) -> SourcePosition {
    SourcePosition(file: file, line: line, column: column)
  }

  mutating func next() -> Word? {
    guard index < words.count else { return nil }
    defer { index += 1 }
    return words[index]
  }

  /// Takes the next word if it is `text`.
  mutating func skip(_ text: String) -> Bool {
    guard let word = peek, word.text == text else { return false }
    index += 1
    return true
  }

  mutating func skipAll() { index = words.count }

  /// All that is left, with single blanks between.
  mutating func rest(or missing: String) -> String {
    defer { index = words.count }
    return index == words.count
      ? missing : words[index...].map(\.text).joined(separator: " ")
  }

  /// Takes back the word that was read last.
  mutating func stepBack() {
    precondition(index > 0, "nothing was read")
    index -= 1
  }

  /// The next word, which must be there: `what` completes "expected …".
  mutating func require(_ what: String) throws(Diagnostic) -> Word {
    guard let word = next() else {
      let keyword = words.first?.text ?? ""
      throw end.error("'\(keyword)' ends too early", hint: "expected \(what)")
    }
    return word
  }

  /// The line must be over.
  func finish() throws(Diagnostic) {
    guard let word = peek else { return }
    throw span(of: word).error("unexpected '\(word.text)'", hint: "expected the end of the line")
  }
}
