import Configuration
import Glibc
import Linux
import Rules
import Testing

@testable import Worker

/// 2026-11-24 14:06:45.765767 UTC
let moment: Int64 = 1_795_529_205_765_767

/// The moment as strftime(3) writes it, in the time zone of whoever runs the tests.
func date(_ format: String, at microseconds: Int64 = moment) -> String {
  var seconds = time_t(microseconds / 1_000_000)
  var parts = tm()
  localtime_r(&seconds, &parts)
  var text = [CChar](repeating: 0, count: 64)
  let count = strftime(&text, text.count, format, &parts)
  return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A datagram socket that stands for a syslog server.
struct Listener: ~Copyable {
  let descriptor: Descriptor

  init(_ address: SocketAddress = .ip(IPAddress(ipv4: 0x7f00_0001), port: 0)) throws {
    let descriptor = try Descriptor.socket(.datagram, for: address)
    try descriptor.bind(to: address)
    self.descriptor = descriptor
  }

  var target: LogTarget {
    LogTarget(address: .udp(.internet(descriptor.localEndpoint())), facility: 16)
  }

  /// The next line, nil when there is none. Loopback delivers before sendto(2) returns.
  func next() throws -> String? {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var span = bytes.mutableSpan
    guard case .moved(let count) = try descriptor.receive(into: &span) else { return nil }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  func all() throws -> [String] {
    var lines: [String] = []
    while lines.count < 10_000, let line = try next() { lines.append(line) }
    return lines
  }
}

extension SourcePosition {
  static let start = SourcePosition(file: 0, line: 1, column: 1)
}

extension ProxyConfiguration {
  /// Frontend `f1` with the binds `b1` and a nameless one, backend `bk` with the server `s1`.
  init(_ format: LogSettings.Format, _ targets: LogTarget...) {
    self.init()
    var frontend = Frontend(identity: .init(name: "f1", id: 2, position: .start))
    var bind = Bind(address: .descriptor(3), text: "", position: .start)
    frontend.binds.append(bind)
    bind.name = "b1"
    frontend.binds.insert(bind, at: 0)
    frontend.log.format = format
    frontend.log.targets = targets
    frontends = [frontend]
    var backend = Backend(identity: .init(name: "bk", id: 3, position: .start))
    backend.servers = [
      Server(
        name: "s1", id: 1,
        address: ServerAddress(host: .original, port: .relative(0)), text: "", position: .start)
    ]
    backends = [backend]
  }

  func log(processID: Int = 19_690) -> SessionLog {
    let sink = LogSink(configuration: self, hostname: "vm", processID: processID)
    return SessionLog(configuration: self, sink: sink, hostname: "vm", processID: processID)
  }
}

extension SessionLogRecord {
  /// What the reference logged as `1/0/0 500 -- 1/1/0/0/0 0/0`.
  static var plain: SessionLogRecord {
    var record = SessionLogRecord()
    record.accepted = moment
    record.client = Endpoint(address: IPAddress(ipv4: 0x7f00_0001), port: 53_230)
    record.destination = Endpoint(address: IPAddress(ipv4: 0x7f00_0001), port: 19_001)
    record.backend = 0
    record.server = 0
    record.waitDuration = 1
    record.connectDuration = 0
    record.bytesUp = 5
    record.bytesDown = 500
    record.processConnections = 1
    record.frontendConnections = 1
    return record
  }

  /// A session that found no server.
  static var failed: SessionLogRecord {
    var record = plain
    record.server = -1
    record.waitDuration = -1
    record.connectDuration = -1
    record.bytesDown = 0
    record.cause = UInt8(ascii: "S")
    record.state = UInt8(ascii: "C")
    return record
  }
}

/// The one line that a session makes with a format, to a raw target.
func line(
  _ format: LogSettings.Format, _ record: SessionLogRecord, _ moment: SessionLog.Moment = .ended,
  name: String = "", protocols: [UInt8] = [], change: (inout LogSettings) -> Void = { _ in }
) throws -> String? {
  let listener = try Listener()
  var target = listener.target
  target.format = .raw
  target.maxLength = 8192
  var configuration = ProxyConfiguration(format, target)
  change(&configuration.frontends[0].log)
  var log = configuration.log()
  let bytes = Array(name.utf8)
  let session = LoggedSession(
    record, serverName: bytes.span, protocolNames: protocols.span, helloType: 1,
    helloVersion: 0x0303)
  log.log(session, moment, try RuleSet(compiling: configuration), now: 0)
  return try listener.next()
}

@Suite("Session lines, as the reference writes them")
struct SessionLogTests {
  private let day = date("%d/%b/%Y:%H:%M:%S")

  @Test("option tcplog")
  func tcp() throws {
    #expect(
      try line(.tcp, .plain)
        == "127.0.0.1:53230 [\(day).765] f1 bk/s1 1/0/0 500 -- 1/1/0/0/0 0/0\n")
    #expect(
      try line(.tcp, .failed)
        == "127.0.0.1:53230 [\(day).765] f1 bk/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0\n")
  }

  @Test("error-log-format replaces the line of a refusal, samples of both formats apart")
  func ownRefusal() throws {
    let listener = try Listener()
    var target = listener.target
    target.format = .raw
    var configuration = ProxyConfiguration(.custom([.sample(.init(fetch: .serverName))]), target)
    configuration.frontends[0].log.errorFormat = [
      .variable("ft"), .text(" "), .variable("fc_err_str", .quoted), .text(" "),
      .sample(.init(fetch: .constant(.integer(6)), converters: [.arithmetic(.add, .number(1))])),
    ]
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    log.refuse(LoggedSession(.plain), "not TLS", rules, now: 0)
    let name = Array("a.test".utf8)
    let session = LoggedSession(
      .plain, serverName: name.span, protocolNames: Span(), helloType: 1, helloVersion: 0x0303)
    log.log(session, .ended, rules, now: 0)
    #expect(try listener.all() == ["f1 \"not TLS\" 7\n", "a.test\n"])
  }

  @Test("log-format-sd stands in the header of RFC 5424, and nowhere else")
  func structuredData() throws {
    let listener = try Listener()
    var (plain, structured) = (listener.target, listener.target)
    plain.format = .raw
    structured.format = .rfc5424
    var configuration = ProxyConfiguration(.custom([.text("line")]), plain, structured)
    configuration.frontends[0].log.structuredData = [
      .text("[sni@1 name=\""), .sample(.init(fetch: .serverName), .escaped), .text("\"]"),
    ]
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    let name = Array("a]b".utf8)
    let session = LoggedSession(
      .plain, serverName: name.span, protocolNames: Span(), helloType: 1, helloVersion: 0x0303)
    log.log(session, .ended, rules, now: 0)
    let message = Array("no session's".utf8)
    log.note(message.span, .info, to: .frontend(0), now: 0)
    let lines = try listener.all()
    #expect(lines.count == 4)
    #expect(lines.first == "line\n")
    #expect(lines.dropFirst().first?.hasSuffix(" - [sni@1 name=\"a\\]b\"] line\n") == true)
    #expect(lines.last?.hasSuffix(" - - no session's\n") == true)
  }

  @Test("a sampled target gets the lines whose places it names")
  func sampling() throws {
    let listener = try Listener()
    var target = listener.target
    target.format = .raw
    target.sampling = .init(size: 5, ranges: [2...3, 5...5])
    let configuration = ProxyConfiguration(.custom([.variable("lc")]), target)
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    for _ in 0..<11 { log.log(LoggedSession(.plain), .ended, rules, now: 0) }
    #expect(try listener.all() == ["1\n", "2\n", "4\n", "6\n", "7\n", "9\n"])
  }

  @Test("a session without a backend bears its frontend's name")
  func noBackend() throws {
    var record = SessionLogRecord.failed
    record.backend = -1
    record.cause = UInt8(ascii: "P")
    record.state = UInt8(ascii: "R")
    #expect(
      try line(.tcp, record)
        == "127.0.0.1:53230 [\(day).765] f1 f1/<NOSRV> -1/-1/0 0 PR 1/1/0/0/0 0/0\n")
  }

  @Test("a redispatch marks the retries; an IPv6 client has no brackets")
  func redispatch() throws {
    var record = SessionLogRecord.plain
    record.client = Endpoint(address: try #require(IPAddress("2001:db8::1")), port: 1)
    record.retries = 1
    record.isRedispatched = true
    record.processConnections = 2
    record.frontendConnections = 2
    #expect(
      try line(.tcp, record)
        == "2001:db8::1:1 [\(day).765] f1 bk/s1 1/0/0 500 -- 2/2/0/0/+1 0/0\n")
  }

  @Test("a client on a unix socket is called after the bind's number")
  func unixClient() throws {
    var record = SessionLogRecord.plain
    record.client = .none
    record.bind = 1
    #expect(
      try line(.tcp, record) == "unix:2 [\(day).765] f1 bk/s1 1/0/0 500 -- 1/1/0/0/0 0/0\n")
    #expect(try line(.connect, record, .began) == "Connect to unix:2 (f1/TCP)\n")
  }

  @Test("without a format, the line comes when a session begins, and then only")
  func connect() throws {
    #expect(
      try line(.connect, .plain, .began)
        == "Connect from 127.0.0.1:53230 to 127.0.0.1:19001 (f1/TCP)\n")
    #expect(try line(.connect, .plain, .connected) == nil)
    #expect(try line(.connect, .plain, .ended) == nil)
    #expect(try line(.tcp, .plain, .began) == nil)
    #expect(try line(.tcp, .plain, .connected) == nil)
  }

  @Test("logasap writes the line when the server is there, its totals marked")
  func early() throws {
    var record = SessionLogRecord.plain
    record.bytesDown = 0
    record.backendConnections = 1
    record.serverConnections = 1
    let expected = "127.0.0.1:53230 [\(day).765] f1 bk/s1 1/0/+0 +0 -- 1/1/1/1/0 0/0\n"
    #expect(try line(.tcp, record, .connected) { $0.logsEarly = true } == expected)
    #expect(try line(.tcp, record, .ended) { $0.logsEarly = true } == nil)
    #expect(try line(.tcp, .failed, .ended) { $0.logsEarly = true } != nil)
  }

  @Test("dontlognull leaves out sessions in which the client said nothing")
  func skipsNull() throws {
    var record = SessionLogRecord.plain
    record.bytesUp = 0
    #expect(try line(.tcp, record) { $0.skipsNull = true } == nil)
    #expect(try line(.tcp, record) != nil)
    #expect(try line(.tcp, .plain) { $0.skipsNull = true } != nil)
  }

  @Test("dontlog-normal leaves out sessions that went well at the first attempt")
  func skipsNormal() throws {
    #expect(try line(.tcp, .plain) { $0.skipsNormal = true } == nil)
    #expect(try line(.tcp, .failed) { $0.skipsNormal = true } != nil)
    var record = SessionLogRecord.plain
    record.retries = 1
    #expect(try line(.tcp, record) { $0.skipsNormal = true } != nil)
    record.cause = UInt8(ascii: "L")
    #expect(try line(.tcp, record) { $0.skipsNormal = true } == nil)
  }

  @Test("a refusal before there is a session")
  func refusal() throws {
    let listener = try Listener()
    var target = listener.target
    target.format = .raw
    var configuration = ProxyConfiguration(.tcp, target)
    configuration.frontends[0].log.skipsNull = true
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    var record = SessionLogRecord.plain
    log.refuse(
      LoggedSession(record),
      "Received something which does not look like a PROXY protocol header", rules, now: 0)
    record.bind = 1
    record.client = .none
    log.refuse(LoggedSession(record), "not TLS", rules, now: 0)
    record.bytesUp = 0
    log.refuse(LoggedSession(record), "nothing came", rules, now: 0)
    #expect(
      try listener.all() == [
        "127.0.0.1:53230 [\(day).765] f1/b1: "
          + "Received something which does not look like a PROXY protocol header\n",
        "unix:2 [\(day).765] f1/2: not TLS\n",
      ])
  }

  @Test("log-format: the reference's line for every variable")
  func variables() throws {
    // "%ci %cp %fi %fp %ft %f %b %s %bi %bp %si %sp %bc %fc %sc %ac %rc %sq %bq %Tw %Tc %Tt %Td
    // %Th %T %Tl %t %ms %Ts %B %U %ts %tsc %ST %ID %pid %rt %H …"
    var items: [LogItem] = []
    for name in [
      "ci", "cp", "fi", "fp", "ft", "f", "b", "s", "bi", "bp", "si", "sp", "bc", "fc", "sc", "ac",
      "rc", "sq", "bq", "Tw", "Tc", "Tt", "Td", "Th", "T", "Tl", "t", "ms", "Ts", "B", "U", "ts",
      "tsc", "ST", "ID", "pid", "rt", "H", "CC", "CS", "sslc", "sslv", "Ta", "Ti", "TR", "Tq",
      "Tu", "Tr",
    ] {
      if !items.isEmpty { items.append(.text(" ")) }
      items.append(.variable(name))
    }
    var record = SessionLogRecord.plain
    record.client = Endpoint(address: try #require(IPAddress("192.0.2.9")), port: 5555)
    record.destination = Endpoint(address: try #require(IPAddress("198.51.100.1")), port: 443)
    record.source = Endpoint(address: IPAddress(ipv4: 0x7f00_0001), port: 46_216)
    record.target = Endpoint(address: IPAddress(ipv4: 0x7f00_0001), port: 19_101)
    record.hasServerConnection = true
    record.number = 2
    #expect(
      try line(.custom(items), record)
        == "192.0.2.9 5555 198.51.100.1 443 f1 f1 bk s1 127.0.0.1 46216 127.0.0.1 19101 0 1 0 1 0"
        + " 0 0 1 0 0 0 0 24/Nov/2026:14:06:45 +0000 \(day) \(date("%z")) \(day).765 765"
        + " 1795529205 500 5 -- ---- 0 - 19690 2 vm - - - - 0 -1 -1 -1 0 -1\n")
    record.hasServerConnection = false
    #expect(
      try line(
        .custom([.variable("bi"), .variable("bp"), .variable("si"), .variable("sp")]), record)
        == "----\n")
  }

  @Test("blanks around an empty field are written once, and none in front")
  func blanks() throws {
    let items: [LogItem] = [
      .text("  a  b "), .variable("hr"), .text(" "), .variable("hs"), .text("  z "),
    ]
    #expect(try line(.custom(items), .plain) == "a b z \n")
  }

  @Test("samples of the hello, and what a stranger puts into one")
  func samples() throws {
    func sample(
      _ fetch: SampleExpression.Fetch, _ converters: [SampleExpression.Converter] = []
    ) -> LogSettings.Format {
      .custom([.sample(SampleExpression(fetch: fetch, converters: converters))])
    }
    #expect(try line(sample(.serverName), .plain, name: "Foo.example") == "Foo.example\n")
    #expect(try line(sample(.serverName, [.lower]), .plain, name: "Foo") == "foo\n")
    #expect(try line(sample(.serverName, [.upper]), .plain, name: "Foo") == "FOO\n")
    #expect(try line(sample(.serverName), .plain) == "-\n")
    #expect(
      try line(sample(.serverName), .plain, name: "a\nb\u{7f}\u{e9}") == "a#0Ab#7F#C3#A9\n")
    let protocols: [UInt8] = [2] + Array("h2".utf8) + [8] + Array("http/1.1".utf8)
    #expect(
      try line(sample(.applicationProtocols), .plain, protocols: protocols) == "h2,http/1.1\n")
    #expect(try line(sample(.helloVersion), .plain) == "196611\n")
    #expect(try line(sample(.source), .plain) == "127.0.0.1\n")
    #expect(try line(sample(.sourcePort), .plain) == "53230\n")
    #expect(try line(sample(.always(false)), .plain) == "0\n")
    #expect(try line(sample(.requestLength), .plain) == "-\n")
    let quoted = LogSettings.Format.custom([
      .sample(SampleExpression(fetch: .serverName), .quoted)
    ])
    #expect(try line(quoted, .plain, name: "a\"b") == "\"a#22b\"\n")
    #expect(try line(quoted, .plain) == "\"\"\n")
  }

  @Test("a variable that nobody knows is written as it stood")
  func unknownVariable() throws {
    #expect(try line(.custom([.variable("nope")]), .plain) == "%nope\n")
  }

  @Test("flags: quotes, hexadecimal, escapes")
  func encodings() throws {
    func render(_ variable: LogVariable, _ encoding: LogEncoding) throws -> String {
      let format = LogSettings.Format.custom([.variable(variable.rawValue, encoding)])
      let configuration = ProxyConfiguration(format)
      let rules = try RuleSet(compiling: configuration)
      let text = SessionLogText(configuration, hostname: "v]m", processID: 19_690)
      var buffer = LineBuffer(headroom: 0, capacity: 200)
      var date = LogDate()
      date.set(moment)
      var record = SessionLogRecord.plain
      record.number = 3
      let end = text.put(
        LoggedSession(record), rules, date: date, isEarly: false, into: &buffer)
      return string(buffer.span(0..<end))
    }
    #expect(try render(.frontendName, .quoted) == "\"f1\"")
    #expect(try render(.clientAddress, .quoted) == "\"127.0.0.1\"")
    #expect(try render(.clientAddress, [.quoted, .hexadecimal]) == "7F000001")
    #expect(try render(.clientPort, .hexadecimal) == "CFEE")
    #expect(try render(.seconds, .hexadecimal) == "6B0599F5")
    #expect(try render(.processID, .hexadecimal) == "4CEA")
    #expect(try render(.sessionNumber, .hexadecimal) == "0003")
    #expect(try render(.milliseconds, .hexadecimal) == "2FD")
    #expect(try render(.bytesDown, .hexadecimal) == "500")
    #expect(try render(.uniqueID, .quoted) == "\"\"")
    #expect(try render(.termination, .quoted) == "--")
    #expect(try render(.hostname, .escaped) == "v\\]m")
    #expect(try render(.hostname, [.quoted, .escaped]) == "\"v\\]m\"")
    #expect(try render(.hostname, []) == "v]m")
  }

  @Test("lines are counted by frontend")
  func lineCount() throws {
    let listener = try Listener()
    var target = listener.target
    target.format = .raw
    let configuration = ProxyConfiguration(.custom([.variable("lc")]), target)
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    for _ in 0..<3 { log.log(LoggedSession(.plain), .ended, rules, now: 0) }
    #expect(try listener.all() == ["0\n", "1\n", "2\n"])
  }

  @Test("every variable can be written, alone")
  func everyVariable() throws {
    for variable in LogVariable.allCases {
      #expect(try line(.custom([.variable(variable.rawValue)]), .plain) != nil)
    }
  }
}

