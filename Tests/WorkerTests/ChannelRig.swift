import Glibc
import Testing

@testable import Linux
@testable import Worker

/// Random numbers that are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

enum Transport: CaseIterable, Sendable {
  case tcp, unix

  /// Two connected sockets.
  func pair() throws -> DescriptorPair {
    let address: SocketAddress =
      self == .tcp
      ? .ip(IPAddress(ipv4: 0x7f00_0001), port: 0)
      : .abstract(name: "sluice-channel-\(Process.id)-\(UInt64.random(in: 0 ... .max))")
    let listener = try Descriptor.socket(.stream, for: address)
    try listener.bind(to: address)
    try listener.listen(backlog: 1)
    guard let target = listener.localAddress() else { throw Errno.invalidArgument }
    let first = try Descriptor.socket(.stream, for: target)
    _ = try first.connect(to: target)
    var query = pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0)
    poll(&query, 1, 10_000)
    var peer = Endpoint.none
    guard let second = try listener.accept(peer: &peer) else { throw Errno.timedOut }
    return DescriptorPair(first: first, second: second)
  }
}

/// One end of a connection as a client or server holds it, closed by letting it go.
struct Peer: ~Copyable {
  private var socket: Descriptor?

  init(_ socket: consuming Descriptor) { self.socket = consume socket }

  func send(_ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    switch socket {
    case .none: return 0
    case .some(let socket):
      if case .moved(let count) = try socket.send(bytes.span) { return count }
      return 0
    }
  }

  /// Empty at the end, nil when nothing is there.
  func receive(upTo count: Int) throws(Errno) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: count)
    var span = buffer.mutableSpan
    switch socket {
    case .none: return nil
    case .some(let socket):
      switch try socket.receive(into: &span) {
      case .moved(let count): return Array(buffer[..<count])
      case .ended: return []
      case .blocked: return nil
      }
    }
  }

  func end() throws {
    switch socket {
    case .none: break
    case .some(let socket): try socket.shutdownWrite()
    }
  }

  func set(_ option: SocketOption, to value: Int) throws(Errno) {
    switch socket {
    case .none: break
    case .some(let socket): try socket.set(option, to: value)
    }
  }

  mutating func close() { socket = nil }

  mutating func reset() {
    switch socket {
    case .none: break
    case .some(let socket): socket.resetOnClose()
    }
    socket = nil
  }
}

/// A channel between two real connections, driven by edge-triggered events as a worker drives it.
final class ChannelRig {
  var sender: Peer
  var receiver: Peer
  let source: Descriptor
  let sink: Descriptor
  var sourceSide = Side()
  var sinkSide = Side()
  var channel = Channel()
  var engine: RelayEngine
  private var epoll: Epoll

  /// What has been sent and received, as offsets into ``pattern(at:)``.
  private(set) var sent = 0
  private(set) var received = 0
  private(set) var sawEnd = false
  private(set) var sawReset = false
  /// Bytes that the channel delivers and does not count.
  var headerLength = 0
  /// What the channel needed last.
  private(set) var need = Channel.Need.anotherTurn

  init(_ transport: Transport, splices: Bool, pipes: Int = 8, pipeSize: Int = 65_536) throws {
    let front = try transport.pair()
    let back = try transport.pair()
    sender = Peer(front.first)
    source = front.second
    sink = back.first
    receiver = Peer(back.second)
    engine = RelayEngine(
      buffers: try BufferPool(), pipes: PipePool(limit: pipes, size: pipeSize),
      splicesBulk: splices)
    epoll = try Epoll()
    try epoll.add(source, .everyChange, token: 1)
    try epoll.add(sink, .everyChange, token: 2)
  }

  /// Sets the sizes of the kernel's buffers on the way.
  func limitBuffers(to size: Int) throws {
    try sender.set(.sendBuffer, to: size)
    try source.set(.receiveBuffer, to: size)
    try sink.set(.sendBuffer, to: size)
    try receiver.set(.receiveBuffer, to: size)
  }

  /// What is sent repeats at a distance that is no multiple of any size here, so that bytes that are
  /// lost, doubled or out of place show.
  private static let period = 65_521
  private static let pattern = (0..<period + 1 << 20).map { offset in
    let place = offset % period
    return UInt8(truncatingIfNeeded: place &* 31 &+ (place >> 8) &* 17)
  }

