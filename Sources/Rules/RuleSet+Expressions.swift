import Configuration
import Linux

extension RuleSet {
  /// Fetches a sample and runs its converters.
  func evaluate(_ index: UInt32, _ facts: borrowing Facts) -> Evaluation {
    let expression = expressionTable[Int(index)]
    let fetched = fetch(expression.fetch, facts)
    guard case .sample(var sample, let mayChange) = fetched else { return fetched }
    for index in expression.operations.indices {
      guard let next = apply(operations[index], to: sample, facts) else {
        return mayChange ? .unknown : .missing
      }
      sample = next
    }
    return .sample(sample, mayChange: mayChange)
  }

  // MARK: Fetches

  private func fetch(_ fetch: CompiledFetch, _ facts: borrowing Facts) -> Evaluation {
    switch fetch {
    case .source: address(facts.client)
    case .destination: address(facts.destination)
    case .sourcePort: port(facts.client)
    case .destinationPort: port(facts.destination)
    case .serverName, .applicationProtocols, .helloType, .helloVersion, .helloTicket,
      .helloHasGroups, .serverNameInCertificate, .helloList:
      hello(fetch, facts)
    case .requestLength:
      .sample(.number(facts.request.count), mayChange: facts.awaiting == .request)
    case .payload(let offset, let length):
      payload(Int(offset), Int(length), isOpen: length == 0, facts)
    case .payloadByLength(let offset, let size, let second, let isRelative):
      payloadByLength(Int(offset), Int(size), Int(second), isRelative, facts)
    case .waitEnd: facts.awaiting == .request ? .unknown : settled(.flag(true))
    case .protocolHTTP: protocolHTTP(facts)
    case .always(let value): settled(.flag(value))
    case .constant(let constant): settled(sample(of: constant))
    case .variable(let variable, let missing): self.variable(Int(variable), missing, facts)
    case .random(let below): settled(.number(Int.random(in: 0..<below)))
    case .date(let offset, let unit): settled(.number(Self.date(offset, unit)))
    case .process(let fact):
      settled(fact == .pid ? .number(Int(Process.id)) : text(gauges.hostname.span))
    case .identity(let identity): name(identity, facts)
    case .gauge(let gauge):
      gauges.number(of: gauge, facts).map {
        .sample(gauge.kind == .serverIsUp ? .flag($0 != 0) : .number($0), mayChange: false)
      } ?? .missing
    case .never, .computed: .missing
    }
  }

  private func settled(_ sample: Sample) -> Evaluation { .sample(sample, mayChange: false) }

  private func address(_ endpoint: Endpoint) -> Evaluation {
    endpoint == .none ? .missing : settled(.address(endpoint.address))
  }

  private func port(_ endpoint: Endpoint) -> Evaluation {
    endpoint.port == 0 ? .missing : settled(.number(Int(endpoint.port)))
  }

  private func text(_ bytes: Span<UInt8>, as type: SampleType = .string) -> Sample {
    .bytes(bench.put(bytes, on: 0), on: 0, as: type)
  }

  private func text(constant: Constant) -> Sample {
    text(constants.span.extracting(constant.range))
  }

  private func sample(of constant: ConstantSample) -> Sample {
    switch constant {
    case .boolean(let value): .flag(value)
    case .integer(let value): .number(value)
    case .address(let key): .address(IPAddress(high: key.high, low: key.low))
    case .string(let bytes): text(constant: bytes)
    case .binary(let bytes): text(constants.span.extracting(bytes.range), as: .binary)
    }
  }

  /// What is not there yet, though more of the request may bring it.
  private func shortage(_ facts: borrowing Facts) -> Evaluation {
    facts.awaiting == .request ? .unknown : .missing
  }

  private func hello(_ fetch: CompiledFetch, _ facts: borrowing Facts) -> Evaluation {
    switch facts.hello.state {
    case .incomplete: return facts.awaiting == .nothing ? .missing : .unknown
    case .absent: return .missing
    case .complete: break
    }
    switch fetch {
    case .serverName: return facts.serverName.isEmpty ? .missing : settled(text(facts.serverName))
    case .applicationProtocols:
      // Outside ACLs, which look at each of them, it is the first one.
      var names = ProtocolNameReader(facts.protocolNames)
      guard let first = names.next() else { return .missing }
      return settled(text(first))
    case .helloType: return settled(.number(Int(facts.hello.type)))
    case .helloVersion:
      let version = facts.hello.legacyVersion
      return settled(.number(Int(version >> 8) << 16 | Int(version & 0xff)))
    case .helloTicket: return facts.hello.ticket.map { settled(.number(Int($0))) } ?? .missing
    case .helloHasGroups: return facts.hello.hasGroups ? settled(.flag(true)) : .missing
    case .serverNameInCertificate:
      guard !facts.serverName.isEmpty, let names = facts.certificateNames else { return .missing }
      return settled(.flag(covers(facts.serverName, by: names)))
    case .helloList(let list):
      var lists = HelloLists(facts.request)
      return lists.copy(list, to: 0, of: bench).map { settled(.bytes($0, on: 0, as: .binary)) }
        ?? .missing
    default: return .missing
    }
  }

  private func payload(
    _ offset: Int, _ length: Int, isOpen: Bool, _ facts: borrowing Facts
  ) -> Evaluation {
    guard offset >= 0, offset + length <= bench.size else { return .missing }
    guard offset + length <= facts.request.count else { return shortage(facts) }
    let end = isOpen ? facts.request.count : offset + length
    return .sample(
      text(facts.request.extracting(offset..<end), as: .binary),
      mayChange: isOpen && facts.awaiting == .request)
  }

