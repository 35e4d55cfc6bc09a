import Configuration
import Glibc
import Linux

/// How grave an event is, by syslog's numbers (RFC 5424 section 6.2.1).
enum Severity: UInt8, Sendable {
  case emergency = 0
  case alert = 1
  case critical = 2
  case error = 3
  case warning = 4
  case notice = 5
  case informational = 6
  case debug = 7

  /// As `severity-output string` calls it.
  var name: String {
    switch self {
    case .emergency: "emerg"
    case .alert: "alert"
    case .critical: "crit"
    case .error: "err"
    case .warning: "warning"
    case .notice: "notice"
    case .informational: "info"
    case .debug: "debug"
    }
  }
}

/// Tells what happens to servers: on standard error, and to the log targets of the proxy.
///
/// Such events are rare, so each one opens its socket anew: a syslog daemon that was restarted is
/// found again without a thought.
struct EventLog: Sendable {
  private let tag: String
  private let global: [LogTarget]
  /// The name in the header, where the file asks for one.
  private let hostname: String?

  init(_ global: GlobalSettings) {
    tag = global.logTag ?? "sluice"
    self.global = global.log
    hostname = global.logHostname.map { $0.isEmpty ? Machine.hostname : $0 }
  }

  /// Tells an operator who watches, and the log targets of `settings`; of `global` without.
  func tell(_ severity: Severity, _ text: String, to settings: LogSettings? = nil) {
    tellOperator(severity, text)
    for target in settings?.targets ?? global where severity.rawValue <= target.maxLevel {
      send(line(severity, text, tag: settings?.tag ?? tag, for: target), to: target)
    }
  }

  /// Writes to standard error, as the reference does: `[WARNING]  (123) : …`.
  func tellOperator(_ severity: Severity, _ text: String) {
    let label =
      switch severity {
      case .emergency: "[ALERT]    "
      case .alert, .critical, .error, .warning, .notice: "[WARNING]  "
      case .informational, .debug: "[NOTICE]   "
      }
    write("\(label)(\(getpid())) : \(text)", toNumber: 2)
  }

  private func line(_ severity: Severity, _ text: String, tag: String, for target: LogTarget)
    -> String
  {
    let level = max(severity.rawValue, target.minLevel)
    return SyslogLine(
      facility: target.facility, level: level, time: Clock.realtime, hostname: hostname, tag: tag,
      process: getpid(), text: text
    ).formatted(target.format, maxLength: target.maxLength)
  }

  private func send(_ line: String, to target: LogTarget) {
    switch target.address {
    case .udp(let address): send(line, to: address)
    case .unix(let path): send(line, to: .unix(path: path))
    case .standardOutput: write(line, toNumber: 1)
    case .standardError: write(line, toNumber: 2)
    case .descriptor(let number): write(line, toNumber: CInt(clamping: number))
    }
  }

  /// A log that cannot be written is no reason to stop checking servers: nothing is done about it.
  private func send(_ line: String, to address: SocketAddress) {
    guard let socket = try? Descriptor.socket(.datagram, for: address),
      (try? socket.connect(to: address)) != nil
    else { return }
    _ = try? socket.send(Array(line.utf8).span)
  }

  /// Never waits: who does not read what the controller says must not keep it from checking.
  private func write(_ line: String, toNumber number: CInt) {
    guard let outlet = try? LineOutlet.inherited(number) else { return }
    _ = outlet.descriptor.writeLine(Array((line + "\n").utf8).span, as: outlet.kind)
  }
}
