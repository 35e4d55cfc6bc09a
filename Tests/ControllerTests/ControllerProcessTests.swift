import Configuration
import Glibc
import Ledger
import Linux
import Testing
import Wire

@testable import Controller

@Suite("ControllerProcess")
struct ControllerProcessTests {
  static func fixture(port: UInt16 = 1) -> Fixture {
    var fixture = Fixture()
    fixture.addFrontend("fe", backend: 0)
    fixture.addBackend(
      "be",
      [
        Fixture.server("s1", id: 1, port: port) { $0.check = Fixture.check(interval: 20) },
        Fixture.server("s2", id: 2, port: 2),
      ])
    return fixture
  }

  @Test("answers one line, then closes")
  func singleLine() async throws {
    let running = try Running.start(Self.fixture())
    #expect(try await running.ask("show version\n") == Release.compatibleVersion + "\n\n")
    #expect(try await running.ask("show backend;show cli level\r\n") == "# name\nbe\n\nadmin\n\n")
    #expect(try await running.ask("\n") == "\n")
    #expect(try await running.ask(";;\n") == "\n\n\n")
    #expect(try await running.ask("quit\n") == "")
    #expect(try await running.ask("echo a\\;b\n") == "a;b\n\n")
    try await running.stop()
  }

  @Test("ends each answer with the one empty line in it")
  func emptyLines() async throws {
    let running = try Running.start(Self.fixture())
    for command in [
      "help", "show info", "show info typed", "show info json", "show info desc", "show stat",
      "show stat typed", "show stat json", "show stat up", "show servers state",
      "show servers conn", "show backend", "show errors", "show table", "show cli sockets",
      "show sess", "show workers", "bogus", "prompt help", "wait -h", "show sess help",
      "set server be/s1 weight 3", "get weight be/s1",
    ] {
      let answer = try await running.ask(command + "\n")
      #expect(answer.hasSuffix("\n"), "\(command)")
      let blocks = answer.split(separator: "\n", omittingEmptySubsequences: false)
      let empty = blocks.dropLast().filter { $0.isEmpty }.count
      // `typed` dumps tell objects apart by empty lines, there as here.
      if command != "show stat typed" { #expect(empty == 1, "\(command): \(answer)") }
    }
    try await running.stop()
  }

  @Test("says what the reference says to mistakes")
  func mistakes() async throws {
    let running = try Running.start(Self.fixture())
    for (command, answer) in [
      ("set server be/nope weight 3", "No such server."),
      ("set server nope/s1 weight 3", "No such backend."),
      ("set server", "Require 'backend/server'."),
      ("set server be/s1 weight 300", "Absolute weight can only be between 0 and 256 inclusive."),
      ("set weight be/s1", "Require <weight> or <weight%>."),
      (
        "set server be/s1 state foo",
        "'set server <srv> state' expects 'ready', 'drain' and 'maint'."
      ),
      (
        "set server be/s1 addr",
        "set server <b>/<s> addr requires an address and optionally a port."
      ),
      ("set server be/s1 addr 127.0.0.1", "nothing changed"),
      ("enable health be/s2", "Health check was not configured on this server, cannot enable."),
      ("show servers state nope", "Can't find backend."),
      ("show stat nope 4 1", "No such proxy."),
      ("shutdown session 0x12", "No such session (use 'show sess')."),
      ("shutdown session x", "Session pointer expected (use 'show sess')."),
      ("set timeout cli", "Expects an integer value."),
      ("set timeout cli 0", "Invalid timeout value."),
      ("show table x", "No such table"),
    ] {
      #expect(try await running.ask(command + "\n") == answer + "\n\n", "\(command)")
    }
    #expect(
      try await running.ask(
        "set severity-output number;set server be/x weight 3;get weight be/s1\n")
        == "\n[3]: No such server.\n\n1 (initial 1)\n\n")
    try await running.stop()
  }

  @Test("prompts who asks for it")
  func prompt() async throws {
    let running = try Running.start(Self.fixture())
    let client = try End.connected(to: running.path)
    for (line, answer) in [
      ("prompt\n", "\n> "), ("get weight be/s1\n", "1 (initial 1)\n\n> "), ("\n", "\n> "),
      ("show table <<\n", "+ "), ("x\n", "+ "), ("\n", "\n> "), ("set timeout cli 60\n", "\n> "),
    ] {
      try client.send(line)
      #expect(try await client.read(until: answer.hasSuffix("+ ") ? "+ " : "> ") == answer)
    }
    try client.send("prompt\n")
    #expect(try await client.read() == "\n")
    try await running.stop()
  }

