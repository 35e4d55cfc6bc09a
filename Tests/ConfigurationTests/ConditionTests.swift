import Configuration
import Testing

@Suite("Conditions")
struct ConditionTests {
  /// A frontend with the ACLs `a` and `b`.
  private func frontend(_ lines: String...) -> Frontend? {
    let text =
      "frontend f\n acl a dst_port 1\n acl b dst_port 2\n"
      + lines.map { " \($0)\n" }.joined() + "backend x\n"
    return load(text).configuration?.frontends[0]
  }

  /// A condition as text, with `!` and indices of ACLs.
  private func shape(_ condition: String) -> String? {
    guard let read = frontend("use_backend x \(condition)")?.backendRules[0].condition else {
      return nil
    }
    let alternatives = read.alternatives.map { terms in
      terms.map { ($0.isNegated ? "!" : "") + String($0.acl) }.joined(separator: "&")
    }
    return (read.isNegated ? "unless " : "if ") + alternatives.joined(separator: "|")
  }

  @Test(
    "are alternatives of terms that must all hold",
    arguments: [
      ("if a", "if 0"), ("unless a", "unless 0"), ("if a b", "if 0&1"), ("if a or b", "if 0|1"),
      ("if a || b", "if 0|1"), ("if a b or b a", "if 0&1|1&0"), ("if !a", "if !0"),
      ("if ! a", "if !0"), ("if !!a", "if 0"), ("if ! ! a", "if 0"),
      ("if { dst_port 3 }", "if 2"), ("if !{ dst_port 3 }", "if !2"),
      ("if ! { dst_port 3 } a", "if !2&0"), ("if TRUE", "if 2"), ("if TRUE TRUE", "if 2&2"),
      ("if a { src 10.0.0.1 } or { src 10.0.0.2 } b", "if 0&2|3&1"),
    ])
  func shapes(text: String, expected: String) {
    #expect(shape(text) == expected)
  }

  @Test(
    "that say nothing, or what nobody declared, are refused",
    arguments: [
      "if", "unless", "if or a", "if a or", "if a or or b", "if c", "if a and b", "if a && b",
      "if (a)", "if {a}", "if { dst_port 3", "if { }", "if }", "if !", "if a !", "when a", "a",
      "if { dst_port 3 } } ", "if { a }", "if HTTP_1.1",
    ])
  func refused(text: String) {
    #expect(shape(text) == nil)
  }

  @Test("may be missing")
  func none() {
    #expect(frontend("use_backend x")?.backendRules[0].condition == nil)
  }

  @Test("find an ACL of several lines, which holds where one of them does")
  func severalLines() {
    let acls = frontend("acl a src 10.0.0.1", "use_backend x if a")?.acls
    #expect(acls?.count == 2)
    #expect(acls?[0].lines.map(\.sample.fetch) == [.destinationPort, .source])
  }

  @Test("find ACLs above them only, and say so once of one whose own line is wrong")
  func order() {
    let late = load("frontend f\n use_backend x if a\n acl a dst_port 1\nbackend x\n")
    #expect(late.errors == ["no such ACL: 'a'"])
    let broken = load("frontend f\n acl a dst_prot 1\n use_backend x if a\nbackend x\n")
    #expect(broken.errors == ["unknown fetch 'dst_prot'"])
  }

  @Test(
    "know what the reference predefines",
    arguments: ["FALSE", "LOCALHOST", "WAIT_END", "REQ_CONTENT", "HTTP"])
  func predefined(name: String) {
    #expect(shape("if \(name)") == "if 2")
  }

  @Test(
    "look at what goes by several names",
    arguments: [
      ("req.ssl_sni", SampleExpression.Fetch.serverName), ("req_ssl_sni", .serverName),
      ("req_ssl_hello_type", .helloType), ("req_ssl_ver", .helloVersion),
      ("req_len", .requestLength),
      ("req_proto_http", .protocolHTTP), ("req.payload(1,2)", .payload(offset: 1, length: 2)),
      ("payload(3,0)", .payload(offset: 3, length: 0)),
    ])
  func fetches(name: String, fetch: SampleExpression.Fetch) {
    let frontend = frontend("acl c \(name) -m found")
    #expect(frontend?.acls[2].lines[0].sample.fetch == fetch)
  }

  @Test("convert what they look at")
  func converters() {
    let line = frontend("acl c req.ssl_sni,lower,upper a")?.acls[2].lines[0]
    #expect(line?.sample == SampleExpression(fetch: .serverName, converters: [.lower, .upper]))
  }
}
