import Testing

@testable import Wire

@Suite("Message")
struct MessageTests {
  static let session: SessionRecord = {
    var session = SessionRecord()
    session.id = 0x1122_3344_5566
    session.phase = .relaying
    session.frontend = "tls-in"
    session.backend = "web"
    session.server = "web1"
    session.clientAddress = "192.0.2.1:51000"
    session.destinationAddress = "[2001:db8::1]:443"
    session.serverAddress = "198.51.100.7:8443"
    session.serverName = "www.example.test"
    session.ageMilliseconds = 90_061_001
    session.idleMilliseconds = 250
    session.expiresInMilliseconds = 49_750
    session.clientTimeoutMilliseconds = 50_000
    session.serverTimeoutMilliseconds = 60_000
    session.bytesUp = 1 << 40
    session.bytesDown = .max
    session.isUploadSpliced = true
    return session
  }()

  private static let status: ReloadStatus = {
    var status = ReloadStatus()
    status.generation = 7
    status.reloads = 6
    status.failedReloads = 1
    status.lastEnd = 1_764_000_000
    status.lastSucceeded = true
    status.lastMilliseconds = 34
    status.handedOver = 16_016
    status.handOverMilliseconds = 420
    status.kept = 2
    status.text = "warned"
    return status
  }()

  static let examples: [(String, Message)] = [
    ("workerReady", .workerReady(generation: 3, slot: 1)),
    ("workerStopping", .workerStopping(generation: 300, slot: 0)),
    (
      "handedOver",
      .handedOver(
        HandOverReport(
          moved: 16_000, milliseconds: 640, kept: 3, reason: "3 no place for more connections"))
    ),
    ("drain", .drain),
    ("stop", .stop),
    ("accept", .accept),
    (
      "borrow",
      .borrow(
        [SocketRole(frontend: 0, bind: 1), SocketRole(frontend: 300, bind: 0)], isFirst: true)
    ),
    ("handOver", .handOver(lanes: [3, 127], listenersElsewhere: [4, 65_535], format: 1)),
    ("takeOver", .takeOver(lane: 5)),
    ("handOverAcross", .handOverAcross(lanes: [3], listenersElsewhere: [4], format: 2)),
    ("takeOverAcross", .takeOverAcross(lane: 5)),
    ("controllerReady", .controllerReady),
    ("reload", .reload(requestID: 7)),
    ("stopGracefully", .stopGracefully),
    ("stopNow", .stopNow),
    ("drainNode", .drainNode),
    ("showProcesses", .showProcesses(requestID: .max)),
    (
      "reloadResult",
      .reloadResult(
        ReloadResult(requestID: 7, success: false, text: "sluice.cfg:3:5: unknown word “bnid”\n"))
    ),
    (
      "processes",
      .processes(
        requestID: 8,
        [
          ProcessRow(
            pid: 4711, kind: .master, slot: 0, generation: 2, uptimeSeconds: 86_400, reloads: 2),
          ProcessRow(
            pid: 4712, kind: .worker, slot: 1, generation: 1, uptimeSeconds: 600, reloads: 1),
          ProcessRow(
            pid: 4713, kind: .controller, slot: 0, generation: 2, uptimeSeconds: 1, reloads: 0),
        ], nil)
    ),
    ("processesAfterReload", .processes(requestID: 9, [], status)),
    (
      "workers",
      .workers(
        [
          WorkerLane(pid: 4712, generation: 1, slot: 0, lane: 5, isDraining: true),
          WorkerLane(pid: 4714, generation: 2, slot: 0, lane: 6, isDraining: false),
        ], isLast: false)
    ),
    ("showSessions_all", .showSessions(requestID: 9, SessionFilter())),
    (
      "showSessions_some",
      .showSessions(
        requestID: 9, SessionFilter(id: 5, frontend: "tls-in", backend: "web", server: "web1"))
    ),
    ("shutdownSession", .shutdownSession(requestID: 10, session: 0x1122_3344_5566)),
    ("shutdownSessions", .shutdownSessions(requestID: 11, backend: "web", server: "web1")),
    ("serverChanged", .serverChanged(backend: "web", server: "web1")),
    ("session", .session(requestID: 9, session)),
    ("end", .end(requestID: 9, count: 12_345)),
    ("done", .done(requestID: 10, found: true)),
    (
      "certificateNames",
      .certificateNames(
        [
          CertificateName(name: "*.example.test", notAfter: 1_900_000_000),
          CertificateName(name: "old.example.test", notAfter: -1),
        ], hasMore: true)
    ),
    ("certificateFailure", .certificateFailure("no certificate in front.pem")),
  ]

