import Configuration
import Linux
import Testing

@testable import Controller

@Suite("Answers to checks") struct CheckJudgeTests {
  private func judge(
    _ pattern: CheckExpectation.Pattern, _ answer: String, isOver: Bool = false,
    dialect: CheckScript.Dialect = .tcp, obeys404: Bool = false,
    _ change: (inout CheckExpectation) -> Void = { _ in }
  ) -> (Judgement, code: Int) {
    var expectation = CheckExpectation(pattern)
    change(&expectation)
    let step = CheckStep(number: 2, .expect(expectation))
    var judge = CheckJudge(
      dialect, CheckPatterns([CheckScript(dialect, steps: [step])]), obeys404: obeys404)
    let judgement = judge.judge(step, expectation, Array(answer.utf8), isOver: isOver)
    return (judgement, judge.code)
  }

  private func http(
    _ pattern: CheckExpectation.Pattern, _ answer: String, isOver: Bool = false,
    obeys404: Bool = false
  ) -> Judgement {
    judge(pattern, answer, isOver: isOver, dialect: .http, obeys404: obeys404).0
  }

  @Test("are waited for as long as they may still match")
  func patience() {
    let pong = CheckExpectation.Pattern.string(Array("+PONG".utf8))
    #expect(judge(pong, "").0 == .undecided)
    #expect(judge(pong, "+PO").0 == .undecided)
    #expect(judge(pong, "x+PONG\r\n").0 == .met(info: "(tcp-check)"))
    #expect(judge(pong, "-ERR loading").0 == .undecided)
    #expect(
      judge(pong, "-ERR loading", isOver: true).0
        == .failed(.layer7Response, info: "TCPCHK did not match content '+PONG' at step 2"))
    #expect(
      judge(pong, "", isOver: true).0
        == .failed(.layer7Response, info: "TCPCHK got an empty response at step 2"))
  }

  @Test("need not end where 'min-recv' says how much decides")
  func minimum() {
    let (early, _) = judge(.expression("^OK"), "NO") { $0.minimumLength = 3 }
    #expect(early == .undecided)
    let (late, _) = judge(.expression("^OK"), "NOT") { $0.minimumLength = 3 }
    #expect(
      late == .failed(.layer7Response, info: "TCPCHK did not match content (regex) at step 2"))
  }

  @Test("that are not wanted fail with '!', in the file's own words")
  func negated() {
    let (judgement, code) = judge(.string(Array("ERR".utf8)), "451 ERR busy\r\n") {
      $0.isNegated = true
      $0.errorStatus = .layer7Status
      $0.errorText = CheckMessage([
        .text("said "), .excerpt(CheckExcerpt(offset: 4, length: 0, endsWithLine: true)),
      ])
      $0.code = CheckExcerpt(offset: 0, length: 3)
    }
    #expect(judgement == .failed(.layer7Status, info: "said ERR busy"))
    #expect(code == 451)
  }

  @Test("are searched in hexadecimal by 'rbinary'")
  func binaryExpression() {
    #expect(
      judge(.binaryExpression("^1[56]0303"), "\u{16}\u{3}\u{3}").0 == .met(info: "(tcp-check)"))
  }

  @Test("over HTTP have a status")
  func status() {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    #expect(
      http(.status([200...399]), answer) == .failed(.layer7Status, info: "Service Unavailable"))
    #expect(http(.status([200...200, 503...503]), answer) == .met())
    #expect(http(.statusExpression("^5"), answer) == .met())
    #expect(http(.status([200...399]), String(answer.dropLast(2))) == .undecided)
    #expect(http(.status([200...399]), "HTTP/1.0 200\r\n\r\n") == .met())
    #expect(
      http(.status([100...199]), "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        == .failed(.layer7Status, info: "OK"))
  }

  @Test("with 404 only say that a server leaves where that was agreed, and only if it is up")
  func leaving() {
    #expect(http(.status([200...399]), "HTTP/1.1 404 No\r\n\r\n", obeys404: true) == .leaving)
    #expect(
      http(.status([200...399]), "HTTP/1.1 404 No\r\n\r\n") == .failed(.layer7Status, info: "No"))
  }

  @Test("over HTTP have headers, whole or in lists")
  func headers() {
    let answer = "HTTP/1.1 200 OK\r\nX-Role: replica, Primary\r\n\r\n"
    func header(
      _ value: CheckText?, isWhole: Bool = false, name: CheckText = CheckText(.exact, "X-Role")
    ) -> Judgement {
      http(.header(name: name, value: value, isWhole: isWhole), answer)
    }
    #expect(header(nil) == .met())
    // Names have no case, values have.
    #expect(header(nil, name: CheckText(.prefix, "X-R")) == .met())
    #expect(header(nil, name: CheckText(.suffix, "-Role")) == .met())
    #expect(header(nil, name: CheckText(.part, "-R")) == .met())
    #expect(header(CheckText(.exact, "primary")) == .failed(.layer7Status, info: "OK"))
    #expect(header(CheckText(.exact, "Replica")) == .failed(.layer7Status, info: "OK"))
    #expect(header(CheckText(.exact, "Primary")) == .met())
    #expect(
      header(CheckText(.exact, "Primary"), isWhole: true) == .failed(.layer7Status, info: "OK"))
    #expect(header(CheckText(.expression, "^rep.*y$"), isWhole: true) == .met())
  }

  @Test("over HTTP have bodies, in chunks or to their end")
  func bodies() {
    let chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n"
    #expect(http(.body(Array("ready".utf8)), chunked) == .met())
    #expect(
      http(.body(Array("other".utf8)), chunked)
        == .failed(.layer7Response, info: "HTTP content check did not match"))
    let endless = "HTTP/1.0 200 OK\r\n\r\nnot yet"
    #expect(http(.bodyExpression("^ready"), endless) == .undecided)
    #expect(
      http(.bodyExpression("^ready"), endless, isOver: true)
        == .failed(.layer7Response, info: "HTTP content check did not match"))
    #expect(
      http(.body([65]), "HTTP/1.1 204 None\r\n\r\n")
        == .failed(
          .layer7Response, info: "HTTP content check could not find a response body"))
  }

  @Test(
    "that are no HTTP are known at once",
    arguments: [
      "SSH-2.0-x", "HTTP/2 200", "HTTP/1.1 2 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nbad\r\n\r\n",
    ])
  func foreign(answer: String) {
    guard case .failed(.layer7Response, _) = http(.status([200...399]), answer) else {
      Issue.record("taken for HTTP")
      return
    }
  }

  @Test("of MySQL name the version, or the error")
  func mySQL() {
    let greeting: [UInt8] = [6, 0, 0, 0, 10] + Array("8.0.1".utf8)
    #expect(ProtocolAnswer.mySQL(greeting, packet: 0) == .good("8.0.1"))
    #expect(ProtocolAnswer.mySQL(Array(greeting.dropLast()), packet: 0) == .incomplete)
    let error: [UInt8] = [7, 0, 0, 2, 0xff, 0x15, 0x04] + Array("Nono".utf8)
    #expect(ProtocolAnswer.mySQL(greeting + error, packet: 1) == .refused(code: 1045, "Nono"))
    #expect(ProtocolAnswer.mySQL(error, packet: 0) == .refused(code: 1045, "Nono"))
  }

  @Test("of LDAP come in any form of length")
  func ldap() {
    let short: [UInt8] = [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0]
    let long: [UInt8] = [
      0x30, 0x84, 0, 0, 0, 16, 2, 1, 1, 0x61, 0x84, 0, 0, 0, 7, 10, 1, 49, 4, 0, 4, 0,
    ]
    #expect(ProtocolAnswer.ldap(short) == .good("Success"))
    guard case .refused(49, _) = ProtocolAnswer.ldap(long) else {
      Issue.record("\(ProtocolAnswer.ldap(long))")
      return
    }
    for count in short.indices {
      #expect(ProtocolAnswer.ldap(Array(short[..<count])) == .incomplete)
    }
  }

  @Test("of whatever bytes, in whatever pieces, end in some judgement once they are over")
  func anything() {
    var random = SystemRandomNumberGenerator()
    let seeds = [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx",
      "0\u{c}\u{2}\u{1}\u{1}a",
    ]
    for round in 0..<2000 {
      var bytes = Array(seeds[round % 2].utf8)
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      }
      let cut = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
      #expect(HTTPAnswer.parse(cut, isOver: true) != .incomplete, "\(cut)")
      for packet in 0...1 { _ = ProtocolAnswer.mySQL(cut, packet: packet) }
      _ = ProtocolAnswer.ldap(cut)
    }
  }

  @Test("are told without what would break a line")
  func printable() {
    var result = CheckResult(status: .layer7Status)
    result.info = "a\"b\n"
    result.code = 7
    #expect(
      result.reason
        == "Layer7 wrong status, code: 7, info: \"a<22>b<0A>\", check duration: 0ms")
  }
}
