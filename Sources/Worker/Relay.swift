import Ledger
import Linux

// The fifth stage: carries bytes both ways until both ends are done.

extension Connection {
  /// Keepalive on the server's socket is asked for when a connection has lived this long: short
  /// ones, which are most, are spared the four calls.
  static let keepaliveDelay: Milliseconds = 10_000

  /// How long a reset waits for what was owed to arrive while nothing of it does.
  static let resetPatience: Milliseconds = 2_000

  /// Whether a direction moves more than passes through a buffer at once.
  var isBulk: Bool { phase == .relaying && (upload.isBulk || download.isBulk) }

  /// Gives each direction its turn.
  mutating func relay(_ context: inout WorkerContext) -> Step {
    let moved = (upload.received, upload.inFlight, download.received, download.inFlight)
    let (up, down) = pump(&context.engine)
    account(&context)
    if upload.received != moved.0 || download.delivered != moved.2 &- UInt64(moved.3) {
      clientActive = context.now
    }
    if download.received != moved.2 || upload.delivered != moved.0 &- UInt64(moved.1) {
      serverActive = context.now
    }
    return verdict(up, down, &context)
  }

  private mutating func pump(_ engine: inout RelayEngine) -> (Channel.Need, Channel.Need) {
    switch client {
    case .none: preconditionFailure("relaying without a client")
    case .some(let client):
      switch server {
      case .none: preconditionFailure("relaying without a server")
      case .some(let server):
        let up = upload.pump(
          from: client, &clientSide, to: server, &serverSide, with: &engine,
          closing: download.isFinished)
        let down = download.pump(
          from: server, &serverSide, to: client, &clientSide, with: &engine,
          closing: upload.isFinished)
        return (up, down)
      }
    }
  }

  private mutating func verdict(
    _ up: Channel.Need, _ down: Channel.Need, _ context: inout WorkerContext
  ) -> Step {
    switch (up, down) {
    case (.sourceFailed, _), (_, .sinkFailed): return breakDown(.clientAborted, &context)
    case (.sinkFailed, _), (_, .sourceFailed): return breakDown(.serverAborted, &context)
    case (.nothing, .nothing): return .close(.done)
    case (.anotherTurn, _), (_, .anotherTurn): return .again
    default: return .wait
    }
  }

  /// Tells the counters of what has come since they were last told.
  mutating func account(_ context: inout WorkerContext) {
    let up = upload.received &- countedUp
    let down = download.received &- countedDown
    guard up | down != 0 else { return }
    countedUp = upload.received
    countedDown = download.received
    let spliced = upload.spliced &+ download.spliced &- countedSpliced
    countedSpliced = countedSpliced &+ spliced
    let frontend = context.tables.frontends[Int(self.frontend)].slot
    let listener = context.tables.listeners[Int(self.listener)].slot
    let backend = context.tables.backends[Int(self.backend)].slot
    let server = context.tables.servers[Int(lastTarget)].slot
    frontend.count(.bytesUp, up)
    frontend.count(.bytesDown, down)
    listener.count(.bytesUp, up)
    listener.count(.bytesDown, down)
    backend.count(.bytesUp, up)
    backend.count(.bytesDown, down)
    server.count(.bytesUp, up)
    server.count(.bytesDown, down)
    let process = context.tables.process
    process.count(.bytesUp, up)
    process.count(.bytesDown, down)
    guard spliced != 0 else { return }
    process.count(.bytesSpliced, spliced)
    frontend.count(.bytesSpliced, spliced)
    listener.count(.bytesSpliced, spliced)
    backend.count(.bytesSpliced, spliced)
    server.count(.bytesSpliced, spliced)
  }

  // MARK: Resets

  /// One end is gone. What it had sent is still delivered; then the other end is told by a reset, as
  /// the network would have told it: an end of stream would pass a torn transfer off as whole.
  private mutating func breakDown(
    _ reason: CloseReason, _ context: inout WorkerContext
  ) -> Step {
    broken = reason
    phase = .resetting
    deadline = context.now + Self.resetPatience
    return .advance
  }

  /// Delivers what is owed, waits until the kernel has delivered it too, and resets.
  ///
  /// What the broken end had sent may still lie in its socket: it is read to its end, since who
  /// answers without reading on, and closes, answers all the same. SO_LINGER of zero throws away
  /// what the other side has not acknowledged, so its queue must be empty first, or patience be over.
  mutating func settleReset(_ context: inout WorkerContext) -> Step {
    let (need, unacknowledged) = deliver(&context.engine)
    account(&context)
    let delivered = broken == .clientAborted ? upload.delivered : download.delivered
    let settled = delivered &- UInt64(unacknowledged)
    if settled != settledBefore {
      settledBefore = settled
      deadline = context.now + Self.resetPatience
    }
    if context.now >= deadline { return .close(broken) }
    switch need {
    case .sinkFailed: return .close(broken)
    case .nothing, .sourceFailed: return unacknowledged == 0 ? .close(broken) : .wait
    case .anotherTurn: return .again
    case .readableSource, .writableSink: return .wait
    }
  }

  /// Gives the end that is left what it takes, and says what its kernel has not acknowledged.
  private mutating func deliver(
    _ engine: inout RelayEngine
  ) -> (Channel.Need, unacknowledged: Int) {
    switch client {
    case .none: preconditionFailure("relaying without a client")
    case .some(let client):
      switch server {
      case .none: preconditionFailure("relaying without a server")
      case .some(let server):
        if broken == .clientAborted {
          let need = upload.pump(
            from: client, &clientSide, to: server, &serverSide, with: &engine, closing: true)
          return (need, server.bytesUnacknowledged())
        }
        let need = download.pump(
          from: server, &serverSide, to: client, &clientSide, with: &engine, closing: true)
        return (need, client.bytesUnacknowledged())
      }
    }
  }
}
