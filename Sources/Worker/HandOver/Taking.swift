import Ledger
import Linux
import Wire

// The taker's side: an offer is bound, claimed and gone on with, or refused as a whole.

extension WorkerProcess {
  /// Another worker is going to give its connections.
  mutating func expectConnections(
    from lane: UInt32, isAcross: Bool, _ rights: consuming ArrivedRights
  ) {
    guard let socket = rights.take() else { return }
    let page = isAcross ? rights.takePage() : nil
    guard isAcross || Int(lane) < SharedLedger.laneCapacity, page.isThere == isAcross else {
      return
    }
    addPeer(
      HandOverPeer(
        .giver, lane: Int(lane), socket: socket, page: page, giver: Int(lane), context.ledger))
  }

  /// Reads what another worker has sent: one offer at a time, so that others have their turns.
  mutating func hearPeer(_ number: Int) {
    guard handOver.peers.indices.contains(number), let peer = handOver.peers[number] else { return }
    if packet.count <= HandOverPacket.maximumLength {
      packet = [UInt8](repeating: 0, count: HandOverPacket.maximumLength + 1)
    }
    var numbers: [CInt] = []
    let transfer: Transfer
    do throws(Errno) {
      transfer = try peer.socket.receivePacket(into: &packet, rights: &numbers)
    } catch {
      // Descriptors that found no room here have been closed, and the packet is lost with them.
      if error == .messageTooLong, peer.role == .giver { return refuseLost(peer) }
      return lostPeer(number, peer)
    }
    switch transfer {
    case .blocked: break
    case .ended: lostPeer(number, peer)
    case .moved(let count):
      read(packet[..<count], ArrivedRights(numbers), from: number, peer)
    }
  }

  private mutating func lostPeer(_ number: Int, _ peer: HandOverPeer) {
    if peer.role == .taker { lost(taker: number) } else { removePeer(number) }
  }

  private mutating func read(
    _ bytes: ArraySlice<UInt8>, _ rights: consuming ArrivedRights, from number: Int,
    _ peer: HandOverPeer
  ) {
    do throws(MessageError) {
      let message = try HandOverPacket(decoding: bytes)
      // What is answered has to be understood there.
      peer.format = HandOverPacket.format(of: bytes)
      if case .offer(let offer) = message {
        if peer.role == .giver { take(offer, rights, from: peer) }
      } else if peer.role == .taker {
        hear(message, from: number)
      }
    } catch {
      guard peer.role == .giver, let batch = HandOverPacket.unreadableOffer(bytes) else { return }
      refuse(batch, [.init(position: nil, reason: .unreadable)], to: peer)
    }
  }

  // MARK: Refusing

  private func refuse(
    _ batch: UInt64, _ objections: [HandOverPacket.Objection], to peer: HandOverPeer
  ) {
    answer(.refused(batch: batch, objections), to: peer)
  }

  private func refuseLost(_ peer: HandOverPeer) {
    refuse(peer.transit.batch, [.init(position: nil, reason: .noDescriptors)], to: peer)
  }

  /// An answer that cannot be sent is found in the ledger when the giver's patience is over.
  private func answer(_ packet: HandOverPacket, to peer: HandOverPeer) {
    guard let bytes = try? packet.encoded(format: peer.format) else { return }
    _ = try? peer.socket.sendPacket(bytes.span)
  }

  // MARK: Taking

  private mutating func take(
    _ offer: HandOverOffer, _ rights: consuming ArrivedRights, from peer: HandOverPeer
  ) {
    if let reason = reasonToRefuse(offer, rights.count) {
      return refuse(offer.batch, [.init(position: nil, reason: reason)], to: peer)
    }
    var arrived: [Int] = []
    let objections = receive(offer, rights, &arrived)
    let transit = peer.transit
    guard objections.isEmpty, transit.claim(batch: offer.batch, by: context.lane) else {
      for index in arrived { letGo(index) }
      if !objections.isEmpty { refuse(offer.batch, objections, to: peer) }
      return
    }
    // Ours from here on, whatever becomes of the giver.
    for index in arrived {
      if peer.isAcross {
        table[index].takePlaces(context)
      } else {
        table[index].receivePlaces(from: peer.lane, context)
      }
    }
    transit.finish(batch: offer.batch)
    context.ledger.lane(context.lane)[.takenOver].add(UInt64(arrived.count))
    answer(.taken(batch: offer.batch), to: peer)
    for index in arrived { goOn(index) }
  }

  private func reasonToRefuse(_ offer: HandOverOffer, _ rights: Int) -> HandOverPacket.Reason? {
    if isDraining || hasToStop { return .leaving }
    if rights != offer.rightsCount || !offer.slots.allSatisfy(SharedLedger.isSlot) {
      return .unreadable
    }
    if table.capacity - table.count < offer.connections.count { return .noPlace }
    return nil
  }

  /// Puts the connections into the table.
  ///
  /// - Returns: why some of them cannot be.
  private mutating func receive(
    _ offer: HandOverOffer, _ rights: consuming ArrivedRights, _ arrived: inout [Int]
  ) -> [HandOverPacket.Objection] {
    var objections: [HandOverPacket.Objection] = []
    var bindings = OfferBindings(offer)
    for (position, record) in offer.connections.enumerated() {
      switch context.bind(record, of: offer, &bindings) {
      case .failure(let refusal):
        objections.append(.init(position: position, reason: refusal.reason))
      case .success(let binding):
        // Descriptors are in the order of the records: after an objection they are no longer ours.
        guard objections.isEmpty, let index = table.take() else { continue }
        arrived.append(index)
        if let refusal = table[index].arrive(record, binding, at: index, &rights, &context) {
          objections.append(.init(position: position, reason: refusal.reason))
        }
      }
    }
    return objections
  }

  private mutating func letGo(_ index: Int) {
    table[index].depart(&context)
    table.release(index)
  }

  /// Goes on with a connection: what its sockets have to say is reported when epoll learns of them.
  private mutating func goOn(_ index: Int) {
    table[index].marks.remove(.travels)
    if table[index].hasRulesAhead(context.tables) { table[index].recallVariables(context) }
    if table[index].needsRoute(context.tables) {
      return follow(table[index].returnToRules(&context), index)
    }
    if table[index].marks.contains(.isQueued) { table[index].rejoinQueue(&context) }
    watchAndArm(index)
  }
}

extension HandOverOffer {
  /// All slots of the ledger that it names.
  fileprivate var slots: [Int] {
    frontends.map(\.slot) + listeners.map(\.slot) + backends.map(\.slot) + servers.map(\.slot)
  }
}

extension SharedLedger {
  fileprivate static func isSlot(_ number: Int) -> Bool { number < slotCapacity }
}