  @Test("is written as the committed examples have it, and read from them", arguments: examples)
  func golden(name: String, message: Message) throws {
    let bytes = try message.encoded()
    let committed = try? Fixtures.hexBytes("Fixtures/messages/\(name).hex")
    #expect(committed == bytes, "\(Self.hex(bytes))")
    #expect(try Message(decoding: bytes) == message)
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  @Test("every message has an example, and every example is a message")
  func coverage() throws {
    let files = try Fixtures.names(in: "Fixtures/messages").filter { $0.hasSuffix(".hex") }
    let variants = ["older_processes.hex", "older_session.hex", "newer_session.hex"]
    #expect(Set(files) == Set(Self.examples.map { $0.0 + ".hex" } + variants))
    let kinds = try Self.examples.map { try $0.1.encoded()[1] }
    for number in UInt8.min ... .max where Message.Kind(rawValue: number) != nil {
      #expect(kinds.contains(number), "kind \(number)")
    }
  }

  @Test("an older release's rows lack what was invented since")
  func older() throws {
    let session = try Message(
      decoding: Fixtures.hexBytes("Fixtures/messages/older_session.hex"))
    var expected = SessionRecord()
    expected.id = 5
    expected.phase = .dialing
    #expect(session == .session(requestID: 9, expected))
    let processes = try Message(
      decoding: Fixtures.hexBytes("Fixtures/messages/older_processes.hex"))
    let row = ProcessRow(
      pid: 1, kind: .worker, slot: 0, generation: 0, uptimeSeconds: 0, reloads: 0)
    #expect(processes == .processes(requestID: 8, [row], nil))
  }

  @Test("a newer release's unknown fields, phases and number widths are passed over")
  func newer() throws {
    let session = try Message(
      decoding: Fixtures.hexBytes("Fixtures/messages/newer_session.hex"))
    var expected = SessionRecord()
    expected.id = 5
    expected.phase = .other
    #expect(session == .session(requestID: 9, expected))
  }

  @Test(
    "says what is wrong with a packet",
    arguments: [
      (.tooShort, []), (.tooShort, [1]), (.unknownFormat(2), [2, 16]),
      (.unknownFormat(0), [0, 16]),
      (.unknownKind(0), [1, 0]), (.unknownKind(255), [1, 255, 9]),
      (.overrun, [1, 33, 1]), (.overrun, [1, 33, 1, 0]), (.overrun, [1, 33, 1, 0, 2, 5]),
      (.missingField(1), [1, 33]), (.missingField(3), [1, 1, 2, 0, 1, 5]),
      (.invalidField(2), [1, 1, 2, 0, 5, 1, 0, 0, 0, 0, 3, 0, 0]),
      (.invalidField(1), [1, 33, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
      (.missingField(4), [1, 80, 1, 0, 1, 9]), (.missingField(1), [1, 80, 1, 0, 1, 9, 4, 0, 0]),
      (.overrun, [1, 50, 4, 0, 2, 1, 0]), (.missingField(6), [1, 97]),
    ] as [(MessageError, [UInt8])])
  func defects(error: MessageError, packet: [UInt8]) {
    #expect(throws: error) { try Message(decoding: packet) }
  }

  @Test("refuses to write what no packet can hold, and to read it")
  func tooLong() throws {
    #expect(throws: MessageError.tooLong) {
      try Message(decoding: [UInt8](repeating: 1, count: 65_537))
    }
    let name = CertificateName(name: String(repeating: "n", count: 1000), notAfter: 0)
    let names = [CertificateName](repeating: name, count: 64)
    #expect(try Message.certificateNames(names, hasMore: false).encoded().count < 65_536)
    #expect(throws: MessageError.tooLong) {
      try Message.certificateNames(names + names, hasMore: false).encoded()
    }
    #expect(throws: MessageError.tooLong) {
      try Message.certificateFailure(String(repeating: "x", count: 65_536)).encoded()
    }
    var session = SessionRecord()
    session.frontend = String(repeating: "x", count: 65_536)
    #expect(throws: MessageError.tooLong) {
      try Message.session(requestID: 1, session).encoded()
    }
  }

  @Test("a reload's text is cut between two characters so that it fits")
  func longText() throws {
    for padding in 0..<4 {
      let text = String(repeating: "x", count: padding) + String(repeating: "🙂", count: 20_000)
      let result = ReloadResult(requestID: 1, success: false, text: text)
      #expect(text.hasPrefix(result.text))
      let length = result.text.utf8.count
      #expect(length <= ReloadResult.maximumTextLength)
      #expect(length > ReloadResult.maximumTextLength - 4)
      let message = Message.reloadResult(result)
      #expect(try Message(decoding: message.encoded()) == message)
    }
  }

  @Test("damaged packets are errors or other messages, and those are read back as they are")
  func damage() throws {
    var chance = Chance()
    for round in 0..<5000 {
      var packet = try Self.examples.randomElement(using: &chance)?.1.encoded() ?? []
      for _ in 0..<Int.random(in: 1...3, using: &chance) {
        packet[.random(in: 0..<packet.count, using: &chance)] = .random(
          in: 0 ... .max, using: &chance)
      }
      guard let message = try? Message(decoding: packet) else { continue }
      #expect(
        try Message(decoding: message.encoded()) == message, "seed \(chance.seed), round \(round)")
    }
  }
}
