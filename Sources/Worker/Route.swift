import Ledger
import Linux
import Rules
import Synchronization

// The third stage: rules ► backend ► balance ► server, or a queue, or a refusal.

extension Connection {
  /// Chooses the backend, then a server of it, as soon as the rules know enough.
  mutating func route(_ context: inout WorkerContext) -> Step {
    if backend < 0 {
      let step = askContentRules(&context) ?? chooseBackend(&context)
      // Rules that need more have gone back to reading: then `advance` means that there is some.
      guard step == .advance, phase == .routing else { return step }
    }
    let chosen = Int(backend)
    if inspection < 0,
      context.tables.backends[chosen].readsHello || context.tables.backends[chosen].readsRequest
    {
      phase = .inspecting
      inspectionStart = context.now
      return .advance
    }
    if context.tables.backends[chosen].hasContentRules {
      let answer = context.ask(
        .backendContent(backend: chosen), of: self,
        delayed: context.tables.backends[chosen].hasInspectDelay)
      guard case .verdict(let verdict) = answer else { preconditionFailure() }
      switch verdict {
      case .wait: return waitForBackendRules(&context)
      case .reject: return .close(.denied)
      case .silentDrop: return .close(.silentlyDropped)
      case .accept, .expectProxyHeader: break
      }
    }
    if context.tables.backends[chosen].hasServerRules, wanted < 0 {
      guard chooseServerByRule(&context) else { return waitForBackendRules(&context) }
    }
    return chooseServer(&context)
  }

  /// Asks the frontend's content rules, until they have accepted. Nil when they have.
  private mutating func askContentRules(_ context: inout WorkerContext) -> Step? {
    guard context.tables.frontends[Int(frontend)].hasContentRules,
      !marks.contains(.contentAccepted)
    else { return nil }
    let answer = context.ask(
      .content(frontend: Int(frontend)), of: self,
      delayed: context.tables.frontends[Int(frontend)].hasInspectDelay)
    guard case .verdict(let verdict) = answer else { preconditionFailure() }
    switch verdict {
    case .wait: return waitForMore()
    case .reject: return .close(.denied)
    case .silentDrop: return .close(.silentlyDropped)
    case .accept, .expectProxyHeader:
      marks.insert(.contentAccepted)
      return nil
    }
  }

  /// A backend's rules have a delay of their own, from the moment they first wait.
  private mutating func waitForBackendRules(_ context: inout WorkerContext) -> Step {
    if !marks.contains(.backendWaits) {
      marks.insert(.backendWaits)
      inspectionStart = context.now
      if inspection >= 0, !marks.contains(.clientEnded) {
        context.inspections[inspection].isFinal = false
      }
    }
    return waitForMore()
  }

  /// Goes back to reading: the rules need what may still come.
  private mutating func waitForMore() -> Step {
    phase = .inspecting
    return clientSide.canRead ? .advance : .wait
  }

  private mutating func chooseBackend(_ context: inout WorkerContext) -> Step {
    let answer = context.ask(
      .backend(frontend: Int(frontend)), of: self,
      delayed: context.tables.frontends[Int(frontend)].hasInspectDelay)
    guard case .route(let route) = answer else { preconditionFailure() }
    switch route {
    case .wait: return waitForMore()
    case .target(let index, _): backend = Int32(index)
    case .none: backend = Int32(context.tables.frontends[Int(frontend)].defaultBackend)
    }
    guard backend >= 0 else { return .close(.noServer) }
    let slot = context.tables.backends[Int(backend)].slot
    _ = slot.enter()
    slot.raiseMaximum()
    slot.count(.sessions)
    RateGauge(sessionsOf: slot.shared).count(second: context.second)
    slot.shared[.lastSession].store(wallSecond(at: context.now))
    marks.insert(.inBackend)
    attemptsLeft = Int16(clamping: context.tables.backends[Int(backend)].retries)
    return .advance
  }

