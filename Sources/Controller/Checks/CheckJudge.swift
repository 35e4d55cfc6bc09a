import Configuration
import Rules

/// What an expectation says of an answer that has come so far.
enum Judgement: Equatable {
  /// More may still change it.
  case undecided
  case met(info: String = "")
  case failed(CheckStatus, info: String)
  /// 404, where `disable-on-404` says so: the check is over.
  case leaving
}

/// Compares answers with expectations. Pure: no clock, no I/O.
struct CheckJudge {
  let dialect: CheckScript.Dialect
  let patterns: CheckPatterns
  /// Whether `disable-on-404` counts: only for a server that is up.
  let obeys404: Bool
  /// The server's own status, in its protocol.
  private(set) var code = 0

  init(_ dialect: CheckScript.Dialect, _ patterns: CheckPatterns, obeys404: Bool = false) {
    self.dialect = dialect
    self.patterns = patterns
    self.obeys404 = obeys404
  }

  /// Judges everything that came since the last sending; `isOver` says that no more will come.
  mutating func judge(
    _ step: CheckStep, _ expectation: CheckExpectation, _ answer: [UInt8], isOver: Bool
  ) -> Judgement {
    code = 0
    let judgement =
      switch expectation.pattern {
      case .status, .statusExpression, .header, .body, .bodyExpression:
        judgeHTTP(step, expectation, answer, isOver)
      case .mySQLGreeting, .mySQLAnswer, .ldapBindResponse:
        judgeProtocol(step, expectation, answer, isOver)
      default: judgeBytes(step, expectation, answer, isOver)
      }
    if judgement != .undecided, let excerpt = expectation.code,
      let number = Int(excerpt.text(in: answer))
    {
      code = number
    }
    return judgement
  }

  // MARK: Bytes

  private func judgeBytes(
    _ step: CheckStep, _ expectation: CheckExpectation, _ answer: [UInt8], _ isOver: Bool
  ) -> Judgement {
    if !isOver {
      if let least = expectation.minimumLength, answer.count < least { return .undecided }
      if answer.count < expectation.pattern.shortestAnswer || answer.isEmpty { return .undecided }
    }
    let isFound = isFound(expectation.pattern, in: answer)
    if !isFound, !isOver, expectation.minimumLength == nil { return .undecided }
    if isFound != expectation.isNegated { return met(expectation, answer) }
    let status = expectation.errorStatus.map { CheckStatus($0) } ?? .layer7Response
    return .failed(
      status, info: failure(step, expectation, answer, isFound: isFound, explanation: ""))
  }

  private func isFound(_ pattern: CheckExpectation.Pattern, in answer: [UInt8]) -> Bool {
    switch pattern {
    case .string(let bytes), .binary(let bytes): answer.contains(run: bytes)
    case .expression(let text): patterns[text]?.isFound(in: answer) ?? false
    case .binaryExpression(let text):
      patterns[text]?.isFound(in: Array(answer.hexadecimal.utf8)) ?? false
    default: false
    }
  }

  private func met(_ expectation: CheckExpectation, _ answer: [UInt8]) -> Judgement {
    if let text = expectation.successText { return .met(info: text.text(in: answer)) }
    return .met(info: dialect == .tcp ? "(tcp-check)" : "")
  }

  /// The words of a failure; `explanation` is what the protocol has to say.
  private func failure(
    _ step: CheckStep, _ expectation: CheckExpectation, _ answer: [UInt8], isFound: Bool,
    explanation: String
  ) -> String {
    let text: String
    if !explanation.isEmpty {
      text = explanation
    } else if let message = expectation.errorText {
      text = message.text(in: answer)
    } else if answer.isEmpty {
      text = "TCPCHK got an empty response at step \(step.number)"
    } else if dialect == .known {
      text = ""
    } else {
      text =
        (isFound ? "TCPCHK matched unwanted content" : "TCPCHK did not match content")
        + expectation.pattern.mention + " at step \(step.number)"
    }
    return text + (step.comment.map { " comment: " + $0 } ?? "")
  }

  // MARK: HTTP

