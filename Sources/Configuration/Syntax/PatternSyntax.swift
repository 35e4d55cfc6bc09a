/// What is wrong with the patterns of one criterion.
private struct PatternFaults {
  /// A file of the wrong kind has as many as lines; these are enough to see that.
  private static let most = 20

  var all: [Diagnostic] = []

  var hasRoom: Bool { all.count < Self.most }
}

/// What stands behind a fetch: `-i -m end -f names.lst -- .example.com`.
extension ConfigurationReader {
  private struct Flags {
    var ignoresCase = false
    var match: Match?
    var files: [(word: Word, path: String, isOptional: Bool)] = []
    /// `-M`: of each line of a file only the first word counts.
    var filesAreMaps = false
  }

  private static let matches: KeyValuePairs<String, Match> = [
    "str": .string, "beg": .begin, "end": .end, "sub": .substring, "dom": .domain,
    "dir": .directory, "reg": .regularExpression, "found": .found, "bool": .boolean,
    "int": .integer, "ip": .address, "len": .length, "bin": .binary,
  ]

  /// The rest of a criterion, `sample` having been read.
  mutating func criterion(
    _ sample: SampleExpression, named word: Word, _ statement: inout Statement
  ) throws(Diagnostic) -> Criterion {
    var flags = try patternFlags(&statement)
    let type = sample.type(maps: maps)
    guard let match = flags.match ?? type.impliedMatch else {
      throw statement.span(of: word).error(
        "'\(word.text)' may be of any type", hint: "say how to compare it, such as '-m str'")
    }
    flags.match = match
    guard type.fits(match) else {
      throw statement.span(of: word).error(
        "'\(word.text)' is \(type.title), which '-m \(Self.name(of: match))' cannot compare")
    }
    var patterns = PatternList(match: match, isVersion: sample.fetch == .helloVersion)
    var faults = PatternFaults()
    for file in flags.files {
      try addPatterns(of: file, flags, to: &patterns, &faults, statement)
    }
    if !patterns.needsPatterns, let word = statement.peek {
      log.warn(
        statement.span(of: word), "patterns are ignored: there is nothing to compare them with",
        hints: ["'-m \(Self.name(of: match))' takes none"])
      statement.skipAll()
    }
    while let word = statement.next() {
      add(word, flags, to: &patterns, &faults, statement.span(of: word))
    }
    for fault in faults.all.dropLast() { log.report(fault) }
    if let last = faults.all.last { throw last }
    warnOfMissingPatterns(patterns, flags.files.isEmpty, word, statement)
    return Criterion(
      sample: sample, match: match, ignoresCase: flags.ignoresCase, patterns: patterns.patterns,
      position: statement.span(of: word).position)
  }

  private static func name(of match: Match) -> String {
    matches.first { $0.value == match }?.key ?? ""
  }

  private mutating func warnOfMissingPatterns(
    _ patterns: PatternList, _ hasNoFile: Bool, _ word: Word, _ statement: Statement
  ) {
    guard patterns.isEmpty, patterns.needsPatterns, hasNoFile else { return }
    log.warn(
      statement.span(of: word), "'\(word.text)' is compared with nothing and never matches",
      hints: ["add patterns, or '-m found' to ask whether there is a value"])
  }

  private mutating func patternFlags(_ statement: inout Statement) throws(Diagnostic) -> Flags {
    var flags = Flags()
    while let word = statement.peek, word.text.utf8.first == UInt8(ascii: "-"),
      word.text.utf8.count > 1
    {
      _ = statement.next()
      switch word.text {
      case "--": return flags
      case "-i": flags.ignoresCase = true
      case "-n": break
      case "-M": flags.filesAreMaps = true
      case "-u": _ = try statement.require("an identifier")
      case "-m": flags.match = try statement.choice("match", Self.matches)
      case "-f": flags.files.append(try Self.patternFile(&statement))
      default:
        // A negative number is a pattern, not a flag.
        if Int(word.text) != nil {
          statement.stepBack()
          return flags
        }
        throw statement.span(of: word).error(
          "unknown flag '\(word.text)'",
          hint: "expected -i, -m, -f, -n, -M, -u, or -- before patterns that begin with a dash")
      }
    }
    return flags
  }

