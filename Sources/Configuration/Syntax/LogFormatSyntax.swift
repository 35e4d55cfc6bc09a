/// `log-format "%ci:%cp [%t] %[req.ssl_sni]"`.
extension ConfigurationReader {
  /// Variables that a tcp session has.
  private static let variables = ForeignWords.words(
    """
    B H ID T Ta Tc Td Th Tl Ts Tt Tu Tw U ac b bc bi bp bq ci cp f fc fi fp ft hr lc ms pid rc rt s
    sc
    si sp sq t ts tsc
    """)

  /// Variables of HTTP and TLS: known, and of no use here.
  private static let foreignVariables = ForeignWords.words(
    """
    CC CS HM HP HPO HQ HU HV ST TR Ti Tq Tr hrl hs hsl r sslc sslv tr trg trl
    """)

  /// `option tcplog clf`
  static let commonFormat =
    #"%{+Q}o %{-Q}ci - - [%T] "TCP " 000 %B "" "" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- "#
    + #"%ac %fc %bc %sc %rc %sq %bq "" "" "#

  mutating func logFormat(_ word: Word, of statement: Statement) throws(Diagnostic) -> [LogItem] {
    var format = LogFormat(word.text)
    let span = statement.span(of: word)
    var items: [LogItem] = []
    while let piece = try format.next(span) {
      switch piece {
      case .text(let text): items.append(.text(text))
      case .variable(let name, let encoding):
        if let item = try logVariable(name, encoding, span) { items.append(item) }
      case .expression(let text, let encoding):
        items.append(try logSample(text, encoding, word, statement))
      }
    }
    if format.usesEncoding {
      log.warn(span, "JSON and CBOR log lines are not supported in this version; it is plain text")
    }
    return Self.joined(items)
  }

  private mutating func logVariable(
    _ name: String, _ encoding: LogEncoding, _ span: SourceSpan
  ) throws(Diagnostic) -> LogItem? {
    // It carries flags for those that follow, and logs nothing.
    if name == "o" { return nil }
    if Self.foreignVariables.contains(name) {
      log.warn(span, "'%\(name)' has no value in 'mode tcp'")
    } else if !Self.variables.contains(name) {
      throw span.error(
        "unknown log variable '%\(name)'", hint: "write %% for a per cent sign",
        suggestion: Suggestion.nearest(to: name, among: Self.variables.sorted()).map { "%" + $0 })
    }
    return .variable(name, encoding)
  }

  private mutating func logSample(
    _ text: String, _ encoding: LogEncoding, _ word: Word, _ statement: Statement
  ) throws(Diagnostic) -> LogItem {
    if text == "fc_err_str" { return .variable(text, encoding) }
    let name = String(text.prefix { $0 != "(" && $0 != "," })
    if ForeignWords.fetches.contains(name), !SampleExpression.names.contains(name) {
      // A log line with a dash is worth more than a refused configuration.
      log.warn(
        statement.span(of: word),
        "'%[\(text)]' is not supported in this version and is logged as '-'")
      return .text(encoding.contains(.quoted) ? "\"\"" : "-")
    }
    return .sample(try sample(text, statement.span(of: word)), encoding)
  }

  /// A text with expressions in it that is put together while a connection is decided on: the name
  /// of a backend, or what `set-var-fmt` stores.
  mutating func textPieces(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> [TextPiece] {
    var format = LogFormat(word.text)
    let span = statement.span(of: word)
    var pieces: [TextPiece] = []
    while let piece = try format.next(span) {
      switch piece {
      case .text(let text): pieces.append(.text(text))
      case .expression(let text, _): pieces.append(.sample(try sample(text, span)))
      case .variable(let name, _):
        guard let fetch = Self.fetchesOfVariables[name] else {
          throw span.error(
            "'%\(name)' has no value before a session is logged", hint: "write an expression: %[…]")
        }
        pieces.append(.sample(SampleExpression(fetch: fetch)))
      }
    }
    return pieces
  }

  /// Log variables that are known before a session ends.
  private static let fetchesOfVariables: [String: SampleExpression.Fetch] = [
    "ci": .source, "cp": .sourcePort, "fi": .destination, "fp": .destinationPort,
    "f": .identity(.frontendName), "ft": .identity(.frontendName), "b": .identity(.backendName),
    "H": .process(.hostname), "pid": .process(.pid),
  ]

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
    case variable(String, LogEncoding)
    case expression(String, LogEncoding)
  }

  private let bytes: [UInt8]
  private var index = 0
  /// `+json` or `+cbor` was asked for.
  private(set) var usesEncoding = false
  /// `%{+Q}o`: for all that follow.
  private var commonEncoding: LogEncoding = []

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
    let encoding = commonEncoding.changed(by: flags)
    if index < bytes.count, bytes[index] == UInt8(ascii: "[") {
      return .expression(try expression(span), encoding)
    }
    let start = index
    while index < bytes.count, bytes[index].isLetter { index += 1 }
    guard index > start else {
      throw span.error(
        "a log variable is missing after '%'", hint: "write %% for a per cent sign")
    }
    let name = String(decoding: bytes[start..<index], as: UTF8.self)
    if name == "o" { commonEncoding = encoding }
    return .variable(name, encoding)
  }

  /// `[…]`, in which a `]` between parentheses is no end.
  private mutating func expression(_ span: SourceSpan) throws(Diagnostic) -> String {
    guard let end = CallScanner.end(ofExpressionAt: index + 1, in: bytes) else {
      throw span.error("'%[' is never closed in the format", hint: "expected ']'")
    }
    defer { index = end + 1 }
    return String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
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

extension LogEncoding {
  /// What `+Q,-X` and the like make of it.
  fileprivate func changed(by flags: String) -> LogEncoding {
    var encoding = self
    for (letter, option) in [("Q", LogEncoding.quoted), ("X", .hexadecimal), ("E", .escaped)] {
      if flags.includes("+" + letter) { encoding.insert(option) }
      if flags.includes("-" + letter) { encoding.remove(option) }
    }
    return encoding
  }
}
