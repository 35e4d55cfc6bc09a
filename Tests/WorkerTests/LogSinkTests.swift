import Configuration
import Glibc
import Linux
import Rules
import Testing

@testable import Worker

@Suite("Log targets")
struct LogSinkTests {
  /// What a target of some format receives for `hello`.
  private func received(
    _ format: LogTarget.Format, host: String? = "hosty", tag: String? = "mytag",
    _ change: (inout LogTarget) -> Void = { _ in }, level: LogLevel = .info,
    message: String = "hello"
  ) throws -> String? {
    let listener = try Listener()
    var target = listener.target
    target.format = format
    change(&target)
    var configuration = ProxyConfiguration()
    configuration.global.log = [target]
    configuration.global.logHostname = host
    configuration.global.logTag = tag
    var sink = LogSink(configuration: configuration, hostname: "vm", processID: 19_690)
    #expect(sink.complaints.isEmpty)
    sink.send(Array(message.utf8).span, level, to: .global, now: moment)
    return try listener.next()
  }

  @Test("each format has the reference's header")
  func headers() throws {
    let zone = date("%z")
    let offset = "\(zone.prefix(3)):\(zone.suffix(2))"
    let iso = date("%Y-%m-%dT%H:%M:%S") + ".765767" + offset
    let day = date("%b %e %H:%M:%S")
    #expect(try received(.local) == "<134>\(day) hosty mytag[19690]: hello\n")
    #expect(try received(.local, host: nil) == "<134>\(day) mytag[19690]: hello\n")
    #expect(try received(.local, host: "") == "<134>\(day) vm mytag[19690]: hello\n")
    #expect(try received(.local, tag: nil) == "<134>\(day) hosty sluice[19690]: hello\n")
    #expect(try received(.rfc3164) == "<134>\(day) hosty mytag[19690]: hello\n")
    #expect(try received(.rfc3164, host: nil) == "<134>\(day) localhost mytag[19690]: hello\n")
    #expect(try received(.rfc5424) == "<134>1 \(iso) hosty mytag 19690 - - hello\n")
    #expect(try received(.rfc5424, host: nil) == "<134>1 \(iso) - mytag 19690 - - hello\n")
    #expect(try received(.priority) == "<134>hello\n")
    #expect(try received(.short) == "<6>hello\n")
    #expect(try received(.timed) == "<6>\(iso) hello\n")
    #expect(try received(.iso) == "\(iso) hello\n")
    #expect(try received(.raw) == "hello\n")
  }

  @Test("len counts the newline, and cuts the message")
  func length() throws {
    let line = try received(
      .local, { $0.maxLength = 80 }, message: String(repeating: "x", count: 100))
    #expect(line?.utf8.count == 80)
    #expect(line?.hasSuffix("xx\n") == true)
    #expect(try received(.raw, { $0.maxLength = 6 }) == "hello\n")
    #expect(try received(.raw, { $0.maxLength = 5 }) == "hell\n")
  }

  @Test("levels: the less severe are left out, the more severe are capped")
  func levels() throws {
    #expect(try received(.short, { $0.maxLevel = 5 }) == nil)
    #expect(try received(.short, { $0.maxLevel = 6 }) == "<6>hello\n")
    #expect(try received(.short, { $0.minLevel = 3 }, level: .emergency) == "<3>hello\n")
    #expect(try received(.short, { $0.minLevel = 3 }, level: .notice) == "<5>hello\n")
    #expect(try received(.priority, { $0.facility = 23 }, level: .error) == "<187>hello\n")
  }

  @Test("several targets get the same message behind their own headers")
  func severalTargets() throws {
    let listener = try Listener()
    var raw = listener.target
    raw.format = .raw
    var short = listener.target
    short.format = .short
    short.maxLength = 5
    var configuration = ProxyConfiguration(.tcp, raw, short, raw)
    configuration.frontends[0].log.tag = "own"
    var sink = LogSink(configuration: configuration, hostname: "vm", processID: 1)
    sink.send(Array("abc".utf8).span, .notice, to: .frontend(0), now: moment)
    #expect(try listener.all() == ["abc\n", "<5>a\n", "abc\n"])
  }

