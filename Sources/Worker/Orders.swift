import Configuration
import Ledger
import Linux
import Reactor
import Wire

// What master and controller ask of a worker, and what it answers.

extension WorkerProcess {
  /// Carries out what the master has sent.
  ///
  /// A master that is gone leaves the worker serving: it is not the connections' fault.
  mutating func hearMaster() {
    while !masterIsGone {
      switch receive(from: .master) {
      case .none: return
      case .gone:
        masterIsGone = true
        try? epoll.remove(master)
        // Nobody is left who could tell it to begin.
        if !isAccepting { hasToStop = true }
      case .message(.accept, _): beginAccepting()
      case .message(.borrow(let roles, let isFirst), let rights):
        borrow(roles, isFirst: isFirst, ArrivedRights(rights))
      case .message(.drain, _): drain()
      case .message(.handOver(let lanes, let listeners, let format), let rights):
        beginHandOver(
          lanes: lanes, listenersElsewhere: listeners, format: format, isAcross: false,
          ArrivedRights(rights))
      case .message(.handOverAcross(let lanes, let listeners, let format), let rights):
        beginHandOver(
          lanes: lanes, listenersElsewhere: listeners, format: format, isAcross: true,
          ArrivedRights(rights))
      case .message(.takeOver(let lane), let rights):
        expectConnections(from: lane, isAcross: false, ArrivedRights(rights))
      case .message(.takeOverAcross(let lane), let rights):
        expectConnections(from: lane, isAcross: true, ArrivedRights(rights))
      case .message(.stop, _):
        closeAll(.stopping)
        hasToStop = true
      case .message: break
      }
    }
  }

  mutating func hearController() {
    while !controllerIsGone {
      switch receive(from: .controller) {
      case .none: return
      case .gone:
        controllerIsGone = true
        try? epoll.remove(controller)
      case .message(.showSessions(let request, let filter), _):
        showSessions(request, filter)
      case .message(.shutdownSession(let request, let session), _):
        let index = index(of: session)
        if let index { close(index, .shutDown) }
        answer(.done(requestID: request, found: index != nil))
      case .message(.shutdownSessions(let request, let backend, let server), _):
        let count = closeSessions(backend: backend, server: server)
        answer(.end(requestID: request, count: UInt64(count)))
      case .message(.serverChanged(let backend, _), _):
        if let index = configuration.backends.firstIndex(where: { $0.identity.name == backend }) {
          context.mayHavePlaces(backend: index)
        }
      case .message: break
      }
    }
  }

  /// Nobody is meant to send descriptors beside other messages; they must not stay open.
  private func refuse(_ rights: [CInt]) {
    for number in rights { Descriptor.received(number).close() }
  }

  private enum Peer { case master, controller }

  private enum Received {
    /// With the descriptors that came beside it.
    case message(Message, [CInt])
    /// Nothing more for now.
    case none
    case gone
  }

  /// One message. One that cannot be read is passed over: it is of a release that this one does not
  /// know.
  private mutating func receive(from peer: Peer) -> Received {
    var rights: [CInt] = []
    while true {
      do throws(Errno) {
        let transfer =
          peer == .master
          ? try master.receivePacket(into: &packet, rights: &rights)
          : try controller.receivePacket(into: &packet, rights: &rights)
        switch transfer {
        case .blocked: return .none
        case .ended: return .gone
        case .moved(let count):
          let message = try? Message(decoding: Array(packet[..<count]))
          if peer != .master || message?.bringsDescriptors != true {
            refuse(rights)
            rights.removeAll()
          }
          if let message { return .message(message, rights) }
        }
      } catch {
        if error != .messageTooLong { return .gone }
      }
    }
  }

  /// - Returns: whether it was sent; if not, the controller has yet to read what it was sent before.
  @discardableResult
  private func answer(_ message: Message) -> Bool {
    guard let packet = try? message.encoded() else { return true }
    return (try? controller.sendPacket(packet.span)) ?? true
  }

  // MARK: Sessions

  private func index(of session: UInt64) -> Int? {
    (0..<table.used).first {
      table[$0].phase != .free && table[$0].id == session && !table[$0].marks.contains(.travels)
    }
  }

