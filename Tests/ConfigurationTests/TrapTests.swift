import Configuration
import Linux
import Testing

/// Shapes that real configurations have and that are easily read wrongly.
@Suite("Traps")
struct TrapTests {
  private static let timeouts =
    "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"

  private func read(_ text: String) throws -> ProxyConfiguration {
    let result = load(Self.timeouts + text)
    #expect(result.report == "")
    return try #require(result.configuration)
  }

  @Test("a range of ports in front of a server without one: the client's port is the server's")
  func portRange() throws {
    let read = try read("listen l\n bind :20000-20002\n server s 192.0.2.1\n")
    #expect(read.frontends[0].binds.count == 3)
    #expect(read.backends[0].servers[0].address.port == .relative(0))
  }

  @Test("three colons are the IPv6 wildcard and a port, and may stand beside one for IPv4")
  func threeColons() throws {
    let binds = try read("frontend f\n bind :::443 v6only\n bind :443\n").frontends[0].binds
    #expect(
      binds.map(\.address) == [
        .socket(.ip(.anyIPv6, port: 443)), .socket(.ip(.anyIPv4, port: 443)),
      ])
    #expect(binds.map(\.dualStack) == [false, nil])
  }

  @Test("ACLs may be named like hosts")
  func hostNames() throws {
    let text =
      "frontend f\n bind :1\n acl a-b_c.example.com:1 dst_port 1\n use_backend b if a-b_c.example.com:1\nbackend b\n"
    #expect(try read(text).frontends[0].backendRules.count == 1)
  }

  @Test("content rules below use_backend come first all the same, and a warning says so")
  func order() {
    let result = load(
      Self.timeouts
        + "frontend f\n bind :1\n use_backend b\n tcp-request content reject\nbackend b\n")
    #expect(result.warnings == ["this rule is evaluated before the 'use_backend' rules above it"])
    #expect(result.configuration?.frontends[0].contentRules.count == 1)
  }

  @Test("options of proxies may stand in defaults, even where a section has no use for them")
  func defaultsForAll() throws {
    let text = """
       balance source
       default-server inter 3s
       option ssl-hello-chk
       option external-check
      frontend f
       bind :1
       default_backend b
      backend b
       server s 192.0.2.1:1

      """
    #expect(try read(text).backends[0].balance == .source)
  }

  @Test("tabs, blanks at the end, comments behind words, '!' with and without a blank")
  func spelling() throws {
    let text =
      "frontend\tf \t\n\tbind\t:1#x\n\tacl a dst_port 1\n\tuse_backend b if !a#y\n\tuse_backend b if ! a \nbackend b# z\n"
    let rules = try read(text).frontends[0].backendRules
    #expect(rules.map { $0.condition?.alternatives[0][0].isNegated } == [true, true])
  }

  @Test("sections may be indented, 'global' may come last and 'defaults' first")
  func indentation() throws {
    let read = try read(
      "  frontend f\n  bind :1\n  default_backend b\n  backend b\n global\n  maxconn 7\n")
    #expect(read.global.maxConnections == 7)
    #expect(read.frontends.count == 1)
  }

  @Test("mode may be the last line of its section, and 'mode http' in defaults is overridden there")
  func lateMode() throws {
    let result = load(
      Self.timeouts
        + """
         mode http
        listen a
         bind :1
         server s 192.0.2.1:1
         mode tcp
        listen b
         bind :2
         http-request deny
         stats enable
        listen c
         mode tcp
         bind :3
         mode http

        """)
    #expect(result.errors.isEmpty)
    #expect(result.configuration?.frontends.map(\.identity.name) == ["a"])
    #expect(
      result.warnings == [
        "listen 'b' is 'mode http' and is left out", "listen 'c' is 'mode http' and is left out",
      ])
  }

  @Test("loops to oneself through a socket, with PROXY out and in")
  func loops() throws {
    let text = """
      frontend in
       bind :443
       default_backend loop
      backend loop
       server self abns@loop send-proxy-v2
      frontend second
       bind abns@loop accept-proxy
       default_backend loop

      """
    let read = try read(text)
    #expect(read.frontends[1].binds[0].acceptsProxyHeader)
    #expect(read.backends[0].servers[0].address.host == .address(.abstract(name: "loop")))
  }

  @Test("another protocol on the same port: by HTTP, by payload, by nothing sent at all")
  func multiplexing() throws {
    let text = """
      frontend f
       bind :443
       tcp-request inspect-delay 5ms
       tcp-request content accept if HTTP
       acl ssh payload(0,7) -m bin 5353482d322e30
       use_backend b if ssh
       use_backend b if !{ req.ssl_hello_type 1 } { req.len 0 }
      backend b

      """
    let frontend = try read(text).frontends[0]
    #expect(frontend.inspectDelay == 5)
    #expect(
      frontend.acls.map { $0.lines[0].sample.fetch } == [
        .protocolHTTP, .payload(offset: 0, length: 7), .helloType, .requestLength,
      ])
  }

  @Test("a suffix without -i is compared as it is written")
  func suffix() throws {
    let text = "frontend f\n bind :1\n acl a req.ssl_sni -m end .Example.com\n"
    let line = try read(text).frontends[0].acls[0].lines[0]
    #expect(!line.ignoresCase)
    #expect(line.patterns == .strings([".Example.com"]))
  }

  @Test("http words in defaults concern http sections only")
  func httpDefaults() throws {
    let text = """
       option forwardfor
       option http-server-close
       timeout http-request 10s
       errorfile 503 /no/such/file
       cookie A insert
       http-check expect status 200
      listen l
       bind :1
       server s 192.0.2.1:1

      """
    #expect(try read(text).frontends.count == 1)
  }

  @Test("'option tcp-check' alone is a plain connection")
  func tcpCheck() throws {
    let text = "backend b\n option tcp-check\n tcp-check connect\n server s 192.0.2.1:1 check\n"
    #expect(try read(text).backends[0].servers[0].check == HealthCheck())
  }

  @Test("a later 'option tcp-check' replaces another kind of check that was inherited")
  func replacedCheck() throws {
    let text =
      " option httpchk\nbackend b\n option tcp-check\n server s 192.0.2.1:1 check\n"
    #expect(try read(text).backends[0].servers.count == 1)
  }

  @Test("lines about checks that no option asks for do nothing, and say so")
  func checksWithoutOption() throws {
    let lines =
      "\n tcp-check send PING\n http-check expect status 200\n server s 192.0.2.1:1 check\n"
    let result = load(Self.timeouts + "backend b" + lines)
    #expect(result.configuration?.backends[0].servers[0].check == HealthCheck())
    #expect(
      result.warnings == [
        "'tcp-check' without 'option tcp-check' is ignored",
        "'http-check' without 'option httpchk' is ignored",
      ])
    #expect(result.configuration?.backends[0].check.isPlainConnection == true)
    // In defaults they are for whoever asks.
    #expect(load(Self.timeouts + " http-check expect status 200\nbackend b\n").diagnostics.isEmpty)
  }

  @Test("lines of more than 64 words")
  func manyWords() throws {
    let names = (1...1000).map { "h\($0).example.com" }
    let text = "frontend f\n bind :1\n acl a req.ssl_sni \(names.joined(separator: " "))\n"
    #expect(try read(text).frontends[0].acls[0].lines[0].patterns == .strings(names))
  }
}
