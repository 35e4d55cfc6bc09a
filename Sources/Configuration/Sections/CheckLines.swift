import Linux

/// What `option …chk`, `tcp-check` and `http-check` lines say.
struct CheckDraft {
  var method = CheckMethod.connection
  var tcp = CheckSteps()
  var http = CheckSteps()
  /// `option httpchk METHOD URI VERSION`.
  var request = CheckRequest()
  var disablesOn404 = false
  var sendsState = false

  /// As the section that inherits it has it: its own lines replace inherited ones.
  var inherited: CheckDraft {
    var draft = self
    draft.tcp.areInherited = true
    draft.http.areInherited = true
    return draft
  }
}

/// How servers are checked.
enum CheckMethod {
  case connection
  /// `option tcp-check`: as the `tcp-check` lines say, and a plain connection without any.
  case steps
  /// `option httpchk`
  case http
  /// `option redis-check`, …
  case known(CheckScript)
  /// One that is not done here.
  case unsupported(option: String, SourceSpan)
}

/// Steps as they are read.
struct CheckSteps {
  private(set) var steps: [CheckStep] = []
  private(set) var spans: [SourceSpan] = []
  /// Comments that stand alone have numbers too.
  private var count = 0
  /// `comment` on a line of its own, for the steps that follow.
  private var comment: String?
  var areInherited = false

  mutating func begin() {
    if areInherited { self = CheckSteps() }
  }

  mutating func append(_ action: CheckStep.Action, _ comment: String?, _ span: SourceSpan) {
    begin()
    count += 1
    steps.append(CheckStep(number: count, comment: comment, action, at: span.position))
    spans.append(span)
  }

  mutating func skip(_ span: SourceSpan) {
    begin()
    count += 1
  }
}

extension CheckDraft {
  /// The whole script, or nil where it cannot be had.
  var script: CheckScript? {
    switch method {
    case .connection: CheckScript()
    case .steps: CheckScript(.tcp, steps: Self.connected(tcp.steps))
    case .http: httpScript
    case .known(let script): script
    case .unsupported: nil
    }
  }

  /// Nobody need write the first connection.
  private static func connected(_ steps: [CheckStep]) -> [CheckStep] {
    if case .connect? = steps.first?.action { return steps }
    return [.connect] + steps
  }

  /// The first request is the option's, with what the first `http-check send` says in its place;
  /// an answer that nobody expects anything of must have a status of 200 to 399.
  private var httpScript: CheckScript {
    var steps = http.steps
    var place = 0
    if case .connect? = steps.first?.action { place = 1 }
    if place < steps.count, case .request(let own) = steps[place].action {
      steps[place].action = .request(own.completed(by: request).filled)
    } else {
      steps.insert(CheckStep(number: place + 1, .request(request.filled)), at: place)
    }
    if case .request? = steps.last?.action {
      steps.append(
        CheckStep(
          number: (steps.last?.number ?? 0) + 1, .expect(CheckExpectation(.status([200...399])))))
    }
    var script = CheckScript(.http, steps: Self.connected(steps))
    script.disablesOn404 = disablesOn404
    script.sendsState = sendsState
    return script
  }
}

extension CheckRequest {
  /// Empty where a line says nothing of it.
  static var unsaid: CheckRequest {
    var request = CheckRequest()
    request.method = ""
    request.target = ""
    request.version = ""
    return request
  }

  fileprivate func completed(by option: CheckRequest) -> CheckRequest {
    var request = self
    if request.method.isEmpty { request.method = option.method }
    if request.target.isEmpty { request.target = option.target }
    if request.version.isEmpty { request.version = option.version }
    if request.headers.isEmpty { request.headers = option.headers }
    if request.body.isEmpty { request.body = option.body }
    return request
  }

  fileprivate var filled: CheckRequest { completed(by: CheckRequest()) }
}

// MARK: - tcp-check

extension ConfigurationReader {
  private static let variableSteps: Set<String> = ["set-var", "set-var-fmt", "unset-var"]