func string(_ span: Span<UInt8>) -> String {
  var bytes: [UInt8] = []
  for index in span.indices { bytes.append(span[index]) }
  return String(decoding: bytes, as: UTF8.self)
}

@Suite("LogDate")
struct SessionLogDateTests {
  private func text(_ body: (inout LineWriter) -> Void) -> String {
    var buffer = LineBuffer(headroom: 0, capacity: 64)
    var writer = buffer.message()
    body(&writer)
    let end = writer.end
    return string(buffer.span(0..<end))
  }

  @Test("says what strftime says, at any time")
  func agreesWithStrftime() {
    var clock = LogDate()
    for step in 0..<2000 {
      let moment = Int64(step) * 1_234_567_890_123 % 4_000_000_000_000_000
      clock.set(moment)
      let accept = text { clock.appendAccept(to: &$0) }
      #expect(accept == date("%d/%b/%Y:%H:%M:%S", at: moment))
      #expect(text { clock.appendSyslog(to: &$0) } == date("%b %e %H:%M:%S", at: moment))
      #expect(text { clock.appendAcceptZone(to: &$0) } == date("%d/%b/%Y:%H:%M:%S %z", at: moment))
      var seconds = time_t(moment / 1_000_000)
      var parts = tm()
      gmtime_r(&seconds, &parts)
      var bytes = [CChar](repeating: 0, count: 64)
      let count = strftime(&bytes, bytes.count, "%d/%b/%Y:%H:%M:%S +0000", &parts)
      let utc = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      #expect(text { clock.appendAcceptUTC(to: &$0) } == utc)
    }
  }

