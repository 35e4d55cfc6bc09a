/// The ACLs of one proxy, by name and anonymous.
struct ACLScope {
  private(set) var acls: [ACL] = []
  private var indices: [String: Int] = [:]
  private(set) var broken = BrokenNames()

  var names: [String] { Array(indices.keys) }

  /// Adds a line to the ACL `name`, which several lines may share.
  mutating func add(_ criterion: Criterion, named name: String) {
    if let index = indices[name] {
      acls[index].lines.append(criterion)
    } else {
      indices[name] = add(ACL(name: name, lines: [criterion]))
    }
  }

  mutating func add(_ acl: ACL) -> Int {
    acls.append(acl)
    return acls.count - 1
  }

  /// Notes a line that could not be read.
  mutating func addBroken(_ name: String?) { broken.add(name) }

  /// The index of the ACL `name`, declared or predefined.
  mutating func index(of name: String, at position: SourcePosition) -> Int? {
    if let index = indices[name] { return index }
    guard let test = SampleExpression.predefined[name] else { return nil }
    let criterion = Criterion(
      sample: SampleExpression(fetch: test.fetch), match: test.match, ignoresCase: false,
      patterns: test.patterns, position: position)
    add(criterion, named: name)
    return indices[name]
  }

  /// Whether any of them looks at `fetch`.
  func use(_ fetch: SampleExpression.Fetch) -> Bool {
    acls.contains { $0.lines.contains { $0.sample.fetch == fetch } }
  }
}

extension ConfigurationReader {
  /// An `acl NAME CRITERION …` line, its keyword having been read.
  mutating func parseACL(
    _ statement: inout Statement, into scope: inout ACLScope
  ) throws(Diagnostic) {
    let word = statement.peek
    do throws(Diagnostic) {
      let name = try statement.name("a name for the ACL")
      guard name.text != "or" else {
        throw statement.span(of: name).error("'or' cannot be the name of an ACL")
      }
      let word = try statement.require("what to look at, such as req.ssl_sni")
      let sample = try self.sample(word, of: statement)
      scope.add(try criterion(sample, named: word, &statement), named: name.text)
    } catch {
      scope.addBroken(word?.text)
      throw error
    }
  }

  /// `if …`, `unless …` or nothing at all, up to the end of the line.
  mutating func condition(
    _ statement: inout Statement, _ scope: inout ACLScope
  ) throws(Diagnostic) -> Condition? {
    guard let word = statement.next() else { return nil }
    guard word.text == "if" || word.text == "unless" else {
      throw statement.span(of: word).error(
        "unexpected '\(word.text)'", hint: "expected 'if', 'unless' or the end of the line",
        suggestion: Suggestion.nearest(to: word.text, among: ["if", "unless"]))
    }
    return Condition(
      isNegated: word.text == "unless", alternatives: try alternatives(&statement, &scope))
  }

  private mutating func alternatives(
    _ statement: inout Statement, _ scope: inout ACLScope
  ) throws(Diagnostic) -> [[Condition.Term]] {
    var alternatives: [[Condition.Term]] = [[]]
    while let word = statement.next() {
      if word.text == "or" || word.text == "||" {
        guard alternatives.last?.isEmpty == false else {
          throw statement.span(of: word).error(
            "nothing stands before '\(word.text)'", hint: "expected a condition")
        }
        alternatives.append([])
      } else {
        let term = try term(word, &statement, &scope)
        alternatives[alternatives.count - 1].append(term)
      }
    }
    guard alternatives.last?.isEmpty == false else {
      throw statement.end.error(
        "the condition ends too early", hint: "expected the name of an ACL or { … }")
    }
    return alternatives
  }

  /// A name or `{ … }`, with any number of `!` before it.
  private mutating func term(
    _ word: Word, _ statement: inout Statement, _ scope: inout ACLScope
  ) throws(Diagnostic) -> Condition.Term {
    var word = word
    var isNegated = false
    while word.text.utf8.first == UInt8(ascii: "!") {
      isNegated.toggle()
      let rest = String(word.text.dropFirst())
      word =
        rest.isEmpty
        ? try statement.require("a condition after '!'")
        : Word(text: rest, column: word.column + 1, length: max(word.length - 1, 1))
    }
    if word.text == "{" {
      return Condition.Term(
        isNegated: isNegated, acl: try anonymousACL(word, &statement, &scope))
    }
    let span = statement.span(of: word)
    if let index = scope.index(of: word.text, at: span.position) {
      return Condition.Term(isNegated: isNegated, acl: index)
    }
    if scope.broken.mayInclude(word.text) {
      // Its own line was reported; one wrong line is one error.
      let index = scope.add(ACL(name: word.text, lines: []))
      return Condition.Term(isNegated: isNegated, acl: index)
    }
    throw unknownACL(word, span, scope)
  }

  private mutating func unknownACL(
    _ word: Word, _ span: SourceSpan, _ scope: ACLScope
  ) -> Diagnostic {
    if SampleExpression.unsupportedPredefined.contains(word.text) {
      return span.error("the predefined ACL '\(word.text)' is not supported in this version")
    }
    switch word.text {
    case "and", "&&":
      return span.error(
        "'\(word.text)' is no ACL", hint: "conditions that stand side by side must all hold")
    case "}":
      return span.error("no '{' opens this", hint: "expected a blank on both sides of braces")
    case let text where text.hasPrefix("{") || text.hasPrefix("("):
      return span.error(
        "no such ACL: '\(text)'",
        hint: "expected a blank on both sides of braces; there are no parentheses")
    default:
      return span.error(
        "no such ACL: '\(word.text)'",
        hint: "expected the name of an 'acl' line above this one, or { … }",
        suggestion: nearest(to: word.text, among: scope.names + SampleExpression.predefined.keys))
    }
  }

  private mutating func anonymousACL(
    _ brace: Word, _ statement: inout Statement, _ scope: inout ACLScope
  ) throws(Diagnostic) -> Int {
    var words: [Word] = []
    while true {
      guard let word = statement.next() else {
        throw statement.span(of: brace).error(
          "this '{' is never closed", hint: "expected '}' with a blank on both sides")
      }
      if word.text == "}" { break }
      words.append(word)
    }
    guard let first = words.first else {
      throw statement.span(of: brace).error("nothing stands between the braces")
    }
    var inner = Statement(file: statement.file, line: statement.line, words: words)
    _ = inner.next()
    let sample = try self.sample(first, of: inner)
    return scope.add(
      ACL(name: nil, lines: [try criterion(sample, named: first, &inner)]))
  }
}
