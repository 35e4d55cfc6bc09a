import Configuration
import Ledger
import Linux
import Wire

// The fourth stage: connects to the server, and to another, or again, when that fails.

extension Connection {
  /// Begins to connect, or learns what became of it.
  mutating func dial(_ context: inout WorkerContext) -> Step {
    if dialed == 0 { return connect(&context) }
    guard serverSide.canWrite else { return .wait }
    // Writable without an error is connected: no need to ask. Where an end was reported too the
    // socket knows which it was.
    if serverSide.sawEnd, let error = server.pendingError() {
      return failed(error == .timedOut ? .connectTimeout : .connectFailed, &context)
    }
    return beginRelay(&context)
  }

  private mutating func connect(_ context: inout WorkerContext) -> Step {
    let server = Int(target)
    let slot = context.tables.servers[server].slot
    slot.count(.sessions)
    RateGauge(sessionsOf: slot.shared).count(second: context.second)
    slot.shared[.lastSession].store(wallSecond(at: context.now))
    if waitTime < 0 { waitTime = context.now - accepted }
    dialed = context.now
    serverSide = Side()
    if context.tables.servers[server].needsDestination { learnDestination() }
    do throws(Errno) {
      let isConnected: Bool
      if let path = context.tables.servers[server].path {
        let socket = try Descriptor.socket(.stream, for: context.tables.paths[path])
        isConnected = try socket.connect(to: context.tables.paths[path])
        self.server = consume socket
      } else {
        guard let endpoint = address(of: server, context.tables) else {
          return failed(.connectFailed, &context)
        }
        let socket = try Descriptor.socket(.stream, for: endpoint)
        try socket.set(.noDelay, to: true)
        if context.tables.servers[server].source != .none {
          try socket.set(.bindAddressNoPort, to: true)
          try socket.bind(to: .internet(context.tables.servers[server].source))
        }
        let userTimeout = context.tables.servers[server].userTimeout
        if userTimeout > 0 { try socket.set(.userTimeout, to: userTimeout) }
        isConnected = try socket.connect(to: endpoint)
        self.server = consume socket
      }
      if isConnected {
        serverSide.canWrite = true
        return beginRelay(&context)
      }
      return .wait
    } catch {
      self.server = nil
      return error.isExhaustion || error == .addressNotAvailable
        ? .close(.noResources) : failed(.connectFailed, &context)
    }
  }

  /// Where the server is now: what was set at run time, else what the file says.
  private func address(of server: Int, _ tables: borrowing Tables) -> Endpoint? {
    var endpoint = tables.servers[server].endpoint
    if let override = tables.servers[server].slot.shared.address {
      let port = endpoint.port
      endpoint = override
      if endpoint.port == 0 { endpoint.port = port }
    } else if tables.servers[server].isOriginal {
      guard destination != .none else { return nil }
      let port = endpoint.port
      endpoint = destination
      if tables.servers[server].portOffset == nil { endpoint.port = port }
    } else if !tables.servers[server].hasEndpoint {
      return nil
    }
    if let offset = tables.servers[server].portOffset {
      endpoint.port = UInt16(truncatingIfNeeded: Int(destination.port) + offset)
    }
    return endpoint
  }

  // MARK: Failure

  /// The server did not take the connection: tries another, or the same again after a rest, or gives
  /// up.
  mutating func failed(_ reason: CloseReason, _ context: inout WorkerContext) -> Step {
    let backend = context.tables.backends[Int(self.backend)]
    let slot = context.tables.servers[Int(target)].slot
    server = nil
    serverSide = Side()
    guard attemptsLeft > 0 else {
      slot.count(.connectErrors)
      return .close(reason)
    }
    attemptsLeft -= 1
    retries += 1
    if redispatches(backend, context.tables) {
      leaveServer(&context)
      // As in the reference, an attempt elsewhere is no retry of this server.
      slot.count(.redispatches)
      backend.slot.count(.redispatches)
      marks.insert(.redispatched)
      wanted = -1
      let step = chooseServer(&context)
      if step != .close(.noServer) { return step }
      return .close(reason)
    }
    slot.count(.retries)
    backend.slot.count(.retries)
    // The same server again: at once after a timeout, else after a second, since what refuses now
    // refuses in a millisecond too.
    dialed = 0
    phase = .resting
    deadline =
      reason == .connectTimeout ? context.now : context.now + min(1_000, backend.connect)
    return .wait
  }