  @Test("keeps microseconds for RFC 5424")
  func iso() {
    var clock = LogDate()
    clock.set(moment + 1_000_000 - 765_000)
    let zone = date("%z")
    let offset = zone.prefix(3) + ":" + zone.suffix(2)
    #expect(
      text { clock.appendISO(to: &$0) }
        == date("%Y-%m-%dT%H:%M:%S", at: moment + 1_000_000) + ".000767" + offset)
  }
}

@Suite("LineWriter")
struct SessionLogWriterTests {
  @Test("cuts what does not fit")
  func cuts() {
    var buffer = LineBuffer(headroom: 2, capacity: 4)
    var writer = buffer.message()
    writer.append("abcdef")
    let end = writer.end
    #expect(string(buffer.span(2..<end)) == "abcd")
  }

  @Test("numbers of any size", arguments: [0, 7, 10, 99, 100, 65_535, Int.max, -1, Int.min])
  func decimals(number: Int) {
    var buffer = LineBuffer(headroom: 0, capacity: 64)
    var writer = buffer.message()
    writer.append(decimal: number)
    writer.append(" ")
    writer.append(hexadecimal: UInt64(bitPattern: Int64(number)), digits: 4)
    writer.append(" ")
    writer.append(decimal: UInt64(number.magnitude), digits: 3)
    let end = writer.end
    let hexadecimal = String(UInt64(bitPattern: Int64(number)), radix: 16, uppercase: true)
    func padded(_ text: String, _ count: Int) -> String {
      String(repeating: "0", count: max(0, count - text.count)) + text
    }
    #expect(
      string(buffer.span(0..<end))
        == "\(number) \(padded(hexadecimal, 4)) \(padded(String(number.magnitude), 3))")
  }
}
