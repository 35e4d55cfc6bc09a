import Ledger
import Linux
import Rules
import Wire

// A connection as it comes from another worker.

/// Descriptors that came beside a packet: what nobody takes is closed.
struct ArrivedRights: ~Copyable {
  private let numbers: [CInt]
  private var next = 0

  init(_ numbers: [CInt]) { self.numbers = numbers }

  deinit {
    for number in numbers[next...] { Descriptor.received(number).close() }
  }

  var count: Int { numbers.count }

  mutating func take() -> Descriptor? {
    guard next < numbers.count else { return nil }
    next += 1
    return Descriptor.received(numbers[next - 1])
  }

  mutating func takePage() -> TransitPage? {
    guard let descriptor = take() else { return nil }
    return try? TransitPage(adopting: descriptor)
  }

  mutating func takePipe() -> Pipe? {
    guard let outlet = take(), let inlet = take() else { return nil }
    return Pipe(outlet: outlet, inlet: inlet)
  }
}

/// What a record is bound to here, by indices into this worker's tables.
struct Binding {
  var frontend: Int
  var listener: Int
  var backend: Int?
  var server: Int?
  var wanted: Int?
}

/// What the things of one offer are bound to, as far as it is known by now.
struct OfferBindings {
  var frontends: [Int?]
  var listeners: [Int?]
  var backends: [Int?]
  var servers: [Int?]

  init(_ offer: HandOverOffer) {
    frontends = Array(repeating: nil, count: offer.frontends.count)
    listeners = Array(repeating: nil, count: offer.listeners.count)
    backends = Array(repeating: nil, count: offer.backends.count)
    servers = Array(repeating: nil, count: offer.servers.count)
  }
}

extension WorkerContext {
  /// Binds a record to this worker's configuration.
  mutating func bind(
    _ record: ConnectionRecord, of offer: HandOverOffer, _ known: inout OfferBindings
  ) -> Result<Binding, Refusal> {
    guard tables.orphans + 5 <= Tables.mostOrphans else { return .failure(Refusal(.noPlace)) }
    let frontend = known.frontends[record.frontend] ?? frontend(offer.frontends[record.frontend])
    known.frontends[record.frontend] = frontend
    let listener =
      known.listeners[record.listener]
      ?? listener(offer.listeners[record.listener], of: frontend)
    known.listeners[record.listener] = listener
    guard hasRules(for: record.phase, frontend: frontend, listener: listener) else {
      return .failure(Refusal(.rulesGone))
    }
    var binding = Binding(frontend: frontend, listener: listener)
    guard let number = record.backend else { return .success(binding) }
    let backend = known.backends[number] ?? backend(offer.backends[number])
    known.backends[number] = backend
    binding.backend = backend
    func server(_ number: Int) -> Int {
      let server = known.servers[number] ?? self.server(offer.servers[number], of: backend)
      known.servers[number] = server
      return server
    }
    binding.server = record.server.map(server)
    binding.wanted = record.wanted.map(server)
    return .success(binding)
  }

  /// Whether what is still to be asked about the connection can be: an orphan has no rules.
  private func hasRules(
    for phase: ConnectionRecord.Phase, frontend: Int, listener: Int
  ) -> Bool {
    switch phase {
    case .relaying, .resetting: return true
    case .queued, .resting, .dialing: return frontend < tables.configured.frontends
    case .header, .inspecting:
      guard frontend < tables.configured.frontends else { return false }
      return listener < tables.configured.listeners
        || phase == .inspecting && !tables.listeners[listener].strictNames
    }
  }
}

/// Why a connection is not taken.
struct Refusal: Error {
  let reason: HandOverPacket.Reason

  init(_ reason: HandOverPacket.Reason) { self.reason = reason }
}

extension Connection {
  /// Becomes what the record says. Nobody may do anything to it before it has been claimed.
  mutating func arrive(
    _ record: ConnectionRecord, _ binding: Binding, at place: Int,
    _ rights: inout ArrivedRights, _ context: inout WorkerContext
  ) -> Refusal? {
    index = Int32(place)
    // Variables stay behind; see `recallVariables`.
    if context.rules.hasVariables { context.rules.forgetVariables(of: place) }
    id = record.id
    client = rights.take()
    if record.marks.contains(.hasServerSocket) { server = rights.take() }
    let uploadPipe = record.upload.inPipe > 0 ? rights.takePipe() : nil
    let downloadPipe = record.download.inPipe > 0 ? rights.takePipe() : nil
    phase = Phase(record.phase)
    // From here on it can be let go by `depart`, whatever is missing.
    guard let up = Channel(record.upload, pipe: uploadPipe, with: &context.engine) else {
      return Refusal(.noMemory)
    }
    upload = up
    guard let down = Channel(record.download, pipe: downloadPipe, with: &context.engine) else {
      return Refusal(.noMemory)
    }
    download = down
    bind(to: binding)
    adopt(record)
    adoptNames(record, context)
    return adoptInspection(record, &context) ? nil : Refusal(.noMemory)
  }

  private mutating func bind(to binding: Binding) {
    frontend = Int32(binding.frontend)
    listener = Int32(binding.listener)
    backend = Int32(binding.backend ?? -1)
    lastTarget = Int32(binding.server ?? -1)
    wanted = Int32(binding.wanted ?? -1)
  }

