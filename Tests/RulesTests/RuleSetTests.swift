import Configuration
import Linux
import Testing

@testable import Rules

@Suite("Rules in order")
struct RuleOrderTests {
  @Test("the end of a list accepts")
  func emptyList() throws {
    let rules = try Sketch().compiled()
    #expect(rules.content(Scene()) == .accept)
    #expect(rules.connection(Scene()) == .accept)
    #expect(rules.backend(Scene()) == .none)
    #expect(rules.hasContentRules(frontend: 0) == false)
  }

  @Test("the first rule that matches decides")
  func firstMatch() throws {
    var sketch = Sketch()
    let local = sketch.acl(
      .test(
        .source, .address, .networks([Network(address: .init(ipv4: 0x7f00_0000), prefixLength: 8)]))
    )
    sketch.content(.silentDrop, if: sketch.condition([-local - 1]))
    sketch.content(.accept, if: sketch.condition([local]))
    sketch.content(.reject)
    let rules = try sketch.compiled()
    var scene = Scene()
    #expect(rules.content(scene) == .accept)
    scene.client.address = IPAddress(ipv4: 0x0a00_0001)
    #expect(rules.content(scene) == .silentDrop)
  }

  @Test("a rule that needs more stops the evaluation, whatever comes after it")
  func waitsAtTheRule() throws {
    var sketch = Sketch()
    let tls = sketch.acl(.isTLS)
    sketch.content(.accept, if: sketch.condition([tls]))
    sketch.content(.reject)
    let rules = try sketch.compiled()
    #expect(rules.content(.waiting(for: .request)) == .wait)
    #expect(rules.content(.waiting(for: .hello)) == .wait)
    #expect(rules.content(.waiting(for: .nothing)) == .reject)
    #expect(rules.content(.hello("a")) == .accept)
    #expect(rules.content(.notTLS) == .reject)
  }

  @Test("plain text is refused at once, not after the delay")
  func plainTextDoesNotWait() throws {
    var sketch = Sketch()
    let tls = sketch.acl(.isTLS)
    sketch.content(.reject, if: sketch.condition(unless: true, [tls]))
    let rules = try sketch.compiled()
    var scene = Scene.notTLS
    scene.awaiting = .request
    #expect(rules.content(scene) == .reject)
    #expect(rules.content(.waiting(for: .request)) == .wait)
    #expect(rules.content(.waiting(for: .nothing)) == .reject)
  }

  @Test("what other terms have decided does not wait")
  func decidedTermsDoNotWait() throws {
    var sketch = Sketch()
    let tls = sketch.acl(.isTLS)
    let no = sketch.acl(.always(false))
    let yes = sketch.acl(.always(true))
    let waiting = Scene.waiting(for: .request)

    func holds(_ condition: Condition) throws -> Bool? {
      var sketch = sketch
      sketch.content(.reject, if: condition)
      let rules = try sketch.compiled()
      return rules.holds(waiting)
    }
    #expect(try holds(sketch.condition([tls, no])) == false)
    #expect(try holds(sketch.condition([no, tls])) == false)
    #expect(try holds(sketch.condition([tls], [yes])) == true)
    #expect(try holds(sketch.condition([yes], [tls])) == true)
    #expect(try holds(sketch.condition([tls, yes])) == nil)
    #expect(try holds(sketch.condition([tls], [no])) == nil)
    #expect(try holds(sketch.condition([-tls - 1])) == nil)
    #expect(try holds(sketch.condition(unless: true, [tls], [yes])) == false)
    #expect(try holds(sketch.condition(unless: true, [tls, no])) == true)
    #expect(try holds(sketch.condition(unless: true, [tls])) == nil)
  }

  @Test("an ACL is any of its lines, and one that matches does not wait for the others")
  func aclLines() throws {
    var sketch = Sketch()
    let either = sketch.acl(.isTLS, .test(.destinationPort, .integer, .integers([443...443])))
    sketch.content(.reject, if: sketch.condition([either]))
    let rules = try sketch.compiled()
    var scene = Scene.waiting(for: .request)
    #expect(rules.holds(scene) == true)
    scene.destination.port = 80
    #expect(rules.holds(scene) == nil)
    #expect(rules.holds(.hello("a")) == true)
  }

