import Configuration
import Linux
import Rules

/// Everything that lines are made of and that does not change: names and formats, as bytes.
struct SessionLogText {
  private var store = ByteStore()
  private var pieces: [LogPiece] = []
  /// By frontend: its formats among the pieces.
  private var formats: [Formats] = []

  private struct Formats {
    var session: Range<Int>
    /// Nil for the reference's own line.
    var refusal: Range<Int>?
    /// Empty where there is none.
    var structured = 0..<0
  }

  private var frontends: [ByteStore.Part] = []
  private var backends: [ByteStore.Part] = []
  /// By frontend and by backend: where its first bind or server is in the next two.
  private var firstBinds: [Int] = []
  private var firstServers: [Int] = []
  private var binds: [ByteStore.Part] = []
  /// What stands for the port of a client on a unix socket.
  private var bindNumbers: [Int] = []
  private var servers: [ByteStore.Part] = []
  private let hostname: ByteStore.Part
  private let processID: Int

  init(_ configuration: ProxyConfiguration, hostname: String, processID: Int) {
    self.hostname = store.insert(hostname.utf8)
    self.processID = processID
    for frontend in configuration.frontends { insert(frontend) }
    for backend in configuration.backends {
      backends.append(store.insert(backend.identity.name.utf8))
      firstServers.append(servers.count)
      for server in backend.servers { servers.append(store.insert(server.name.utf8)) }
    }
  }

  private mutating func insert(_ frontend: Frontend) {
    frontends.append(store.insert(frontend.identity.name.utf8))
    firstBinds.append(binds.count)
    for (index, bind) in frontend.binds.enumerated() {
      let number = bind.id ?? index + 1
      binds.append(store.insert((bind.name ?? String(number)).utf8))
      bindNumbers.append(number)
    }
    // Numbered as `LogSettings.items` has them.
    var samples = 0
    let session = insert(frontend.log.format.items, &samples)
    let refusal = frontend.log.errorFormat.map { insert($0, &samples) }
    let structured = insert(frontend.log.structuredData, &samples)
    formats.append(Formats(session: session, refusal: refusal, structured: structured))
  }

  /// - Returns: where the items are among the pieces.
  private mutating func insert(_ items: [LogItem], _ samples: inout Int) -> Range<Int> {
    let start = pieces.count
    for item in items {
      pieces += item.pieces(in: &store, sample: samples)
      if case .sample = item { samples += 1 }
    }
    return start..<pieces.count
  }

  // MARK: What is no longer in the configuration

  /// Adds a frontend whose lines are those of `option tcplog`.
  mutating func addFrontend(_ name: String) {
    frontends.append(store.insert(name.utf8))
    firstBinds.append(binds.count)
    var samples = 0
    formats.append(Formats(session: insert(LogItem.tcp, &samples)))
  }

  /// - Returns: the index of the bind within its frontend.
  mutating func addBind(_ name: String, number: Int, of frontend: Int) -> Int {
    binds.append(store.insert(name.utf8))
    bindNumbers.append(number)
    return binds.count - 1 - firstBinds[frontend]
  }

  mutating func addBackend(_ name: String) {
    backends.append(store.insert(name.utf8))
    firstServers.append(servers.count)
  }

  /// - Returns: the index of the server within its backend.
  mutating func addServer(_ name: String, of backend: Int) -> Int {
    servers.append(store.insert(name.utf8))
    return servers.count - 1 - firstServers[backend]
  }

  // MARK: Lines

  /// `Connect from 127.0.0.1:37146 to 127.0.0.1:19002 (f2/TCP)`
  ///
  /// - Returns: Where the message ends in the buffer; so do the two below.
  func putConnect(_ record: SessionLogRecord, into buffer: inout LineBuffer) -> Int {
    var line = buffer.message()
    if record.client == .none {
      line.append("Connect to unix:")
      line.append(decimal: bindNumber(record.frontend, record.bind))
    } else {
      line.append("Connect from ")
      append(record.client, to: &line)
      line.append(" to ")
      append(record.destination, to: &line)
    }
    line.append(" (")
    line.append(store.span(frontends[Int(record.frontend)]))
    line.append("/TCP)")
    return line.end
  }

