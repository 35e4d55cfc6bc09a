import Ledger
import Linux
import Reactor
import Wire

// The giver's side: which connections go, and what becomes of a batch.

extension WorkerProcess {
  var handOverTimer: Int { table.capacity + 2 }

  /// The master wants all connections to go to these workers.
  mutating func beginHandOver(
    lanes: [UInt32], listenersElsewhere: [UInt32], format: UInt8, isAcross: Bool,
    _ rights: consuming ArrivedRights
  ) {
    // These are all that there are now; who has a batch before him still has to answer.
    for number in handOver.takers where !(handOver.isWaiting && number == handOver.taker) {
      removePeer(number)
    }
    for lane in lanes {
      guard let socket = rights.take() else { break }
      let page = isAcross ? rights.takePage() : nil
      guard isAcross || Int(lane) < SharedLedger.laneCapacity, page.isThere == isAcross else {
        break
      }
      addPeer(
        HandOverPeer(
          .taker, lane: Int(lane), socket: socket, format: format, page: page,
          giver: context.lane, context.ledger))
    }
    if !handOver.isOrdered || handOver.hasReported { handOver.began = context.now }
    handOver.isOrdered = true
    handOver.hasReported = false
    handOver.kept = [:]
    // Who was refused before may be welcome at these.
    for index in 0..<table.used where table[index].marks.contains(.stays) {
      table[index].marks.remove(.stays)
    }
    letListenersGo(elsewhere: Set(listenersElsewhere.map(Int.init)))
  }

  mutating func addPeer(_ peer: HandOverPeer) {
    let number = handOver.add(peer)
    do throws(Errno) {
      try epoll.add(peer.socket, .readable, token: Token(.peer, index: number).rawValue)
    } catch {
      handOver.remove(number)
    }
  }

  mutating func removePeer(_ number: Int) {
    guard let peer = handOver.peers[number] else { return }
    try? epoll.remove(peer.socket)
    handOver.remove(number)
  }

  // MARK: Offering

  /// Offers the next batch if nothing is on its way. Called once a lap.
  mutating func giveMore() {
    guard handOver.isOrdered, !handOver.isWaiting, context.now >= handOver.due || !isBackingOff,
      !handOver.isResting
    else { return }
    // Who stays was refused, and nobody comes any more.
    if handOver.hasReported, listeners.isEmpty { return }
    guard let number = handOver.takers.first, let peer = handOver.peers[number] else {
      return reportHandOver()
    }
    guard peer.transit.stage == .settled else {
      // A taker died with the last one; the master is about to clear that up.
      return lookAgain(in: HandOver.retryInterval)
    }
    var parcel = Parcel()
    pick(into: &parcel)
    guard !parcel.places.isEmpty else { return reportHandOver() }
    handOver.takers.append(handOver.takers.removeFirst())
    offer(parcel, to: number)
  }

  private var isBackingOff: Bool { handOver.failingSince != nil || handOver.silentSince != nil }

  /// Those who wait go first, the oldest before the others: they keep their order.
  private mutating func pick(into parcel: inout Parcel) {
    while parcel.hasRoom, let index = context.queues.firstOfAll,
      !table[index].marks.contains(.stays)
    {
      guard take(index, into: &parcel) else { return }
    }
    var looked = 0
    while parcel.hasRoom, looked < table.used {
      if handOver.cursor >= table.used { handOver.cursor = 0 }
      let index = handOver.cursor
      if mayGo(index), !take(index, into: &parcel) { return }
      handOver.cursor += 1
      looked += 1
    }
  }

  private func mayGo(_ index: Int) -> Bool {
    table[index].phase != .free && table[index].marks.isDisjoint(with: [.travels, .stays])
  }

  /// - Returns: false when it does not fit any more.
  private mutating func take(_ index: Int, into parcel: inout Parcel) -> Bool {
    // The record says what the connection's ticket is, which its queue knows.
    let mustTravelAlone = parcel.places.isEmpty
    freeze(index)
    var record = table[index].record(context)
    guard parcel.add(&record, of: table[index], at: index, context.tables, mustTravelAlone) else {
      thaw(index)
      return false
    }
    return true
  }

  private mutating func offer(_ parcel: consuming Parcel, to number: Int) {
    guard let peer = handOver.peers[number] else { return }
    handOver.offered = parcel.places
    handOver.taker = number
    handOver.transit = peer.transit
    handOver.isAcross = peer.isAcross
    parcel.offer.batch = peer.transit.offer()
    do throws(MessageError) {
      let packet = try HandOverPacket.offer(parcel.offer).encoded(format: peer.format)
      send(packet, parcel.rights, to: peer, number)
    } catch {
      // More under way than a packet holds: it ends here.
      takeBatchBack(keeping: .noMemory)
    }
  }

