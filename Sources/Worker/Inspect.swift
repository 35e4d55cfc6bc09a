import Ledger
import Linux
import Rules
import Wire

// The second stage: reads what must be known before a server can be chosen, and asks the rules.

extension Connection {
  /// Reads one portion of what the client has sent, and goes on to the rules if it may be decided on.
  ///
  /// The hello is read, not peeked: it is sent on first once a server is connected, so nothing is
  /// parsed twice and a slow one cannot make the loop spin. No more is read than is needed: what
  /// follows the hello stays in the kernel for the relay.
  mutating func inspect(_ context: inout WorkerContext) -> Step {
    if inspection < 0, !beginInspection(&context) { return .close(.noResources) }
    if let reason = read(&context) { return .close(reason) }
    if phase == .header {
      let step = readProxyHeader(&context)
      guard step == .advance, phase == .inspecting else { return step }
    }
    parse(&context)
    if let reason = refusal(&context) { return .close(reason) }
    if needsWholeHello(context) { return clientSide.canRead ? .advance : .wait }
    phase = .routing
    return .advance
  }

  /// Whether the listener carries TLS, and the hello is not whole yet.
  private func needsWholeHello(_ context: borrowing WorkerContext) -> Bool {
    context.tables.listeners[Int(listener)].carriesTLS
      && context.inspections[inspection].parser.verdict == .needMore
  }

  private mutating func beginInspection(_ context: inout WorkerContext) -> Bool {
    guard let record = context.inspections.take() else { return false }
    inspection = record
    let buffer = context.engine.buffers.take()
    context.inspections[record].buffer = buffer
    context.inspections[record].start = Inspection.headroom
    context.inspections[record].end = Inspection.headroom
    if inspectionStart == 0 { inspectionStart = context.now }
    return !buffer.isNone
  }

  /// Reads one portion, if there is any.
  private mutating func read(_ context: inout WorkerContext) -> CloseReason? {
    guard clientSide.canRead else { return nil }
    if isFull(context), !moveToLargeBuffer(&context) {
      context.inspections[inspection].isFinal = true
      return nil
    }
    let buffer = context.inspections[inspection].buffer
    let end = context.inspections[inspection].end
    let size = context.engine.buffers.size(of: buffer)
    switch receive(into: buffer, at: end..<size, &context) {
    case .failure: return .clientAborted
    case .success(.blocked):
      clientSide.canRead = false
    case .success(.ended):
      // What was sent is decided on as it is; the end travels on with it.
      marks.insert(.clientEnded)
      clientSide.canRead = false
      context.inspections[inspection].isFinal = true
      return context.inspections[inspection].count == 0 ? .probe : nil
    case .success(.moved(let count)):
      context.inspections[inspection].end += count
      if end + count < size, clientSide.shortReadEmpties { clientSide.canRead = false }
    }
    return nil
  }

  private func isFull(_ context: borrowing WorkerContext) -> Bool {
    let record = context.inspections[inspection]
    return record.end == context.engine.buffers.size(of: record.buffer)
  }

  private func receive(
    into buffer: Buffer, at range: Range<Int>, _ context: inout WorkerContext
  ) -> Result<Transfer, Errno> {
    switch client {
    case .none: preconditionFailure("inspecting without a client")
    case .some(let client):
      do throws(Errno) {
        var room = context.engine.buffers.mutableSpan(buffer, range)
        return .success(try client.receive(into: &room))
      } catch {
        return .failure(error)
      }
    }
  }

  /// A hello in records of one byte is six times as large as it says.
  private func moveToLargeBuffer(_ context: inout WorkerContext) -> Bool {
    let small = context.inspections[inspection].buffer
    guard context.engine.buffers.size(of: small) == BufferPool.smallSize else { return false }
    let large = context.engine.buffers.takeLarge()
    if large.isNone { return false }
    let range = context.inspections[inspection].start..<context.inspections[inspection].end
    context.engine.buffers.copy(small, range, to: large, at: range.lowerBound)
    context.engine.buffers.release(small)
    context.inspections[inspection].buffer = large
    return true
  }

  // MARK: What was read

  private mutating func readProxyHeader(_ context: inout WorkerContext) -> Step {
    let record = context.inspections[inspection]
    let verdict = ProxyHeader.parse(
      context.engine.buffers.span(record.buffer, record.start..<record.end))
    switch verdict {
    case .needMore:
      if record.isFinal { return .close(.badProxyHeader) }
      return clientSide.canRead ? .advance : .wait
    case .notProxy, .malformed:
      return .close(.badProxyHeader)
    case .complete(let header):
      context.inspections[inspection].start += header.length
      if header.hasAddresses, header.command == .proxy {
        source = Endpoint(header.source)
        destination = Endpoint(header.destination)
      }
      marks.insert(.hadHeader)
      return beginSession(&context)
    }
  }

