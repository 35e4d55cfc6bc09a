import Testing

@testable import Wire

@Suite("Hand-over packets")
struct HandOverTests {
  /// A connection with everything that there can be.
  static let relaying: ConnectionRecord = {
    var record = ConnectionRecord()
    record.id = 0x1122_3344_5566
    record.phase = .relaying
    record.marks = [
      .isSession, .inBackend, .inServer, .hasHello, .clientEnded, .serverIsUrgent,
      .hasServerSocket, .redispatched,
    ]
    record.backend = 0
    record.server = 1
    record.wanted = 0
    record.source = .inet(0xc000_0201, port: 51_000)
    record.destination = .inet6(high: 0xfe80_0000_0000_0000, low: 7, port: 443)
    record.destinationScope = 2
    record.accepted = 1_000_000
    record.acceptedWall = 1_800_000_000_000_000
    record.inspectionStart = 1_000_001
    record.queued = 1_000_010
    record.dialed = 1_000_020
    record.connected = 1_000_025
    record.waitTime = 0
    record.clientActive = 1_000_500
    record.serverActive = 1_000_400
    record.deadline = -1
    record.attemptsLeft = 2
    record.retries = 1
    record.ticket = 99
    record.aheadInServer = 3
    record.aheadInBackend = 4
    record.settled = .max
    record.countedSpliced = 1 << 40
    record.helloVersion = 0x0303
    record.helloType = 1
    record.serverName = Array("www.example.test".utf8)
    record.protocolNames = [2, 0x68, 0x32]
    record.upload.received = 1 << 41
    record.upload.spliced = 1 << 40
    record.upload.counted = 1 << 41
    record.upload.inPipe = 1_900_000
    record.upload.held = [1, 2, 3]
    record.upload.isBulk = true
    record.download.received = 17
    record.download.end = .passedOn
    record.download.mustCopy = true
    record.download.held = [4]
    return record
  }()

  static let inspecting: ConnectionRecord = {
    var record = ConnectionRecord()
    record.id = 5
    record.phase = .inspecting
    record.marks = [.isSession]
    record.listener = 1
    record.inspected = [0x16, 3, 1]
    return record
  }()

  static let offer: HandOverOffer = {
    var offer = HandOverOffer(batch: 300)
    var frontend = FrontendPortrait(name: "tls-in", slot: 1)
    frontend.clientTimeout = 50_000
    frontend.clientFinTimeout = 1_000
    frontend.isLogged = true
    frontend.noLinger = true
    offer.frontends = [frontend]
    var listener = ListenerPortrait(slot: 3, name: "front", number: 2)
    listener.carriesTLS = true
    listener.checksNames = true
    offer.listeners = [ListenerPortrait(slot: 2, name: "1", number: 1), listener]
    var backend = BackendPortrait(name: "web", slot: 65_535)
    backend.connectTimeout = 5_000
    backend.serverTimeout = 60_000
    backend.serverFinTimeout = 1
    backend.tunnelTimeout = 3_600_000
    backend.noLinger = true
    offer.backends = [backend]
    var server = ServerPortrait(name: "web1", slot: 9, text: "198.51.100.7:8443")
    server.address = .inet(0xc633_6407, port: 8443)
    server.proxyHeader = 2
    offer.servers = [ServerPortrait(name: "web0", slot: 8, text: "/run/web0"), server]
    offer.connections = [relaying, inspecting]
    return offer
  }()

  static let examples: [(String, HandOverPacket)] = [
    ("offer", .offer(offer)), ("taken", .taken(batch: 300)),
    (
      "refused",
      .refused(
        batch: 7,
        [.init(position: nil, reason: .leaving), .init(position: 63, reason: .rulesGone)])
    ),
  ]

  @Test("are written as the committed examples have it, and read from them", arguments: examples)
  func golden(name: String, packet: HandOverPacket) throws {
    let bytes = try packet.encoded()
    let committed = try? Fixtures.hexBytes("Fixtures/handover/\(name).hex")
    #expect(committed == bytes, "\(MessageTests.hex(bytes))")
    #expect(try HandOverPacket(decoding: bytes[...]) == packet)
  }

  @Test("an older release's record lacks what was invented since; a newer one's is passed over")
  func releases() throws {
    // The fields that the first release needs, and one that no release has.
    let connection: [UInt8] = [
      1, 0, 1, 5, 2, 0, 1, 2, 3, 0, 0, 4, 0, 0, 5, 0, 0, 42, 0, 0, 43, 0, 0, 250, 0, 2, 9, 9,
    ]
    let packet: [UInt8] =
      [1, 1, 1, 0, 1, 9, 2, 0, 7, 1, 0, 1, 0x66, 2, 0, 0, 3, 0, 3, 1, 0, 0]
      + [6, 0, UInt8(connection.count)] + connection
    guard case .offer(let offer) = try HandOverPacket(decoding: packet[...]) else {
      Issue.record("no offer")
      return
    }
    var expected = ConnectionRecord()
    expected.id = 5
    expected.phase = .inspecting
    #expect(offer.connections == [expected])
    #expect(offer.rightsCount == 1)
  }

