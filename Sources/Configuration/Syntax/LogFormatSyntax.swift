/// `log-format "%ci:%cp [%t] %[req.ssl_sni]"`.
extension ConfigurationReader {
  /// Variables that a tcp session has.
  private static let variables = ForeignWords.words(
    """
    B ID T Tc Td Th Ti Tl Ts Tt Tu Tw U ac b bc bi bp bq ci cp f fc fi fp ft lc ms pid rc rt s sc
    si sp sq t ts tsc OG o E origin
    """)

  /// Variables of HTTP and TLS: known, and empty here.
  private static let emptyVariables = ForeignWords.words(
    """
    CC CS H HM HP HPO HQ HU HV ST Ta TR Tq Tr hr hrl hs hsl r sslc sslv tr trg trl
    """)

  mutating func logFormat(_ word: Word, of statement: Statement) throws(Diagnostic) -> [LogItem] {
    var format = LogFormat(word.text)
    let span = statement.span(of: word)
    var items: [LogItem] = []
    while let piece = try format.next(span) {
      switch piece {
      case .text(let text): items.append(.text(text))
      case .variable(let name, let isQuoted):
        items += try logVariable(name, isQuoted: isQuoted, span)
      case .expression(let text, let isQuoted):
        let item = try logSample(text, word, statement)
        items += isQuoted ? [.text("\""), item, .text("\"")] : [item]
      }
    }
    if format.usesEncoding {
      log.warn(span, "JSON and CBOR log lines are not supported in this version; it is plain text")
    }
    return Self.joined(items)
  }

  private mutating func logVariable(
    _ name: String, isQuoted: Bool, _ span: SourceSpan
  ) throws(Diagnostic) -> [LogItem] {
    // `%o` alone carries flags for those that follow, and logs nothing.
    if name == "o" { return [] }
    let item: LogItem
    if Self.variables.contains(name) {
      item = .variable(name)
    } else if Self.emptyVariables.contains(name) {
      log.warn(span, "'%\(name)' has no value in 'mode tcp' and is logged as '-'")
      item = .text("-")
    } else {
      throw span.error(
        "unknown log variable '%\(name)'", hint: "write %% for a per cent sign",
        suggestion: Suggestion.nearest(to: name, among: Self.variables.sorted()).map { "%" + $0 })
    }
    return isQuoted ? [.text("\""), item, .text("\"")] : [item]
  }

  private mutating func logSample(
    _ text: String, _ word: Word, _ statement: Statement
  ) throws(Diagnostic) -> LogItem {
    let name = String(text.prefix { $0 != "(" && $0 != "," })
    if ForeignWords.fetches.contains(name) {
      // A log line with a dash is worth more than a refused configuration.
      log.warn(
        statement.span(of: word),
        "'%[\(text)]' is not supported in this version and is logged as '-'")
      return .text("-")
    }
    let inner = Word(text: text, column: word.column, length: word.length)
    return .sample(try sample(inner, of: statement))
  }

  private static func joined(_ items: [LogItem]) -> [LogItem] {
    items.reduce(into: []) { result, item in
      if case .text(let tail) = item, case .text(let head)? = result.last {
        result[result.count - 1] = .text(head + tail)
      } else {
        result.append(item)
      }
    }
  }
}

/// Takes a format apart: `%name`, `%{flags}name`, `%(label)name`, `%[expression]`, `%%`, text.
private struct LogFormat {
  enum Piece {
    case text(String)
    case variable(String, isQuoted: Bool)
    case expression(String, isQuoted: Bool)
  }

  private let bytes: [UInt8]
  private var index = 0
  /// `+json` or `+cbor` was asked for.
  private(set) var usesEncoding = false
  /// `%{+Q}o`: quotes around all that follow.
  private var quotesAll = false

  init(_ text: String) {
    bytes = Array(text.utf8)
  }

  mutating func next(_ span: SourceSpan) throws(Diagnostic) -> Piece? {
    guard index < bytes.count else { return nil }
    guard bytes[index] == UInt8(ascii: "%") else { return .text(plainText()) }
    index += 1
    if index < bytes.count, bytes[index] == UInt8(ascii: "%") {
      index += 1
      return .text("%")
    }
    _ = try enclosed("(", ")", span)
    let flags = try enclosed("{", "}", span) ?? ""
    if flags.includes("json") || flags.includes("cbor") { usesEncoding = true }
    var isQuoted = quotesAll
    if flags.includes("+Q") { isQuoted = true }
    if flags.includes("-Q") { isQuoted = false }
    if let expression = try enclosed("[", "]", span) {
      return .expression(expression, isQuoted: isQuoted)
    }
    let start = index
    while index < bytes.count, bytes[index].isLetter { index += 1 }
    guard index > start else {
      throw span.error(
        "a log variable is missing after '%'", hint: "write %% for a per cent sign")
    }
    let name = String(decoding: bytes[start..<index], as: UTF8.self)
    if name == "o" { quotesAll = isQuoted }
    return .variable(name, isQuoted: isQuoted)
  }

  private mutating func plainText() -> String {
    let start = index
    while index < bytes.count, bytes[index] != UInt8(ascii: "%") { index += 1 }
    return String(decoding: bytes[start..<index], as: UTF8.self)
  }

  private mutating func enclosed(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ span: SourceSpan
  ) throws(Diagnostic) -> String? {
    guard index < bytes.count, bytes[index] == UInt8(ascii: open) else { return nil }
    guard let end = bytes[index...].firstIndex(of: UInt8(ascii: close)) else {
      throw span.error("'%\(open)' is never closed in the format", hint: "expected '\(close)'")
    }
    defer { index = end + 1 }
    return String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
  }
}