  @Test("expect-proxy does not end the list")
  func expectProxy() throws {
    var sketch = Sketch()
    let high = sketch.acl(.test(.sourcePort, .integer, .integers([50_000...65_535])))
    sketch.connection(.expectProxyHeader)
    sketch.connection(.reject, if: sketch.condition([high]))
    let rules = try sketch.compiled()
    var scene = Scene()
    #expect(rules.connection(scene) == .expectProxyHeader)
    scene.client.port = 60_000
    #expect(rules.connection(scene) == .reject)

    var ending = Sketch()
    ending.connection(.expectProxyHeader)
    ending.connection(.accept)
    ending.connection(.reject)
    let ended = try ending.compiled()
    #expect(ended.connection(Scene()) == .expectProxyHeader)
  }
}

@Suite("What rules wait for")
struct WaitingTests {
  @Test("the end of the delay is true only then")
  func waitEnd() throws {
    let rules = try rules(rejecting: .waitEnd)
    #expect(rules.holds(.waiting(for: .request)) == nil)
    #expect(rules.holds(.waiting(for: .hello)) == true)
    #expect(rules.holds(.waiting(for: .nothing)) == true)
  }

  @Test("the request's length waits unless it matches already")
  func requestLength() throws {
    let rules = try rules(rejecting: .test(.requestLength, .integer, .integers([3...Int.max])))
    #expect(rules.holds(.waiting(for: .request, request: "ab")) == nil)
    #expect(rules.holds(.waiting(for: .request, request: "abc")) == true)
    #expect(rules.holds(.waiting(for: .hello, request: "ab")) == false)
    #expect(rules.holds(.waiting(for: .nothing, request: "ab")) == false)
  }

  @Test("an HTTP request is told by its first line, and waited for while it may be one")
  func protocolHTTP() throws {
    let rules = try rules(rejecting: .test(.protocolHTTP, .boolean))
    for request in ["", "GET", "GET /", "GET / HT"] {
      #expect(rules.holds(.waiting(for: .request, request: request)) == nil)
      #expect(rules.holds(.waiting(for: .nothing, request: request)) == false)
    }
    #expect(rules.holds(.waiting(for: .request, request: "GET / HTTP/1.1")) == true)
    for request in ["SSH-2.0-x", "get / HTTP/1.1", "GET  HTTP/", "\u{16}\u{3}\u{1}", "GET / SSH-"] {
      #expect(rules.holds(.waiting(for: .request, request: request)) == false)
    }
  }

  @Test("a payload waits until it is there; an open one, until it matches")
  func payload() throws {
    let fixed = try rules(
      rejecting: .test(.payload(offset: 1, length: 2), .binary, .binaries([[0x62, 0x63]])))
    #expect(fixed.holds(.waiting(for: .request, request: "ab")) == nil)
    #expect(fixed.holds(.waiting(for: .request, request: "abc")) == true)
    #expect(fixed.holds(.waiting(for: .request, request: "abd")) == false)
    #expect(fixed.holds(.waiting(for: .nothing, request: "ab")) == false)

    let open = try rules(
      rejecting: .test(.payload(offset: 0, length: 0), .substring, .strings(["SSH"])))
    #expect(open.holds(.waiting(for: .request, request: "hello")) == nil)
    #expect(open.holds(.waiting(for: .request, request: "my SSH-2.0")) == true)
    #expect(open.holds(.waiting(for: .nothing, request: "hello")) == false)
  }

  @Test("a payload that no buffer can hold is absent, and nobody waits for it")
  func payloadBeyondBuffer() throws {
    let rules = try rules(
      rejecting: .test(.payload(offset: 16_000, length: 1_000), .found))
    #expect(rules.holds(.waiting(for: .request)) == false)
  }