  /// The line of the frontend's `error-log-format`, else
  /// `127.0.0.1:36844 [24/Nov/2026:15:06:45.767] f4/b5: MESSAGE`.
  func putRefusal(
    _ session: borrowing LoggedSession, _ rules: borrowing RuleSet, date: LogDate,
    into buffer: inout LineBuffer
  ) -> Int {
    let record = session.record
    var line = buffer.message()
    if let own = formats[Int(record.frontend)].refusal {
      put(own, session, rules, date: date, isEarly: false, to: &line)
      return line.end
    }
    if record.client == .none {
      line.append("unix:")
      line.append(decimal: bindNumber(record.frontend, record.bind))
    } else {
      append(record.client, to: &line)
    }
    line.append(" [")
    date.appendAcceptMilliseconds(to: &line)
    line.append("] ")
    line.append(store.span(frontends[Int(record.frontend)]))
    line.append("/")
    line.append(store.span(binds[firstBinds[Int(record.frontend)] + Int(record.bind)]))
    line.append(": ")
    line.append(session.refusal)
    return line.end
  }

  /// The line of the frontend's format.
  func put(
    _ session: borrowing LoggedSession, _ rules: borrowing RuleSet, date: LogDate, isEarly: Bool,
    into buffer: inout LineBuffer
  ) -> Int {
    var line = buffer.message()
    let format = formats[Int(session.record.frontend)].session
    put(format, session, rules, date: date, isEarly: isEarly, to: &line)
    return line.end
  }

  /// The structured data of the frontend's lines; 0 bytes where it has none.
  func putStructuredData(
    _ session: borrowing LoggedSession, _ rules: borrowing RuleSet, date: LogDate, isEarly: Bool,
    into buffer: inout LineBuffer
  ) -> Int {
    let format = formats[Int(session.record.frontend)].structured
    guard !format.isEmpty else { return 0 }
    var line = buffer.message()
    put(format, session, rules, date: date, isEarly: isEarly, to: &line)
    return line.end
  }

  private func put(
    _ format: Range<Int>, _ session: borrowing LoggedSession, _ rules: borrowing RuleSet,
    date: LogDate, isEarly: Bool, to line: inout LineWriter
  ) {
    for index in format {
      let piece = pieces[index]
      switch piece.content {
      case .text(let range): line.append(store.span(range))
      case .separator: line.separate()
      case .variable(let variable):
        if isEarly, variable.isTotal { line.append("+") }
        if variable.isDate {
          append(variable, piece.encoding, date, to: &line)
        } else if variable == .requestHeaders {
          append(capturesOf: session, rules, piece.encoding, to: &line)
        } else {
          append(variable, piece.encoding, session, to: &line)
        }
      case .sample(let sample):
        if case .computed(let number) = sample.fetch {
          append(computed: number, piece.encoding, session, rules, to: &line)
        } else {
          append(sample, piece.encoding, session, to: &line)
        }
      }
    }
  }

  private func append(_ endpoint: Endpoint, to line: inout LineWriter) {
    line.append(endpoint.address)
    line.append(":")
    line.append(decimal: UInt64(endpoint.port))
  }

  private func bindNumber(_ frontend: Int32, _ bind: Int32) -> Int {
    bindNumbers[firstBinds[Int(frontend)] + Int(bind)]
  }

  // MARK: Variables

