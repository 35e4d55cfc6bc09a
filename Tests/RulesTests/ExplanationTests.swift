import Configuration
import Linux
import Testing

@testable import Rules

@Suite("Explanations")
struct ExplanationTests {
  private static let file = """
    defaults
      mode tcp
      timeout connect 1s
      timeout client 1s
      timeout server 1s
    frontend web
      bind 127.0.0.1:443
      acl office src 10.0.0.0/8
      tcp-request content reject if { req.ssl_sni secret } !office
      use_backend one if { req.ssl_sni a } or { req.ssl_sni b }
      use_backend one if { req.ssl_sni c }
      use_backend two unless office
      use_backend %[req.ssl_sni]
    backend one
      balance source
      server s1 192.0.2.1:443 weight 1
      server s2 192.0.2.2:443 weight 3
    backend two
      server s1 192.0.2.1:443 disabled
      server s2 192.0.2.2:443 backup
      server s3 192.0.2.3:443 backup

    """

  private func explain(_ words: String...) throws -> (lines: [String], isServed: Bool) {
    var snapshot = ConfigurationSnapshot()
    snapshot.files = [.init(path: "a.cfg", role: .configuration, bytes: Array(Self.file.utf8))]
    let loaded = try #require(ConfigurationLoader.load(snapshot: snapshot).configuration)
    var explainer = Explainer(loaded, try RuleSet(compiling: loaded), snapshot)
    let explanation = try explainer.explain(try SupposedConnection(words))
    let lines = explanation.text.split(separator: "\n").map(String.init)
    return (lines, explanation.isServed)
  }

  @Test("rules of a run that one lookup decides are told of together")
  func runs() throws {
    let (lines, isServed) = try explain("--sni", "x")
    #expect(isServed)
    #expect(
      lines == [
        "SNI x, from 192.0.2.1:50000",
        "frontend 'web' (a.cfg:6), bind 127.0.0.1:443",
        "  a.cfg:9: tcp-request content reject if { req.ssl_sni secret } !office",
        "      no: { req.ssl_sni secret } does not hold",
        "  a.cfg:10-11: 2 rules about other names",
        "  a.cfg:12: use_backend two unless office",
        "      yes: office (a.cfg:8) does not hold",
        "  -> backend 'two' (a.cfg:18)",
        "  balance roundrobin",
        "    s1 192.0.2.1:443: none, disabled",
        "    s2 192.0.2.2:443: this one",
        "    s3 192.0.2.3:443: none, a backup, while others can be used",
        "  -> server 's2'",
      ])
  }

  @Test("the server that a hash gives is the one that the worker's schedule has")
  func hash() throws {
    let schedule = WeightedSchedule(weights: [1, 3])
    for last in 1...8 {
      let client = IPAddress(ipv4: 0xc633_6400 + UInt32(last))
      let turn = Int(Hashing.source(client)) % schedule.count
      let (lines, _) = try explain("--sni", "c", "--src", "198.51.100.\(last)")
      #expect(lines.last == "  -> server 's\(schedule[turn] + 1)'")
    }
  }

  @Test("a refusal ends it, and a name that nobody has is told")
  func ends() throws {
    let refused = try explain("--sni", "secret")
    #expect(refused.lines.last == "  -> refused by a rule (a.cfg:9)")
    #expect(!refused.isServed)
    let nobody = try explain("--sni", "nobody", "--src", "10.1.1.1")
    #expect(nobody.lines.contains("      the name is 'nobody', which is no backend"))
    #expect(
      nobody.lines.last == "  -> closed: no rule chose a backend, and there is no default_backend")
    #expect(!nobody.isServed)
  }

  @Test(
    "what describes no connection is a mistake",
    arguments: [
      ["--sni"], ["--sni", ""], ["--src", "x"], ["--src", "1.2.3.4:0"], ["--dst-port", "70000"],
      ["--nonsense", "1"], ["--frontend", "nobody"], ["--dst-port", "1"],
    ])
  func mistakes(words: [String]) throws {
    #expect(throws: SupposedConnection.Mistake.self) {
      var snapshot = ConfigurationSnapshot()
      snapshot.files = [.init(path: "a", role: .configuration, bytes: Array(Self.file.utf8))]
      let loaded = try #require(ConfigurationLoader.load(snapshot: snapshot).configuration)
      var explainer = Explainer(loaded, try RuleSet(compiling: loaded), snapshot)
      _ = try explainer.explain(try SupposedConnection(words))
    }
  }
}