  private mutating func adopt(_ record: ConnectionRecord) {
    marks = [.counted, .travels]
    for (mark, mine) in ConnectionRecord.Marks.pairs where record.marks.contains(mark) {
      marks.insert(mine)
    }
    if record.phase == .queued { marks.insert(.isQueued) }
    if record.marks.contains(.inServer) { target = lastTarget }
    if record.marks.contains(.serverBroke) { broken = .serverAborted }
    clientSide.hasUrgent = record.marks.contains(.clientIsUrgent)
    serverSide.hasUrgent = record.marks.contains(.serverIsUrgent)
    source = Endpoint(record.source, scope: record.sourceScope)
    destination = Endpoint(record.destination, scope: record.destinationScope)
    adoptTimes(record)
    countedUp = record.upload.counted
    countedDown = record.download.counted
    countedSpliced = record.countedSpliced
    attemptsLeft = Int16(clamping: record.attemptsLeft)
    retries = UInt16(clamping: record.retries)
    ticket = record.ticket
    aheadInServer = record.aheadInServer
    aheadInBackend = record.aheadInBackend
    settledBefore = record.settled
    helloVersion = record.helloVersion
    helloType = record.helloType
  }

  private mutating func adoptTimes(_ record: ConnectionRecord) {
    accepted = record.accepted
    acceptedWall = record.acceptedWall
    inspectionStart = record.inspectionStart
    queued = record.queued
    dialed = record.dialed
    connected = record.connected
    waitTime = record.waitTime ?? -1
    clientActive = record.clientActive
    serverActive = record.serverActive
    deadline = record.deadline
  }

  private mutating func adoptNames(
    _ record: ConnectionRecord, _ context: borrowing WorkerContext
  ) {
    if !record.serverName.isEmpty {
      context.names[Int(index)] = ServerName(record.serverName.span)
      marks.insert(.hasName)
    }
    context.protocols[Int(index)] = ProtocolNames(wire: record.protocolNames)
  }

  /// What the other worker read is read again: a parser's state is nobody's business but its own.
  private mutating func adoptInspection(
    _ record: ConnectionRecord, _ context: inout WorkerContext
  ) -> Bool {
    guard let bytes = record.inspected else { return true }
    guard let number = context.inspections.take() else { return false }
    inspection = number
    let buffer = context.engine.buffers.take(for: Inspection.headroom + bytes.count)
    context.inspections[number].buffer = buffer
    guard !buffer.isNone else { return false }
    context.engine.buffers.write(bytes, to: buffer, at: Inspection.headroom)
    context.inspections[number].start = Inspection.headroom
    context.inspections[number].end = Inspection.headroom + bytes.count
    context.inspections[number].isFinal = record.marks.contains(.inspectionIsFinal)
    // A PROXY header comes before what the parser reads.
    if phase != .header { parse(&context) }
    return true
  }

  /// Whether it waits for what is no longer there, and has to ask the rules again.
  func needsRoute(_ tables: borrowing Tables) -> Bool {
    guard phase == .queued else { return false }
    return Int(backend) >= tables.configured.backends || Int(wanted) >= tables.configured.servers
  }

  /// Whether rules are still to be asked about it.
  func hasRulesAhead(_ tables: borrowing Tables) -> Bool {
    phase == .header || phase == .inspecting || needsRoute(tables)
  }

  /// Hears the rules again that have been heard, for the variables that they set and that stayed
  /// behind. What they decide was decided where the connection came from.
  mutating func recallVariables(_ context: borrowing WorkerContext) {
    guard context.rules.hasVariables else { return }
    let entry = context.tables.frontends[Int(frontend)]
    if entry.hasConnectionRules { recallConnectionVariables(context) }
    guard phase != .header else { return }
    if entry.hasSessionRules { _ = context.ask(.session(frontend: Int(frontend)), of: self) }
    if marks.contains(.contentAccepted), entry.hasContentRules {
      _ = context.ask(.content(frontend: Int(frontend)), of: self, delayed: entry.hasInspectDelay)
    }
  }

  /// Connection rules speak of the socket's own addresses, whatever a PROXY header has said since.
  private mutating func recallConnectionVariables(_ context: borrowing WorkerContext) {
    let named = (source, destination)
    if marks.contains(.hadHeader) { (source, destination) = socketEndpoints }
    _ = context.ask(.connection(frontend: Int(frontend)), of: self)
    (source, destination) = named
  }

  private var socketEndpoints: (Endpoint, Endpoint) {
    switch client {
    case .some(let client): (client.peerEndpoint(), client.localEndpoint())
    case .none: (.none, .none)
    }
  }

  /// Leaves the queue and the backend, for wherever the rules lead now.
  mutating func returnToRules(_ context: inout WorkerContext) -> Step {
    let slot = context.slot(ofQueue: Int(wanted), backend: Int(backend))
    slot.endWait()
    marks.remove(.isQueued)
    wanted = -1
    lastTarget = -1
    if Int(backend) >= context.tables.configured.backends {
      context.tables.backends[Int(backend)].slot.leave()
      marks.remove(.inBackend)
      backend = -1
    }
    phase = .routing
    return .advance
  }
}

extension Phase {
  fileprivate init(_ phase: ConnectionRecord.Phase) {
    switch phase {
    case .header: self = .header
    case .inspecting: self = .inspecting
    case .queued: self = .queued
    case .resting: self = .resting
    case .dialing: self = .dialing
    case .relaying: self = .relaying
    case .resetting: self = .resetting
    }
  }
}

extension Endpoint {
  fileprivate init(_ address: WireAddress, scope: UInt32) {
    self.init(address)
    self.scope = scope
  }
}