  /// `use-server`: the first rule that matches and whose server can be reached.
  ///
  /// - Returns: false when a rule needs what may still come.
  private mutating func chooseServerByRule(_ context: inout WorkerContext) -> Bool {
    let first = context.tables.backends[Int(backend)].servers.lowerBound
    let delayed = context.tables.backends[Int(backend)].hasInspectDelay
    var from = 0
    while true {
      let answer = context.ask(
        .server(backend: Int(backend), from: from), of: self, delayed: delayed)
      guard case .route(let route) = answer else { preconditionFailure() }
      switch route {
      case .wait: return false
      case .none: return true
      case .target(let number, let rule):
        let server = first + number
        if Balancer.isReachable(server, context.tables) {
          wanted = Int32(server)
          return true
        }
        from = rule + 1
      }
    }
  }

  /// Takes a place in a server, or waits for one.
  mutating func chooseServer(_ context: inout WorkerContext) -> Step {
    let queue = context.queues.queue(backend: Int(backend), wanted: Int(wanted))
    let slot = context.slot(ofQueue: Int(wanted), backend: Int(backend))
    // Those who wait already have the older claim to a place, if there is one to come.
    let mayCome =
      wanted >= 0 || context.balancer.hasUsable(backend: Int(backend), context.tables)
    if mayCome, slot.shared[.queued].value > 0 { return wait(in: queue, slot, &context) }

    let choice: Balancer.Choice
    if wanted >= 0 {
      choice = context.balancer.only(Int(wanted), context.tables)
    } else {
      choice = context.balancer.choose(
        backend: Int(backend), for: source.address, avoiding: Int(lastTarget), context.tables)
    }
    switch choice {
    case .server(let server):
      assign(server, &context)
      return .advance
    case .full(let only):
      wanted = Int32(only)
      let queue = context.queues.queue(backend: Int(backend), wanted: only)
      return wait(in: queue, context.slot(ofQueue: only, backend: Int(backend)), &context)
    case .none:
      return .close(.noServer)
    }
  }

  private mutating func wait(
    in queue: Int, _ slot: Slot, _ context: inout WorkerContext
  ) -> Step {
    if wanted >= 0 {
      let limit = context.tables.servers[Int(wanted)].maxQueue
      if slot.shared[.queued].value >= limit { return .close(.queueFull) }
      aheadInServer = UInt32(clamping: slot.shared[.queued].value)
    } else {
      aheadInBackend = UInt32(clamping: slot.shared[.queued].value)
    }
    let backendSlot = context.tables.backends[Int(backend)].slot
    let ticket = backendSlot.shared[.nextTicket].fetchAdd(1)
    context.queues.append(Int(index), to: queue, ticket: ticket, slot)
    marks.insert(.isQueued)
    queued = context.now
    phase = .queued
    // A place may have become free between looking and joining the queue.
    context.mayHavePlaces(backend: Int(backend))
    return .wait
  }

  /// Leaves the queue, for a server or for good.
  mutating func leaveQueue(_ context: inout WorkerContext) {
    guard marks.contains(.isQueued) else { return }
    marks.remove(.isQueued)
    context.queues.remove(
      Int(index), context.slot(ofQueue: Int(wanted), backend: Int(backend)))
  }

  /// A place in the server has been taken for this connection.
  mutating func assign(_ server: Int, _ context: inout WorkerContext) {
    target = Int32(server)
    lastTarget = Int32(server)
    let slot = context.tables.servers[server].slot
    slot.raiseMaximum()
    slot.count(.selected)
    context.tables.backends[Int(backend)].slot.count(.selected)
    phase = .dialing
    dialed = 0
  }
}

extension WorkerContext {
  /// The slot that counts who waits: the backend's, or the one server's.
  borrowing func slot(ofQueue wanted: Int, backend: Int) -> Slot {
    wanted < 0 ? tables.backends[backend].slot : tables.servers[wanted].slot
  }

  /// Notes that a server of the backend may have a place for who waits longest.
  mutating func mayHavePlaces(backend: Int) {
    if !backendsToServe.contains(backend) { backendsToServe.append(backend) }
  }

  /// Notes that a place in a server was given back.
  mutating func gavePlaceBack(server: Int) {
    // Seen by who begins to wait meanwhile, or who waits is seen here: see WaitQueues.append.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let backend = tables.servers[server].backend
    if tables.servers[server].slot.shared[.queued].value > 0
      || tables.backends[backend].slot.shared[.queued].value > 0
    {
      mayHavePlaces(backend: backend)
    }
  }
}