  mutating func readTCPCheck(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    let word = try statement.require("connect, send or expect")
    let whole = statement.span
    switch word.text {
    case "comment":
      _ = try statement.require("a comment")
      settings.check.tcp.skip(whole)
    case "connect":
      let (connect, comment) = try readCheckConnect(&statement)
      settings.check.tcp.append(.connect(connect), comment, whole)
    case "send", "send-lf", "send-binary", "send-binary-lf":
      let bytes = try readCheckBytes(&statement, isBinary: word.text.hasPrefix("send-binary"))
      if word.text.hasSuffix("-lf") { try refuseFormat(bytes, in: whole) }
      let comment = try readCheckComment(&statement)
      settings.check.tcp.append(.send(bytes), comment, whole)
    case "expect":
      let (expectation, comment) = try readExpectation(&statement, isHTTP: false)
      settings.check.tcp.append(.expect(expectation), comment, whole)
    default:
      throw unknownStep(word, ["send", "send-lf", "send-binary", "send-binary-lf"], statement)
    }
  }

  private func unknownStep(
    _ word: Word, _ own: [String], _ statement: Statement
  ) -> Diagnostic {
    let span = statement.span(of: word)
    if Self.variableSteps.contains(word.text.split(atFirst: "(").head) {
      return span.error(
        "variables in checks are not supported in this version",
        hint: "the check would say something else")
    }
    let known = ["comment", "connect", "expect"] + own
    return span.error(
      "unknown step '\(word.text)' of a check", hint: "expected \(Statement.list(known))",
      suggestion: Suggestion.nearest(to: word.text, among: known))
  }

  /// `%%` is the one format that means the same without a session.
  private func refuseFormat(_ bytes: [UInt8], in span: SourceSpan) throws(Diagnostic) {
    guard bytes.contains(UInt8(ascii: "%")) else { return }
    throw span.error(
      "formats in what a check sends are not supported in this version",
      hint: "write the text as it is to be sent")
  }

  private func readCheckBytes(
    _ statement: inout Statement, isBinary: Bool
  ) throws(Diagnostic) -> [UInt8] {
    let word = try statement.require(isBinary ? "bytes in hexadecimal" : "a string")
    guard isBinary else { return Array(word.text.utf8) }
    guard let bytes = word.text.hexadecimalBytes, !bytes.isEmpty else {
      throw statement.span(of: word).error(
        "'\(word.text)' is not hexadecimal", hint: "expected pairs of digits, such as 50494e47")
    }
    return bytes
  }

  private func readCheckComment(_ statement: inout Statement) throws(Diagnostic) -> String? {
    guard statement.skip("comment") else { return nil }
    return try statement.require("a comment").text
  }

  private mutating func readCheckConnect(
    _ statement: inout Statement
  ) throws(Diagnostic) -> (CheckConnect, comment: String?) {
    var connect = CheckConnect(isDefault: false)
    var comment: String?
    while let word = statement.next() {
      switch word.text {
      case "default": connect.isDefault = true
      case "linger": connect.lingers = true
      case "ssl": connect.usesTLS = true
      case "send-proxy": connect.sendsProxy = true
      case "sni": connect.serverName = try statement.require("a server name").text
      case "alpn": connect.protocols = try readProtocols(&statement)
      case "comment": comment = try statement.require("a comment").text
      case "port":
        connect.port = UInt16(try statement.integer("a port", in: 1...65_535))
      case "addr":
        let (address, port) = try ipAddress(try statement.require("an address"), of: statement)
        connect.address = .ip(address, port: port)
      default:
        throw statement.span(of: word).error(
          "unknown option '\(word.text)' of a check's connection",
          hint: "expected default, port, addr, send-proxy, ssl, sni, alpn, linger or comment")
      }
    }
    return (connect, comment)
  }

  func readProtocols(_ statement: inout Statement) throws(Diagnostic) -> [String] {
    let word = try statement.require("names of protocols, such as http/1.1")
    let names = word.text.split(separator: ",").map(String.init)
    guard !names.isEmpty, names.allSatisfy({ 1...255 ~= $0.utf8.count }) else {
      throw statement.span(of: word).error("'\(word.text)' names no protocols")
    }
    return names
  }
}