  @Test("a payload read as a string ends before its first NUL")
  func payloadAsString() throws {
    let string = try rules(
      rejecting: .test(.payload(offset: 0, length: 4), .string, .strings(["ab"])))
    #expect(string.holds(.waiting(for: .nothing, request: "ab\0c")) == true)
    let bytes = try rules(
      rejecting: .test(.payload(offset: 0, length: 4), .binary, .binaries([[0x61, 0x62]])))
    #expect(bytes.holds(.waiting(for: .nothing, request: "ab\0c")) == false)
    let length = try rules(
      rejecting: .test(.payload(offset: 0, length: 4), .length, .integers([2...2])))
    #expect(length.holds(.waiting(for: .nothing, request: "ab\0c")) == true)
  }

  @Test("use_backend waits for a hello in either way of waiting, and never afterwards")
  func routesWait() throws {
    var sketch = Sketch()
    let a = sketch.acl(.name("a.example"))
    let b = sketch.acl(.name("b.example"))
    sketch.use(0, if: sketch.condition([a]))
    sketch.use(1, if: sketch.condition([b]))
    let rules = try sketch.compiled()
    #expect(rules.backend(.waiting(for: .request)) == .wait)
    #expect(rules.backend(.waiting(for: .hello)) == .wait)
    #expect(rules.backend(.waiting(for: .nothing)) == .none)
    #expect(rules.backend(.notTLS) == .none)
    #expect(rules.backend(.hello("B.example")) == .target(1, rule: 1))
    #expect(rules.backend(.hello("")) == .none)
  }

  @Test("what rules look at is known beforehand")
  func needs() throws {
    var sketch = Sketch()
    let name = sketch.acl(.name("a"))
    let long = sketch.acl(.test(.requestLength, .integer, .integers([1...9])))
    let port = sketch.acl(.test(.sourcePort, .integer, .integers([1...9])))
    sketch.content(.accept, if: sketch.condition([port, long]))
    sketch.use(0, if: sketch.condition([port]))
    sketch.useServer(0, if: sketch.condition([name]))
    sketch.useServer(1, if: sketch.condition([name]))
    let rules = try sketch.compiled()
    #expect(rules.contentNeeds(frontend: 0) == .request)
    #expect(rules.routeNeeds(frontend: 0) == [])
    #expect(rules.routeNeeds(backend: 0) == .hello)
    #expect(rules.contentNeeds(backend: 0) == [])
  }
}

@Suite("Routes")
struct RouteTests {
  @Test("a run of names is one step, and the rule that a reader reaches first wins")
  func runs() throws {
    var sketch = Sketch()
    for (index, name) in ["a.test", "b.test", "a.test", "c.test"].enumerated() {
      let acl = sketch.acl(.name(name))
      sketch.use(index, if: sketch.condition([acl]))
    }
    let suffix = sketch.acl(.name(".test", "b.test", match: .end))
    sketch.use(4, if: sketch.condition([suffix]))
    let rules = try sketch.compiled()
    #expect(rules.steps.count == 1)
    #expect(rules.backend(.hello("a.test")) == .target(0, rule: 0))
    #expect(rules.backend(.hello("C.TEST")) == .target(3, rule: 3))
    #expect(rules.backend(.hello("x.test")) == .target(4, rule: 4))
    #expect(rules.backend(.hello("b.test")) == .target(1, rule: 1))
    #expect(rules.backend(.hello("test")) == .none)
  }

  @Test("other rules split runs, and keep their place")
  func mixedRuns() throws {
    var sketch = Sketch()
    let a = sketch.acl(.name("a"))
    let b = sketch.acl(.name("b"))
    let port = sketch.acl(.test(.destinationPort, .integer, .integers([443...443])))
    for (backend, terms) in [[a], [b], [port, a], [b], [a]].enumerated() {
      sketch.use(backend, if: sketch.condition(terms))
    }
    sketch.use(9)
    let rules = try sketch.compiled()
    #expect(rules.steps.count == 4)
    #expect(rules.backend(.hello("a")) == .target(0, rule: 0))
    #expect(rules.backend(.hello("c")) == .target(9, rule: 5))
  }

