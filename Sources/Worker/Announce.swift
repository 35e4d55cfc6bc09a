import Configuration
import Ledger
import Linux
import Wire

// What the log is told of a connection, and when.

extension Connection {
  /// Writes the session's line, if its frontend wants one at this moment.
  func announce(_ moment: SessionLog.Moment, _ reason: CloseReason, _ context: inout WorkerContext)
  {
    guard context.tables.frontends[Int(frontend)].isLogged else { return }
    announce(moment, nil, logRecord(reason, context), &context)
  }

  /// Writes a session's line, or with a `refusal` that of a connection which never became one.
  private func announce(
    _ moment: SessionLog.Moment, _ refusal: StaticString?, _ record: SessionLogRecord,
    _ context: inout WorkerContext
  ) {
    let now = Clock.realtime / 1000
    // Lent for the call: the log borrows the name that it writes.
    let name = marks.contains(.hasName) ? context.names[Int(index)] : ServerName()
    let protocols =
      marks.contains(.hasHello) && context.tables.frontends[Int(frontend)].logsProtocols
      ? context.protocols[Int(index)] : ProtocolNames()
    var session = LoggedSession(
      record, serverName: name.bytes.span, protocolNames: protocols.wire.span,
      helloType: helloType, helloVersion: helloVersion)
    session.place = context.place(of: self)
    if let refusal {
      context.log.refuse(session, refusal, context.rules, now: now)
    } else {
      context.log.log(session, moment, context.rules, now: now)
    }
  }

  /// Writes the line of a connection that is over: why it was refused, or how the session went.
  func announceEnd(_ reason: CloseReason, _ context: inout WorkerContext) {
    switch reason {
    case .deniedConnection, .deniedSession: break
    case .notTLS, .badHello, .helloTimeout, .unknownName, .badProxyHeader, .proxyHeaderTimeout:
      guard context.tables.frontends[Int(frontend)].isLogged else { return }
      announce(.ended, refusalText(reason, context), logRecord(reason, context), &context)
    default:
      if marks.contains(.isSession) { announce(.ended, reason, &context) }
    }
  }

  /// The most that is known of why: what the parser said, if it was the parser.
  private func refusalText(
    _ reason: CloseReason, _ context: borrowing WorkerContext
  ) -> StaticString {
    guard reason == .notTLS || reason == .badHello, inspection >= 0 else { return reason.text }
    return context.inspections[inspection].parser.verdict.text
  }

  private func logRecord(
    _ reason: CloseReason, _ context: borrowing WorkerContext
  ) -> SessionLogRecord {
    var record = SessionLogRecord()
    record.accepted = acceptedWall
    record.number = id
    record.frontend = frontend
    record.bind = Int32(context.tables.listeners[Int(listener)].bind)
    record.client = source
    record.destination = destination
    record.waitDuration = Int32(clamping: waitTime)
    record.totalDuration = context.now - accepted
    record.bytesUp = countedUp
    record.bytesDown = countedDown
    record.cause = reason.letter
    record.state = reason.stateLetter ?? phase.letter
    record.processConnections = UInt32(clamping: context.tables.process.shared[.current].value)
    let entered = context.tables.frontends[Int(frontend)].slot
    record.frontendConnections = UInt32(clamping: entered.shared[.current].value)
    record.retries = UInt32(retries)
    record.isRedispatched = marks.contains(.redispatched)
    record.serverQueue = aheadInServer
    record.backendQueue = aheadInBackend
    if backend >= 0 {
      record.backend = backend
      let slot = context.tables.backends[Int(backend)].slot
      record.backendConnections = UInt32(clamping: slot.shared[.current].value)
    }
    if lastTarget >= 0 { describeServer(&record, context) }
    return record
  }

  private func describeServer(
    _ record: inout SessionLogRecord, _ context: borrowing WorkerContext
  ) {
    let slot = context.tables.servers[Int(lastTarget)].slot
    record.server = Int32(context.tables.servers[Int(lastTarget)].index)
    record.serverConnections = UInt32(clamping: slot.shared[.current].value)
    record.hasServerConnection = connected > 0
    if connected > 0 {
      record.connectDuration = Int32(clamping: connected - accepted - waitTime)
    }
    guard context.tables.frontends[Int(frontend)].logsServerEnds else { return }
    switch self.server {
    case .some(let socket):
      record.source = socket.localEndpoint()
      record.target = socket.peerEndpoint()
    case .none: break
    }
  }
}
