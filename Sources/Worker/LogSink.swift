public import Configuration
import Linux

/// Whose targets a line goes to.
public enum LogGroup: Sendable {
  /// Those of the `global` section.
  case global
  /// Those of a frontend, by its index.
  case frontend(Int)
  /// Those of a backend, by its index.
  case backend(Int)
}

/// All places that lines go to, opened, with the one buffer in which lines are put together.
///
/// Must be made before the process changes its root: `/dev/log`, `/proc` and the time zone lie
/// outside. Targets that are equal share a socket, however many proxies name them.
///
/// Sending never waits. A line for a target that is full or gone is dropped and counted; a unix
/// socket that has vanished is connected to again, once a second at most, where its path can still
/// be reached. (journald's own socket belongs to systemd and outlives it, so that a restart of
/// journald needs no reconnecting.) A pipe takes no line longer than 4096 bytes.
public struct LogSink: ~Copyable {
  /// The lines that were lost.
  public private(set) var dropped: UInt64 = 0
  /// What could not be opened, for the operator to read.
  public private(set) var complaints: [String] = []

  /// By outlet.
  private var descriptors = DescriptorTable()
  private var outlets: [Outlet] = []

  private var targets: [Target] = []
  private var sampledPlaces: [ClosedRange<Int>] = []
  /// By target: how many lines of its present sample were looked at. Not among the targets, since
  /// whoever changes an array first asks whether it is shared.
  private var looked = Region<UInt32>.reserving(1)
  private var globalTargets = 0..<0
  private var frontendTargets: [Range<Int>] = []
  private var backendTargets: [Range<Int>] = []

  /// What stands between date and message.
  private var headers = ByteStore()
  private var date = LogDate()
  /// Where the next line is put together.
  var buffer = LineBuffer(headroom: 0, capacity: 0)
  /// Where the structured data of the next line is put together, and how much of it there is. The
  /// line takes it with it.
  var structured = LineBuffer(headroom: 0, capacity: LogSink.longestStructuredData)
  var structuredCount = 0

  /// Longest structured data of a line, in bytes.
  private static let longestStructuredData = 1024

  private struct Outlet: BitwiseCopyable {
    var kind: LineOutlet.Kind
    /// Where datagrams go; nil for what the process was started with.
    var address: DatagramAddress?
    /// A UDP socket is told its address with each line, and learns of no refusal.
    var isUDP: Bool
    var isConnected: Bool
    /// When to connect again at the earliest, in microseconds since 1970.
    var retry: Int64 = 0
  }

  private struct Target {
    var outlet: Int
    var format: LogTarget.Format
    var facility: UInt8
    var maxLevel: UInt8
    var minLevel: UInt8
    var maxLength: Int
    var header: ByteStore.Part
    /// `sample`: of how many lines, 0 for no sampling, and which of them, among `sampledPlaces`.
    var sampleSize: Int
    var sampledPlaces: Range<Int>
  }

  /// Opens the targets of all proxies.
  ///
  /// - Parameters:
  ///   - configuration: Whose targets to open.
  ///   - hostname: The machine's, for `log-send-hostname` without a name.
  ///   - processID: For the headers.
  ///   - tag: The program's name, where no `log-tag` says otherwise.
  public init(
    configuration: ProxyConfiguration, hostname: String, processID: Int, tag: String = "sluice"
  ) {
    let global = configuration.global
    let host = global.logHostname.map { $0.isEmpty ? hostname : $0 }
    let commonTag = global.logTag ?? tag
    var opener = Opener(host: host, processID: processID)
    globalTargets = open(global.log, tag: commonTag, &opener)
    for frontend in configuration.frontends {
      frontendTargets.append(
        open(frontend.log.targets, tag: frontend.log.tag ?? commonTag, &opener))
    }
    for backend in configuration.backends {
      backendTargets.append(
        open(backend.log.targets, tag: backend.log.tag ?? commonTag, &opener))
    }
    buffer = LineBuffer(
      headroom: opener.longestHeader, capacity: targets.reduce(0) { max($0, $1.maxLength) })
    looked = .reserving(max(1, targets.count))
    date.set(0)
  }

  /// Adds a frontend that is in no configuration: its targets are those of the `global` section.
  ///
  /// - Returns: whether there are any.
  mutating func addFrontend() -> Bool {
    frontendTargets.append(globalTargets)
    return !globalTargets.isEmpty
  }

  // MARK: Opening

  private struct Opener {
    let host: String?
    let processID: Int
    var addresses: [LogTarget.Address] = []
    var longestHeader = 0

    init(host: String?, processID: Int) {
      self.host = host
      self.processID = processID
    }
  }