  @Test("use-server goes on after a server that is down, within a run too")
  func resumes() throws {
    var sketch = Sketch()
    for server in 0..<3 {
      let acl = sketch.acl(.name("a", "b\(server)"))
      sketch.useServer(server, if: sketch.condition([acl]))
    }
    let rules = try sketch.compiled()
    #expect(rules.steps.count == 1)
    #expect(rules.server(.hello("a")) == .target(0, rule: 0))
    #expect(rules.server(.hello("a"), from: 1) == .target(1, rule: 1))
    #expect(rules.server(.hello("a"), from: 2) == .target(2, rule: 2))
    #expect(rules.server(.hello("a"), from: 3) == .none)
    #expect(rules.server(.hello("b0"), from: 1) == .none)
  }

  @Test("each of the client's protocols is looked at")
  func protocols() throws {
    var sketch = Sketch()
    for (index, name) in ["h3", "h2", "http/1.1"].enumerated() {
      let acl = sketch.acl(.test(.applicationProtocols, .string, .strings([name])))
      sketch.use(index, if: sketch.condition([acl]))
    }
    let rules = try sketch.compiled()
    #expect(rules.steps.count == 1)
    #expect(rules.backend(.hello("", protocols: ["http/1.1", "h2"])) == .target(1, rule: 1))
    #expect(rules.backend(.hello("", protocols: ["h"])) == .none)
    #expect(rules.backend(.hello("")) == .none)
  }

  @Test("a hundred thousand names compile, and each finds its rule")
  func manyNames() throws {
    var sketch = Sketch()
    let count = 100_000
    for index in 0..<count {
      let acl = sketch.acl(.name("host\(index).example.com"))
      sketch.use(index, if: sketch.condition([acl]))
    }
    let rules = try sketch.compiled()
    #expect(rules.steps.count == 1)
    for index in stride(from: 0, to: count, by: 997) {
      #expect(
        rules.backend(.hello("HOST\(index).example.com")) == .target(index, rule: index))
    }
    #expect(rules.backend(.hello("host\(count).example.com")) == .none)
  }
}

@Suite("Certificate names")
struct CertificateNamesTests {
  private func rules(_ names: [String]) throws -> RuleSet {
    var sketch = Sketch()
    for names in [[], names] {
      var bind = Bind(address: .descriptor(3), text: "fd@3", position: .start)
      bind.tls = TLSPassthrough()
      bind.tls?.certificateNames = names
      sketch.configuration.frontends[0].binds.append(bind)
    }
    let known = sketch.acl(.test(.serverNameInCertificate, .boolean))
    sketch.content(.reject, if: sketch.condition(unless: true, [known]))
    return try sketch.compiled()
  }

  @Test("a star stands for exactly one label")
  func wildcards() throws {
    let rules = try rules(["example.com", "*.example.com", "*.*.net", "w*.example.org"])
    let set = rules.certificateNames(frontend: 0, bind: 1)
    let names = try #require(set)
    func covers(_ name: String) -> Bool { rules.covers(Array(name.utf8).span, by: names) }
    for name in ["example.com", "EXAMPLE.com", "a.example.com", "A.Example.Com"] {
      #expect(covers(name), "\(name)")
    }
    for name in [
      "", ".", ".example.com", "a.b.example.com", "com", "xexample.com", "example.com.",
      "a.b.net", "www.example.org", "*",
    ] {
      #expect(!covers(name), "\(name)")
    }
  }

  @Test("a bind without certificates covers nobody")
  func noCertificates() throws {
    let rules = try rules(["a"])
    #expect(rules.certificateNames(frontend: 0, bind: 0) == nil)
    var scene = Scene.hello("a")
    #expect(rules.content(scene) == .reject)
    scene.certificateNames = rules.certificateNames(frontend: 0, bind: 1)
    #expect(rules.content(scene) == .accept)
    scene.name = []
    #expect(rules.content(scene) == .reject)
    scene.hello.state = .incomplete
    scene.awaiting = .hello
    #expect(rules.content(scene) == .wait)
  }
}