  @Test("keeps what is not for a level from it")
  func levels() async throws {
    let running = try Running.start(Self.fixture(), level: .operator)
    #expect(try await running.ask("set weight be/s1 3\n") == "Permission denied\n\n")
    #expect(try await running.ask("user;show sess\n") == "\nPermission denied\n\n")
    #expect(
      try await running.ask("user;operator;show cli level\n")
        == "\nPermission denied\n\nuser\n\n")
    #expect(try await !running.ask("help\n").contains("set server"))
    #expect(try await running.ask("show stat\n").contains("127.0.0.1:2"))
    #expect(try await !running.ask("user;show stat\n").contains("127.0.0.1:2"))
    try await running.stop()
  }

  @Test("closes on who says nothing for too long")
  func idle() async throws {
    var fixture = Self.fixture()
    fixture.configuration.global.statsTimeout = 50
    let running = try Running.start(fixture)
    #expect(try await running.ask("show vers") == "")
    try await running.stop()
  }

  @Test("notices that a server goes and comes back, and tells workers")
  func health() async throws {
    let listener = try End.bound()
    let running = try Running.start(Self.fixture(port: listener.descriptor.localEndpoint().port))
    let worker = try await running.addWorker(lane: 0)
    let server = running.deployment.server(ServerID(backend: 0, server: 0))
    let epoch = running.deployment.gauges(ofBackend: 0)[.epoch]
    try await until { server.operational == .stopped }
    #expect(!server.isUsable)
    // Once when it began, once when the server went.
    #expect(epoch.value >= 2)
    #expect(server.checkStatus == .layer4Connection)
    #expect(server.gauges[.transitionsDown].value == 1)
    #expect(try await worker.message() == .serverChanged(backend: "be", server: "s1"))
    let row = try await running.ask("show stat be 4 1\n")
    #expect(row.contains("be,s1,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,1,0,1,1,"))
    #expect(row.contains(",Connection refused,"))
    #expect(row.contains(",Layer4 connection problem,"))

    try listener.descriptor.listen(backlog: 16)
    try await until { server.operational == .running }
    #expect(server.isUsable)
    #expect(server.health?.isFullyUp == true)
    #expect(server.checkStatus == .layer4OK)
    try await running.stop()
  }

  @Test("obeys operators, and lets states outlive it in the ledger")
  func states() async throws {
    let running = try Running.start(Self.fixture())
    let server = running.deployment.server(ServerID(backend: 0, server: 1))
    #expect(try await running.ask("set server be/s2 state maint\n") == "\n")
    #expect(server.isInMaintenance && !server.isUsable && server.operational == .stopped)
    #expect(try await running.ask("set server be/s2 state drain\n") == "\n")
    #expect(server.isDraining && !server.isInMaintenance && !server.isUsable)
    let line = try await running.ask("show servers state be\n").split(separator: "\n")[3]
    // The ninth field is how many seconds ago it changed.
    var fields = line.split(separator: " ")
    #expect(Int(fields.remove(at: 9)) != nil)
    #expect(
      fields.joined(separator: " ")
        == "3 be 2 s2 127.0.0.1 2 8 1 1 1 0 0 0 0 0 0 - 2 - 0 0 - - 0")
    #expect(try await running.ask("enable server be/s2\n") == "\n")
    #expect(server.isUsable)
    #expect(try await running.ask("set weight be/s2 0\n") == "\n")
    #expect(!server.isUsable)
    #expect(
      try await running.ask("set weight be/s2 1000%;get weight be/s2\n")
        == "\n10 (initial 1)\n\n")
    #expect(
      try await running.ask("set server be/s2 addr 127.0.0.3 port 99\n")
        == "IP changed from '127.0.0.1' to '127.0.0.3', port changed from '2' to '99' "
        + "by 'stats socket command'\n\n")
    #expect(
      server.gauges.address
        == Endpoint(address: IPAddress(ipv4: 0x7f00_0003), port: 99))
    #expect(try await running.ask("set maxconn server be/s2 7\n") == "\n")
    #expect(server.limit == 7)
    try await running.stop()
  }

  @Test("asks workers for sessions, and the master to reload")
  func questions() async throws {
    let running = try Running.start(Self.fixture())
    #expect(try await running.master.message() == .controllerReady)
    let worker = try await running.addWorker(lane: 4)
    let sessions = Task { try await running.ask("show sess\n") }
    guard case .showSessions(let question, _) = try await worker.question() else {
      Issue.record("no sessions were asked for")
      return
    }
    var session = SessionRecord()
    session.id = 0xabc
    session.frontend = "fe"
    session.clientAddress = "192.0.2.1:5"
    // An answer to a predecessor's question must not be taken for one to ours.
    try worker.send(.session(requestID: question - 1, session))
    try worker.send(.session(requestID: question, session))
    try worker.send(.end(requestID: question, count: 1))
    let table = try await sessions.value
    #expect(table.hasPrefix("0xabc: proto=tcpv4 src=192.0.2.1:5 fe=fe be=<NONE> srv=<none> "))
    #expect(table.filter { $0 == "\n" }.count == 2)

    let answer = Task { try await running.ask("reload\n") }
    guard case .reload(let number) = try await running.master.message() else {
      Issue.record("no reload was asked for")
      return
    }
    try running.master.send(
      .reloadResult(ReloadResult(requestID: number, success: false, text: "sluice.cfg:3\n\nbad\n")))
    // The client gets its answer though the controller is told to stop.
    try running.master.send(.stop)
    #expect(try await answer.value == "Success=0\n--\nsluice.cfg:3\nbad\n\n")
    try await running.task.value
  }

  @Test("logs what happens in the reference's words")
  func log() async throws {
    let path = "/tmp/sluice-log-\(UInt32.random(in: 0...UInt32.max)).sock"
    defer { unlink(path) }
    let daemon = try End.logDaemon(at: path)
    var fixture = Self.fixture()
    var target = LogTarget(address: .unix(path), facility: 16)
    target.format = .priority
    fixture.configuration.backends[0].log.targets = [target]
    fixture.configuration.backends[0].logsHealthChecks = true
    let running = try Running.start(fixture)
    func line() async throws -> String {
      // Durations differ.
      try await daemon.readPacket().replacing(
        /check duration: [0-9]+ms/, with: "check duration: 0ms")
    }
    #expect(
      try await line()
        == "<133>Health check for server be/s1 failed, reason: Layer4 connection problem, "
        + "info: \"Connection refused\", check duration: 0ms, status: 0/2 DOWN.")
    #expect(
      try await line()
        == "<129>Server be/s1 is DOWN. 1 active and 0 backup servers left. "
        + "0 sessions active, 0 requeued, 0 remaining in queue.")
    for (command, lines) in [
      (
        "disable server be/s2",
        [
          "<133>Server be/s2 is going DOWN for maintenance. 0 active and 0 backup servers left. "
            + "0 sessions active, 0 requeued, 0 remaining in queue.",
          "<128>backend be has no server available!",
        ]
      ),
      ("enable server be/s2", ["<133>Server be/s2 is UP/READY (leaving forced maintenance)."]),
      (
        "set server be/s2 state drain",
        [
          "<133>Server be/s2 enters drain state. 0 active and 0 backup servers online. "
            + "0 sessions requeued, 0 total in queue.",
          "<128>backend be has no server available!",
        ]
      ),
      ("set server be/s2 state ready", ["<133>Server be/s2 is UP (leaving forced drain)."]),
      (
        "set server be/s2 health down",
        [
          "<129>Server be/s2 is DOWN, changed from CLI. 0 active and 0 backup servers left. "
            + "0 sessions active, 0 requeued, 0 remaining in queue.",
          "<128>backend be has no server available!",
        ]
      ),
      (
        "set server be/s2 health up",
        [
          "<133>Server be/s2 is UP, changed from CLI. 1 active and 0 backup servers online. "
            + "0 sessions requeued, 0 total in queue."
        ]
      ),
      (
        "set server be/s1 state maint",
        ["<133>Server be/s1 was DOWN and now enters maintenance."]
      ),
    ] {
      #expect(try await running.ask(command + "\n") == "\n")
      for expected in lines { #expect(try await line() == expected) }
    }
    try await running.stop()
  }

  @Test(
    "opens checks with a PROXY header that speaks for nobody",
    arguments: [
      (SendProxy.version1, "PROXY UNKNOWN\r\n"),
      (.version2, "\r\n\r\n\0\r\nQUIT\n\u{20}\0\0\0"),
    ])
  func proxyHeader(version: SendProxy, header: String) async throws {
    let listener = try End.bound()
    try listener.descriptor.listen(backlog: 16)
    var fixture = Self.fixture(port: listener.descriptor.localEndpoint().port)
    fixture.configuration.backends[0].servers[0].check?.sendsProxy = version
    let running = try Running.start(fixture)
    #expect(try await listener.acceptAndRead() == header)
    try await running.stop()
  }

  @Test("ends the sessions on a server that goes down, where the file says so")
  func markedDown() async throws {
    let listener = try End.bound()
    try listener.descriptor.listen(backlog: 16)
    var fixture = Self.fixture(port: listener.descriptor.localEndpoint().port)
    fixture.configuration.backends[0].servers[0].shutsDownSessionsWhenMarkedDown = true
    let running = try Running.start(fixture)
    let worker = try await running.addWorker(lane: 0)
    _ = try await running.ask("set server be/s1 health down\n")
    #expect(
      try await worker.question() == .shutdownSessions(requestID: 0, backend: "be", server: "s1"))
    try await running.stop()
  }

  @Test("finds the addresses of names, and keeps servers without one out")
  func names() async throws {
    var fixture = Self.fixture()
    fixture.configuration.backends[0].servers[0].address = ServerAddress(
      host: .name("localhost"), port: .fixed(7))
    fixture.configuration.backends[0].servers[1].address = ServerAddress(
      host: .name("nowhere.invalid"), port: .fixed(8))
    let running = try Running.start(fixture)
    let deployment = running.deployment
    let (known, unknown) = (
      deployment.server(ServerID(backend: 0, server: 0)),
      deployment.server(ServerID(backend: 0, server: 1))
    )
    // Ready is said once both are answered.
    #expect(try await running.master.message() == .controllerReady)
    #expect(known.gauges.address?.port == 7)
    #expect(known.gauges.address?.address.isUnspecified == false)
    #expect(unknown.administrative == .unresolved)
    #expect(!unknown.isUsable)
    #expect(try await running.ask("show stat be 4 2\n").contains(",MAINT (resolution),"))
    #expect(
      try await running.ask("set server be/s2 addr 127.0.0.9\n")
        == "IP changed from '(none)' to '127.0.0.9' by 'stats socket command'\n\n")
    #expect(unknown.isUsable)
    try await running.stop()
  }

  @Test("stops checking in maintenance, and goes on in drain")
  func checkedStates() async throws {
    let listener = try End.bound()
    let running = try Running.start(Self.fixture(port: listener.descriptor.localEndpoint().port))
    let server = running.deployment.server(ServerID(backend: 0, server: 0))
    try await until { server.operational == .stopped }
    _ = try await running.ask("set server be/s1 state maint\n")
    try listener.descriptor.listen(backlog: 16)
    _ = try await running.ask("set server be/s1 state drain\n")
    // It came out of maintenance trusted, one failure from down; draining, a check makes it whole.
    try await until { server.health?.isFullyUp == true }
    #expect(server.isDraining && !server.isUsable)
    #expect(try await running.ask("show stat be 4 1\n").contains(",DRAIN,"))
    try await running.stop()
  }

  @Test("is told to stop in the middle of a rush")
  func stopInARush() async throws {
    for _ in 0..<10 {
      let running = try Running.start(Self.fixture())
      _ = try await running.ask("show version\n")
      let clients = try (0..<40).map { _ in try End.connected(to: running.path, backlogged: true) }
      for client in clients { try? client?.send("show version\n") }
      try await running.stop()
      // Whoever was accepted has his answer; whoever waited in the queue goes with the socket.
      for client in clients {
        guard let answer = try? await client?.read() else { continue }
        #expect(["", Release.compatibleVersion + "\n\n"].contains(answer))
      }
    }
  }
}