  /// Whether the next attempt goes to another server.
  ///
  /// As in the reference: balancing that picks anew each time does so at the first failure if there
  /// is another server; the others at the retries that `option redispatch` names.
  private func redispatches(_ backend: BackendEntry, _ tables: borrowing Tables) -> Bool {
    guard backend.redispatch != 0 else { return false }
    let others = backend.servers.contains {
      $0 != Int(target) && Balancer.isUsable($0, tables)
    }
    guard others else { return false }
    if backend.balance != .source, wanted < 0 { return true }
    return backend.redispatch > 0
      ? Int(retries) % backend.redispatch == 0
      : Int(attemptsLeft) == -backend.redispatch - 1
  }

  /// Gives back the place in the server.
  mutating func leaveServer(_ context: inout WorkerContext) {
    guard target >= 0 else { return }
    context.tables.servers[Int(target)].slot.leave()
    context.gavePlaceBack(server: Int(target))
    target = -1
  }

  // MARK: Success

  /// Connected: what was read goes first, behind a PROXY header if the server wants one.
  ///
  /// The server is not read from until an event says that it has sent something: in TLS it never
  /// speaks first, and the look would cost a call for each connection.
  private mutating func beginRelay(_ context: inout WorkerContext) -> Step {
    connected = context.now
    serverActive = context.now
    clientActive = context.now
    phase = .relaying
    context.tables.servers[Int(target)].slot.count(.connects)
    context.tables.backends[Int(backend)].slot.count(.connects)
    guard prepareUpload(context.tables.servers[Int(target)].proxyHeader, &context) else {
      return .close(.noResources)
    }
    if marks.contains(.clientEnded) { upload.endSource() }
    announce(.connected, .done, &context)
    return .advance
  }

  private mutating func prepareUpload(
    _ header: SendProxy, _ context: inout WorkerContext
  ) -> Bool {
    var buffer = Buffer.none
    var start = Inspection.headroom
    var end = Inspection.headroom
    if inspection >= 0 {
      buffer = context.inspections[inspection].buffer
      start = context.inspections[inspection].start
      end = context.inspections[inspection].end
      context.inspections.release(inspection)
      inspection = -1
    } else if header != .none {
      buffer = context.engine.buffers.take()
      if buffer.isNone { return false }
    } else {
      return true
    }
    let length = header == .none ? 0 : writeHeader(header, into: buffer, before: start, &context)
    if start - length == end {
      context.engine.buffers.release(buffer)
    } else {
      upload.hold(buffer, start - length..<end, countingFrom: start)
    }
    return true
  }

  /// Writes the header just in front of `start`, and returns its length.
  private func writeHeader(
    _ header: SendProxy, into buffer: Buffer, before start: Int, _ context: inout WorkerContext
  ) -> Int {
    let from = WireAddress(source)
    let to = WireAddress(destination)
    var scratch = InlineArray<400, UInt8>(repeating: 0)
    var room = scratch.mutableSpan
    let length =
      header == .version1
      ? ProxyHeader.encodeV1(source: from, destination: to, into: &room)
      : ProxyHeader.encodeV2(source: from, destination: to, into: &room)
    var output = context.engine.buffers.mutableSpan(buffer, start - length..<start)
    for index in 0..<length { output[index] = scratch[index] }
    return length
  }
}

extension Optional where Wrapped == Descriptor {
  /// The error that waits on the socket, if there is one.
  borrowing func pendingError() -> Errno? {
    switch self {
    case .none: nil
    case .some(let socket): socket.pendingError()
    }
  }
}
