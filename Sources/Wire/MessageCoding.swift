/// Why a packet is no message that can be understood.
public enum MessageError: Error, Equatable, Sendable {
  /// Fewer than the two bytes that every message has.
  case tooShort
  /// More than `Message.maximumLength` bytes.
  case tooLong
  /// Written in a format that this release does not read.
  case unknownFormat(UInt8)
  /// A message of a newer release. The receiver may pass over it.
  case unknownKind(UInt8)
  /// A field that runs past the end.
  case overrun
  case missingField(UInt8)
  /// A number that is too large for what it counts.
  case invalidField(UInt8)
}

/// The encoding: a byte of format (1), a byte of kind, then fields (see `FieldWriter`).
///
/// To stay readable for older and newer releases: a number is never given a second meaning, a new
/// field is optional for readers, and a kind or field that is no longer used keeps its number.
/// Committed examples under `Tests/Fixtures/messages` hold everyone to it.
extension Message {
  static let format: UInt8 = 1

  enum Kind: UInt8 {
    case workerReady = 1
    case workerStopping = 2
    case handedOver = 3
    case drain = 16
    case stop = 17
    // 18 has been used.
    case handOver = 19
    case takeOver = 20
    case handOverAcross = 21
    case takeOverAcross = 22
    case accept = 24
    case borrow = 25
    case controllerReady = 32
    case reload = 33
    case stopGracefully = 34
    case stopNow = 35
    case showProcesses = 36
    case drainNode = 40
    case reloadResult = 48
    case processes = 49
    case workers = 50
    case showSessions = 64
    case shutdownSession = 65
    case shutdownSessions = 66
    case serverChanged = 67
    case session = 80
    case end = 81
    case done = 82
    case certificateNames = 96
    case certificateFailure = 97
  }

  /// The packet to send. Throws `tooLong` if it would exceed `maximumLength`: lists must then be
  /// sent in parts, or texts shortened.
  public func encoded() throws(MessageError) -> [UInt8] {
    var writer = FieldWriter([Self.format, kind.rawValue])
    write(to: &writer)
    guard !writer.hasOverflowed, writer.bytes.count <= Self.maximumLength else { throw .tooLong }
    return writer.bytes
  }

  /// Reads a packet.
  public init(decoding packet: [UInt8]) throws(MessageError) {
    guard packet.count >= 2 else { throw .tooShort }
    guard packet.count <= Self.maximumLength else { throw .tooLong }
    guard packet[0] == Self.format else { throw .unknownFormat(packet[0]) }
    guard let kind = Kind(rawValue: packet[1]) else { throw .unknownKind(packet[1]) }
    self = try Self.read(kind, FieldReader(packet[2...]))
  }

  private var kind: Kind {
    switch self {
    case .workerReady: .workerReady
    case .workerStopping: .workerStopping
    case .handedOver: .handedOver
    case .drain: .drain
    case .stop: .stop
    case .handOver: .handOver
    case .takeOver: .takeOver
    case .handOverAcross: .handOverAcross
    case .takeOverAcross: .takeOverAcross
    case .accept: .accept
    case .borrow: .borrow
    case .controllerReady: .controllerReady
    case .reload: .reload
    case .stopGracefully: .stopGracefully
    case .stopNow: .stopNow
    case .drainNode: .drainNode
    case .showProcesses: .showProcesses
    case .reloadResult: .reloadResult
    case .processes: .processes
    case .workers: .workers
    case .showSessions: .showSessions
    case .shutdownSession: .shutdownSession
    case .shutdownSessions: .shutdownSessions
    case .serverChanged: .serverChanged
    case .session: .session
    case .end: .end
    case .done: .done
    case .certificateNames: .certificateNames
    case .certificateFailure: .certificateFailure
    }
  }
}

