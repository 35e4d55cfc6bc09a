import Configuration
import Glibc
import Ledger
import Rules
import Testing
import Wire

@testable import Linux
@testable import Worker

/// A worker that does its laps when it is told to.
final class SteppedWorker {
  var worker: WorkerProcess
  let lane: Int
  /// The master's end.
  let orders: Descriptor
  private let questions: Descriptor

  init(
    _ configuration: ProxyConfiguration, _ slots: SlotMap, _ ledger: SharedLedger,
    listener: borrowing Descriptor, maxConnections: Int
  ) throws {
    guard let lane = ledger.takeLane(generation: 1, workerSlot: 0, now: 1) else {
      throw Errno.noSpace
    }
    let orders = try Descriptor.packetPair()
    let questions = try Descriptor.packetPair()
    var listeners = DescriptorTable()
    listeners.append(try listener.duplicate())
    var bells = DescriptorTable()
    for _ in 0...lane { bells.append(try Descriptor.doorbell()) }
    worker = try WorkerProcess(
      Heritage(
        configuration: configuration, rules: try RuleSet(compiling: configuration), slots: slots,
        ledger: ledger, lane: lane, generation: 1, workerSlot: lane, workerCount: 1,
        maxConnections: maxConnections, hostname: "test", listeners: listeners,
        roles: [ListenerRole(frontend: 0, bind: 0, isShared: true)], master: orders.second,
        controller: questions.second, doorbells: bells))
    self.lane = lane
    self.orders = orders.first
    self.questions = questions.first
    try worker.start()
    worker.beginAccepting()
  }

  func lap(waiting milliseconds: Int = 0) {
    do { try worker.lap(waiting: milliseconds) } catch { Issue.record("\(error)") }
  }

  func tell(_ message: Message, _ rights: [CInt] = []) throws {
    let packet = try message.encoded()
    let isSent = try orders.sendPacket(packet.span, rights: rights)
    #expect(isSent)
  }

  var count: Int { worker.table.count }

  var isDialing: Bool { (0..<worker.table.used).contains { worker.table[$0].phase == .dialing } }
}

/// Workers of one ledger that have one listener, and what stands before and behind them.
final class HandOverRig {
  let file: LedgerFile
  let ledger: SharedLedger
  let slots: SlotMap
  let configuration: ProxyConfiguration
  let listener: Descriptor
  let serverListener: Descriptor
  var workers: [SteppedWorker] = []

  init(workers count: Int, noSplice: Bool = false, global: String = "") throws {
    listener = try Self.listen()
    serverListener = try Self.listen()
    guard let front = listener.localAddress()?.endpoint,
      let back = serverListener.localAddress()?.endpoint
    else { throw Errno.invalidArgument }
    let text = """
      global
        \(noSplice ? "nosplice" : "tune.pipesize 65536")
        \(global)
      listen l
        mode tcp
        timeout connect 5s
        timeout client 60s
        timeout server 60s
        bind \(front)
        server s \(back)

      """
    let result = ConfigurationLoader.load(
      snapshot: ConfigurationSnapshot(
        files: [.init(path: "test.cfg", role: .configuration, bytes: Array(text.utf8))]))
    guard let configuration = result.configuration else { throw Errno.invalidArgument }
    let file = try LedgerFile()
    var directory = SlotDirectory(file.ledger)
    guard let slots = SlotMap.taking(for: configuration, from: &directory, in: file.ledger) else {
      throw Errno.noSpace
    }
    ledger = file.ledger
    self.slots = slots
    self.configuration = configuration
    self.file = file
    let server = ledger.gauges(of: slots.servers[0][0])
    server[.isUsable].store(1)
    server[.operationalState].store(OperationalState.running.rawValue)
    server[.weight].store(1)
    for _ in 0..<count { try add() }
  }

  private static func listen() throws -> Descriptor {
    let address = SocketAddress.ip(IPAddress(ipv4: 0x7f00_0001), port: 0)
    let socket = try Descriptor.socket(.stream, for: address)
    try socket.bind(to: address)
    try socket.listen(backlog: 128)
    return socket
  }

  func add(maxConnections: Int = 1_000) throws {
    workers.append(
      try SteppedWorker(
        configuration, slots, ledger, listener: listener, maxConnections: maxConnections))
  }

  /// A connection through the first worker that takes it.
  func connect() throws -> Line {
    guard let address = listener.localAddress() else { throw Errno.invalidArgument }
    let client = try Descriptor.socket(.stream, for: address)
    _ = try client.connect(to: address)
    var peer = Endpoint.none
    for _ in 0..<1_000 {
      lap(waiting: 1)
      if let server = try serverListener.accept(peer: &peer) {
        // A server that resets before that is noticed is taken for one that does not answer.
        wait("the worker to see that it is connected") { !workers.contains(where: \.isDialing) }
        return Line(client: client, server: server)
      }
    }
    throw Errno.timedOut
  }