  private static func patternFile(
    _ statement: inout Statement
  ) throws(Diagnostic) -> (word: Word, path: String, isOptional: Bool) {
    let word = try statement.require("the name of a pattern file")
    if let path = word.text.dropping(prefix: "opt@") { return (word, path, true) }
    if word.text.hasPrefix("virt@") {
      throw statement.span(of: word).error(
        "virtual pattern files are not supported in this version")
    }
    return (word, word.text.dropping(prefix: "file@") ?? word.text, false)
  }

  /// Adds a pattern, or notes what is wrong with it.
  private func add(
    _ word: Word, _ flags: Flags, to patterns: inout PatternList, _ faults: inout PatternFaults,
    _ span: SourceSpan
  ) {
    guard faults.hasRoom else { return }
    do throws(Diagnostic) {
      try add(word, flags, to: &patterns, span)
    } catch {
      faults.all.append(error)
    }
  }

  private func add(
    _ word: Word, _ flags: Flags, to patterns: inout PatternList, _ span: SourceSpan
  ) throws(Diagnostic) {
    if flags.match == .regularExpression {
      try examine(word, ignoresCase: flags.ignoresCase, span)
    }
    do throws(PatternList.Failure) {
      guard word.isUTF8 else {
        throw PatternList.Failure("not UTF-8; use '-m bin' and hexadecimal")
      }
      try patterns.add(word.text)
    } catch {
      throw span.error("bad pattern '\(word.text)': \(error.message)", hint: error.hint)
    }
  }

  private func examine(
    _ word: Word, ignoresCase: Bool, _ span: SourceSpan
  ) throws(Diagnostic) {
    guard let fault = judge?(word.text, ignoresCase) else { return }
    var place = span
    // Where quotes or escapes were taken out, bytes of the pattern are not bytes of the line.
    if word.length == word.text.utf8.count {
      let offset = min(fault.offset, word.length)
      place = SourceSpan(position: span.position, length: 1)
      place.position.column += offset
    }
    throw place.error("bad regular expression '\(word.text)': \(fault.message)")
  }

  private mutating func addPatterns(
    of file: (word: Word, path: String, isOptional: Bool), _ flags: Flags,
    to patterns: inout PatternList, _ faults: inout PatternFaults, _ statement: Statement
  ) throws(Diagnostic) {
    let span = statement.span(of: file.word)
    let index: Int
    switch readPatternFile(file.path) {
    case .success(let position): index = position
    case .failure(let error):
      if file.isOptional { return }
      throw span.error("cannot read '\(file.path)': \(error.reason)")
    }
    var lines = SourceLines(snapshot.files[index].bytes)
    var number = 0
    while let line = lines.next() {
      number += 1
      guard let pattern = Self.patternLine(line, isMap: flags.filesAreMaps) else { continue }
      let position = SourcePosition(
        file: index, line: number, column: pattern.column - line.startIndex + 1)
      add(
        pattern.word, flags, to: &patterns, &faults,
        SourceSpan(position: position, length: max(pattern.word.length, 1)))
    }
  }

  /// The pattern on a line of a file: without the blanks around it; comments only at its start.
  private static func patternLine(
    _ line: ArraySlice<UInt8>, isMap: Bool
  ) -> (word: Word, column: Int)? {
    var text = line.drop(while: \.isBlank)
    guard let first = text.first, first != UInt8(ascii: "#") else { return nil }
    if isMap { text = text.prefix { !$0.isBlank } }
    while let last = text.last, last.isBlank || last == 0x0d { text.removeLast() }
    guard !text.isEmpty else { return nil }
    let valid = String(validating: text, as: UTF8.self)
    let word = Word(
      text: valid ?? String(decoding: text, as: UTF8.self), column: 1, length: text.count,
      isUTF8: valid != nil)
    return (word, text.startIndex)
  }
}
