import Linux
import Wire

/// The thread that owns the fabric's sockets.
///
/// What a full socket does not take waits for its turn, in order. A peer that talks much is read a
/// bounded number of packets a lap, so that it cannot keep others waiting.
struct FabricThread: ~Copyable {
  private static let doorbellToken: UInt64 = 0
  private static let packetsEachLap = 64
  /// How long the last packets may take when the thread is to end.
  private static let farewellMilliseconds = 500

  private let port: FabricPort
  private var epoll: Epoll
  private let master: FabricPeer
  private var workers: [FabricPeer] = []
  /// The beginning of a new set of workers, whose end has not come yet.
  private var arriving: [FabricPeer] = []
  private var nextToken: UInt64 = 2
  private var buffer = [UInt8](repeating: 0, count: Descriptor.longestPacket)
  private var isEnding = false

  init(_ port: FabricPort) throws(Errno) {
    let master = FabricPeer(try port.master.duplicate(), lane: nil, token: 1)
    let epoll = try Epoll()
    try epoll.add(port.doorbell, .readable, token: Self.doorbellToken)
    try epoll.add(master.descriptor, .readable, token: master.token)
    self.port = port
    self.master = master
    self.epoll = epoll
  }

  /// Serves until the master is gone, or the port is ended.
  mutating func run() throws(Errno) {
    defer { port.sink.finish() }
    while true {
      let isBusy = ([master] + workers).contains { !$0.unsent.isEmpty }
      if isEnding, !isBusy { return }
      let count = try epoll.wait(milliseconds: isEnding ? Self.farewellMilliseconds : -1)
      if isEnding, count == 0 { return }
      for index in 0..<count {
        guard try handle(epoll[index]) else { return }
      }
      deliver(port.collect())
    }
  }

  /// - Returns: whether the master is still there.
  private mutating func handle(_ event: ReadinessEvent) throws(Errno) -> Bool {
    if event.token == Self.doorbellToken {
      port.doorbell.silence()
      return true
    }
    // The set may have changed while this event waited for its turn.
    guard let peer = ([master] + workers).first(where: { $0.token == event.token }) else {
      return true
    }
    flush(peer)
    if try receive(from: peer) { return true }
    guard peer.lane != nil else {
      port.sink.yield(.masterGone)
      return false
    }
    forget(peer)
    return true
  }
}

/// One socket of the fabric. Belongs to the thread.
final class FabricPeer {
  let descriptor: Descriptor
  /// Nil for the master.
  let lane: WorkerLane?
  let token: UInt64
  var unsent: [[UInt8]] = []
  var waitsToSend = false

  init(_ descriptor: consuming Descriptor, lane: WorkerLane?, token: UInt64) {
    self.descriptor = descriptor
    self.lane = lane
    self.token = token
  }
}

// MARK: - Receiving

extension FabricThread {
  /// - Returns: whether the peer is still there.
  private mutating func receive(from peer: FabricPeer) throws(Errno) -> Bool {
    for _ in 0..<Self.packetsEachLap {
      var rights: [CInt] = []
      do throws(Errno) {
        switch try peer.descriptor.receivePacket(into: &buffer, rights: &rights) {
        case .blocked: return true
        case .ended: return false
        case .moved(let count): try accept(Array(buffer[..<count]), rights, from: peer)
        }
      } catch {
        guard error == .messageTooLong else { return false }
      }
    }
    return true
  }

  private mutating func accept(
    _ packet: [UInt8], _ rights: [CInt], from peer: FabricPeer
  ) throws(Errno) {
    // A message that only a newer release knows is passed over.
    let message = try? Message(decoding: packet)
    if let lane = peer.lane {
      for number in rights { Descriptor.received(number).close() }
      if let message { port.sink.yield(.worker(lane: lane.lane, message)) }
    } else if case .workers(let lanes, let isLast)? = message {
      expect(lanes, rights)
      if isLast { try adoptArrived() }
    } else {
      for number in rights { Descriptor.received(number).close() }
      if let message { port.sink.yield(.master(message)) }
    }
  }

  private mutating func expect(_ lanes: [WorkerLane], _ rights: [CInt]) {
    for (place, number) in rights.enumerated() {
      let descriptor = Descriptor.received(number)
      guard place < lanes.count else { continue }
      arriving.append(FabricPeer(descriptor, lane: lanes[place], token: nextToken))
      nextToken += 1
    }
  }

  /// Replaces the set of workers. Sockets of the old set are other descriptors of the same open
  /// files: what was not sent yet goes on, and nothing that came is lost.
  private mutating func adoptArrived() throws(Errno) {
    let old = workers
    workers = arriving
    arriving = []
    for peer in old { try? epoll.remove(peer.descriptor) }
    for peer in workers {
      try? peer.descriptor.setNonBlocking()
      try epoll.add(peer.descriptor, .readable, token: peer.token)
      peer.unsent = old.first { $0.lane?.lane == peer.lane?.lane }?.unsent ?? []
      flush(peer)
    }
    port.sink.yield(.workers(workers.compactMap(\.lane)))
  }

  private mutating func forget(_ peer: FabricPeer) {
    try? epoll.remove(peer.descriptor)
    workers.removeAll { $0 === peer }
    port.sink.yield(.workers(workers.compactMap(\.lane)))
  }
}

// MARK: - Sending

extension FabricThread {
  private mutating func deliver(_ letters: [Letter]) {
    for letter in letters {
      switch letter.addressee {
      case .nobody: isEnding = true
      case .master: send(letter.packet, to: master)
      case .everyWorker: for worker in workers { send(letter.packet, to: worker) }
      case .worker(let lane):
        for worker in workers where worker.lane?.lane == lane { send(letter.packet, to: worker) }
      }
    }
  }

  private func send(_ packet: [UInt8], to peer: FabricPeer) {
    peer.unsent.append(packet)
    flush(peer)
  }

  private func flush(_ peer: FabricPeer) {
    while let packet = peer.unsent.first {
      do throws(Errno) {
        guard try peer.descriptor.sendPacket(packet.span) else { break }
        peer.unsent.removeFirst()
      } catch {
        // It is gone; reading will say so.
        peer.unsent = []
      }
    }
    let waits = !peer.unsent.isEmpty
    guard waits != peer.waitsToSend else { return }
    peer.waitsToSend = waits
    try? epoll.modify(
      peer.descriptor, waits ? [.readable, .writable] : .readable, token: peer.token)
  }
}