// MARK: - http-check

extension ConfigurationReader {
  mutating func readHTTPCheck(
    _ statement: inout Statement, _ settings: inout ProxySettings
  ) throws(Diagnostic) {
    let word = try statement.require("send or expect")
    let whole = statement.span
    switch word.text {
    case "disable-on-404": settings.check.disablesOn404 = true
    case "send-state": settings.check.sendsState = true
    case "comment":
      _ = try statement.require("a comment")
      settings.check.http.skip(whole)
    case "connect":
      let (connect, comment) = try readCheckConnect(&statement)
      settings.check.http.append(.connect(connect), comment, whole)
    case "send":
      let (request, comment) = try readCheckRequest(&statement)
      settings.check.http.append(.request(request), comment, whole)
    case "expect":
      let (expectation, comment) = try readExpectation(&statement, isHTTP: true)
      settings.check.http.append(.expect(expectation), comment, whole)
    default:
      throw unknownStep(word, ["send", "disable-on-404", "send-state"], statement)
    }
  }

  private func readCheckRequest(
    _ statement: inout Statement
  ) throws(Diagnostic) -> (CheckRequest, comment: String?) {
    var request = CheckRequest.unsaid
    var comment: String?
    while let word = statement.next() {
      switch word.text {
      case "meth": request.method = try requestToken("a method", &statement)
      case "uri": request.target = try requestToken("a path", &statement)
      case "uri-lf":
        request.target = try requestToken("a path", &statement)
        try refuseFormat(Array(request.target.utf8), in: statement.span(of: word))
      case "ver": request.version = try requestToken("a version, such as HTTP/1.1", &statement)
      case "hdr":
        let name = try requestToken("the name of a header", &statement)
        let value = try statement.require("the header's value")
        try refuseFormat(Array(value.text.utf8), in: statement.span(of: value))
        request.headers.append(.init(name: name, value: value.text))
      case "body": request.body = Array(try statement.require("a body").text.utf8)
      case "comment": comment = try statement.require("a comment").text
      default:
        throw statement.span(of: word).error(
          "unknown part '\(word.text)' of a request",
          hint: "expected meth, uri, ver, hdr, body or comment")
      }
    }
    return (request, comment)
  }

  /// A word of a request's first line.
  private func requestToken(
    _ what: String, _ statement: inout Statement
  ) throws(Diagnostic) -> String {
    let word = try statement.require(what)
    let span = statement.span(of: word)
    guard !word.text.isEmpty, word.text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw span.error("'\(word.text)' cannot stand in a request", hint: "expected \(what)")
    }
    return word.text
  }

  /// `option httpchk`, `option httpchk URI`, `option httpchk METHOD URI [VERSION]`.
  func readHTTPCheckOption(_ statement: inout Statement) throws(Diagnostic) -> CheckRequest {
    var request = CheckRequest.unsaid
    guard let first = statement.next() else { return request }
    guard !statement.isAtEnd else {
      request.target = first.text
      return request
    }
    request.method = first.text
    request.target = try requestToken("a path", &statement)
    if !statement.isAtEnd { takeVersion(statement.rest(or: ""), &request) }
    return request
  }

  /// The version. Old files have headers behind it: `HTTP/1.1\r\nHost:\ www`.
  private func takeVersion(_ text: String, _ request: inout CheckRequest) {
    let lines = text.unicodeScalars.split { $0 == "\r" || $0 == "\n" }.map { String($0) }
    request.version = lines.first ?? ""
    for line in lines.dropFirst() {
      let (name, value) = line.split(atFirst: ":")
      let trimmed = (value ?? "").drop { $0 == " " }
      request.headers.append(.init(name: name, value: String(trimmed)))
    }
  }
}

// MARK: - expect