  @Test("errors go out as errors where they are to be separate")
  func separateErrors() throws {
    let listener = try Listener()
    var target = listener.target
    target.format = .short
    var configuration = ProxyConfiguration(.tcp, target)
    configuration.frontends[0].log.separatesErrors = true
    let rules = try RuleSet(compiling: configuration)
    var log = configuration.log()
    log.log(LoggedSession(.failed), .ended, rules, now: moment)
    log.log(LoggedSession(.plain), .ended, rules, now: moment)
    log.refuse(LoggedSession(.plain), "no", rules, now: moment)
    #expect(try listener.all().map { $0.prefix(3) } == ["<3>", "<6>", "<3>"])
  }

  // MARK: Targets that fail

  /// A path for a socket, in a directory of its own.
  private func withSocketPath(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/sluice-log-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      unlink(path + "/log")
      rmdir(path)
    }
    try body(path + "/log")
  }

  private func sink(_ address: LogTarget.Address) -> LogSink {
    var target = LogTarget(address: address, facility: 0)
    target.format = .raw
    var configuration = ProxyConfiguration()
    configuration.global.log = [target]
    return LogSink(configuration: configuration, hostname: "vm", processID: 1)
  }

  private func send(_ text: String, _ sink: inout LogSink, at seconds: Int64) {
    sink.send(Array(text.utf8).span, .info, to: .global, now: seconds * 1_000_000)
  }

  @Test("a unix socket that comes back is found again, with one attempt a second")
  func reconnects() throws {
    try withSocketPath { path in
      var sink = sink(.unix(path))
      #expect(sink.complaints.count == 1)
      send("lost", &sink, at: 100)
      #expect(sink.dropped == 1)

      do {
        let listener = try Listener(.unix(path: path))
        send("too soon", &sink, at: 100)
        #expect(sink.dropped == 2)
        send("one", &sink, at: 101)
        #expect(try listener.all() == ["one\n"])
      }
      send("nobody", &sink, at: 103)
      #expect(sink.dropped == 3)
      unlink(path)
      let listener = try Listener(.unix(path: path))
      send("two", &sink, at: 105)
      #expect(try listener.all() == ["two\n"])
      #expect(sink.dropped == 3)
    }
  }

  @Test("a restart costs no line when the new socket is there at once")
  func restarts() throws {
    try withSocketPath { path in
      var first: Listener? = try Listener(.unix(path: path))
      var sink = sink(.unix(path))
      send("one", &sink, at: 100)
      _ = first.take()
      unlink(path)
      let second = try Listener(.unix(path: path))
      send("two", &sink, at: 101)
      #expect(try second.all() == ["two\n"])
      #expect(sink.dropped == 0)
    }
  }

  @Test("a server that does not read makes nobody wait")
  func fullSocket() throws {
    try withSocketPath { path in
      let listener = try Listener(.unix(path: path))
      var sink = sink(.unix(path))
      for _ in 0..<2000 { send("line", &sink, at: 100) }
      #expect(sink.dropped > 0)
      #expect(try UInt64(listener.all().count) + sink.dropped == 2000)
      send("again", &sink, at: 100)
      #expect(try listener.all() == ["again\n"])
    }
  }

  @Test("a UDP server that is not there is none of our business")
  func absentServer() throws {
    let address: SocketAddress
    do {
      let listener = try Listener()
      address = .internet(listener.descriptor.localEndpoint())
    }
    var sink = sink(.udp(address))
    for _ in 0..<3 { send("line", &sink, at: 100) }
    #expect(sink.dropped == 0)
  }

  @Test("a full pipe drops lines, whole ones, and leaves the shared open file as it was")
  func fullPipe() throws {
    var ends: [CInt] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    var sink = sink(.descriptor(Int(ends[1])))
    #expect(sink.complaints.isEmpty)
    let count = 3000
    for _ in 0..<count { send(String(repeating: "x", count: 99), &sink, at: 100) }
    #expect(sink.dropped > 0)
    #expect(fcntl(ends[1], F_GETFL) & O_NONBLOCK == 0)

    try #require(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    var total = 0
    while total < bytes.count {
      let got = read(ends[0], &bytes[total], bytes.count - total)
      if got <= 0 { break }
      total += got
    }
    #expect(total == (count - Int(sink.dropped)) * 100)
  }

  @Test("a descriptor that is not open is told, and nothing else fails")
  func badDescriptor() {
    var sink = sink(.descriptor(9999))
    #expect(sink.complaints.count == 1)
    #expect(sink.complaints.first?.contains("fd@9999") == true)
    send("line", &sink, at: 100)
    #expect(sink.dropped == 0)
  }
}