/// The numbers of the fields of messages. Records have numbers of their own.
private enum Tag {
  static let requestID: UInt8 = 1
  static let generation: UInt8 = 2
  static let slot: UInt8 = 3
  static let record: UInt8 = 4
  static let success: UInt8 = 5
  static let text: UInt8 = 6
  static let session: UInt8 = 7
  static let frontend: UInt8 = 8
  static let backend: UInt8 = 9
  static let server: UInt8 = 10
  static let count: UInt8 = 11
  static let hasMore: UInt8 = 12
  static let lane: UInt8 = 13
  static let format: UInt8 = 14
  static let isFirst: UInt8 = 15
  static let status: UInt8 = 16
}

// MARK: - Messages

extension Message {
  private func write(to fields: inout FieldWriter) {
    switch self {
    case .drain, .stop, .accept, .controllerReady, .stopGracefully, .stopNow, .drainNode:
      break
    case .workerReady(let generation, let slot), .workerStopping(let generation, let slot):
      fields.write(Tag.generation, generation)
      fields.write(Tag.slot, slot)
    case .handOver(let lanes, let listeners, let format),
      .handOverAcross(let lanes, let listeners, let format):
      for lane in lanes { fields.write(Tag.lane, lane) }
      for slot in listeners { fields.write(Tag.slot, slot) }
      if format != 1 { fields.write(Tag.format, UInt32(format)) }
    case .takeOver(let lane), .takeOverAcross(let lane):
      fields.write(Tag.lane, lane)
    case .borrow(let roles, let isFirst):
      for role in roles { fields.write(Tag.record, record: role.write) }
      fields.write(Tag.isFirst, isFirst)
    case .handedOver(let report):
      fields.write(Tag.record, record: report.write)
    case .reload(let requestID), .showProcesses(let requestID):
      fields.write(Tag.requestID, requestID)
    case .reloadResult(let result):
      fields.write(Tag.requestID, result.requestID)
      fields.write(Tag.success, result.success)
      fields.write(Tag.text, result.text)
    case .processes(let requestID, let rows, let status):
      fields.write(Tag.requestID, requestID)
      for row in rows { fields.write(Tag.record, record: row.write) }
      if let status { fields.write(Tag.status, record: status.write) }
    case .workers(let lanes, let isLast):
      for lane in lanes { fields.write(Tag.record, record: lane.write) }
      fields.write(Tag.hasMore, !isLast)
    case .showSessions(let requestID, let filter):
      fields.write(Tag.requestID, requestID)
      filter.write(to: &fields)
    case .shutdownSession(let requestID, let session):
      fields.write(Tag.requestID, requestID)
      fields.write(Tag.session, session)
    case .shutdownSessions(let requestID, let backend, let server):
      fields.write(Tag.requestID, requestID)
      fields.write(Tag.backend, backend)
      fields.write(Tag.server, server)
    case .serverChanged(let backend, let server):
      fields.write(Tag.backend, backend)
      fields.write(Tag.server, server)
    case .session(let requestID, let session):
      fields.write(Tag.requestID, requestID)
      fields.write(Tag.record, record: session.write)
    case .end(let requestID, let count):
      fields.write(Tag.requestID, requestID)
      fields.write(Tag.count, count)
    case .done(let requestID, let found):
      fields.write(Tag.requestID, requestID)
      fields.write(Tag.success, found)
    case .certificateNames(let names, let hasMore):
      for name in names { fields.write(Tag.record, record: name.write) }
      fields.write(Tag.hasMore, hasMore)
    case .certificateFailure(let text):
      fields.write(Tag.text, text)
    }
  }