  /// The bytes that are sent from an offset on.
  static func bytes(from offset: Int, count: Int) -> ArraySlice<UInt8> {
    pattern[offset % period..<offset % period + count]
  }

  /// Sends up to `count` bytes; says how many were taken.
  @discardableResult
  func send(_ count: Int) throws(Errno) -> Int {
    let taken = try sender.send(Self.bytes(from: sent, count: count))
    sent += taken
    return taken
  }

  /// Counts bytes as sent that got to the channel on another way.
  func noteSent(_ count: Int) { sent += count }

  /// Receives up to `count` bytes, which must be the next of those sent; says how many there were.
  @discardableResult
  func receive(_ count: Int) -> Int {
    do throws(Errno) {
      guard let bytes = try receiver.receive(upTo: count) else { return 0 }
      if bytes.isEmpty { sawEnd = true }
      if !Self.bytes(from: received, count: bytes.count).isSame(as: bytes) {
        Issue.record("wrong bytes from \(received) on")
      }
      received += bytes.count
      if received > sent { Issue.record("more received than sent") }
      return bytes.count
    } catch {
      sawReset = true
      return 0
    }
  }

  /// Takes what epoll reports, and gives the channel its turn if there was anything or it asked.
  ///
  /// - Returns: whether it had a turn.
  @discardableResult
  func turn(closing: Bool = false, waiting milliseconds: Int = 0) throws -> Bool {
    let count = try epoll.wait(milliseconds: need == .anotherTurn ? 0 : milliseconds)
    for index in 0..<count {
      let event = epoll[index]
      if event.token == 1 {
        sourceSide.note(event.readiness)
      } else {
        sinkSide.note(event.readiness)
      }
    }
    guard count > 0 || need == .anotherTurn else { return false }
    need = channel.pump(
      from: source, &sourceSide, to: sink, &sinkSide, with: &engine, closing: closing)
    check()
    return true
  }

  /// What holds between turns.
  private func check() {
    let inFlight = channel.inFlight
    #expect(inFlight >= 0)
    #expect(channel.delivered &+ UInt64(inFlight) == channel.received)
    #expect(channel.received <= UInt64(sent))
    #expect(Int(truncatingIfNeeded: channel.delivered) + headerLength >= received)
    #expect(engine.pipes.lent <= 1)
    switch need {
    case .readableSource:
      #expect(inFlight == 0 && !sourceSide.canRead)
      let ended = channel.hasEnded
      #expect(!ended)
      #expect(engine.pipes.lent == 0, "an idle channel holds a pipe")
      #expect(heldBuffers == 0, "an idle channel holds a buffer")
    case .writableSink:
      #expect(inFlight > 0 && !sinkSide.canWrite)
    case .nothing:
      #expect(inFlight == 0)
      let finished = channel.isFinished
      #expect(finished)
    case .anotherTurn, .sourceFailed, .sinkFailed: break
    }
  }

  /// Buffers in use beside the one that all channels copy through.
  var heldBuffers: Int { engine.buffers.inUse - (engine.scratch.isNone ? 0 : 1) }

  /// Lets the channel go, and checks that all it had is back and nothing of it is mixed up.
  func release() {
    channel.release(into: &engine)
    #expect(channel.inFlight == 0)
    #expect(engine.pipes.lent == 0)
    #expect(heldBuffers == 0)
    for _ in 0..<engine.pipes.keptNow {
      guard let pipe = engine.pipes.take() else { break }
      let inside = pipe.bytesInside()
      #expect(inside == 0, "a pooled pipe holds bytes")
    }
  }

  /// Moves what there is until the receiver has seen an end, or nothing has moved for ten seconds.
  func finish() throws {
    var idle = 0
    while !sawEnd, !sawReset, idle < 1_000 {
      let moved = try turn(waiting: 10)
      let came = receive(1 << 20)
      idle = moved || came > 0 ? 0 : idle + 1
      if case .sourceFailed = need { break }
      if case .sinkFailed = need { break }
    }
    #expect(idle < 1_000, "nothing moves any more: \(need), \(channel.inFlight) in flight")
  }
}

extension ArraySlice<UInt8> {
  /// Equality at the speed of memcmp(3), in debug builds too.
  func isSame(as other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    return withUnsafeBytes { mine in
      other.withUnsafeBytes { theirs in
        guard let left = mine.baseAddress, let right = theirs.baseAddress else { return true }
        return memcmp(left, right, mine.count) == 0
      }
    }
  }
}
