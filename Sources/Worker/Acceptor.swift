import Ledger
import Linux
import Rules

// The first stage: takes connections in, a bounded number a lap.

/// What became of one attempt to take a connection in.
enum Admission: Equatable {
  /// A connection has the place of this index.
  case admitted(Int)
  /// Nobody waits.
  case none
  /// Nobody can be taken in until something changes.
  case paused(ListenerEntry.Pause)
}

extension ConnectionTable {
  /// Takes in one connection from a listener, unless a limit says that it must wait in the queue of
  /// the kernel: what cannot be served yet is neither accepted nor refused.
  mutating func admit(
    from listener: Int, _ socket: borrowing Descriptor, _ context: inout WorkerContext
  ) -> Admission {
    let place = context.tables.listeners[listener].slot
    let number = context.tables.listeners[listener].frontend
    let frontend = context.tables.frontends[number].slot
    if count == capacity { return .paused(.exhaustion) }
    guard context.tables.process.enter(limit: context.tables.processLimit) else {
      return .paused(.processLimit)
    }
    guard frontend.enter(limit: context.tables.frontends[number].limit) else {
      context.tables.process.leave()
      return .paused(.frontendLimit)
    }
    guard place.enter(limit: context.tables.listeners[listener].limit) else {
      frontend.leave()
      context.tables.process.leave()
      return .paused(.frontendLimit)
    }
    func leave() {
      place.leave()
      frontend.leave()
      context.tables.process.leave()
      // Another worker may have found no place while these were taken for nobody.
      context.wakePaused(frontend)
    }

    var peer = Endpoint.none
    do throws(Errno) {
      guard let client = try socket.accept(peer: &peer) else {
        leave()
        return .none
      }
      guard let index = take() else { preconditionFailure("a full table was not noticed") }
      self[index].begin(
        client, from: peer, listener: listener, index: index, &context)
      return .admitted(index)
    } catch {
      leave()
      context.ledger.lane(context.lane)[.acceptPauses].add(1)
      return .paused(.exhaustion)
    }
  }
}

extension Connection {
  /// Begins with an accepted socket; the places it takes in the gauges have been taken.
  mutating func begin(
    _ client: consuming Descriptor, from peer: Endpoint, listener: Int, index: Int,
    _ context: inout WorkerContext
  ) {
    self.client = consume client
    self.index = Int32(index)
    self.listener = Int32(listener)
    frontend = Int32(context.tables.listeners[listener].frontend)
    source = peer
    accepted = context.now
    clientActive = context.now
    acceptedWall = Clock.realtime / 1000
    let serial = context.ledger.lane(context.lane)[.serial]
    serial.add(1)
    id = serial.value << 8 | UInt64(context.lane)
    marks.insert(.counted)
    if context.rules.hasVariables { context.rules.forgetVariables(of: index) }
    phase = .header
    // A socket just accepted can be written to, and nearly always has its first bytes already.
    clientSide.canRead = true
    clientSide.canWrite = true

    let entered = context.tables.frontends[Int(frontend)].slot
    let place = context.tables.listeners[listener].slot
    entered.raiseMaximum()
    place.raiseMaximum()
    context.tables.process.raiseMaximum()
    entered.count(.connections)
    place.count(.connections)
    context.tables.process.count(.connections)
    RateGauge(connectionsOf: entered.shared).count(second: context.second)
    RateGauge(connectionsOf: context.tables.process.shared).count(second: context.second)
  }

  /// Asks the connection rules, and sends the connection to the stage that comes next for it.
  mutating func welcome(_ context: inout WorkerContext) -> Step {
    if context.tables.frontends[Int(frontend)].needsDestination { learnDestination() }
    if context.tables.frontends[Int(frontend)].hasConnectionRules {
      guard case .verdict(let verdict) = context.ask(.connection(frontend: Int(frontend)), of: self)
      else { preconditionFailure() }
      switch verdict {
      case .reject: return .close(.deniedConnection)
      case .silentDrop: return .close(.silentlyDropped)
      case .expectProxyHeader: marks.insert(.expectsHeader)
      case .accept, .wait: break
      }
    }
    if context.tables.listeners[Int(listener)].acceptsProxyHeader || marks.contains(.expectsHeader)
    {
      return .advance
    }
    return beginSession(&context)
  }

  /// The addresses are final: counts the session, asks the session rules, and says whether anything
  /// must be read.
  mutating func beginSession(_ context: inout WorkerContext) -> Step {
    let frontend = Int(self.frontend)
    if context.tables.frontends[frontend].hasSessionRules {
      guard case .verdict(let verdict) = context.ask(.session(frontend: frontend), of: self)
      else { preconditionFailure() }
      switch verdict {
      case .reject: return .close(.deniedSession)
      case .silentDrop: return .close(.silentlyDropped)
      case .accept, .expectProxyHeader, .wait: break
      }
    }
    marks.insert(.isSession)
    let entered = context.tables.frontends[frontend].slot
    let place = context.tables.listeners[Int(listener)].slot
    entered.count(.sessions)
    place.count(.sessions)
    context.tables.process.count(.sessions)
    RateGauge(sessionsOf: entered.shared).count(second: context.second)
    RateGauge(sessionsOf: place.shared).count(second: context.second)
    RateGauge(sessionsOf: context.tables.process.shared).count(second: context.second)

    announce(.began, .done, &context)

    let mustRead =
      context.tables.listeners[Int(listener)].carriesTLS
      || context.tables.frontends[frontend].readsHello
      || context.tables.frontends[frontend].readsRequest
    phase = mustRead ? .inspecting : .routing
    inspectionStart = mustRead ? context.now : 0
    return .advance
  }

  /// Where the client meant to go: rules, PROXY headers and log lines ask for it.
  mutating func learnDestination() {
    guard destination == .none else { return }
    switch client {
    case .some(let client): destination = client.localEndpoint()
    case .none: break
    }
  }
}
