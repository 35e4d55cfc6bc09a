public import Configuration
import Linux
public import Rules

/// Writes the lines of sessions, as HAProxy writes them, to the targets of their frontends.
///
/// Names and formats are turned into bytes when it is made; a line is then put together in one
/// buffer, without allocating and without counting references.
public struct SessionLog: ~Copyable {
  private var text: SessionLogText
  private var policies: [Policy]
  private var sink: LogSink
  private var date = LogDate()
  /// By frontend: the lines that this process has written for it, `%lc`.
  private let lineCounts: Region<UInt64>

  /// What a frontend wants to be told.
  private struct Policy: BitwiseCopyable {
    /// `option dontlognull`.
    var skipsNull: Bool
    /// `option dontlog-normal`.
    var skipsNormal: Bool
    /// `option log-separate-errors`.
    var separatesErrors: Bool
    /// `option logasap`.
    var logsEarly: Bool
    /// Whether a line is written when a session begins, and none when it ends.
    var logsConnect: Bool
    var hasTargets: Bool
  }

  /// - Parameters:
  ///   - configuration: Where names, formats and options come from.
  ///   - sink: The targets, opened.
  ///   - hostname: For `%H`.
  ///   - processID: For `%pid`.
  public init(
    configuration: ProxyConfiguration, sink: consuming LogSink, hostname: String, processID: Int
  ) {
    text = SessionLogText(configuration, hostname: hostname, processID: processID)
    policies = configuration.frontends.map { frontend in
      Policy(
        skipsNull: frontend.log.skipsNull, skipsNormal: frontend.log.skipsNormal,
        separatesErrors: frontend.log.separatesErrors, logsEarly: frontend.log.logsEarly,
        logsConnect: frontend.log.format == .connect,
        hasTargets: !frontend.log.targets.isEmpty)
    }
    lineCounts = .reserving(policies.count + Tables.mostOrphans)
    self.sink = sink
  }

  // MARK: What is no longer in the configuration

  /// Adds a frontend whose sessions get the lines of `option tcplog`, at the targets of the `global`
  /// section.
  mutating func addFrontend(_ name: String) {
    text.addFrontend(name)
    policies.append(
      Policy(
        skipsNull: false, skipsNormal: false, separatesErrors: false, logsEarly: false,
        logsConnect: false, hasTargets: sink.addFrontend()))
  }

  mutating func addBind(_ name: String, number: Int, of frontend: Int) -> Int {
    text.addBind(name, number: number, of: frontend)
  }

  mutating func addBackend(_ name: String) { text.addBackend(name) }

  mutating func addServer(_ name: String, of backend: Int) -> Int {
    text.addServer(name, of: backend)
  }

  /// Lines that were lost because a target was slow or absent.
  public var dropped: UInt64 { sink.dropped }

  /// Where a session stands when its line may be due.
  public enum Moment: Sendable {
    /// It has begun.
    case began
    /// The server has accepted it.
    case connected
    /// It is over.
    case ended
  }

  /// Writes the session's line, if its frontend wants one at this moment.
  ///
  /// A frontend without a format gets a line when a session begins; one with a format, when it
  /// ends, or with `logasap` when it is connected. Call this at all three moments.
  ///
  /// - Parameters:
  ///   - session: What the line is about.
  ///   - moment: Where the session stands.
  ///   - rules: What evaluates the expressions of its format.
  ///   - now: Microseconds since 1970.
  public mutating func log(
    _ session: borrowing LoggedSession, _ moment: Moment, _ rules: borrowing RuleSet, now: Int64
  ) {
    let policy = policies[Int(session.record.frontend)]
    guard policy.hasTargets, isDue(session.record, moment, policy) else { return }
    let frontend = Int(session.record.frontend)
    var session = copy session
    session.lineCount = lineCounts[frontend]
    lineCounts[frontend] += 1
    date.set(session.record.accepted)
    let end =
      policy.logsConnect
      ? text.putConnect(session.record, into: &sink.buffer)
      : text.put(
        session, rules, date: date, isEarly: moment == .connected, into: &sink.buffer)
    let isEarly = moment == .connected
    sink.structuredCount = text.putStructuredData(
      session, rules, date: date, isEarly: isEarly, into: &sink.structured)
    let isError = session.record.isError && policy.separatesErrors && !policy.logsConnect
    sink.send(
      upTo: end, isError ? .error : .info, to: .frontend(frontend), now: now)
  }