  private mutating func open(
    _ logs: [LogTarget], tag: String, _ opener: inout Opener
  ) -> Range<Int> {
    let start = targets.count
    for log in logs {
      guard let outlet = outlet(for: log.address, &opener) else { continue }
      let header = Self.header(log.format, host: opener.host, tag: tag, opener.processID)
      let room = log.format == .rfc5424 ? Self.longestStructuredData + 2 : 0
      opener.longestHeader = max(
        opener.longestHeader, header.utf8.count + Self.longestStart + room)
      let isSocket = outlets[outlet].kind == .socket
      targets.append(
        Target(
          outlet: outlet, format: log.format, facility: log.facility, maxLevel: log.maxLevel,
          minLevel: log.minLevel,
          maxLength: isSocket ? log.maxLength : min(log.maxLength, LineOutlet.longestWhole),
          header: headers.insert(header.utf8), sampleSize: log.sampling?.size ?? 0,
          sampledPlaces: insert(log.sampling?.ranges ?? [])))
    }
    return start..<targets.count
  }

  private mutating func insert(_ places: [ClosedRange<Int>]) -> Range<Int> {
    let start = sampledPlaces.count
    sampledPlaces += places
    return start..<sampledPlaces.count
  }

  /// The outlet of an address, opened when it is first asked for; nil when that fails.
  private mutating func outlet(
    for address: LogTarget.Address, _ opener: inout Opener
  ) -> Int? {
    if let known = opener.addresses.firstIndex(of: address) { return known }
    do throws(Errno) {
      let outlet = try Self.lineOutlet(for: address)
      outlets.append(
        Outlet(
          kind: outlet.kind, address: try address.datagrams.map(DatagramAddress.init),
          isUDP: address.isUDP, isConnected: address.datagrams == nil))
      descriptors.append(outlet.descriptor)
      opener.addresses.append(address)
    } catch {
      complaints.append("cannot log to \(address.text): \(error)")
      return nil
    }
    let index = outlets.count - 1
    if !outlets[index].isUDP, !connect(index) {
      complaints.append("nobody listens on \(address.text); it is tried again with every line")
    }
    return index
  }

  private static func lineOutlet(for address: LogTarget.Address) throws(Errno) -> LineOutlet {
    switch address {
    case .udp(let address): try .datagrams(to: address)
    case .unix(let path): try .datagrams(to: .unix(path: path))
    case .standardOutput: try .inherited(1)
    case .standardError: try .inherited(2)
    case .descriptor(let number): try .inherited(CInt(clamping: number))
    }
  }

  private mutating func connect(_ index: Int) -> Bool {
    guard !outlets[index].isConnected, let address = outlets[index].address else {
      return outlets[index].isConnected
    }
    outlets[index].isConnected = descriptors[index].connectDatagrams(to: address)
    return outlets[index].isConnected
  }

  // MARK: Lines

  /// Sends a line to all targets of `group` that want lines this severe.
  ///
  /// - Parameters:
  ///   - message: The line, without a newline.
  ///   - level: How severe it is.
  ///   - group: Whose targets.
  ///   - now: Microseconds since 1970.
  public mutating func send(
    _ message: Span<UInt8>, _ level: LogLevel, to group: LogGroup, now: Int64
  ) {
    var line = buffer.message()
    line.append(message)
    let end = line.end
    send(upTo: end, level, to: group, now: now)
  }

  /// Sends what was written into the buffer up to `end` to all targets of `group` that want lines this severe.
  ///
  /// - Parameters:
  ///   - end: The writer's.
  ///   - level: How severe it is.
  ///   - group: Whose targets.
  ///   - now: Microseconds since 1970.
  mutating func send(upTo end: Int, _ level: LogLevel, to group: LogGroup, now: Int64) {
    date.set(now)
    for index in range(of: group) where level.rawValue <= targets[index].maxLevel {
      guard isSampled(index) else { continue }
      send(upTo: end, max(level.rawValue, targets[index].minLevel), to: index, now: now)
    }
    structuredCount = 0
  }

  /// Whether the target is to have this line, which is counted.
  private mutating func isSampled(_ index: Int) -> Bool {
    let size = targets[index].sampleSize
    guard size > 0 else { return true }
    let place = Int(looked[index]) + 1
    looked[index] = place == size ? 0 : UInt32(place)
    for range in targets[index].sampledPlaces where sampledPlaces[range].contains(place) {
      return true
    }
    return false
  }

  private func range(of group: LogGroup) -> Range<Int> {
    switch group {
    case .global: globalTargets
    case .frontend(let index): frontendTargets[index]
    case .backend(let index): backendTargets[index]
    }
  }