  func lap(waiting milliseconds: Int = 0) {
    for worker in workers { worker.lap(waiting: milliseconds) }
  }

  /// One worker is to give all that it has to another.
  func order(_ giver: Int, to taker: Int) throws {
    let pair = try Descriptor.packetPair()
    let ends = (pair.first.numberForSuccessor, pair.second.numberForSuccessor)
    try workers[taker].tell(.takeOver(lane: UInt32(workers[giver].lane)), [ends.1])
    try workers[giver].tell(
      .handOver(lanes: [UInt32(workers[taker].lane)], listenersElsewhere: [], format: 1), [ends.0])
    _ = consume pair
  }

  /// One worker is to give to a taker that the test plays: its end of the pair, and its lane.
  func orderToPlayedTaker(_ giver: Int) throws -> (socket: PlayedPeer, lane: Int) {
    guard let lane = ledger.takeLane(generation: 9, workerSlot: 9, now: 1) else {
      throw Errno.noSpace
    }
    let pair = try Descriptor.packetPair()
    try workers[giver].tell(
      .handOver(lanes: [UInt32(lane)], listenersElsewhere: [], format: 1),
      [pair.first.numberForSuccessor])
    pair.first.close()
    return (PlayedPeer(pair.second), lane)
  }

  func wait(_ what: String, until isDone: () -> Bool) {
    for _ in 0..<1_000 {
      if isDone() { return }
      lap(waiting: 1)
    }
    Issue.record("waited in vain for \(what)")
  }

  /// What the ledger has of the one listener's frontend, over all lanes.
  func total(_ counter: Counter) -> UInt64 { ledger.total(counter, slot: slots.frontends[0]) }

  var current: UInt64 { ledger.gauges(of: slots.frontends[0])[.current].value }
}

/// The other end of a pair between workers, in the hands of the test.
final class PlayedPeer {
  private var socket: Descriptor?

  init(_ socket: consuming Descriptor) { self.socket = consume socket }

  func receive() throws -> (packet: HandOverPacket, rights: [CInt])? {
    var buffer = [UInt8](repeating: 0, count: HandOverPacket.maximumLength + 1)
    var rights: [CInt] = []
    switch socket {
    case .none: return nil
    case .some(let socket):
      guard case .moved(let count) = try socket.receivePacket(into: &buffer, rights: &rights)
      else { return nil }
      return (try HandOverPacket(decoding: buffer[..<count]), rights)
    }
  }

  func send(_ bytes: [UInt8], _ rights: [CInt] = []) throws {
    switch socket {
    case .none: break
    case .some(let socket): _ = try socket.sendPacket(bytes.span, rights: rights)
    }
  }

  func close() { socket = nil }
}

/// A client and its server, and what has passed between them.
final class Line {
  private var client: Peer
  private var server: Peer
  /// Offsets into the pattern that is sent, up and down.
  private(set) var sent = [0, 0]
  private(set) var received = [0, 0]
  private(set) var sawEnd = [false, false]
  private(set) var wasReset = [false, false]
  private(set) var ended = [false, false]

  init(client: consuming Descriptor, server: consuming Descriptor) {
    self.client = Peer(client)
    self.server = Peer(server)
  }

  /// Sends up: 0, or down: 1.
  func send(_ way: Int, _ count: Int) {
    guard !ended[way], !wasReset[1 - way], count > 0 else { return }
    let bytes = ChannelRig.bytes(from: sent[way], count: count)
    do throws(Errno) {
      sent[way] += way == 0 ? try client.send(bytes) : try server.send(bytes)
    } catch {
      wasReset[1 - way] = true
    }
  }

  /// Receives what came up, at the server: 0, or down, at the client: 1.
  @discardableResult
  func receive(_ way: Int, _ most: Int) -> Int {
    guard !sawEnd[way], !wasReset[way] else { return 0 }
    do throws(Errno) {
      let bytes =
        way == 0 ? try server.receive(upTo: most) : try client.receive(upTo: most)
      guard let bytes else { return 0 }
      if bytes.isEmpty { sawEnd[way] = true }
      if !ChannelRig.bytes(from: received[way], count: bytes.count).isSame(as: bytes) {
        Issue.record("wrong bytes from \(received[way]) on, way \(way)")
      }
      received[way] += bytes.count
      return bytes.count
    } catch {
      wasReset[way] = true
      return 0
    }
  }

  func end(_ way: Int) throws {
    guard !ended[way], !wasReset[1 - way] else { return }
    ended[way] = true
    // One that was reset meanwhile is told so by its next read.
    if way == 0 { try? client.end() } else { try? server.end() }
  }

  /// Cuts it from the client's side: 0, or the server's: 1.
  func reset(_ way: Int) {
    ended[way] = true
    wasReset[1 - way] = true
    if way == 0 { client.reset() } else { server.reset() }
  }

  func close() {
    client.close()
    server.close()
  }
}
