import Ledger
import Linux
import Wire

// A connection as it leaves this worker: what its record says, and the places that go along.

extension Connection {
  /// All that another worker must know to go on with it, but for what it is bound to.
  func record(_ context: borrowing WorkerContext) -> ConnectionRecord {
    var record = ConnectionRecord()
    record.id = id
    record.phase = ConnectionRecord.Phase(phase)
    record.marks = recordMarks(context)
    record.source = WireAddress(source)
    record.sourceScope = source.scope
    record.destination = WireAddress(destination)
    record.destinationScope = destination.scope
    writeTimes(to: &record)
    record.attemptsLeft = Int(attemptsLeft)
    record.retries = Int(retries)
    record.ticket = ticket
    record.aheadInServer = aheadInServer
    record.aheadInBackend = aheadInBackend
    record.settled = settledBefore
    record.countedSpliced = countedSpliced
    record.helloVersion = helloVersion
    record.helloType = helloType
    if marks.contains(.hasName) { record.serverName = context.names[Int(index)].copy }
    if marks.contains(.hasHello), context.tables.frontends[Int(frontend)].logsProtocols {
      record.protocolNames = context.protocols[Int(index)].copy
    }
    if inspection >= 0 {
      let inspected = context.inspections[inspection]
      record.inspected = context.engine.buffers.bytes(
        inspected.buffer, inspected.start..<inspected.end)
    }
    record.upload = upload.record(counted: countedUp, context.engine)
    record.download = download.record(counted: countedDown, context.engine)
    return record
  }

  private func writeTimes(to record: inout ConnectionRecord) {
    record.accepted = accepted
    record.acceptedWall = acceptedWall
    record.inspectionStart = inspectionStart
    record.queued = queued
    record.dialed = dialed
    record.connected = connected
    record.waitTime = waitTime < 0 ? nil : waitTime
    record.clientActive = clientActive
    record.serverActive = serverActive
    record.deadline = deadline
  }

  private func recordMarks(_ context: borrowing WorkerContext) -> ConnectionRecord.Marks {
    var result: ConnectionRecord.Marks = []
    for (mark, mine) in ConnectionRecord.Marks.pairs where marks.contains(mine) {
      result.insert(mark)
    }
    if target >= 0 { result.insert(.inServer) }
    if inspection >= 0, context.inspections[inspection].isFinal {
      result.insert(.inspectionIsFinal)
    }
    if broken == .serverAborted { result.insert(.serverBroke) }
    if clientSide.hasUrgent { result.insert(.clientIsUrgent) }
    if serverSide.hasUrgent { result.insert(.serverIsUrgent) }
    if server.isThere { result.insert(.hasServerSocket) }
    return result
  }

  /// Appends the descriptors that go along, in the order that the record promises.
  func appendRights(to rights: inout [CInt]) {
    client.appendRight(to: &rights)
    server.appendRight(to: &rights)
    upload.appendRights(to: &rights)
    download.appendRights(to: &rights)
  }

  // MARK: Places

  /// Puts its places in transit, and takes it out of its queue; see ``Transit``.
  mutating func sendPlaces(_ context: inout WorkerContext) {
    if marks.contains(.isQueued) {
      let slot = context.slot(ofQueue: Int(wanted), backend: Int(backend))
      slot.sendTurn()
      ticket = context.queues.detach(Int(index), slot)
    }
    forEachPlace(context) { $0.sendPlace() }
  }

  /// Takes them back.
  mutating func takePlacesBack(_ context: inout WorkerContext) {
    forEachPlace(context) { $0.takePlaceBack() }
    guard marks.contains(.isQueued) else { return }
    let slot = context.slot(ofQueue: Int(wanted), backend: Int(backend))
    slot.takeTurnBack()
    rejoinQueue(&context)
  }

  /// Takes the places that another worker had in transit.
  mutating func receivePlaces(from giver: Int, _ context: borrowing WorkerContext) {
    func counters(_ slot: Slot) -> CounterBlock {
      context.ledger.counters(slot: slot.number, lane: giver)
    }
    forEachPlace(context) { $0.receivePlace(from: counters($0)) }
    guard marks.contains(.isQueued) else { return }
    let slot = context.slot(ofQueue: Int(wanted), backend: Int(backend))
    slot.receiveTurn(from: counters(slot))
  }

  /// Gives back the places that it has in transit: its next owner takes others, in another ledger.
  func giveUpPlaces(_ context: borrowing WorkerContext) {
    forEachPlace(context) { $0.leaveTransit() }
    guard marks.contains(.isQueued) else { return }
    context.slot(ofQueue: Int(wanted), backend: Int(backend)).endWaitInTransit()
  }

  /// Takes places for it, be there any or not: where it comes from it had them.
  func takePlaces(_ context: borrowing WorkerContext) {
    forEachPlace(context) { _ = $0.enter() }
    guard marks.contains(.isQueued) else { return }
    context.slot(ofQueue: Int(wanted), backend: Int(backend)).beginToWait()
  }

  /// Takes the place in the queue that its ticket gives it.
  mutating func rejoinQueue(_ context: inout WorkerContext) {
    let queue = context.queues.queue(backend: Int(backend), wanted: Int(wanted))
    context.queues.attach(
      Int(index), to: queue, ticket: ticket,
      context.slot(ofQueue: Int(wanted), backend: Int(backend)))
    context.mayHavePlaces(backend: Int(backend))
  }

  private func forEachPlace(_ context: borrowing WorkerContext, _ act: (Slot) -> Void) {
    act(context.tables.process)
    act(context.tables.frontends[Int(frontend)].slot)
    act(context.tables.listeners[Int(listener)].slot)
    if marks.contains(.inBackend) { act(context.tables.backends[Int(backend)].slot) }
    if target >= 0 { act(context.tables.servers[Int(target)].slot) }
  }

  /// Another worker has it: gives back what it used here. Its sockets live on there.
  mutating func depart(_ context: inout WorkerContext) {
    upload.release(into: &context.engine)
    download.release(into: &context.engine)
    releaseInspection(&context)
  }
}

extension ConnectionRecord.Marks {
  /// Marks that mean the same here and in a record.
  static let pairs: [(Self, Connection.Marks)] = [
    (.redispatched, .redispatched), (.keepalive, .keepalive), (.isSession, .isSession),
    (.inBackend, .inBackend), (.hasHello, .hasHello), (.hadHeader, .hadHeader),
    (.expectsHeader, .expectsHeader), (.clientEnded, .clientEnded),
    (.contentAccepted, .contentAccepted), (.backendWaits, .backendWaits),
  ]
}

extension ConnectionRecord.Phase {
  init(_ phase: Phase) {
    switch phase {
    case .free: preconditionFailure("nobody is there")
    case .header: self = .header
    // It never rests there.
    case .inspecting, .routing: self = .inspecting
    case .queued: self = .queued
    case .resting: self = .resting
    case .dialing: self = .dialing
    case .relaying: self = .relaying
    case .resetting: self = .resetting
    }
  }
}

extension ServerName {
  fileprivate var copy: [UInt8] { (0..<count).map { bytes[$0] } }
}

extension ProtocolNames {
  fileprivate var copy: [UInt8] { (0..<wire.count).map { wire[$0] } }
}

extension Optional where Wrapped: ~Copyable {
  var isThere: Bool {
    switch self {
    case .none: false
    case .some: true
    }
  }

}

extension Optional where Wrapped == Descriptor {
  fileprivate borrowing func appendRight(to rights: inout [CInt]) {
    switch self {
    case .none: break
    case .some(let descriptor): rights.append(descriptor.numberForSuccessor)
    }
  }
}