  private mutating func closeSessions(backend: String, server: String) -> Int {
    var count = 0
    for index in 0..<table.used where table[index].phase != .free && table[index].lastTarget >= 0 {
      let target = Int(table[index].lastTarget)
      let names = context.tables.names
      guard names.backends[context.tables.servers[target].backend] == backend,
        names.servers[target] == server, !table[index].marks.contains(.travels)
      else { continue }
      close(index, .serverDown)
      count += 1
    }
    return count
  }

  /// Begins to list sessions. A list that is not finished when another is asked for is given up:
  /// its controller has been replaced, or has lost interest.
  private mutating func showSessions(_ request: UInt64, _ filter: SessionFilter) {
    listing = SessionListing(request: request, filter: filter)
    continueListing()
  }

  /// Sends as much of the list as the controller takes; the rest when it can be written to again.
  mutating func continueListing() {
    guard var listing else { return }
    while listing.next < table.used {
      let index = listing.next
      if table[index].phase != .free {
        let record = record(of: index)
        if listing.filter.admits(record) {
          guard answer(.session(requestID: listing.request, record)) else {
            return rest(listing)
          }
          listing.count += 1
        }
      }
      listing.next += 1
    }
    guard answer(.end(requestID: listing.request, count: listing.count)) else {
      return rest(listing)
    }
    self.listing = nil
    try? epoll.modify(controller, .readable, token: Token(.controller, index: 0).rawValue)
  }

  private mutating func rest(_ listing: SessionListing) {
    self.listing = listing
    try? epoll.modify(
      controller, [.readable, .writable], token: Token(.controller, index: 0).rawValue)
  }

  private func record(of index: Int) -> SessionRecord {
    var record = SessionRecord()
    record.id = table[index].id
    record.phase = SessionRecord.Phase(table[index].phase)
    let names = context.tables.names
    record.frontend = names.frontends[Int(table[index].frontend)]
    if table[index].backend >= 0 { record.backend = names.backends[Int(table[index].backend)] }
    if table[index].lastTarget >= 0 {
      let target = Int(table[index].lastTarget)
      record.server = names.servers[target]
      record.serverAddress =
        context.tables.servers[target].slot.shared.address?.description
        ?? names.serverTexts[target]
    }
    record.isOrphan = context.tables.isOrphan(table[index])
    let source = table[index].source
    record.clientAddress = source == .none ? "unix" : source.description
    let destination = table[index].destination
    record.destinationAddress = destination == .none ? "" : destination.description
    if table[index].marks.contains(.hasName) {
      record.serverName = context.names[index].text
    }
    let active = max(table[index].clientActive, table[index].serverActive)
    record.ageMilliseconds = UInt64(max(0, context.now - table[index].accepted))
    record.idleMilliseconds = UInt64(max(0, context.now - active))
    let due = table[index].nextDeadline(context)
    record.expiresInMilliseconds = due >= .never ? 0 : UInt64(max(0, due - context.now))
    record.bytesUp = table[index].upload.received
    record.bytesDown = table[index].download.received
    record.isUploadSpliced = table[index].upload.spliced > 0
    record.isDownloadSpliced = table[index].download.spliced > 0
    return record
  }
}

/// A list of sessions that is being sent.
struct SessionListing {
  let request: UInt64
  let filter: SessionFilter
  /// The place to look at next.
  var next = 0
  var count: UInt64 = 0
}

extension SessionFilter {
  func admits(_ record: SessionRecord) -> Bool {
    (id ?? record.id) == record.id && (frontend ?? record.frontend) == record.frontend
      && (backend ?? record.backend) == record.backend
      && (server ?? record.server) == record.server
  }
}

extension SessionRecord.Phase {
  init(_ phase: Phase) {
    switch phase {
    case .free, .header, .inspecting, .routing: self = .inspecting
    case .queued: self = .queued
    case .resting, .dialing: self = .dialing
    case .relaying: self = .relaying
    case .resetting: self = .closing
    }
  }
}

extension ServerName {
  /// The name as text, odd bytes replaced.
  var text: String {
    var bytes: [UInt8] = []
    for index in 0..<count { bytes.append(self.bytes[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Message {
  /// Whether the master sends descriptors beside it.
  fileprivate var bringsDescriptors: Bool {
    switch self {
    case .handOver, .takeOver, .handOverAcross, .takeOverAcross, .borrow: true
    default: false
    }
  }
}