  private mutating func judgeHTTP(
    _ step: CheckStep, _ expectation: CheckExpectation, _ bytes: [UInt8], _ isOver: Bool
  ) -> Judgement {
    let answer: HTTPAnswer
    switch bytes.isEmpty && !isOver ? .incomplete : HTTPAnswer.parse(bytes, isOver: isOver) {
    case .incomplete: return .undecided
    case .invalid:
      return .failed(
        .layer7Response,
        info: failure(step, expectation, bytes, isFound: false, explanation: ""))
    case .answer(let found): answer = found
    }
    code = answer.status
    if obeys404, answer.status == 404 { return .leaving }
    switch expectation.pattern {
    case .body, .bodyExpression: return judgeBody(step, expectation, answer)
    default: break
    }
    let isFound =
      switch expectation.pattern {
      case .status(let codes): codes.contains { $0.contains(answer.status) }
      case .statusExpression(let text):
        patterns[text]?.isFound(in: Array(String(answer.status).utf8)) ?? false
      case .header(let name, let value, let isWhole):
        answer.headers.contains { header in
          isName(name, header.name) && isValue(value, of: header.value, isWhole: isWhole)
        }
      default: false
      }
    if isFound != expectation.isNegated { return met(expectation, bytes) }
    let explanation = expectation.errorText == nil ? answer.reason : ""
    return .failed(
      expectation.errorStatus.map { CheckStatus($0) } ?? .layer7Status,
      info: failure(step, expectation, bytes, isFound: isFound, explanation: explanation))
  }

  private func judgeBody(
    _ step: CheckStep, _ expectation: CheckExpectation, _ answer: HTTPAnswer
  ) -> Judgement {
    let status = expectation.errorStatus.map { CheckStatus($0) } ?? .layer7Response
    func failed(_ text: String) -> Judgement {
      let text = expectation.errorText == nil ? text : ""
      return .failed(
        status,
        info: failure(step, expectation, answer.body, isFound: false, explanation: text))
    }
    guard !answer.body.isEmpty else {
      return answer.isComplete
        ? failed("HTTP content check could not find a response body") : .undecided
    }
    if !answer.isComplete, let least = expectation.minimumLength, answer.body.count < least {
      return .undecided
    }
    let isFound =
      switch expectation.pattern {
      case .body(let bytes): answer.body.contains(run: bytes)
      case .bodyExpression(let text): patterns[text]?.isFound(in: answer.body) ?? false
      default: false
      }
    if !isFound, !answer.isComplete, expectation.minimumLength == nil { return .undecided }
    if isFound != expectation.isNegated { return met(expectation, answer.body) }
    return failed(
      expectation.isNegated
        ? "HTTP check matched unwanted content" : "HTTP content check did not match")
  }

  private func isValue(_ wanted: CheckText?, of value: String, isWhole: Bool) -> Bool {
    guard let wanted else { return true }
    if isWhole { return matches(wanted, value) }
    return value.split(separator: ",", omittingEmptySubsequences: false).contains { part in
      matches(wanted, part.trimmingBlanks)
    }
  }

  /// Names of headers have no case, and come in small letters.
  private func isName(_ wanted: CheckText, _ name: String) -> Bool {
    guard wanted.method != .expression else { return matches(wanted, name) }
    return matches(CheckText(wanted.method, wanted.text.lowercased()), name)
  }

  private func matches(_ wanted: CheckText, _ text: String) -> Bool {
    switch wanted.method {
    case .exact: wanted.text == text
    case .prefix: text.hasPrefix(wanted.text)
    case .suffix: text.hasSuffix(wanted.text)
    case .part: Array(text.utf8).contains(run: Array(wanted.text.utf8))
    case .expression: patterns[wanted.text]?.isFound(in: Array(text.utf8)) ?? false
    }
  }

  // MARK: Protocols with numbers in them

  private mutating func judgeProtocol(
    _ step: CheckStep, _ expectation: CheckExpectation, _ answer: [UInt8], _ isOver: Bool
  ) -> Judgement {
    let finding =
      switch expectation.pattern {
      case .ldapBindResponse: ProtocolAnswer.ldap(answer)
      case .mySQLAnswer: ProtocolAnswer.mySQL(answer, packet: 1)
      default: ProtocolAnswer.mySQL(answer, packet: 0)
      }
    switch finding {
    case .incomplete where !isOver: return .undecided
    case .good(let text): return .met(info: text)
    case .refused(let number, let text):
      code = number
      return .failed(
        .layer7Status,
        info: failure(step, expectation, answer, isFound: false, explanation: text))
    case .incomplete, .foreign:
      let text = if case .foreign(let text) = finding { text } else { "" }
      return .failed(
        .layer7Response,
        info: failure(step, expectation, answer, isFound: false, explanation: text))
    }
  }
}

/// What answers in binary protocols say.
enum ProtocolAnswer: Equatable {
  case incomplete
  case good(String)
  case refused(code: Int, String)
  case foreign(String)