  @Test("a format or phase that is not known is refused, and its sender can be told")
  func unknown() throws {
    var packet = try HandOverPacket.offer(Self.offer).encoded()
    packet[0] = 2
    #expect(throws: MessageError.unknownFormat(2)) { try HandOverPacket(decoding: packet[...]) }
    #expect(HandOverPacket.unreadableOffer(packet[...]) == 300)
    var other = Self.offer
    other.connections[0].backend = 1
    let dangling = try HandOverPacket.offer(other).encoded()
    #expect(throws: MessageError.invalidField(6)) { try HandOverPacket(decoding: dangling[...]) }
    #expect(
      HandOverPacket.unreadableOffer(try HandOverPacket.taken(batch: 1).encoded()[...]) == nil)
    #expect(HandOverPacket.unreadableOffer([1, 1, 1, 0, 9]) == nil)
  }

  @Test("what was read and not delivered may be longer than a field, and is each connection's own")
  func largeBuffers() throws {
    var offer = Self.offer
    offer.connections[1].inspected = (0..<131_072).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    offer.connections[0].download.held = (0..<32_768).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    let packet = HandOverPacket.offer(offer)
    #expect(try HandOverPacket(decoding: packet.encoded()[...]) == packet)
    offer.connections[0].upload.held = [UInt8](repeating: 0, count: 65_536)
    #expect(throws: MessageError.tooLong) { try HandOverPacket.offer(offer).encoded() }
  }

  @Test("damaged packets are errors or other packets, and those are read back as they are")
  func damage() throws {
    var chance = Chance()
    for round in 0..<3000 {
      var packet = try Self.examples.randomElement(using: &chance)?.1.encoded() ?? []
      for _ in 0..<Int.random(in: 1...3, using: &chance) {
        packet[.random(in: 0..<packet.count, using: &chance)] = .random(
          in: 0 ... .max, using: &chance)
      }
      guard let read = try? HandOverPacket(decoding: packet[...]) else { continue }
      #expect(
        try HandOverPacket(decoding: read.encoded()[...]) == read,
        "seed \(chance.seed), round \(round)")
    }
  }

  @Test("records with anything in them are read back as they were")
  func properties() throws {
    var chance = Chance()
    for round in 0..<500 {
      var offer = Self.offer
      offer.connections = (0..<Int.random(in: 1...5, using: &chance)).map { _ in
        Self.record(&chance)
      }
      let packet = HandOverPacket.offer(offer)
      #expect(
        try HandOverPacket(decoding: packet.encoded()[...]) == packet,
        "seed \(chance.seed), round \(round)")
    }
  }

  @Test(
    "a connection that its taker could not go on with is refused",
    arguments: ConnectionRecord.Phase.allCases)
  func incomplete(_ phase: ConnectionRecord.Phase) throws {
    for mark in [ConnectionRecord.Marks(), .inBackend, .inServer] {
      var record = ConnectionRecord()
      record.phase = phase
      record.marks = mark
      let isComplete = !record.needsBackend && !record.needsServer
      var offer = Self.offer
      offer.connections = [record]
      let packet = try HandOverPacket.offer(offer).encoded()
      if isComplete {
        #expect(throws: Never.self) { try HandOverPacket(decoding: packet[...]) }
      } else {
        #expect(throws: MessageError.self) { try HandOverPacket(decoding: packet[...]) }
      }
    }
    #expect(
      [.queued, .resting, .dialing, .relaying].contains(phase)
        == {
          var record = ConnectionRecord()
          record.phase = phase
          return record.needsBackend
        }())
  }

  private static func record(_ chance: inout Chance) -> ConnectionRecord {
    func bytes(_ most: Int) -> [UInt8] {
      (0..<Int.random(in: 0...most, using: &chance)).map { _ in
        .random(in: 0 ... .max, using: &chance)
      }
    }
    func direction() -> ConnectionRecord.Direction {
      var direction = ConnectionRecord.Direction()
      direction.received = .random(in: 0 ... .max, using: &chance)
      direction.inPipe = .random(in: 0...UInt64(UInt32.max), using: &chance)
      direction.held = bytes(300)
      direction.end = ConnectionRecord.End.allCases.randomElement(using: &chance) ?? .seen
      return direction
    }
    var record = ConnectionRecord()
    record.id = .random(in: 0 ... .max, using: &chance)
    record.phase = ConnectionRecord.Phase.allCases.randomElement(using: &chance) ?? .relaying
    record.marks = .init(rawValue: .random(in: 0 ... .max, using: &chance))
    record.listener = .random(in: 0...1, using: &chance)
    record.server = record.needsServer || Bool.random(using: &chance) ? 1 : nil
    record.backend = record.needsBackend || Bool.random(using: &chance) ? 0 : nil
    record.waitTime = Bool.random(using: &chance) ? .random(in: 0 ... .max, using: &chance) : nil
    record.deadline = .random(in: .min ... .max, using: &chance)
    record.serverName = bytes(255)
    record.protocolNames = bytes(256)
    record.inspected = Bool.random(using: &chance) ? bytes(3000) : nil
    record.upload = direction()
    record.download = direction()
    return record
  }
}