  /// Gives the parser what it has not seen.
  mutating func parse(_ context: inout WorkerContext) {
    guard context.inspections.parse(inspection, in: context.engine.buffers) else { return }
    if context.inspections[inspection].parser.verdict == .complete {
      marks.insert(.hasHello)
      helloType = context.inspections[inspection].parser.hello.helloType
      helloVersion = context.inspections[inspection].parser.hello.legacyVersion
      if context.tables.frontends[Int(frontend)].logsProtocols {
        context.protocols[Int(index)] = context.inspections[inspection].parser.hello.alpn
      }
    }
    if !context.inspections[inspection].parser.hello.serverName.isEmpty {
      context.names[Int(index)] = context.inspections[inspection].parser.hello.serverName
      marks.insert(.hasName)
    }
  }

  /// Whether a listener that carries TLS refuses what came. Nil while it cannot know.
  private func refusal(_ context: inout WorkerContext) -> CloseReason? {
    let entry = context.tables.listeners[Int(listener)]
    guard entry.carriesTLS else { return nil }
    let record = context.inspections[inspection]
    switch record.parser.verdict {
    case .notTLS: return .notTLS
    case .malformed, .tooLarge: return .badHello
    case .needMore: return record.isFinal ? (record.count == 0 ? .probe : .badHello) : nil
    case .complete: break
    }
    guard entry.strictNames, let names = entry.certificateNames else { return nil }
    let name = record.parser.hello.serverName
    return context.rules.covers(name.bytes.span, by: names) ? nil : .unknownName
  }
}

extension WorkerContext {
  /// A question to the rules.
  enum Question {
    case connection(frontend: Int)
    case session(frontend: Int)
    case content(frontend: Int)
    case backend(frontend: Int)
    case backendContent(backend: Int)
    case server(backend: Int, from: Int)

    /// Connection and session rules see no byte of the request, though some may have come behind a
    /// PROXY header: they never wait, and are heard once.
    fileprivate var seesRequest: Bool {
      switch self {
      case .connection, .session: false
      case .content, .backend, .backendContent, .server: true
      }
    }
  }

  enum Answer {
    case verdict(Verdict)
    case route(Route)
  }

  /// Asks the rules about a connection as it is known now.
  ///
  /// It is `delayed` where an inspection delay is set: then the whole request is worth waiting for,
  /// and not only the hello.
  borrowing func ask(
    _ question: Question, of connection: borrowing Connection, delayed: Bool = false
  ) -> Answer {
    guard connection.inspection >= 0, question.seesRequest else {
      var facts = Facts(client: connection.source, destination: connection.destination)
      facts.place = place(of: connection)
      return answer(question, facts)
    }
    let record = connection.inspection
    let (start, end) = (inspections[record].start, inspections[record].end)
    let buffer = inspections[record].buffer
    let isFinal = inspections[record].isFinal
    let awaiting: Facts.Awaiting = isFinal ? .nothing : delayed ? .request : .hello
    let parser = inspections[record].parser
    var facts = Facts(
      client: connection.source, destination: connection.destination, parser: parser,
      request: engine.buffers.span(buffer, start..<end), awaiting: awaiting,
      certificateNames: tables.listeners[Int(connection.listener)].certificateNames)
    facts.place = place(of: connection)
    return answer(question, facts)
  }

  /// Which parts of the configuration serve a connection, as rules and log lines name them.
  borrowing func place(of connection: borrowing Connection) -> Facts.Place {
    var place = Facts.Place()
    place.connection = Int(connection.index)
    place.frontend = Int(connection.frontend)
    place.bind = tables.listeners[Int(connection.listener)].bind
    place.backend = Int(connection.backend)
    if connection.lastTarget >= 0 {
      place.server = tables.servers[Int(connection.lastTarget)].index
    }
    return place
  }

  private borrowing func answer(_ question: Question, _ facts: borrowing Facts) -> Answer {
    switch question {
    case .connection(let frontend):
      .verdict(rules.connectionVerdict(frontend: frontend, facts))
    case .session(let frontend):
      .verdict(rules.sessionVerdict(frontend: frontend, facts))
    case .content(let frontend):
      .verdict(rules.contentVerdict(frontend: frontend, facts))
    case .backend(let frontend):
      .route(rules.backend(frontend: frontend, facts))
    case .backendContent(let backend):
      .verdict(rules.contentVerdict(backend: backend, facts))
    case .server(let backend, let first):
      .route(rules.server(backend: backend, facts, from: first))
    }
  }
}

extension Endpoint {
  /// The end that a PROXY header names.
  init(_ address: WireAddress) {
    switch address.family {
    case .inet: self.init(address: IPAddress(ipv4: address.inetNumber), port: address.port)
    case .inet6:
      self.init(address: IPAddress(high: address.high, low: address.low), port: address.port)
    case .none, .unix: self = .none
    }
  }
}

extension WireAddress {
  init(_ endpoint: Endpoint) {
    if endpoint == .none {
      self = .none
    } else if endpoint.address.isIPv4 {
      self = .inet(endpoint.address.ipv4, port: endpoint.port)
    } else {
      self = .inet6(high: endpoint.address.high, low: endpoint.address.low, port: endpoint.port)
    }
  }
}