  private mutating func send(
    _ packet: [UInt8], _ rights: [CInt], to peer: HandOverPeer, _ number: Int
  ) {
    do throws(Errno) {
      if try peer.socket.sendPacket(packet.span, rights: rights) {
        handOver.failingSince = nil
        handOver.due = context.now + handOver.patience
        return timers.set(handOverTimer, to: handOver.due)
      }
      tryAgain(number, "its queue is full")
    } catch {
      if error == .tooManyReferences || error.isExhaustion {
        tryAgain(number, "\(error)")
      } else if error == .messageTooLong {
        takeBatchBack(keeping: .noMemory)
      } else {
        takeBatchBack(keeping: nil)
        drop(number, "the new worker is gone")
      }
    }
  }

  /// There is no room for what was to be sent, now.
  private mutating func tryAgain(_ number: Int, _ reason: String) {
    takeBatchBack(keeping: nil)
    let since = handOver.failingSince ?? context.now
    handOver.failingSince = since
    if context.now - since > HandOver.longestRetry {
      handOver.failingSince = nil
      return drop(number, reason)
    }
    lookAgain(in: HandOver.retryInterval)
  }

  private mutating func lookAgain(in interval: Milliseconds) {
    handOver.due = context.now + interval
    timers.set(handOverTimer, to: handOver.due)
  }

  /// Gives up a taker.
  mutating func drop(_ number: Int, _ reason: String) {
    handOver.lastReason = reason
    removePeer(number)
  }

  // MARK: Standing still

  /// Nothing is done to the connection any more until it is decided whose it is. Its sockets leave
  /// epoll before they are sent: otherwise events of the taker's would come here.
  private mutating func freeze(_ index: Int) {
    if table[index].clientSide.isWatched { table[index].client.leave(epoll) }
    if table[index].serverSide.isWatched { table[index].server.leave(epoll) }
    table[index].clientSide.isWatched = false
    table[index].serverSide.isWatched = false
    timers.cancel(index)
    table[index].sendPlaces(&context)
    table[index].marks.insert(.travels)
  }

  /// It stays here, and goes on.
  private mutating func thaw(_ index: Int) {
    table[index].marks.remove(.travels)
    table[index].takePlacesBack(&context)
    drive(index)
  }

  // MARK: What becomes of a batch

  /// The taker has answered, is gone, or is silent for too long.
  mutating func hear(_ packet: HandOverPacket, from number: Int) {
    guard handOver.isWaiting, number == handOver.taker, let current = handOver.transit?.batch
    else { return }
    handOver.noteAnswer()
    switch packet {
    case .taken(let batch):
      if batch == current { concludeBatch() }
    case .refused(let batch, let objections):
      guard batch == current else { return }
      refused(objections, by: number)
    case .offer: break
    }
  }

  private mutating func refused(_ objections: [HandOverPacket.Objection], by number: Int) {
    let places = handOver.offered
    guard withdraw() else { return concludeBatch() }
    for objection in objections {
      guard let position = objection.position else {
        drop(number, objection.reason.text)
        continue
      }
      guard position < places.count else { continue }
      table[Int(places[position])].marks.insert(.stays)
      handOver.kept[objection.reason, default: 0] += 1
      handOver.lastReason = objection.reason.text
    }
    // One that objects to nothing would be asked for ever.
    if objections.isEmpty { drop(number, HandOverPacket.Reason.other.text) }
    thawBatch()
  }

  /// Nobody has claimed the batch: it stays, for now or, with a reason, for good.
  private mutating func takeBatchBack(keeping reason: HandOverPacket.Reason?) {
    guard withdraw() else { return concludeBatch() }
    if let reason {
      for place in handOver.offered { table[Int(place)].marks.insert(.stays) }
      handOver.kept[reason, default: 0] += UInt64(handOver.offered.count)
      handOver.lastReason = reason.text
    }
    thawBatch()
  }

  /// - Returns: whether the batch is this worker's again.
  private func withdraw() -> Bool { handOver.transit?.withdraw() ?? true }

  private mutating func thawBatch() {
    let places = handOver.offered
    handOver.offered = []
    for place in places { thaw(Int(place)) }
  }

  /// Looks in the ledger whose the batch is.
  mutating func concludeBatch() {
    guard handOver.isWaiting, let transit = handOver.transit else { return }
    switch transit.stage {
    case .offered: break
    // Places that go along are not the taker's yet; between ledgers none do.
    case .claimed where !handOver.isAcross: lookAgain(in: HandOver.retryInterval)
    case .claimed, .settled: letBatchGo()
    }
  }

  private mutating func letBatchGo() {
    let places = handOver.offered
    handOver.offered = []
    handOver.restsUntil = Clock.monotonic + HandOver.rest
    handOver.moved += UInt64(places.count)
    context.ledger.lane(context.lane)[.handedOver].add(UInt64(places.count))
    for place in places {
      if handOver.isAcross { table[Int(place)].giveUpPlaces(context) }
      table[Int(place)].depart(&context)
      table.release(Int(place))
    }
  }