  private func append(
    _ variable: LogVariable, _ encoding: LogEncoding, _ session: borrowing LoggedSession,
    to line: inout LineWriter
  ) {
    let record = session.record
    switch variable {
    case .clientAddress: append(address: record.client, encoding, to: &line)
    case .frontendAddress: append(address: record.destination, encoding, to: &line)
    case .sourceAddress: append(end: record.source, encoding, record, to: &line)
    case .serverAddress: append(end: record.target, encoding, record, to: &line)

    case .clientPort: append(port: record.client, encoding, record, to: &line)
    case .frontendPort: append(port: record.destination, encoding, record, to: &line)
    case .sourcePort: append(endPort: record.source, encoding, record, to: &line)
    case .serverPort: append(endPort: record.target, encoding, record, to: &line)

    case .frontendName, .frontendTransport:
      append(text: store.span(frontends[Int(record.frontend)]), encoding, to: &line)
    case .backendName:
      append(text: store.span(backendName(of: record)), encoding, to: &line)
    case .serverName: appendServer(record, encoding, to: &line)
    case .hostname: append(text: store.span(hostname), encoding, to: &line)
    case .uniqueID: append(text: session.uniqueID, encoding, to: &line)

    case .processConnections: line.append(decimal: UInt64(record.processConnections))
    case .frontendConnections: line.append(decimal: UInt64(record.frontendConnections))
    case .backendConnections: line.append(decimal: UInt64(record.backendConnections))
    case .serverConnections: line.append(decimal: UInt64(record.serverConnections))
    case .retries:
      if record.isRedispatched { line.append("+") }
      line.append(decimal: UInt64(record.retries))
    case .serverQueue: line.append(decimal: UInt64(record.serverQueue))
    case .backendQueue: line.append(decimal: UInt64(record.backendQueue))

    case .waitTime: line.append(decimal: Int(record.waitDuration))
    case .connectTime: line.append(decimal: Int(record.connectDuration))
    case .totalTime, .activeTime, .userTime:
      line.append(decimal: Int(record.totalDuration))
    case .dataTime: line.append(decimal: dataDuration(record))
    case .handshakeTime: line.append(decimal: Int(record.handshakeDuration))
    case .idleTime, .requestTime, .queryTime, .responseTime: line.append("-1")

    case .bytesDown:
      line.append(decimal: record.bytesDown)
    case .bytesUp: line.append(decimal: record.bytesUp)
    case .termination, .terminationWithCookie:
      line.append(record.cause)
      line.append(record.state)
      if variable == .terminationWithCookie { line.append("--") }
    case .status: line.append("0")

    case .processID: append(number: UInt64(processID), encoding, digits: 4, to: &line)
    case .sessionNumber: append(number: record.number, encoding, digits: 4, to: &line)

    case .requestCookie, .responseCookie, .cipher, .version:
      append(text: Span(), encoding, to: &line)
    case .lineCount: line.append(decimal: session.lineCount)
    case .refusal: append(shortText: session.refusal, encoding, to: &line)
    case .request, .method, .path, .pathOnly, .query, .uri, .httpVersion:
      append(text: ("<BADREQ>" as StaticString).bytes, encoding, to: &line)
    case .requestHeaders, .requestHeaderList, .responseHeaders, .responseHeaderList: break
    case .date, .dateUTC, .dateLocal, .seconds, .milliseconds, .requestDate, .requestDateUTC,
      .requestDateLocal:
      preconditionFailure("a date is not the session's")
    }
  }

  private func append(
    _ variable: LogVariable, _ encoding: LogEncoding, _ date: LogDate, to line: inout LineWriter
  ) {
    switch variable {
    case .dateUTC, .requestDateUTC: date.appendAcceptUTC(to: &line)
    case .dateLocal, .requestDateLocal: date.appendAcceptZone(to: &line)
    case .seconds: append(number: UInt64(date.secondsSince1970), encoding, digits: 4, to: &line)
    case .milliseconds:
      let milliseconds = UInt64(date.microsecond / 1000)
      if encoding.contains(.hexadecimal) {
        line.append(hexadecimal: milliseconds, digits: 2)
      } else {
        line.append(decimal: milliseconds, digits: 3)
      }
    default: date.appendAcceptMilliseconds(to: &line)
    }
  }

  /// From the connect to the end.
  private func dataDuration(_ record: SessionLogRecord) -> Int {
    guard record.connectDuration >= 0 else { return -1 }
    let before = max(0, Int(record.waitDuration)) + Int(record.connectDuration)
    return max(0, Int(record.totalDuration) - before)
  }