  private func isDue(
    _ record: SessionLogRecord, _ moment: Moment, _ policy: Policy
  ) -> Bool {
    if policy.logsConnect { return moment == .began }
    if policy.skipsNormal, !record.isError { return false }
    switch moment {
    case .began: return false
    case .connected: return policy.logsEarly
    case .ended:
      let wasLogged = policy.logsEarly && record.connectDuration >= 0
      return !wasLogged && !(policy.skipsNull && record.bytesUp == 0)
    }
  }

  /// Writes why a connection was refused before it became a session: a PROXY header that did not
  /// come, a hello that is none.
  ///
  /// - Parameters:
  ///   - session: Of its record `accepted`, `client`, `frontend`, `bind` and `bytesUp` count, and
  ///     what an `error-log-format` asks for.
  ///   - message: The reason, without a full stop.
  ///   - rules: What evaluates the expressions of an `error-log-format`.
  ///   - now: Microseconds since 1970.
  public mutating func refuse(
    _ session: borrowing LoggedSession, _ message: StaticString, _ rules: borrowing RuleSet,
    now: Int64
  ) {
    let frontend = Int(session.record.frontend)
    let policy = policies[frontend]
    guard policy.hasTargets, !(policy.skipsNull && session.record.bytesUp == 0) else { return }
    date.set(session.record.accepted)
    var session = copy session
    session.refusal = message
    let end = text.putRefusal(session, rules, date: date, into: &sink.buffer)
    sink.structuredCount = text.putStructuredData(
      session, rules, date: date, isEarly: false, into: &sink.structured)
    sink.send(
      upTo: end, policy.separatesErrors ? .error : .info, to: .frontend(frontend), now: now)
  }

  /// Writes what is no session's: to the targets of `group`.
  public mutating func note(
    _ message: Span<UInt8>, _ level: LogLevel, to group: LogGroup, now: Int64
  ) {
    sink.send(message, level, to: group, now: now)
  }
}

/// A session as it is logged: its record, and what else is known of it.
public struct LoggedSession: ~Escapable {
  public var record: SessionLogRecord
  /// The name in the hello, as sent; empty if there was none.
  public var serverName: Span<UInt8>
  /// The ALPN list as sent: each name behind one byte that holds its length.
  public var protocolNames: Span<UInt8>
  /// `%ID`; empty if there is none.
  public var uniqueID: Span<UInt8>
  /// 0 when no hello was read.
  public var helloType: UInt8 = 0
  /// `legacy_version`; 0 when no hello was read.
  public var helloVersion: UInt16 = 0
  /// The names of the connection's parts, and its variables.
  public var place = Facts.Place()
  /// `%lc`, which the log knows.
  var lineCount: UInt64 = 0
  /// Why it never became a session; empty if it did.
  var refusal: StaticString = ""

  /// What of the session expressions can still see.
  var facts: Facts {
    @_lifetime(copy self)
    get {
      var hello = HelloFacts(
        state: helloType == 0 ? .absent : .complete, type: helloType,
        legacyVersion: helloVersion)
      if helloType == 0, !serverName.isEmpty { hello.state = .complete }
      var facts = Facts(
        client: record.client, destination: record.destination, hello: hello,
        serverName: serverName, protocolNames: protocolNames, request: Span(),
        awaiting: .nothing)
      facts.place = place
      return facts
    }
  }

  /// A session whose hello was not read.
  @_lifetime(immortal)
  public init(_ record: SessionLogRecord) {
    self.record = record
    serverName = Span()
    protocolNames = Span()
    uniqueID = Span()
  }

  @_lifetime(copy serverName, copy protocolNames)
  public init(
    _ record: SessionLogRecord, serverName: Span<UInt8>, protocolNames: Span<UInt8>,
    helloType: UInt8, helloVersion: UInt16
  ) {
    self.record = record
    self.serverName = serverName
    self.protocolNames = protocolNames
    uniqueID = Span()
    self.helloType = helloType
    self.helloVersion = helloVersion
  }
}