  private static func read(_ kind: Kind, _ fields: FieldReader) throws(MessageError) -> Message {
    switch kind {
    case .drain: .drain
    case .stop: .stop
    case .accept: .accept
    case .controllerReady: .controllerReady
    case .stopGracefully: .stopGracefully
    case .stopNow: .stopNow
    case .drainNode: .drainNode
    case .workerReady:
      try .workerReady(generation: fields.number(Tag.generation), slot: fields.number(Tag.slot))
    case .workerStopping:
      try .workerStopping(generation: fields.number(Tag.generation), slot: fields.number(Tag.slot))
    case .handOver:
      try .handOver(
        lanes: fields.numbers(Tag.lane), listenersElsewhere: fields.numbers(Tag.slot),
        format: fields.number(ifSent: Tag.format) ?? 1)
    case .takeOver:
      try .takeOver(lane: fields.number(Tag.lane))
    case .handOverAcross:
      try .handOverAcross(
        lanes: fields.numbers(Tag.lane), listenersElsewhere: fields.numbers(Tag.slot),
        format: fields.number(ifSent: Tag.format) ?? 1)
    case .takeOverAcross:
      try .takeOverAcross(lane: fields.number(Tag.lane))
    case .borrow:
      try .borrow(
        fields.records(Tag.record, SocketRole.init), isFirst: fields.flag(Tag.isFirst))
    case .handedOver:
      try .handedOver(Self.handOverReport(fields))
    case .reload:
      try .reload(requestID: fields.number(Tag.requestID))
    case .showProcesses:
      try .showProcesses(requestID: fields.number(Tag.requestID))
    case .reloadResult:
      try .reloadResult(
        ReloadResult(
          requestID: fields.number(Tag.requestID), success: fields.flag(Tag.success),
          text: fields.text(ifSent: Tag.text) ?? ""))
    case .processes:
      try .processes(
        requestID: fields.number(Tag.requestID), fields.records(Tag.record, ProcessRow.init),
        fields.records(Tag.status, ReloadStatus.init).first)
    case .workers:
      try .workers(
        fields.records(Tag.record, WorkerLane.init), isLast: !fields.flag(Tag.hasMore))
    case .showSessions:
      try .showSessions(requestID: fields.number(Tag.requestID), SessionFilter(fields))
    case .shutdownSession:
      try .shutdownSession(
        requestID: fields.number(Tag.requestID), session: fields.number(Tag.session))
    case .shutdownSessions:
      try .shutdownSessions(
        requestID: fields.number(Tag.requestID), backend: fields.text(Tag.backend),
        server: fields.text(Tag.server))
    case .serverChanged:
      try .serverChanged(backend: fields.text(Tag.backend), server: fields.text(Tag.server))
    case .session:
      try .session(requestID: fields.number(Tag.requestID), Self.session(fields))
    case .end:
      try .end(requestID: fields.number(Tag.requestID), count: fields.number(Tag.count))
    case .done:
      try .done(requestID: fields.number(Tag.requestID), found: fields.flag(Tag.success))
    case .certificateNames:
      try .certificateNames(
        fields.records(Tag.record, CertificateName.init), hasMore: fields.flag(Tag.hasMore))
    case .certificateFailure:
      try .certificateFailure(fields.text(Tag.text))
    }
  }

  private static func handOverReport(
    _ fields: FieldReader
  ) throws(MessageError) -> HandOverReport {
    guard let report = try fields.records(Tag.record, HandOverReport.init).first else {
      throw .missingField(Tag.record)
    }
    return report
  }

  private static func session(_ fields: FieldReader) throws(MessageError) -> SessionRecord {
    guard let session = try fields.records(Tag.record, SessionRecord.init).first else {
      throw .missingField(Tag.record)
    }
    return session
  }
}

extension SessionFilter {
  fileprivate func write(to fields: inout FieldWriter) {
    if let id { fields.write(Tag.session, id) }
    if let frontend { fields.write(Tag.frontend, frontend) }
    if let backend { fields.write(Tag.backend, backend) }
    if let server { fields.write(Tag.server, server) }
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      id: try fields.number(ifSent: Tag.session), frontend: fields.text(ifSent: Tag.frontend),
      backend: fields.text(ifSent: Tag.backend), server: fields.text(ifSent: Tag.server))
  }
}