  /// The taker is gone.
  mutating func lost(taker number: Int) {
    drop(number, "the new worker is gone")
    if handOver.taker == number, handOver.isWaiting { takeBatchBack(keeping: nil) }
  }

  /// The clock says so. Not inlined, so that the gate on allocation sees the loop apart from it.
  @inline(never)
  mutating func handOverTimedOut() {
    guard handOver.isWaiting, context.now >= handOver.due else { return }
    let number = handOver.taker
    let isSilent = handOver.transit?.stage == .offered && handOver.peers[number] != nil
    takeBatchBack(keeping: nil)
    if isSilent { noteSilence(of: number) }
  }

  private mutating func noteSilence(of number: Int) {
    let since = handOver.silentSince ?? context.now - handOver.patience
    handOver.silentSince = since
    if context.now - since > HandOver.longestSilence {
      drop(number, "the new worker does not answer")
    }
    lookAgain(in: handOver.patience)
    handOver.patience = min(handOver.patience * 2, HandOver.longestPatience)
  }

  // MARK: The end

  /// All that can go has gone. Listeners that rest may still bring some.
  private mutating func reportHandOver() {
    // One that stays has given what it had to, and may be given some of it back.
    guard isDraining else { return handOver.isOrdered = false }
    guard !handOver.hasReported else { return }
    handOver.hasReported = true
    let reasons = handOver.kept.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.value) \($0.key.text)" }.joined(separator: ", ")
    tell(
      .handedOver(
        HandOverReport(
          moved: handOver.moved, milliseconds: UInt64(max(0, context.now - handOver.began)),
          kept: UInt64(table.count), reason: reasons.isEmpty ? handOver.lastReason : reasons)))
    handOver.moved = 0
  }

  /// No more is given: the worker stops.
  mutating func endHandOver() {
    handOver.isOrdered = false
    if handOver.isWaiting { takeBatchBack(keeping: nil) }
    // One that has been claimed is the taker's by now.
    if handOver.isWaiting { letBatchGo() }
  }

  /// Tells of what has gone since it was last told.
  mutating func reportBeforeExit() {
    guard handOver.isOrdered else { return }
    if handOver.moved > 0 { handOver.hasReported = false }
    reportHandOver()
  }
}

/// A batch as it is put together.
struct Parcel {
  var offer = HandOverOffer(batch: 0)
  var rights: [CInt] = []
  var places: [Int32] = []
  private var bytes = 0
  // Places of the portraits, by this worker's indices.
  private var frontends: [Int32: Int] = [:]
  private var listeners: [Int32: Int] = [:]
  private var backends: [Int32: Int] = [:]
  private var servers: [Int32: Int] = [:]

  var hasRoom: Bool { places.count < HandOver.batch }

  /// - Returns: false when it does not fit. Alone it always does.
  mutating func add(
    _ record: inout ConnectionRecord, of connection: borrowing Connection, at place: Int,
    _ tables: borrowing Tables, _ isAlone: Bool
  ) -> Bool {
    let size =
      (record.inspected?.count ?? 0) + record.upload.held.count + record.download.held.count
    guard
      isAlone
        || bytes + size <= HandOver.mostBytes
          && rights.count + record.rightsCount <= HandOverPacket.mostRights
    else { return false }
    bytes += size
    bind(&record, connection, tables)
    connection.appendRights(to: &rights)
    offer.connections.append(record)
    places.append(Int32(place))
    return true
  }

  private mutating func bind(
    _ record: inout ConnectionRecord, _ connection: borrowing Connection,
    _ tables: borrowing Tables
  ) {
    func place<Portrait>(
      _ index: Int32, _ known: inout [Int32: Int], _ list: inout [Portrait],
      _ portrait: @autoclosure () -> Portrait
    ) -> Int {
      if let place = known[index] { return place }
      list.append(portrait())
      known[index] = list.count - 1
      return list.count - 1
    }
    let frontend = connection.frontend
    record.frontend = place(
      frontend, &frontends, &offer.frontends, tables.portrait(frontend: Int(frontend)))
    let listener = connection.listener
    record.listener = place(
      listener, &listeners, &offer.listeners, tables.portrait(listener: Int(listener)))
    let backend = connection.backend
    if backend >= 0 {
      record.backend = place(
        backend, &backends, &offer.backends, tables.portrait(backend: Int(backend)))
    }
    let server = connection.lastTarget
    if server >= 0 {
      record.server = place(
        server, &servers, &offer.servers, tables.portrait(server: Int(server)))
    }
    let wanted = connection.wanted
    if wanted >= 0 {
      record.wanted = place(
        wanted, &servers, &offer.servers, tables.portrait(server: Int(wanted)))
    }
  }
}

extension Optional where Wrapped == Descriptor {
  borrowing func leave(_ epoll: borrowing Epoll) {
    switch self {
    case .none: break
    case .some(let descriptor): try? epoll.remove(descriptor)
    }
  }
}
