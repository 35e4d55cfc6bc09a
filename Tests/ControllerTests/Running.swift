import Configuration
import Glibc
import Ledger
import Linux
import Testing
import Wire

@testable import Controller

/// A controller that runs in this process, on a ledger and sockets of the test's own; the test is
/// its master and its workers.
final class Running: Sendable {
  let deployment: Deployment
  let path: String
  /// The master's end.
  let master: End
  let task: Task<Void, any Error>
  let desk: WorkerDesk

  private init(
    _ deployment: Deployment, _ path: String, master: End, _ process: ControllerProcess
  ) {
    self.deployment = deployment
    self.path = path
    self.master = master
    desk = process.services.desk
    task = Task { try await process.run() }
  }

  static func start(_ fixture: Fixture, level: StatsSocket.Level = .admin) throws -> Running {
    let deployment = try fixture.deployed()
    let path = "/tmp/sluice-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    let listener = try listen(path)
    let (ours, theirs) = try End.pair()
    let master = try theirs.descriptor.duplicate()
    let process = try ControllerProcess(
      deployment: deployment, master: master,
      sockets: [
        .init(
          number: listener, address: "unix@" + path, level: level, severityOutput: .none)
      ])
    return Running(deployment, path, master: ours, process)
  }

  /// Makes a listening socket as the master does; the number is the controller's to close.
  private static func listen(_ path: String) throws -> CInt {
    let listener = try Descriptor.socket(.stream, for: .unix(path: path))
    try listener.bind(to: .unix(path: path))
    try listener.listen(backlog: 16)
    return dup(listener.numberForSuccessor)
  }

  deinit { unlink(path) }

  /// Sends `text` and returns all that comes until the controller closes.
  func ask(_ text: String) async throws -> String {
    let client = try End.connected(to: path)
    try client.send(text)
    return try await client.read()
  }

  /// Gives the controller a worker, and returns the worker's end.
  func addWorker(lane: UInt32) async throws -> End {
    let (ours, theirs) = try End.pair()
    let lane = WorkerLane(pid: 1, generation: 1, slot: 0, lane: lane, isDraining: false)
    try master.send(
      .workers([lane], isLast: true), rights: [theirs.descriptor.numberForSuccessor])
    try await until { await self.desk.lanes.map(\.lane) == [lane.lane] }
    return ours
  }

  func stop() async throws {
    try master.send(.stop)
    try await task.value
  }
}

/// One end of a socket. (Owners themselves, held over a suspension, crash this compiler.)
final class End: Sendable {
  let descriptor: Descriptor

  init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  /// A connection to a unix socket.
  static func connected(to path: String) throws -> End {
    let socket = try Descriptor.socket(.stream, for: .unix(path: path))
    let end = End(socket)
    _ = try end.descriptor.connect(to: .unix(path: path))
    return end
  }

  /// The same, or nil where the queue of the listener is full.
  static func connected(to path: String, backlogged: Bool) throws -> End? {
    do {
      return try connected(to: path)
    } catch let error as Errno where error == .again && backlogged {
      return nil
    }
  }

  /// A TCP socket that has a port and does not listen.
  static func bound() throws -> End {
    let here = SocketAddress.ip(IPAddress(ipv4: 0x7f00_0001), port: 0)
    let socket = try Descriptor.socket(.stream, for: here)
    let end = End(socket)
    try end.descriptor.bind(to: here)
    return end
  }

  /// What a log daemon has.
  static func logDaemon(at path: String) throws -> End {
    let socket = try Descriptor.socket(.datagram, for: .unix(path: path))
    let end = End(socket)
    try end.descriptor.bind(to: .unix(path: path))
    return end
  }

  /// Takes a connection and returns what the other side sends until it ends.
  func acceptAndRead() async throws -> String {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if let client = try acceptOne() { return try await client.read() }
      try await Task.sleep(for: .milliseconds(2))
    }
    throw Late()
  }

  /// Waits for one datagram.
  func readPacket() async throws -> String {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if let text = try take(), !text.isEmpty { return text }
      try await Task.sleep(for: .milliseconds(2))
    }
    throw Late()
  }

  private func acceptOne() throws -> End? {
    var peer = Endpoint.none
    guard let socket = try descriptor.accept(peer: &peer) else { return nil }
    return End(socket)
  }

  /// Both ends of a pair.
  static func pair() throws -> (ours: End, theirs: End) {
    let pair = try Descriptor.packetPair()
    let ours = try pair.first.duplicate()
    let theirs = try pair.second.duplicate()
    return (End(ours), End(theirs))
  }

  func send(_ text: String) throws { _ = try descriptor.send(Array(text.utf8).span) }

  func send(_ message: Message, rights: [CInt] = []) throws {
    let packet = try message.encoded()
    _ = try descriptor.sendPacket(packet.span, rights: rights)
  }

  /// All that comes, until `end` or the end.
  func read(until end: String? = nil) async throws -> String {
    var text = ""
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      switch try take() {
      case nil: return text
      case let piece?: text += piece
      }
      if let end, text.hasSuffix(end) { return text }
      try await Task.sleep(for: .milliseconds(2))
    }
    throw Late()
  }

  /// What is there; nil at the end.
  private func take() throws -> String? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var span = buffer.mutableSpan
    switch try descriptor.receive(into: &span) {
    case .moved(let count): return String(decoding: buffer[..<count], as: UTF8.self)
    case .blocked: return ""
    case .ended: return nil
    }
  }

  /// Waits for a message that is not about a server's state, which may come at any time.
  func question() async throws -> Message {
    while true {
      let message = try await message()
      guard case .serverChanged = message else { return message }
    }
  }

  /// Waits for a message.
  func message() async throws -> Message {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if let message = try takeMessage() { return message }
      try await Task.sleep(for: .milliseconds(2))
    }
    throw Late()
  }

  private func takeMessage() throws -> Message? {
    var buffer = [UInt8](repeating: 0, count: Descriptor.longestPacket)
    var rights: [CInt] = []
    guard case .moved(let count) = try descriptor.receivePacket(into: &buffer, rights: &rights)
    else { return nil }
    return try Message(decoding: Array(buffer[..<count]))
  }
}

struct Late: Error {}

/// Waits for a condition, for ten seconds at most.
func until(_ condition: () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(10)
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw Late() }
    try await Task.sleep(for: .milliseconds(2))
  }
}