  /// Sessions that never got a backend are logged under their frontend's name.
  private func backendName(of record: SessionLogRecord) -> ByteStore.Part {
    record.backend >= 0 ? backends[Int(record.backend)] : frontends[Int(record.frontend)]
  }

  private func appendServer(
    _ record: SessionLogRecord, _ encoding: LogEncoding, to line: inout LineWriter
  ) {
    if record.backend >= 0, record.server >= 0 {
      let index = firstServers[Int(record.backend)] + Int(record.server)
      append(text: store.span(servers[index]), encoding, to: &line)
    } else {
      append(text: ("<NOSRV>" as StaticString).bytes, encoding, to: &line)
    }
  }

  // MARK: Samples

  private func append(
    _ sample: LogSample, _ encoding: LogEncoding, _ session: borrowing LoggedSession,
    to line: inout LineWriter
  ) {
    let record = session.record
    switch sample.fetch {
    case .source: append(sampled: record.client, encoding, to: &line)
    case .destination: append(sampled: record.destination, encoding, to: &line)
    case .sourcePort: append(sampled: Int(record.client.port), encoding, to: &line)
    case .destinationPort: append(sampled: Int(record.destination.port), encoding, to: &line)
    case .helloType: append(sampled: Int(session.helloType), encoding, to: &line)
    case .helloVersion:
      let version = session.helloVersion
      append(sampled: Int(version >> 8) << 16 | Int(version & 0xff), encoding, to: &line)
    case .always(let value): append(shortText: value ? "1" : "0", encoding, to: &line)
    case .serverName: append(text: session.serverName, encoding, sample, to: &line)
    case .applicationProtocols: append(names: session.protocolNames, encoding, sample, to: &line)
    case .computed: preconditionFailure("computed by the rules")
    }
  }

  /// `{first|second}`: what was captured, slot by slot; nothing where there are no slots.
  private func append(
    capturesOf session: borrowing LoggedSession, _ rules: borrowing RuleSet,
    _ encoding: LogEncoding, to line: inout LineWriter
  ) {
    let frontend = Int(session.record.frontend)
    let count = rules.captureCount(frontend: frontend)
    guard count > 0 else { return }
    if encoding.contains(.quoted) { line.append("\"") }
    line.append("{")
    let facts = session.facts
    for slot in 0..<count {
      if slot > 0 { line.append("|") }
      guard let text = rules.captureText(frontend: frontend, slot, facts) else { continue }
      for index in text.indices { append(text[index], encoding, to: &line) }
    }
    line.append("}")
    if encoding.contains(.quoted) { line.append("\"") }
  }

  private func append(
    computed number: Int, _ encoding: LogEncoding, _ session: borrowing LoggedSession,
    _ rules: borrowing RuleSet, to line: inout LineWriter
  ) {
    let facts = session.facts
    let text = rules.logText(frontend: Int(session.record.frontend), number, facts)
    if let text {
      append(text: text, encoding, to: &line)
    } else {
      append(text: Span(), encoding, to: &line)
    }
  }

  /// The names of an ALPN list, with commas between them.
  private func append(
    names list: Span<UInt8>, _ encoding: LogEncoding, _ sample: LogSample,
    to line: inout LineWriter
  ) {
    if list.isEmpty { return append(text: list, encoding, to: &line) }
    if encoding.contains(.quoted) { line.append("\"") }
    var nextLength = 0
    for index in list.indices {
      if index == nextLength {
        nextLength += 1 + Int(list[index])
        if index > 0 { line.append(",") }
      } else {
        append(sample.fold(list[index]), encoding, to: &line)
      }
    }
    if encoding.contains(.quoted) { line.append("\"") }
  }

  private func append(
    sampled endpoint: Endpoint, _ encoding: LogEncoding, to line: inout LineWriter
  ) {
    if endpoint == .none {
      append(text: Span(), encoding, to: &line)
    } else {
      let text = AddressText(endpoint.address)
      append(text: text.span, encoding, to: &line)
    }
  }

