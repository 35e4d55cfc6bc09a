import Linux
import Testing

@testable import Configuration

@Suite("Checks") struct CheckTests {
  private func script(_ lines: String, server: String = "check") throws -> CheckScript {
    let text =
      "defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n" + lines
      + " server s 192.0.2.1:1 \(server)\n"
    let result = load(text)
    #expect(result.diagnostics.map(\.message) == [])
    return try #require(result.configuration).backends[0].check
  }

  @Test("connect first, though nobody writes it, and count steps as the file does")
  func numbers() throws {
    let script = try script(
      " option tcp-check\n tcp-check comment hello\n tcp-check send PING\\r\\n comment ping\n"
        + " tcp-check expect string +PONG\n")
    #expect(script.steps.map(\.number) == [0, 2, 3])
    #expect(script.steps[1].action == .send(Array("PING\r\n".utf8)))
    #expect(script.steps[1].comment == "ping")
    #expect(script.steps[2].action == .expect(CheckExpectation(.string(Array("+PONG".utf8)))))
  }

  @Test("over HTTP ask with OPTIONS, and expect 200 to 399")
  func httpDefaults() throws {
    let script = try script(" option httpchk\n")
    #expect(script.dialect == .http)
    #expect(script.steps[1].action == .request(CheckRequest()))
    #expect(script.steps[2].action == .expect(CheckExpectation(.status([200...399]))))
  }

  @Test("take method, path, version and headers from the option, as old files write them")
  func oldHeaders() throws {
    let script = try script(" option httpchk GET /health HTTP/1.1\\r\\nHost:\\ www\n")
    guard case .request(let request) = script.steps[1].action else {
      Issue.record("no request")
      return
    }
    #expect(request.method == "GET")
    #expect(request.target == "/health")
    #expect(request.version == "HTTP/1.1")
    #expect(request.headers == [.init(name: "Host", value: "www")])
  }

  @Test("let the first 'http-check send' complete the option's request")
  func merged() throws {
    let script = try script(
      " option httpchk GET /\n http-check connect port 8008\n"
        + " http-check send uri /primary hdr Host db\n http-check expect ! status 500-599\n")
    guard case .request(let request) = script.steps[1].action,
      case .expect(let expectation) = script.steps[2].action
    else {
      Issue.record("other steps")
      return
    }
    #expect(script.steps.count == 3)
    #expect((request.method, request.target, request.version) == ("GET", "/primary", "HTTP/1.0"))
    #expect(expectation.isNegated)
    #expect(expectation.pattern == .status([500...599]))
  }

  @Test("of a section replace those of its defaults, and are not added to them")
  func replaced() throws {
    let text =
      "defaults\n option tcp-check\n tcp-check send a\n timeout connect 1s\n timeout server 1s\n"
      + "backend b\n tcp-check send b\n server s 192.0.2.1:1 check\n"
      + "backend c\n server s 192.0.2.1:1 check\n"
    let backends = try #require(load(text).configuration).backends
    #expect(backends[0].check.steps.map(\.action).last == .send(Array("b".utf8)))
    #expect(backends[0].check.steps.count == 2)
    #expect(backends[1].check.steps.map(\.action).last == .send(Array("a".utf8)))
  }

  @Test("read every way to expect")
  func expectations() throws {
    let script = try script(
      """
       option httpchk
       http-check expect min-recv 5 ok-status L7OKC error-status L7STS tout-status L4TOUT \
      on-success "fine %%" on-error "%[res.payload(4,0),ltrim(' '),cut_crlf]" \
      status-code res.payload(0,3) comment c rstring ^ok$
       http-check expect hdr name -m beg x- value -m reg ^1
       http-check expect fhdr name server

      """)
    guard case .expect(let first) = script.steps[2].action,
      case .expect(let second) = script.steps[3].action
    else {
      Issue.record("other steps")
      return
    }
    #expect(script.steps[2].comment == "c")
    #expect(first.pattern == .bodyExpression("^ok$"))
    #expect(first.minimumLength == 5)
    #expect(first.okStatus == .layer7ConditionallyOK)
    #expect(first.errorStatus == .layer7Status)
    #expect(first.timeoutStatus == .layer4Timeout)
    #expect(first.successText == CheckMessage([.text("fine %")]))
    #expect(
      first.errorText
        == CheckMessage([
          .excerpt(CheckExcerpt(offset: 4, length: 0, endsWithLine: true, isTrimmed: true))
        ]))
    #expect(first.code == CheckExcerpt(offset: 0, length: 3))
    #expect(
      second.pattern
        == .header(
          name: CheckText(.prefix, "x-"), value: CheckText(.expression, "^1"), isWhole: false))
  }

  @Test("of PostgreSQL and MySQL send packets whose length is right")
  func packets() throws {
    guard
      case .send(let startup) = try script(" option pgsql-check user me\n").steps[1].action,
      case .send(let login) = try script(" option mysql-check user me\n").steps[1].action
    else {
      Issue.record("nothing is sent")
      return
    }
    #expect(startup == [0, 0, 0, 17, 0, 3, 0, 0] + Array("user\0me\0\0".utf8))
    #expect(Int(login[0]) == login.count - 4 - 5)
    #expect(login.suffix(5) == [1, 0, 0, 0, 1])
  }

  @Test("over TLS say whom to trust")
  func tls() throws {
    let text =
      "defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n server s 192.0.2.1:1 "
    let result = load(
      text + "check check-ssl verify none check-sni a.example check-alpn http/1.1\n")
    var expected = CheckTLS()
    expected.trustsAnyone = true
    expected.serverName = "a.example"
    expected.protocols = ["http/1.1"]
    #expect(result.configuration?.backends[0].servers[0].check?.tls == expected)
    #expect(load(text + "check check-ssl\n").errors.count == 1)
    #expect(load(text + "check check-ssl ca-file ca.pem\n").errors.isEmpty)
    #expect(load(text + "check check-ssl verify required\n").errors.count == 1)
  }
}
