import Configuration
import Linux
import Testing

@Suite("Proxies")
struct ProxyTests {
  private func configuration(_ text: String) throws -> ProxyConfiguration {
    let result = load(text)
    return try #require(result.configuration, "\(result.report)")
  }

  @Test("fill in what the file does not say")
  func silence() throws {
    let read = try configuration("frontend f\n bind :1\nbackend b\n server s 192.0.2.1:1\n")
    let frontend = read.frontends[0]
    #expect(frontend.timeouts.client == nil)
    #expect(frontend.inspectDelay == nil)
    #expect(frontend.defaultBackend == nil)
    #expect(frontend.keepalive == Keepalive())
    let backend = read.backends[0]
    #expect(backend.balance == .roundRobin)
    #expect(backend.timeouts.connect == 5000)
    #expect(backend.timeouts.queue == 5000)
    #expect(backend.retries == 3)
    #expect(backend.redispatch == 0)
    #expect(backend.servers[0].weight == 1)
    #expect(backend.servers[0].check == nil)
  }

  @Test("have times in any unit, and none where the file says 0")
  func times() throws {
    let backend = try configuration(
      """
      backend b
       timeout connect 0
       timeout server 36h
       timeout check 250
       timeout tunnel 1d
       timeout server-fin 100us
       timeout queue 2m

      """
    ).backends[0]
    #expect(backend.timeouts.connect == nil)
    #expect(backend.timeouts.server == 129_600_000)
    #expect(backend.timeouts.check == 250)
    #expect(backend.timeouts.tunnel == 86_400_000)
    #expect(backend.timeouts.serverFin == 1)
    #expect(backend.timeouts.queue == 120_000)
  }

  @Test("wait in the queue, and for the PROXY header, as long as for what comes next")
  func derivedTimeouts() throws {
    let read = try configuration(
      "listen l\n bind :1\n timeout connect 3s\n timeout client 7s\n")
    #expect(read.backends[0].timeouts.queue == 3000)
    #expect(read.frontends[0].timeouts.clientHandshake == 7000)
  }

  @Test("inherit from the defaults above them, each of which begins anew")
  func defaults() throws {
    let read = try configuration(
      """
      defaults
       retries 5
       balance leastconn
       log 192.0.2.1 local0
      backend a
      backend b
       retries 6
       balance source
      defaults
       retries 7
      backend c
       log 192.0.2.2 local1

      """)
    #expect(read.backends.map(\.retries) == [5, 6, 7])
    #expect(read.backends.map(\.balance) == [.leastConnections, .source, .roundRobin])
    #expect(read.backends.map(\.log.targets.count) == [1, 1, 1])
  }

  @Test("inherit by name, rules and ACLs too")
  func namedDefaults() throws {
    let read = try configuration(
      """
      defaults base
       acl inside src 10.0.0.0/8
       tcp-request connection reject unless inside
       retries 5
      defaults other from base
       retries 6
      frontend f from base
       bind :1
       acl port dst_port 1
       tcp-request connection accept if port inside
      backend b
      backend c from base

      """)
    #expect(read.frontends[0].connectionRules.map(\.action) == [.reject, .accept])
    #expect(read.frontends[0].acls.map(\.name) == ["inside", "port"])
    #expect(read.backends.map(\.retries) == [6, 5])
  }

  @Test("are numbered from 2 in the order of the file, those left out included")
  func ids() throws {
    let read = try configuration(
      """
      frontend a
       bind :1
      backend b
       id 4
      listen stats
       mode http
       stats enable
      listen c
       bind :2
      backend d

      """)
    #expect(read.frontends.map(\.identity.id) == [2, 5])
    #expect(read.backends.map(\.identity.id) == [4, 5, 6])
    #expect(read.frontends.map(\.identity.isListen) == [false, true])
  }

  @Test("of two halves lead to themselves, or where they say")
  func listen() throws {
    let read = try configuration(
      """
      listen one
       bind :1
       server s 192.0.2.1:1
      listen two
       bind :2
       default_backend one

      """)
    #expect(read.frontends.map(\.defaultBackend) == [0, 0])
  }

  @Test("may share a name, one in front and one behind, but not otherwise")
  func names() throws {
    let read = try configuration(
      "frontend same\n bind :1\n default_backend same\nbackend same\n")
    #expect(read.frontends[0].defaultBackend == 0)
    #expect(load("backend a\nbackend a\n").errors == ["there is a backend 'a' already"])
    #expect(load("listen a\nfrontend a\n").errors == ["there is a frontend 'a' already"])
    #expect(load("backend a\nlisten a\n").errors == ["there is a backend 'a' already"])
  }