  private func payloadByLength(
    _ offset: Int, _ size: Int, _ second: Int, _ isRelative: Bool, _ facts: borrowing Facts
  ) -> Evaluation {
    guard offset + size <= facts.request.count else { return shortage(facts) }
    var length = 0
    for index in offset..<offset + size { length = length << 8 | Int(facts.request[index]) }
    guard length > 0 else { return .missing }
    let start = isRelative ? offset + size + second : second
    return payload(start, length, isOpen: false, facts)
  }

  private func protocolHTTP(_ facts: borrowing Facts) -> Evaluation {
    switch HTTPRequestLine.state(of: facts.request) {
    case .more: facts.awaiting == .request ? .unknown : settled(.flag(false))
    case .no: settled(.flag(false))
    case .yes: settled(.flag(true))
    }
  }

  private func variable(
    _ variable: Int, _ missing: Constant?, _ facts: borrowing Facts
  ) -> Evaluation {
    if let sample = variables.load(variable, of: facts.place.connection, on: 0, bench) {
      return settled(sample)
    }
    return missing.map { settled(text(constant: $0)) } ?? .missing
  }

  private static func date(_ offset: Int, _ unit: SampleExpression.TimeUnit) -> Int {
    let nanoseconds = Int(Clock.realtime)
    return switch unit {
    case .seconds: nanoseconds / 1_000_000_000 + offset
    case .milliseconds: nanoseconds / 1_000_000 + offset
    case .microseconds: nanoseconds / 1000 + offset
    }
  }

  private func name(
    _ identity: SampleExpression.Identity, _ facts: borrowing Facts
  ) -> Evaluation {
    let place = facts.place
    let entry: NameTable.Entry?
    switch identity {
    case .frontendName, .frontendID, .frontendDefault: entry = names.frontend(place)
    case .backendName, .backendID: entry = names.backend(place)
    case .serverName, .serverID: entry = names.server(place)
    case .bindName, .bindID: entry = names.bind(place)
    }
    guard let entry else { return .missing }
    switch identity {
    case .frontendID, .backendID, .serverID, .bindID: return settled(.number(entry.id))
    case .frontendDefault:
      return entry.fallback.map { settled(text(constant: $0)) } ?? .missing
    default: return entry.name.isEmpty ? .missing : settled(text(constant: entry.name))
    }
  }

  // MARK: Texts

  /// Puts a text together, on a side of its own. What has no value adds nothing.
  ///
  /// - Returns: its length; nil while a piece of it may still come.
  func assemble(_ pieces: Slice, _ facts: borrowing Facts) -> Int? {
    var end = 0
    for index in pieces.indices {
      switch self.pieces[index] {
      case .text(let constant):
        end = bench.put(
          constants.span.extracting(constant.range), on: Workbench.textSide, at: end)
      case .expression(let expression):
        switch evaluate(expression, facts) {
        case .unknown: return nil
        case .missing: continue
        case .sample(let sample, _):
          let text = cast(sample, to: .string) ?? sample
          end = bench.put(bench.span(text), on: Workbench.textSide, at: end)
        }
      }
    }
    return end
  }

  /// What `%[…]` of a log line says, as text; nil where it has no value. What the client sent is
  /// gone by then, but for the facts of its hello.
  @_lifetime(borrow self)
  public borrowing func logText(
    frontend: Int, _ number: Int, _ facts: borrowing Facts
  ) -> Span<UInt8>? {
    logText(of: logExpressions[frontends[frontend].log.start + number], facts)
  }

  /// How many slots of captures a frontend has.
  public borrowing func captureCount(frontend: Int) -> Int {
    frontends[frontend].captures.indices.count
  }

  /// What a slot of captures has kept, as text; nil if nothing.
  @_lifetime(borrow self)
  public borrowing func captureText(
    frontend: Int, _ slot: Int, _ facts: borrowing Facts
  ) -> Span<UInt8>? {
    logText(of: logExpressions[frontends[frontend].captures.start + slot], facts)
  }

  @_lifetime(borrow self)
  private borrowing func logText(of index: UInt32, _ facts: borrowing Facts) -> Span<UInt8>? {
    guard !expressionTable[Int(index)].fetch.needs.contains(.request),
      case .sample(let sample, _) = evaluate(index, facts),
      let text = cast(sample, to: .string)
    else { return nil }
    return bench.span(text)
  }

  // MARK: Actions

  /// Does what an action says; false while what it stores may still come.
  func perform(_ action: CompiledAction, _ facts: borrowing Facts) -> Bool {
    let connection = facts.place.connection
    switch action {
    case .unsetVariable(let variable): variables.unset(variable, of: connection)
    case .setVariable(let variable, let expression, let longest):
      switch evaluate(expression, facts) {
      case .unknown: return false
      // As in the reference, what has no value leaves the variable as it is.
      case .missing: break
      case .sample(let sample, _):
        variables.store(sample, in: variable, of: connection, cutAt: longest, bench)
      }
    case .setVariableText(let variable, let pieces):
      guard let count = assemble(pieces, facts) else { return false }
      variables.store(
        .bytes(count, on: Workbench.textSide), in: variable, of: connection, bench)
    }
    return true
  }
}
