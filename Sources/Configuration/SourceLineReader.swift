/// From bytes to statements: line ends, the lexer, `.if`, and variables that the file itself sets.
extension ConfigurationReader {
  /// An open `.if`.
  private struct Branch {
    let opening: SourceSpan
    /// Whether the lines around it count.
    let isReached: Bool
    /// Whether the lines of the present part count.
    var isActive: Bool
    /// Whether a part has counted already, so that no further one may.
    var isDecided: Bool
    var sawElse = false
  }

  private static func isActive(_ branches: [Branch]) -> Bool {
    branches.last.map { $0.isReached && $0.isActive } ?? true
  }

  mutating func readLines(ofFile file: Int) {
    var lines = SourceLines(snapshot.files[file].bytes)
    var number = 0
    var branches: [Branch] = []
    var section = Section()
    while var line = lines.next() {
      number += 1
      if number == 1, line.starts(with: [0xef, 0xbb, 0xbf]) {
        // The byte order mark of some editors. It keeps its columns: they count bytes.
        line = Self.blankingByteOrderMark(line)
      }
      guard
        let statement = statement(
          on: line, number: number, file: file, section: section, branches: &branches)
      else { continue }
      take(statement, into: &section)
    }
    handle(section)
    if let open = branches.first {
      log.report(open.opening.error("this '.if' is never closed", hint: "expected '.endif'"))
    }
    warnOfMissingNewline(file, lines: number)
  }

  private static func blankingByteOrderMark(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var line = line
    for index in line.startIndex..<(line.startIndex + 3) { line[index] = UInt8(ascii: " ") }
    return line
  }

  /// A file that was cut off while it was written would lack servers or rules, and nothing else
  /// would tell. The reference refuses it since 3.5, but many files that run today end so.
  private mutating func warnOfMissingNewline(_ file: Int, lines: Int) {
    guard let last = snapshot.files[file].bytes.last, last != 0x0a else { return }
    let position = SourcePosition(file: file, line: lines, column: 1)
    log.warn(
      SourceSpan(position: position, length: 1),
      "the last line does not end: is the file complete?",
      hints: ["end it with a newline"])
  }

  /// The statement of a line, unless it is blank, skipped, or for the reader itself.
  private mutating func statement(
    on line: ArraySlice<UInt8>, number: Int, file: Int, section: Section,
    branches: inout [Branch]
  ) -> Statement? {
    guard let first = line.first(where: { !$0.isBlank }), first != UInt8(ascii: "#") else {
      return nil
    }
    let isDirective = first == UInt8(ascii: ".")
    guard isDirective || Self.isActive(branches) else { return nil }
    if let control = line.firstIndex(where: { $0 == 0 || $0 == 0x0d }) {
      let position = SourcePosition(
        file: file, line: number, column: control - line.startIndex + 1)
      let what = line[control] == 0 ? "a NUL byte" : "a carriage return"
      log.error(
        SourceSpan(position: position, length: 1), "\(what) within the line",
        hints: ["is this a text file?"])
      return nil
    }
    let path = snapshot.files[file].path
    var lexer = Lexer(
      line, place: Lexer.Place(path: path, line: number, section: section.name))
    var statement: Statement
    do throws(Lexer.Failure) {
      let words = try lexer.words(in: &environment)
      statement = Statement(file: file, line: number, words: words)
    } catch {
      let position = SourcePosition(
        file: file, line: number, column: error.range.lowerBound - line.startIndex + 1)
      log.error(
        SourceSpan(position: position, length: max(error.range.count, 1)), error.message,
        hints: [error.hint])
      statement = Statement(file: file, line: number, words: error.words)
      statement.isBroken = true
    }
    guard let keyword = statement.next() else { return nil }
    guard isDirective else { return statement }
    if statement.isBroken { return nil }
    let isActive = Self.isActive(branches)
    attempt { reader throws(Diagnostic) in
      try reader.directive(keyword, &statement, &branches, isActive: isActive)
    }
    return nil
  }

  // MARK: Directives

  private mutating func directive(
    _ keyword: Word, _ statement: inout Statement, _ branches: inout [Branch], isActive: Bool
  ) throws(Diagnostic) {
    switch keyword.text {
    case ".if":
      // Opened before it is evaluated: a condition that cannot be read needs its `.endif` too.
      branches.append(
        Branch(
          opening: statement.span, isReached: isActive, isActive: false, isDecided: !isActive))
      try evaluate(&statement, for: &branches)
    case ".elif":
      guard branches.last?.sawElse == false else {
        throw statement.span.error("'.elif' without '.if'")
      }
      branches[branches.count - 1].isActive = false
      try evaluate(&statement, for: &branches)
    case ".else":
      guard let branch = branches.last, !branch.sawElse else {
        throw statement.span.error("'.else' without '.if'")
      }
      branches[branches.count - 1].isActive = !branch.isDecided
      branches[branches.count - 1].sawElse = true
      try statement.finish()
    case ".endif":
      guard branches.popLast() != nil else {
        throw statement.span.error("'.endif' without '.if'")
      }
      try statement.finish()
    case ".notice", ".warning", ".alert", ".diag":
      if isActive { say(keyword, &statement) }
    default:
      guard isActive else { return }
      let known = [".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag"]
      throw statement.span(of: keyword).error(
        "unknown directive '\(keyword.text)'", hint: "expected \(Statement.list(known))",
        suggestion: Suggestion.nearest(to: keyword.text, among: known))
    }
  }

  private mutating func evaluate(
    _ statement: inout Statement, for branches: inout [Branch]
  ) throws(Diagnostic) {
    guard let branch = branches.last, !branch.isDecided else { return }
    let first = try statement.require("a condition, such as defined(NAME)")
    var words = [first.text]
    while let word = statement.next() { words.append(word.text) }
    let text = words.joined(separator: " ")
    switch ConditionExpression.evaluate(text, in: &environment) {
    case .isTrue:
      branches[branches.count - 1].isActive = true
      branches[branches.count - 1].isDecided = true
    case .isFalse: break
    case .syntaxError(let message, _):
      // Nothing of an unreadable `.if` counts: its parts may contradict each other.
      branches[branches.count - 1].isDecided = true
      throw statement.span.error("bad condition: \(message)")
    }
  }

  private mutating func say(_ keyword: Word, _ statement: inout Statement) {
    var words: [String] = []
    while let word = statement.next() { words.append(word.text) }
    let text = words.joined(separator: " ")
    switch keyword.text {
    case ".alert": log.error(statement.span, text)
    case ".warning": log.warn(statement.span, text)
    default: log.notice(statement.span, text)
    }
  }

  // MARK: Variables

  /// `setenv`, `presetenv`, `unsetenv` and `resetenv` act at once: the next line may use them.
  mutating func changeEnvironment(
    _ keyword: Word, _ statement: inout Statement
  ) throws(Diagnostic) {
    switch keyword.text {
    case "setenv", "presetenv":
      let name = try statement.require("the name of a variable").text
      let value = try statement.require("a value").text
      try statement.finish()
      if keyword.text == "setenv" || environment.value(of: name) == nil {
        environment.set(name, to: value)
      }
    case "unsetenv":
      while let name = statement.next() { environment.remove(name.text) }
    default:
      var names: Set<String> = []
      while let name = statement.next() { names.insert(name.text) }
      environment.reset(keeping: names)
    }
  }
}