  @Test("lead to backends above and below, by index")
  func references() throws {
    let frontend = try configuration(
      """
      backend x
      frontend f
       bind :1
       use_backend z if TRUE
       use_backend x
       default_backend y
      backend y
      backend z

      """
    ).frontends[0]
    #expect(frontend.backendRules.map(\.backend) == [2, 0])
    #expect(frontend.defaultBackend == 1)
  }

  @Test("route to a server by name, wherever it stands")
  func useServer() throws {
    let backend = try configuration(
      """
      backend b
       use-server t if { req.ssl_sni t.example.com }
       use-server s
       server s 192.0.2.1:1
       server t 192.0.2.2:1

      """
    ).backends[0]
    #expect(backend.serverRules.map(\.server) == [1, 0])
  }

  @Test("take options, take them back, and return to what is usual")
  func options() throws {
    let read = try configuration(
      """
      defaults
       option dontlognull
       option redispatch 2
       no option tcpka
       option tcplog
      frontend f
       bind :1
       no option dontlognull
       option clitcpka
      backend b
       default option srvtcpka
       option allbackups
       option abortonclose
       option nolinger
       option log-health-checks
      backend c
       no option redispatch
       srvtcpka-idle 5m
       srvtcpka-cnt 9
       srvtcpka-intvl 1500ms

      """)
    #expect(read.frontends[0].log.skipsNull == false)
    #expect(read.frontends[0].log.format == .tcp)
    #expect(read.frontends[0].keepalive.isEnabled)
    #expect(read.backends.map(\.keepalive.isEnabled) == [true, false])
    #expect(read.backends.map(\.redispatch) == [2, 0])
    #expect(read.backends[0].allBackups && read.backends[0].abortOnClose)
    #expect(read.backends[0].noLinger && read.backends[0].logsHealthChecks)
    #expect(read.backends[1].keepalive.idle == 300)
    #expect(read.backends[1].keepalive.count == 9)
    #expect(read.backends[1].keepalive.interval == 2)
  }

  @Test(
    "balance as they are told",
    arguments: [
      ("roundrobin", Balance.roundRobin), ("static-rr", .staticRoundRobin),
      ("leastconn", .leastConnections), ("first", .first), ("source", .source),
      ("random", .random(draws: 2)), ("random(7)", .random(draws: 7)), ("uri", .roundRobin),
      ("hdr(host)", .roundRobin),
    ])
  func balance(text: String, expected: Balance) throws {
    #expect(try configuration("backend b\n balance \(text)\n").backends[0].balance == expected)
  }

  @Test("log where they and 'global' say, wherever 'global' stands")
  func logTargets() throws {
    let read = try configuration(
      """
      defaults
       log global
       log 192.0.2.1:1514 len 200 format rfc5424 local7 notice alert
      frontend f
       bind :1
       log stdout format raw daemon
       log-tag edge
      backend b
       no log
       log fd@3 local0
      global
       log /dev/log local0 info

      """)
    let front = read.frontends[0].log
    #expect(front.targets.count == 3)
    #expect(front.targets[0].address == .unix("/dev/log"))
    #expect(front.targets[0].maxLevel == 6)
    #expect(front.targets[1].maxLength == 200)
    #expect(front.targets[1].format == .rfc5424)
    #expect(front.targets[1].facility == 23)
    #expect(front.targets[1].minLevel == 1)
    #expect(front.targets[2].address == .standardOutput)
    #expect(front.tag == "edge")
    #expect(read.backends[0].log.targets.map(\.address) == [.descriptor(3)])
  }

  @Test("have connection, session and content rules, in order")
  func rules() throws {
    let frontend = try configuration(
      """
      frontend f
       bind :1
       tcp-request connection expect-proxy layer4 if { src 10.0.0.0/8 }
       tcp-request connection silent-drop rst-ttl 3
       tcp-request session reject if { src 10.0.0.0/8 }
       tcp-request inspect-delay 3s
       tcp-request content accept
       tcp-request content reject

      """
    ).frontends[0]
    #expect(frontend.connectionRules.map(\.action) == [.expectProxyHeader, .silentDrop])
    #expect(frontend.sessionRules.map(\.action) == [.reject])
    #expect(frontend.contentRules.map(\.action) == [.accept, .reject])
    #expect(frontend.inspectDelay == 3000)
  }
}
