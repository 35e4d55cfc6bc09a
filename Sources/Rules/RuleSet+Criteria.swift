import Configuration
import Linux

extension RuleSet {
  func truth(of condition: CompiledCondition, _ facts: borrowing Facts) -> Truth {
    var any = Truth.no
    for index in condition.alternatives.indices {
      any = max(any, truth(ofAll: alternatives[index], facts))
      if any == .yes { break }
    }
    return condition.isNegated ? !any : any
  }

  private func truth(ofAll set: Slice, _ facts: borrowing Facts) -> Truth {
    var all = Truth.yes
    for index in set.indices {
      let term = terms[index]
      let truth = truth(ofAny: term.criteria, facts)
      all = min(all, term.isNegated ? !truth : truth)
      if all == .no { break }
    }
    return all
  }

  func truth(ofAny set: Slice, _ facts: borrowing Facts) -> Truth {
    var any = Truth.no
    for index in set.indices {
      any = max(any, truth(of: criteria[index], facts))
      if any == .yes { break }
    }
    return any
  }

  /// Fetches the sample and puts it to the test.
  private func truth(of criterion: CompiledCriterion, _ facts: borrowing Facts) -> Truth {
    switch criterion.fetch {
    case .source: truth(of: criterion, address: facts.client)
    case .sourcePort: truth(of: criterion, port: facts.client)
    case .destination: truth(of: criterion, address: facts.destination)
    case .destinationPort: truth(of: criterion, port: facts.destination)
    case .serverName, .serverNameInCertificate, .helloType, .helloVersion, .applicationProtocols:
      helloTruth(of: criterion, facts)
    case .requestLength:
      Truth(
        matches(criterion, integer: facts.request.count), mayChange: facts.awaiting == .request)
    case .payload(let offset, let length):
      payloadTruth(of: criterion, offset: Int(offset), length: Int(length), facts)
    case .waitEnd:
      facts.awaiting == .request ? .unknown : Truth(matches(criterion, integer: 1))
    case .protocolHTTP: protocolTruth(of: criterion, facts)
    case .computed(let expression, _): computedTruth(of: criterion, expression, facts)
    case .helloTicket, .helloHasGroups, .helloList, .payloadByLength, .constant, .variable, .random,
      .date, .process, .identity, .gauge:
      preconditionFailure("fetched by expressions only")
    case .always(let value): Truth(matches(criterion, integer: value ? 1 : 0))
    case .never: .no
    }
  }

  private func truth(of criterion: CompiledCriterion, address endpoint: Endpoint) -> Truth {
    endpoint == .none ? .no : Truth(matches(criterion, address: endpoint.address))
  }

  private func truth(of criterion: CompiledCriterion, port endpoint: Endpoint) -> Truth {
    endpoint.port == 0 ? .no : Truth(matches(criterion, integer: Int(endpoint.port)))
  }

  private func helloTruth(of criterion: CompiledCriterion, _ facts: borrowing Facts) -> Truth {
    switch facts.hello.state {
    case .incomplete: return facts.awaiting == .nothing ? .no : .unknown
    case .absent: return .no
    case .complete: break
    }
    switch criterion.fetch {
    case .helloType:
      return Truth(matches(criterion, integer: Int(facts.hello.type)))
    case .helloVersion:
      let version = facts.hello.legacyVersion
      return Truth(matches(criterion, integer: Int(version >> 8) << 16 | Int(version & 0xff)))
    case .serverNameInCertificate:
      guard !facts.serverName.isEmpty, let names = facts.certificateNames else { return .no }
      return Truth(matches(criterion, integer: covers(facts.serverName, by: names) ? 1 : 0))
    case .applicationProtocols:
      return Truth(anyMatches(criterion, namesIn: facts.protocolNames))
    default:
      return Truth(!facts.serverName.isEmpty && matches(criterion, text: facts.serverName))
    }
  }

  /// ACLs look at each name of the list in turn, and one that matches is enough.
  private func anyMatches(_ criterion: CompiledCriterion, namesIn list: Span<UInt8>) -> Bool {
    var names = ProtocolNameReader(list)
    while let name = names.next() {
      if matches(criterion, text: name) { return true }
    }
    return false
  }

  private func payloadTruth(
    of criterion: CompiledCriterion, offset: Int, length: Int, _ facts: borrowing Facts
  ) -> Truth {
    let mayChange = facts.awaiting == .request
    guard offset + length <= facts.request.count else { return mayChange ? .unknown : .no }
    let end = length == 0 ? facts.request.count : offset + length
    var payload = facts.request.extracting(offset..<end)
    if criterion.endsAtNUL { payload = Self.beforeNUL(payload) }
    return Truth(matches(criterion, text: payload), mayChange: mayChange && length == 0)
  }

