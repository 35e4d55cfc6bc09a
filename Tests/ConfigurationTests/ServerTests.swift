import Configuration
import Linux
import Testing

@Suite("Servers")
struct ServerTests {
  private func servers(_ lines: String...) throws -> [Server] {
    let result = load("backend b\n" + lines.map { " \($0)\n" }.joined())
    return try #require(result.configuration, "\(result.report)").backends[0].servers
  }

  @Test("take what the line says over what the defaults for servers say")
  func defaultServer() throws {
    let read = try servers(
      "server zero 192.0.2.1:1",
      "default-server check inter 1s rise 5 weight 10 backup maxconn 7 send-proxy",
      "server one 192.0.2.1:1 inter 3s",
      "server two 192.0.2.1:1 no-check no-backup maxconn 0 no-send-proxy disabled",
      "default-server fall 9 weight 0",
      "server three 192.0.2.1:1")
    #expect(read.map(\.weight) == [1, 10, 10, 0])
    #expect(read.map(\.isBackup) == [false, true, false, true])
    #expect(read.map(\.maxConnections) == [nil, 7, nil, 7])
    #expect(read.map(\.proxyHeader) == [.none, .version1, .none, .version1])
    #expect(read.map(\.isDisabled) == [false, false, true, false])
    #expect(read.map { $0.check?.interval } == [nil, 3000, nil, 1000])
    #expect(read.map { $0.check?.rise } == [nil, 5, nil, 5])
    #expect(read.map { $0.check?.fall } == [nil, 3, nil, 9])
  }

  @Test("are checked with a PROXY header where their traffic has one and goes the same way")
  func checkHeader() throws {
    let read = try servers(
      "server a 192.0.2.1:1 check send-proxy-v2",
      "server b 192.0.2.1:1 check send-proxy-v2 port 2",
      "server c 192.0.2.1:1 check send-proxy-v2 addr 192.0.2.9",
      "server d 192.0.2.1:1 check send-proxy-v2 port 2 check-send-proxy",
      "server e 192.0.2.1:1 check check-send-proxy")
    #expect(
      read.map { $0.check?.sendsProxy } == [
        .version2, SendProxy.none, SendProxy.none, .version2, SendProxy.none,
      ])
    #expect(read[1].check?.port == 2)
    #expect(read[2].check?.address?.description == "192.0.2.9:0")
  }

  @Test("are numbered from 1, around the numbers that the file gives")
  func ids() throws {
    let read = try servers(
      "server a 192.0.2.1:1", "server b 192.0.2.1:1 id 2", "server c 192.0.2.1:1")
    #expect(read.map(\.id) == [1, 2, 3])
  }

  @Test("without a port can be checked where the check has one")
  func checkPort() throws {
    #expect(try servers("server a 192.0.2.1 check port 80")[0].check?.port == 80)
    #expect(try servers("server a /run/x check")[0].check != nil)
    #expect(load("backend b\n server a 192.0.2.1 check\n").errors.count == 1)
    #expect(load("backend b\n server a 192.0.2.1:+1 check\n").errors.count == 1)
  }

  @Test("of one name twice are warned of")
  func doubles() {
    let result = load(
      "defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n server a 192.0.2.1:1\n server a 192.0.2.2:1\n"
    )
    #expect(result.warnings == ["backend 'b' has another server 'a'"])
  }

  @Test("connect from where they or their backend say")
  func source() throws {
    let text =
      "backend b\n source 192.0.2.7\n server a 192.0.2.1:1 source [2001:db8::1]:99 tcp-ut 3s\n"
    let backend = try #require(load(text).configuration).backends[0]
    #expect(backend.source?.description == "192.0.2.7:0")
    #expect(backend.servers[0].source?.description == "[2001:db8::1]:99")
    #expect(backend.servers[0].userTimeout == 3000)
  }

  @Test("cut their sessions when they go down, where told so")
  func markedDown() throws {
    let read = try servers("server a 192.0.2.1:1 check on-marked-down shutdown-sessions")
    #expect(read[0].shutsDownSessionsWhenMarkedDown)
  }

  @Test(
    "with options that are nothing without TLS are servers like others",
    arguments: [
      "verify none", "ca-file /x", "sni req.ssl_sni", "check-sni a alpn h2", "proto none",
    ])
  func inert(options: String) {
    let result = load(
      "defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n server a 192.0.2.1:1 \(options)\n"
    )
    #expect(result.configuration != nil)
    if options.hasPrefix("sni") { return }
    #expect(result.diagnostics.isEmpty)
  }

  @Test("take TLS from the defaults, and give it back")
  func takenBack() {
    let text = "backend b\n default-server ssl check-ssl check verify none\n server a 192.0.2.1:1"
    #expect(load(text + "\n").errors.count == 1)
    #expect(load(text + " no-ssl no-check-ssl\n").errors.isEmpty)
    #expect(load(text + " no-ssl no-check\n").errors.isEmpty)
  }
}