  private mutating func send(upTo end: Int, _ level: UInt8, to index: Int, now: Int64) {
    let target = targets[index]
    let start = Self.putHeader(
      of: target, level, date, headers, structured, structuredCount, &buffer)
    // The newline is part of the length, and of every line, cut or not.
    let newline = min(end, start + target.maxLength - 1)
    let covered = buffer.replace(at: newline, by: UInt8(ascii: "\n"))
    if !send(start..<newline + 1, to: target.outlet, now: now) { dropped += 1 }
    _ = buffer.replace(at: newline, by: covered)
  }

  /// Puts a header in front of the message, and returns where the line begins now.
  private static func putHeader(
    of target: Target, _ level: UInt8, _ date: LogDate, _ headers: ByteStore,
    _ structured: borrowing LineBuffer, _ structuredCount: Int, _ buffer: inout LineBuffer
  ) -> Int {
    var writer = buffer.header()
    appendStart(of: target, level, date, to: &writer)
    writer.append(headers.span(target.header))
    if target.format == .rfc5424 {
      if structuredCount == 0 { writer.append("-") }
      writer.append(structured.span(0..<structuredCount))
      writer.append(" ")
    }
    let end = writer.end
    return buffer.moveHeader(of: end)
  }

  /// `<191>1 2026-11-24T15:06:45.765767+01:00 `
  private static let longestStart = 41

  private static func appendStart(
    of target: Target, _ level: UInt8, _ date: LogDate, to line: inout LineWriter
  ) {
    switch target.format {
    case .local, .rfc3164, .rfc5424, .priority:
      append(priority: target.facility << 3 | level, to: &line)
    case .short, .timed:
      append(priority: level, to: &line)
    case .iso, .raw:
      break
    }
    switch target.format {
    case .local, .rfc3164:
      date.appendSyslog(to: &line)
      line.append(" ")
    case .rfc5424:
      line.append("1 ")
      date.appendISO(to: &line)
      line.append(" ")
    case .timed, .iso:
      date.appendISO(to: &line)
      line.append(" ")
    case .priority, .short, .raw:
      break
    }
  }

  private static func append(priority: UInt8, to line: inout LineWriter) {
    line.append("<")
    line.append(decimal: UInt64(priority))
    line.append(">")
  }

  /// What stands between date and message, for the formats that have something there.
  private static func header(
    _ format: LogTarget.Format, host: String?, tag: String, _ processID: Int
  ) -> String {
    switch format {
    case .local: "\(host.map { $0 + " " } ?? "")\(tag)[\(processID)]: "
    // RFC 3164 makes the host mandatory.
    case .rfc3164: "\(host ?? "localhost") \(tag)[\(processID)]: "
    // No message identifier; structured data is each line's own.
    case .rfc5424: "\(host ?? "-") \(tag) \(processID) - "
    case .priority, .short, .timed, .iso, .raw: ""
    }
  }

  // MARK: Sending

  /// Sends a part of the buffer; whether it was taken.
  private mutating func send(_ part: Range<Int>, to index: Int, now: Int64) -> Bool {
    if outlets[index].isUDP {
      guard let address = outlets[index].address else { return false }
      return descriptors[index].sendDatagram(buffer.span(part), to: address) == .sent
    }
    if !outlets[index].isConnected, !reconnect(index, now: now) { return false }
    switch write(part, to: index) {
    case .sent: return true
    case .dropped: return false
    case .disconnected:
      return reconnect(index, now: now) && write(part, to: index) == .sent
    }
  }

  private func write(_ part: Range<Int>, to index: Int) -> LineOutcome {
    descriptors[index].writeLine(buffer.span(part), as: outlets[index].kind)
  }

  /// Connects again, unless that was tried less than a second ago.
  @inline(never)
  private mutating func reconnect(_ index: Int, now: Int64) -> Bool {
    outlets[index].isConnected = false
    guard now >= outlets[index].retry else { return false }
    outlets[index].retry = now + 1_000_000
    return connect(index)
  }
}

extension LogTarget.Address {
  /// Where its datagrams go; nil for what the process was started with.
  fileprivate var datagrams: SocketAddress? {
    switch self {
    case .udp(let address): address
    case .unix(let path): .unix(path: path)
    case .standardOutput, .standardError, .descriptor: nil
    }
  }

  fileprivate var isUDP: Bool {
    if case .udp = self { true } else { false }
  }

  fileprivate var text: String {
    switch self {
    case .udp(let address): address.description
    case .unix(let path): path
    case .standardOutput: "stdout"
    case .standardError: "stderr"
    case .descriptor(let number): "fd@\(number)"
    }
  }
}