  /// MySQL's packets: three bytes of length, a number, and content that begins with 0xff when it is
  /// an error. The version stands in the first.
  static func mySQL(_ bytes: [UInt8], packet wanted: Int) -> ProtocolAnswer {
    var start = 0
    for packet in 0...wanted {
      guard bytes.count >= start + 4 else { return .incomplete }
      let length = Int(bytes[start]) | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2]) << 16
      guard bytes.count >= start + 4 + length else { return .incomplete }
      let content = bytes[(start + 4)..<(start + 4 + length)]
      if packet == wanted, content.first == 0xff {
        let code = content.dropFirst().prefix(2).reversed().reduce(0) { $0 << 8 | Int($1) }
        return .refused(code: code, String(decoding: content.dropFirst(3), as: UTF8.self))
      }
      start += 4 + length
    }
    return .good(String(decoding: bytes.dropFirst(5).prefix { $0 != 0 }, as: UTF8.self))
  }

  /// A BindResponse to message 1 (RFC 4511 section 4.2.2), in any of BER's forms of length.
  static func ldap(_ bytes: [UInt8]) -> ProtocolAnswer {
    let foreign = ProtocolAnswer.foreign("Not LDAPv3 protocol")
    var rest = bytes[...]
    guard rest.popFirst() == 0x30 else {
      return rest.isEmpty && bytes.isEmpty ? .incomplete : foreign
    }
    guard let length = takeLength(&rest) else { return .incomplete }
    guard rest.count >= min(length, 1 << 16) else { return .incomplete }
    guard rest.starts(with: [2, 1, 1, 0x61]) else { return foreign }
    rest = rest.dropFirst(4)
    guard takeLength(&rest) != nil, rest.count >= 3 else { return .incomplete }
    guard rest.starts(with: [0x0a, 1]) else { return foreign }
    let code = Int(rest[rest.startIndex + 2])
    return code == 0
      ? .good("Success")
      : .refused(code: code, "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9")
  }

  private static func takeLength(_ bytes: inout ArraySlice<UInt8>) -> Int? {
    guard let first = bytes.popFirst() else { return nil }
    guard first & 0x80 != 0 else { return Int(first) }
    let count = Int(first & 0x7f)
    guard count <= 4, bytes.count >= count else { return nil }
    defer { bytes = bytes.dropFirst(count) }
    return bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
  }
}

/// The regular expressions of all checks, compiled.
struct CheckPatterns: Sendable {
  private var compiled: [String: SolePattern] = [:]

  /// The master has compiled them all when it read the file; here none fails that did not there.
  init(_ scripts: some Sequence<CheckScript>) {
    for script in scripts {
      for (text, _) in script.expressions where compiled[text] == nil {
        compiled[text] = try? SolePattern(text)
      }
    }
  }

  subscript(text: String) -> SolePattern? { compiled[text] }
}

// MARK: - Words

extension CheckExpectation.Pattern {
  fileprivate var shortestAnswer: Int {
    switch self {
    case .string(let bytes), .binary(let bytes): bytes.count
    default: 0
    }
  }

  /// As failures name it.
  fileprivate var mention: String {
    switch self {
    case .string(let bytes), .body(let bytes): " '\(String(decoding: bytes, as: UTF8.self))'"
    case .binary: " (binary)"
    case .expression, .statusExpression, .bodyExpression: " (regex)"
    case .binaryExpression: " (binary regex)"
    case .status: "(status codes)"
    case .header: " (header pattern)"
    case .mySQLGreeting, .mySQLAnswer, .ldapBindResponse: " (custom function)"
    }
  }

  /// As it is named when it was waited for in vain.
  var expectation: String {
    switch self {
    case .string(let bytes): " (expect string '\(String(decoding: bytes, as: UTF8.self))')"
    case .binary(let bytes): " (expect binary '\(bytes.hexadecimal)')"
    case .expression: " (expect regex)"
    case .binaryExpression: " (expect binary regex)"
    case .status: " (expect HTTP status codes)"
    case .statusExpression: " (expect HTTP status regex)"
    case .header: " (expect HTTP header pattern)"
    case .body(let bytes):
      " (expect HTTP body content '\(String(decoding: bytes, as: UTF8.self))')"
    case .bodyExpression: " (expect HTTP body regex)"
    case .mySQLGreeting, .mySQLAnswer, .ldapBindResponse: " (expect custom function)"
    }
  }
}

extension CheckMessage {
  func text(in answer: [UInt8]) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .excerpt(let excerpt): excerpt.text(in: answer)
      }
    }.joined()
  }
}

extension CheckExcerpt {
  func text(in answer: [UInt8]) -> String {
    var bytes = answer.dropFirst(offset)
    if length > 0 { bytes = bytes.prefix(length) }
    if isTrimmed { bytes = bytes.drop { $0 == 0x20 } }
    if endsWithLine { bytes = bytes.prefix { $0 != 0x0d && $0 != 0x0a } }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}

extension [UInt8] {
  /// Whether these bytes stand in it, one after the other. An empty run stands everywhere.
  func contains(run: [UInt8]) -> Bool {
    guard let first = run.first else { return true }
    guard count >= run.count else { return false }
    return (0...(count - run.count)).contains { self[$0] == first && self[$0...].starts(with: run) }
  }

  fileprivate var hexadecimal: String {
    map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
  }
}