  private func computedTruth(
    of criterion: CompiledCriterion, _ expression: UInt32, _ facts: borrowing Facts
  ) -> Truth {
    switch evaluate(expression, facts) {
    case .unknown: return .unknown
    case .missing: return .no
    case .sample(let sample, let mayChange):
      let matched: Bool
      switch sample.type {
      case .boolean, .integer: matched = matches(criterion, integer: sample.integer)
      case .address: matched = matches(criterion, address: sample.address)
      case .any, .string, .binary: matched = matches(criterion, text: bench.span(sample))
      }
      return Truth(matched, mayChange: mayChange)
    }
  }

  private func protocolTruth(of criterion: CompiledCriterion, _ facts: borrowing Facts) -> Truth {
    switch HTTPRequestLine.state(of: facts.request) {
    case .more where facts.awaiting == .request: .unknown
    case .more, .no: Truth(matches(criterion, integer: 0))
    case .yes: Truth(matches(criterion, integer: 1))
    }
  }

  @_lifetime(copy bytes)
  private static func beforeNUL(_ bytes: Span<UInt8>) -> Span<UInt8> {
    for index in bytes.indices where bytes[index] == 0 { return bytes.extracting(..<index) }
    return bytes
  }

  // MARK: Tests

  // A sample is cast to what the test wants, as HAProxy casts it.

  private func matches(_ criterion: CompiledCriterion, integer value: Int) -> Bool {
    switch criterion.test {
    case .found: return true
    case .nonzero: return value != 0
    case .integer(let set): return integers.contains(value, in: set)
    case .address(let set):
      let address = IPAddress(ipv4: UInt32(truncatingIfNeeded: value))
      return addresses.contains(AddressKey(address), in: set)
    case .text, .length, .expression:
      let text = DecimalText(value)
      return matches(criterion, text: text.span)
    }
  }

  private func matches(_ criterion: CompiledCriterion, address: IPAddress) -> Bool {
    switch criterion.test {
    case .found: return true
    case .address(let set): return addresses.contains(AddressKey(address), in: set)
    case .nonzero, .integer:
      // IPv6 addresses have no number.
      return address.isIPv4 && matches(criterion, integer: Int(address.ipv4))
    case .text, .length, .expression:
      let text = AddressText(address)
      return matches(criterion, text: text.span)
    }
  }

  private func matches(_ criterion: CompiledCriterion, text bytes: Span<UInt8>) -> Bool {
    switch criterion.test {
    case .found: return true
    case .length(let set): return integers.contains(bytes.count, in: set)
    case .text(let table):
      return patterns.label(of: bytes, in: tables[Int(table)]) != PatternTables.noLabel
    case .expression(let set):
      return expressions.anyMatches(Text(bytes, folding: criterion.folding), in: set)
    case .nonzero, .integer:
      guard let value = Text(bytes, folding: .none).integer else { return false }
      return matches(criterion, integer: value)
    case .address(let set):
      // The compiler refuses to look for addresses in text, but a variable may hold one as text.
      guard let address = AddressReader.address(in: bytes) else { return false }
      return addresses.contains(AddressKey(address), in: set)
    }
  }
}

extension AddressKey {
  init(_ address: IPAddress) {
    self.init(high: address.high, low: address.low)
  }
}

/// Reads the names of an ALPN list as sent: each behind one byte that holds its length.
struct ProtocolNameReader: ~Escapable {
  private let list: Span<UInt8>
  private var position = 0

  @_lifetime(copy list)
  init(_ list: Span<UInt8>) {
    self.list = list
  }

  /// The next name, nil at the end or where the list is cut.
  @_lifetime(copy self)
  mutating func next() -> Span<UInt8>? {
    guard position < list.count else { return nil }
    let start = position + 1
    let end = start + Int(list[position])
    guard end <= list.count else { return nil }
    position = end
    return list.extracting(start..<end)
  }
}

/// A number as decimal text, on the stack.
struct DecimalText {
  private var bytes = InlineArray<20, UInt8>(repeating: 0)
  private var start = 20

  init(_ value: Int) {
    self.init(unsigned: UInt64(value.magnitude))
    if value < 0 { prepend(UInt8(ascii: "-")) }
  }

  init(unsigned value: UInt64) {
    var rest = value
    repeat {
      prepend(0x30 + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
  }

  private mutating func prepend(_ byte: UInt8) {
    start -= 1
    bytes[start] = byte
  }

  var span: Span<UInt8> {
    @_lifetime(borrow self)
    get { bytes.span.extracting(start..<20) }
  }
}