extension ConfigurationReader {
  private func readExpectation(
    _ statement: inout Statement, isHTTP: Bool
  ) throws(Diagnostic) -> (CheckExpectation, comment: String?) {
    var expectation = CheckExpectation(.status([]))
    var comment: String?
    while let word = statement.next() {
      switch word.text {
      case "comment": comment = try statement.require("a comment").text
      case "min-recv":
        let length = try statement.integer("a number of bytes", in: -1...Int(Int32.max))
        expectation.minimumLength = length < 0 ? nil : length
      case "ok-status":
        expectation.okStatus = try verdict(
          &statement, [.layer7OK, .layer7ConditionallyOK, .layer6OK, .layer4OK])
      case "error-status":
        expectation.errorStatus = try verdict(
          &statement,
          [
            .layer7ConditionallyOK, .layer7Response, .layer7Status, .layer6Response,
            .layer4Connection,
          ])
      case "tout-status":
        expectation.timeoutStatus = try verdict(
          &statement, [.layer7Timeout, .layer6Timeout, .layer4Timeout])
      case "on-success": expectation.successText = try checkMessage(&statement)
      case "on-error": expectation.errorText = try checkMessage(&statement)
      case "status-code":
        let excerpt = try statement.require("res.payload(OFFSET,LENGTH)")
        guard let code = CheckExcerpt(excerpt.text) else { throw notAnExcerpt(excerpt, statement) }
        expectation.code = code
      case "!": expectation.isNegated.toggle()
      default:
        try readPattern(word, &statement, &expectation, isHTTP: isHTTP)
        return (expectation, comment)
      }
    }
    throw statement.end.error(
      "'expect' ends too early", hint: "expected what to look for, such as string")
  }

  private func readPattern(
    _ word: Word, _ statement: inout Statement, _ expectation: inout CheckExpectation, isHTTP: Bool
  ) throws(Diagnostic) {
    var name = word.text
    if name.hasPrefix("!") {
      name.removeFirst()
      expectation.isNegated.toggle()
    }
    switch (name, isHTTP) {
    case ("string", false):
      expectation.pattern = .string(try readCheckBytes(&statement, isBinary: false))
    case ("binary", false):
      expectation.pattern = .binary(try readCheckBytes(&statement, isBinary: true))
    case ("rstring", false):
      expectation.pattern = .expression(try statement.require("a regular expression").text)
    case ("rbinary", false):
      expectation.pattern = .binaryExpression(try statement.require("a regular expression").text)
    case ("string", true):
      expectation.pattern = .body(try readCheckBytes(&statement, isBinary: false))
    case ("rstring", true):
      expectation.pattern = .bodyExpression(try statement.require("a regular expression").text)
    case ("rstatus", true):
      expectation.pattern = .statusExpression(try statement.require("a regular expression").text)
    case ("status", true): expectation.pattern = .status(try statusCodes(&statement))
    case ("hdr", true), ("fhdr", true):
      expectation.pattern = try headerPattern(&statement, isWhole: name == "fhdr")
    default:
      let known =
        isHTTP
        ? ["status", "rstatus", "hdr", "fhdr", "string", "rstring"]
        : ["string", "rstring", "binary", "rbinary"]
      throw statement.span(of: word).error(
        "'\(word.text)' is nothing that can be expected here",
        hint: "expected \(Statement.list(known))",
        suggestion: Suggestion.nearest(to: name, among: known))
    }
  }

  /// `200`, `200,204`, `200-399`.
  private func statusCodes(_ statement: inout Statement) throws(Diagnostic) -> [ClosedRange<Int>] {
    let word = try statement.require("status codes, such as 200-399")
    var codes: [ClosedRange<Int>] = []
    for part in word.text.split(separator: ",", omittingEmptySubsequences: false) {
      let (low, high) = String(part).split(atFirst: "-")
      guard let first = Int(low), let last = Int(high ?? low), 100...999 ~= first,
        first...999 ~= last
      else {
        throw statement.span(of: word).error(
          "'\(part)' is no status code", hint: "expected 100 to 999, or LOW-HIGH")
      }
      codes.append(first...last)
    }
    return codes
  }