  /// A number that is there unless it is 0.
  private func append(sampled value: Int, _ encoding: LogEncoding, to line: inout LineWriter) {
    if value == 0 { return append(text: Span(), encoding, to: &line) }
    if encoding.contains(.quoted) { line.append("\"") }
    line.append(decimal: value)
    if encoding.contains(.quoted) { line.append("\"") }
  }

  // MARK: Values

  private func append(
    shortText text: StaticString, _ encoding: LogEncoding, to line: inout LineWriter
  ) {
    append(text: text.bytes, encoding, to: &line)
  }

  /// A text that may come from a stranger: what is not printable is written `#XX`, so that nobody
  /// forges a line. Without text, `-` or `""`.
  private func append(
    text: Span<UInt8>, _ encoding: LogEncoding, _ sample: LogSample = LogSample(fetch: .serverName),
    to line: inout LineWriter
  ) {
    if text.isEmpty { return line.append(encoding.contains(.quoted) ? "\"\"" : "-") }
    if encoding.contains(.quoted) { line.append("\"") }
    for index in text.indices { append(sample.fold(text[index]), encoding, to: &line) }
    if encoding.contains(.quoted) { line.append("\"") }
  }

  private func append(_ byte: UInt8, _ encoding: LogEncoding, to line: inout LineWriter) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "]"):
      if encoding.contains(.escaped) {
        line.append("\\")
        line.append(byte)
      } else if byte == UInt8(ascii: "\""), encoding.contains(.quoted) {
        line.append("#22")
      } else {
        line.append(byte)
      }
    case 0x20...0x7e:
      line.append(byte)
    default:
      line.append("#")
      line.append(hexadecimal: UInt64(byte), digits: 2)
    }
  }

  private func append(
    address endpoint: Endpoint, _ encoding: LogEncoding, to line: inout LineWriter
  ) {
    if endpoint == .none {
      append(shortText: "unix", encoding, to: &line)
    } else if encoding.contains(.hexadecimal) {
      append(hexadecimal: endpoint.address, to: &line)
    } else {
      let text = AddressText(endpoint.address)
      append(text: text.span, encoding, to: &line)
    }
  }

  private func append(hexadecimal address: IPAddress, to line: inout LineWriter) {
    if address.isIPv4 { return line.append(hexadecimal: UInt64(address.ipv4), digits: 8) }
    line.append(hexadecimal: address.high, digits: 16)
    line.append(hexadecimal: address.low, digits: 16)
  }

  private func append(
    port endpoint: Endpoint, _ encoding: LogEncoding, _ record: SessionLogRecord,
    to line: inout LineWriter
  ) {
    if endpoint == .none {
      line.append(decimal: bindNumber(record.frontend, record.bind))
    } else {
      append(number: UInt64(endpoint.port), encoding, digits: 4, to: &line)
    }
  }

  /// An end of the connection to the server, if there was one.
  private func append(
    end endpoint: Endpoint, _ encoding: LogEncoding, _ record: SessionLogRecord,
    to line: inout LineWriter
  ) {
    if record.hasServerConnection {
      append(address: endpoint, encoding, to: &line)
    } else {
      append(text: Span(), encoding, to: &line)
    }
  }

  private func append(
    endPort endpoint: Endpoint, _ encoding: LogEncoding, _ record: SessionLogRecord,
    to line: inout LineWriter
  ) {
    if record.hasServerConnection {
      append(number: UInt64(endpoint.port), encoding, digits: 4, to: &line)
    } else {
      append(text: Span(), encoding, to: &line)
    }
  }

  private func append(
    number: UInt64, _ encoding: LogEncoding, digits: Int, to line: inout LineWriter
  ) {
    if encoding.contains(.hexadecimal) {
      line.append(hexadecimal: number, digits: digits)
    } else {
      line.append(decimal: number)
    }
  }
}

extension LogSample {
  fileprivate func fold(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): lowers ? byte | 0x20 : byte
    case UInt8(ascii: "a")...UInt8(ascii: "z"): uppers ? byte & ~0x20 : byte
    default: byte
    }
  }
}
