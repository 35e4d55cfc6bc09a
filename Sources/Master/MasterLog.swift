import Linux

/// What the master tells its operator, on standard error.
///
/// The form is the reference's: `[WARNING]  (812) : text`. Where standard error is journald's, each
/// line begins with its priority (sd-daemon(3)), which journald takes off again.
struct MasterLog: Sendable {
  enum Severity: Sendable {
    case notice, warning, alert

    fileprivate var label: String {
      switch self {
      case .notice: "[NOTICE]   "
      case .warning: "[WARNING]  "
      case .alert: "[ALERT]    "
      }
    }

    /// As in syslog(3).
    fileprivate var priority: Int {
      switch self {
      case .notice: 5
      case .warning: 4
      case .alert: 1
      }
    }
  }

  /// `-q`: nothing but alerts.
  let isQuiet: Bool
  private let isJournal: Bool
  private var isSilent = false

  init(isQuiet: Bool) {
    self.isQuiet = isQuiet
    isJournal = Self.errorGoesToJournal
  }

  /// For what has been told before.
  var silenced: MasterLog {
    var log = self
    log.isSilent = true
    return log
  }

  func notice(_ text: String) { write(.notice, text) }
  func warning(_ text: String) { write(.warning, text) }
  func alert(_ text: String) { write(.alert, text) }

  func write(_ severity: Severity, _ text: String) {
    if isSilent || isQuiet && severity != .alert { return }
    let prefix = isJournal ? "<\(severity.priority)>" : ""
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var output = ""
    for (index, line) in lines.enumerated() {
      let head = index == 0 ? "\(severity.label)(\(Process.id)) : " : "  "
      output += "\(prefix)\(head)\(line)\n"
    }
    StandardStream.error.write(output)
  }

  /// `JOURNAL_STREAM` names the device and inode of journald's socket; a child whose output was
  /// redirected inherits the variable and not the socket (systemd.exec(5)).
  private static var errorGoesToJournal: Bool {
    guard let named = Process.variable("JOURNAL_STREAM"),
      let actual = StandardStream.error.status
    else { return false }
    return named == "\(actual.device):\(actual.inode)"
  }
}
