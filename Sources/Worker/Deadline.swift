import Configuration
import Linux
import Wire

// When a connection must be looked at though nothing happens, and what happens then.

extension Connection {
  /// How often a reset that waits looks whether what was owed has arrived.
  static let resetInterval: Milliseconds = 16

  /// When the connection is due, by the phase it is in.
  func nextDeadline(_ context: borrowing WorkerContext) -> Milliseconds {
    switch phase {
    case .free, .routing: return .never
    case .header: return accepted + context.tables.frontends[Int(frontend)].clientHandshake
    case .inspecting: return min(inspectionStart + inspectionLimit(context), clientDue(context))
    case .queued: return queued + context.tables.backends[Int(backend)].queue
    case .resting: return deadline
    case .dialing: return dialed + context.tables.backends[Int(backend)].connect
    case .resetting: return min(deadline, context.now + Self.resetInterval)
    case .relaying:
      let due = min(clientDue(context), serverDue(context))
      return needsKeepalive(context) ? min(due, keepaliveDue) : due
    }
  }

  private func inspectionLimit(_ context: borrowing WorkerContext) -> Milliseconds {
    backend >= 0
      ? context.tables.backends[Int(backend)].inspection
      : context.tables.frontends[Int(frontend)].inspection
  }

  /// `timeout client`, or `tunnel` once a tunnel, or `client-fin` once half of it has ended.
  private func clientDue(_ context: borrowing WorkerContext) -> Milliseconds {
    if phase == .relaying {
      if upload.hasEnded || download.isFinished {
        let fin = context.tables.frontends[Int(frontend)].clientFin
        if fin < .never { return clientActive + fin }
      }
      let tunnel = context.tables.backends[Int(backend)].tunnel
      if tunnel < .never { return clientActive + tunnel }
    }
    return clientActive + context.tables.frontends[Int(frontend)].client
  }

  private func serverDue(_ context: borrowing WorkerContext) -> Milliseconds {
    if download.hasEnded || upload.isFinished {
      let fin = context.tables.backends[Int(backend)].serverFin
      if fin < .never { return serverActive + fin }
    }
    let tunnel = context.tables.backends[Int(backend)].tunnel
    return serverActive + (tunnel < .never ? tunnel : context.tables.backends[Int(backend)].server)
  }

  /// On a whole second or so, together with all that are due about then: a crowd of idle connections
  /// wakes the worker once a second and not once each.
  private var keepaliveDue: Milliseconds { (connected + Self.keepaliveDelay) | 1023 }

  private func needsKeepalive(_ context: borrowing WorkerContext) -> Bool {
    !marks.contains(.keepalive) && context.tables.backends[Int(backend)].keepaliveSet
  }

  /// The clock says that the connection is due.
  mutating func expire(_ context: inout WorkerContext) -> Step {
    let due = nextDeadline(context)
    guard due <= context.now || phase == .resetting else { return .wait }
    switch phase {
    case .free, .routing: return .wait
    case .header: return .close(.proxyHeaderTimeout)
    case .inspecting: return inspectionOver(&context)
    case .queued: return .close(.queueTimeout)
    case .resting:
      phase = .dialing
      return .advance
    case .dialing: return failed(.connectTimeout, &context)
    case .resetting: return settleReset(&context)
    case .relaying: return relayOver(&context)
    }
  }

  /// The wait is over: what is missing is not there, and the rules decide on what is.
  private mutating func inspectionOver(_ context: inout WorkerContext) -> Step {
    guard inspection >= 0 else { return .close(.clientTimeout) }
    guard context.now >= inspectionStart + inspectionLimit(context) else {
      return .close(.clientTimeout)
    }
    let entry = context.tables.listeners[Int(listener)]
    let record = context.inspections[inspection]
    if entry.carriesTLS, record.parser.verdict == .needMore {
      return .close(.helloTimeout)
    }
    if record.isFinal { return .close(.clientTimeout) }
    context.inspections[inspection].isFinal = true
    return .advance
  }

  private mutating func relayOver(_ context: inout WorkerContext) -> Step {
    if clientDue(context) <= context.now { return .close(.clientTimeout) }
    if serverDue(context) <= context.now { return .close(.serverTimeout) }
    marks.insert(.keepalive)
    let keepalive = context.tables.backends[Int(backend)].keepalive
    switch server {
    case .some(let server): server.keepAlive(keepalive)
    case .none: break
    }
    return .wait
  }
}

extension Descriptor {
  /// Asks the kernel to find out when the peer is gone. Where it will not, the timeouts do.
  ///
  /// - SeeAlso: `SO_KEEPALIVE` in socket(7), `TCP_KEEPIDLE` and its like in tcp(7).
  borrowing func keepAlive(_ keepalive: Keepalive) {
    try? set(.keepaliveIdle, to: keepalive.idle)
    try? set(.keepaliveInterval, to: keepalive.interval)
    try? set(.keepaliveCount, to: keepalive.count)
    try? set(.keepalive, to: true)
  }
}