  /// `name [-m METHOD] NAME [value [-m METHOD] VALUE]`.
  private func headerPattern(
    _ statement: inout Statement, isWhole: Bool
  ) throws(Diagnostic) -> CheckExpectation.Pattern {
    guard statement.skip("name") else {
      _ = try statement.require("'name' and a header's name")
      statement.stepBack()
      let word = try statement.require("name")
      throw statement.span(of: word).error(
        "unexpected '\(word.text)'", hint: "expected 'name' and a header's name")
    }
    let name = try checkText("a header's name", &statement)
    let value = statement.skip("value") ? try checkText("a header's value", &statement) : nil
    return .header(name: name, value: value, isWhole: isWhole)
  }

  private func checkText(
    _ what: String, _ statement: inout Statement
  ) throws(Diagnostic) -> CheckText {
    var method = CheckText.Method.exact
    if statement.skip("-m") {
      let word = try statement.require("a way to match")
      guard let known = CheckText.Method(rawValue: word.text) else {
        throw statement.span(of: word).error(
          "unknown way to match: '\(word.text)'", hint: "expected str, beg, end, sub or reg")
      }
      method = known
    }
    return CheckText(method, try statement.require(what).text)
  }

  private func verdict(
    _ statement: inout Statement, _ allowed: [CheckVerdict]
  ) throws(Diagnostic) -> CheckVerdict {
    let word = try statement.require("a status")
    guard let verdict = allowed.first(where: { $0.rawValue == word.text.uppercased() }) else {
      throw statement.span(of: word).error(
        "'\(word.text)' is no status for this",
        hint: "expected \(Statement.list(allowed.map(\.rawValue)))")
    }
    return verdict
  }

  private func checkMessage(_ statement: inout Statement) throws(Diagnostic) -> CheckMessage {
    let word = try statement.require("a text")
    guard let message = CheckMessage(word.text) else { throw notAnExcerpt(word, statement) }
    return message
  }

  private func notAnExcerpt(_ word: Word, _ statement: Statement) -> Diagnostic {
    statement.span(of: word).error(
      "'\(word.text)' is not supported in this version",
      hint: "text, and res.payload(OFFSET,LENGTH) with ,cut_crlf or ,ltrim(' '), is")
  }
}

extension CheckMessage {
  /// Reads text with `%[res.payload(OFFSET,LENGTH)…]` in it; `%%` is a per cent sign.
  init?(_ format: String) {
    var parts: [Part] = []
    var text = ""
    var rest = Substring(format)
    while let character = rest.popFirst() {
      guard character == "%" else {
        text.append(character)
        continue
      }
      switch rest.popFirst() {
      case "%"?: text.append("%")
      case "["?:
        guard let end = rest.firstIndex(of: "]"), let excerpt = CheckExcerpt(String(rest[..<end]))
        else { return nil }
        if !text.isEmpty { parts.append(.text(text)) }
        text = ""
        parts.append(.excerpt(excerpt))
        rest = rest[rest.index(after: end)...]
      default: return nil
      }
    }
    if !text.isEmpty { parts.append(.text(text)) }
    self.init(parts)
  }
}

extension CheckExcerpt {
  /// Reads `res.payload(OFFSET,LENGTH)`, with converters.
  init?(_ expression: String) {
    guard expression.hasPrefix("res.payload("), let end = expression.firstIndex(of: ")") else {
      return nil
    }
    let inside = expression[..<end].dropFirst("res.payload(".count)
    let numbers = inside.split(separator: ",").map { Int($0) }
    guard numbers.count == 2, let offset = numbers[0], let length = numbers[1],
      0...65_536 ~= offset, 0...65_536 ~= length
    else { return nil }
    self.init(offset: offset, length: length)
    let converters = expression[expression.index(after: end)...]
    for converter in converters.split(separator: ",", omittingEmptySubsequences: true) {
      switch converter {
      case "cut_crlf": endsWithLine = true
      case "ltrim(' ')", "ltrim( )": isTrimmed = true
      default: return nil
      }
    }
  }
}
