import Ledger
import Linux
import Synchronization
import Wire

// The last stage: reason ► ledger ► log ► place freed.

extension Connection {
  /// Tells the ledger how the connection ended, and gives back all that it holds but its place and
  /// its descriptors: those go with the place.
  mutating func finish(_ reason: CloseReason, _ context: inout WorkerContext) {
    countUnrelayed(&context)
    countReason(reason, context)
    // Who waited in vain has waited all the same.
    if phase == .queued { waitTime = context.now - accepted }
    if connected > 0 { sampleTimes(context) }
    leaveQueue(&context)
    leaveServer(&context)
    if marks.contains(.inBackend) { context.tables.backends[Int(backend)].slot.leave() }
    // The line counts the session among the frontend's, and no longer among the server's: as the
    // reference has it.
    announceEnd(reason, &context)
    if marks.contains(.counted) { leaveFrontend(&context) }
    upload.release(into: &context.engine)
    download.release(into: &context.engine)
    releaseInspection(&context)
    prepareSockets(reason, context)
  }

  /// Bytes that the client sent, of a connection that no server got: those that were read, or that
  /// wait where nothing had to be read before a server was there.
  private mutating func countUnrelayed(_ context: inout WorkerContext) {
    guard inspection >= 0 || connected == 0 && marks.contains(.isSession) else { return }
    let count =
      inspection >= 0
      ? UInt64(context.inspections[inspection].count)
      : UInt64(min(client.bytesUnread(), BufferPool.smallSize))
    guard count > 0 else { return }
    let listener = context.tables.listeners[Int(self.listener)].slot
    context.tables.frontends[Int(frontend)].slot.count(.bytesUp, count)
    listener.count(.bytesUp, count)
    context.tables.process.count(.bytesUp, count)
    if marks.contains(.inBackend) {
      context.tables.backends[Int(backend)].slot.count(.bytesUp, count)
    }
    countedUp = count
  }

  private func countReason(_ reason: CloseReason, _ context: borrowing WorkerContext) {
    let frontend = context.tables.frontends[Int(self.frontend)].slot
    let listener = context.tables.listeners[Int(self.listener)].slot
    func countInFront(_ counter: Counter) {
      frontend.count(counter)
      listener.count(counter)
    }
    switch reason {
    case .denied: countInFront(.deniedRequests)
    case .deniedSession: countInFront(.deniedSessions)
    case .deniedConnection: countInFront(.deniedConnections)
    case .silentlyDropped:
      countInFront(marks.contains(.isSession) ? .deniedRequests : .deniedConnections)
    case .notTLS:
      countInFront(.notTLS)
      countInFront(.requestErrors)
    case .badHello:
      countInFront(.badHellos)
      countInFront(.requestErrors)
    case .helloTimeout:
      countInFront(.helloTimeouts)
      countInFront(.requestErrors)
    case .unknownName:
      countInFront(.unknownNames)
      countInFront(.deniedRequests)
    case .badProxyHeader, .proxyHeaderTimeout: countInFront(.badProxyHeaders)
    case .clientAborted, .clientTimeout:
      if connected == 0 {
        if marks.contains(.isSession) { countInFront(.requestErrors) }
      } else {
        countInBack(.clientAborts, context)
      }
    case .serverAborted, .serverTimeout: countInBack(.serverAborts, context)
    case .noServer, .connectFailed, .connectTimeout, .queueTimeout, .queueFull, .noResources:
      if marks.contains(.inBackend) {
        context.tables.backends[Int(backend)].slot.count(.connectErrors)
      }
    case .done, .probe, .shutDown, .serverDown, .stopping: break
    }
  }

  private func countInBack(_ counter: Counter, _ context: borrowing WorkerContext) {
    context.tables.backends[Int(backend)].slot.count(counter)
    if lastTarget >= 0 { context.tables.servers[Int(lastTarget)].slot.count(counter) }
  }

  /// Adds this connection's times to the averages.
  private func sampleTimes(_ context: borrowing WorkerContext) {
    let queueing = queued > 0 ? UInt64(max(0, dialed - queued)) : 0
    let connecting = UInt64(max(0, connected - dialed))
    let total = UInt64(max(0, context.now - accepted))
    func sample(_ slot: Slot) {
      slot.shared.sample(.queueTime, queueing)
      slot.shared.sample(.connectTime, connecting)
      slot.shared.sample(.totalTime, total)
      slot.shared[.queueTimeMaximum].raise(to: queueing)
      slot.shared[.connectTimeMaximum].raise(to: connecting)
      slot.shared[.totalTimeMaximum].raise(to: total)
    }
    sample(context.tables.backends[Int(backend)].slot)
    sample(context.tables.servers[Int(lastTarget)].slot)
  }

  private mutating func leaveFrontend(_ context: inout WorkerContext) {
    context.tables.listeners[Int(listener)].slot.leave()
    context.tables.frontends[Int(frontend)].slot.leave()
    context.tables.process.leave()
    context.gavePlacesBack = true
    let frontend = context.tables.frontends[Int(self.frontend)].slot
    context.wakePaused(frontend)
  }

  mutating func releaseInspection(_ context: inout WorkerContext) {
    guard inspection >= 0 else { return }
    let buffer = context.inspections[inspection].buffer
    if !buffer.isNone { context.engine.buffers.release(buffer) }
    context.inspections.release(inspection)
    inspection = -1
  }

  /// Tells a client in TLS that nobody of that name is here, so that its error says why.
  private func sendAlert(to client: borrowing Descriptor, _ context: borrowing WorkerContext) {
    let alert = TLSAlert(.unrecognizedName, offered: helloVersion)
    let bytes = alert.bytes
    _ = try? client.send(bytes.span)
  }

  /// Chooses between an end of stream and a reset for what close(2) will do.
  private func prepareSockets(_ reason: CloseReason, _ context: borrowing WorkerContext) {
    switch client {
    case .some(let client):
      if reason == .unknownName { sendAlert(to: client, context) }
      if reason == .silentlyDropped {
        // Where the kernel does not let us vanish, a reset is the next best.
        if !client.vanishOnClose() { client.resetOnClose() }
      } else if reason.resetsClient || reason == .serverAborted && connected > 0
        || context.tables.frontends[Int(frontend)].noLinger
      {
        client.resetOnClose()
      }
    case .none: break
    }
    switch server {
    case .some(let server):
      if reason.resetsServer || reason == .clientAborted && connected > 0
        || context.tables.backends[Int(backend)].noLinger
      {
        server.resetOnClose()
      }
    case .none: break
    }
  }
}

extension WorkerContext {
  /// Rings for workers that rest since this frontend, or the process, was full.
  borrowing func wakePaused(_ frontend: Slot) {
    // Either they see the place that was given back, or they are seen here: see WaitQueues.append.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    wake(frontend)
    wake(tables.process)
  }

  private borrowing func wake(_ slot: Slot) {
    guard slot.shared[.queued].value > 0 else { return }
    for lane in 0..<ledger.lanesEverUsed where lane != self.lane {
      if ledger.counters(slot: slot.number, lane: lane)[.queuedShare].value > 0 {
        doorbells.ring(lane: lane)
      }
    }
  }
}

extension Optional where Wrapped == Descriptor {
  /// Bytes that wait on the socket, if there is one.
  fileprivate borrowing func bytesUnread() -> Int {
    switch self {
    case .none: 0
    case .some(let socket): socket.bytesUnread()
    }
  }
}
