import Linux

/// `log TARGET [len N] [format F] … FACILITY [LEVEL [MINIMUM]]`.
extension ConfigurationReader {
  private static let facilities = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
  ]

  private static let levels: KeyValuePairs<String, UInt8> = [
    "emerg": 0, "alert": 1, "crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7,
  ]

  private static let formats: KeyValuePairs<String, LogTarget.Format> = [
    "local": .local, "rfc3164": .rfc3164, "rfc5424": .rfc5424, "priority": .priority,
    "short": .short, "timed": .timed, "iso": .iso, "raw": .raw,
  ]

  /// The rest of a `log` line that is not `log global`.
  ///
  /// - Returns: nil, with a warning, for a target that is not supported: a log line less changes
  ///   no byte of the traffic.
  mutating func logTarget(_ statement: inout Statement) throws(Diagnostic) -> LogTarget? {
    let word = try statement.require("where to log to: an address, a path, stdout or stderr")
    let address = try logAddress(word, statement)
    var target = LogTarget(address: address ?? .standardError, facility: 0)
    try logOptions(&target, &statement)
    target.facility = try Self.facility(&statement)
    if !statement.isAtEnd { target.maxLevel = try statement.choice("level", Self.levels) }
    if !statement.isAtEnd { target.minLevel = try statement.choice("level", Self.levels) }
    try statement.finish()
    return address == nil ? nil : target
  }

  private mutating func logOptions(
    _ target: inout LogTarget, _ statement: inout Statement
  ) throws(Diagnostic) {
    while let word = statement.peek {
      switch word.text {
      case "len":
        _ = statement.next()
        target.maxLength = try statement.integer("a length in bytes", in: 80...65_535)
      case "format":
        _ = statement.next()
        target.format = try statement.choice("log format", Self.formats)
      case "sample":
        _ = statement.next()
        target.sampling = try Self.sampling(&statement)
      case "profile":
        _ = statement.next()
        _ = try statement.require("an argument of 'profile'")
        log.warn(
          statement.span(of: word), "'profile' of 'log' is not supported in this version",
          hints: ["lines keep the format of their proxy"])
      default: return
      }
    }
  }

  /// `1:10` or `2-3,8-11:16`: the ranges of places, and of how many lines.
  private static func sampling(
    _ statement: inout Statement
  ) throws(Diagnostic) -> LogTarget.Sampling {
    let word = try statement.require("which lines of how many, such as 1:10")
    let (list, count) = word.text.split(atFirst: ":")
    let ranges = list.split(separator: ",", omittingEmptySubsequences: false).map {
      range(String($0))
    }
    let sorted = ranges.compactMap(\.self).sorted { $0.lowerBound < $1.lowerBound }
    let overlaps = zip(sorted, sorted.dropFirst()).contains { $0.upperBound >= $1.lowerBound }
    guard let size = Int(count ?? ""), (1...Int(Int32.max)).contains(size),
      sorted.count == ranges.count, !overlaps, let last = sorted.last, last.upperBound <= size
    else {
      throw statement.span(of: word).error(
        "bad sample '\(word.text)'",
        hint: "expected places and a size, such as 1:10 or 2-3,8-11:16")
    }
    return LogTarget.Sampling(size: size, ranges: sorted)
  }

  private static func range(_ text: String) -> ClosedRange<Int>? {
    let (low, high) = text.split(atFirst: "-")
    guard let first = Int(low), let last = high == nil ? first : Int(high ?? ""), first >= 1,
      first <= last
    else { return nil }
    return first...last
  }

  private static func facility(_ statement: inout Statement) throws(Diagnostic) -> UInt8 {
    let word = try statement.require("a syslog facility, such as local0")
    guard let index = facilities.firstIndex(of: word.text) else {
      throw statement.span(of: word).error(
        "unknown log facility '\(word.text)'",
        hint: "expected \(Statement.list(facilities))",
        suggestion: Suggestion.nearest(to: word.text, among: facilities))
    }
    return UInt8(index)
  }

  private mutating func logAddress(
    _ word: Word, _ statement: Statement
  ) throws(Diagnostic) -> LogTarget.Address? {
    let text = try expandAddress(word, of: statement)
    switch text {
    case "stdout": return .standardOutput
    case "stderr": return .standardError
    case "localhost": return .udp(.ip(IPAddress(ipv4: 0x7f00_0001), port: 514))
    default: break
    }
    let span = statement.span(of: word)
    if Self.isUnsupportedLogTarget(text) {
      log.warn(
        span, "log target '\(word.text)' is not supported in this version and is skipped")
      return nil
    }
    do throws(AddressSyntax.Failure) {
      return try logAddress(AddressSyntax(Self.withoutDatagramPrefix(text)), span)
    } catch {
      throw span.error(
        "bad log address '\(word.text)': \(error.message)",
        hint: "expected ADDRESS[:PORT], /path, stdout, stderr or fd@N")
    }
  }

  private static func isUnsupportedLogTarget(_ text: String) -> Bool {
    ["ring@", "backend@", "tcp@", "tcp4@", "tcp6@", "stream+"].contains { text.hasPrefix($0) }
  }

  /// Log targets are datagrams: `udp@`, `uxdg@` and `dgram+…@` say what holds anyway.
  private static func withoutDatagramPrefix(_ text: String) -> String {
    let equivalents: KeyValuePairs = [
      "udp@": "", "udp4@": "ipv4@", "udp6@": "ipv6@", "uxdg@": "unix@",
      "dgram+": "",
    ]
    for (prefix, plain) in equivalents {
      if let rest = text.dropping(prefix: prefix) { return plain + rest }
    }
    return text
  }

  private mutating func logAddress(
    _ syntax: AddressSyntax, _ span: SourceSpan
  ) throws(AddressSyntax.Failure) -> LogTarget.Address? {
    switch syntax.family {
    case .unix: return .unix(syntax.host)
    case .abstract: throw .unsupported("abstract sockets cannot be logged to")
    case .descriptor:
      guard syntax.host.isDecimal, let number = Int32(syntax.host) else {
        throw .invalid("'\(syntax.host)' is no descriptor")
      }
      return .descriptor(Int(number))
    case .any, .ipv4, .ipv6: break
    }
    let text = syntax.port ?? ""
    let port = text.isEmpty ? 514 : try AddressSyntax.portNumber(text)
    if let address = try syntax.ipAddress() { return .udp(.ip(address, port: port)) }
    guard syntax.isName else { throw .invalid("'\(syntax.host)' is neither an address nor a name") }
    log.warn(
      span, "log target '\(syntax.host)' is a name, and is skipped",
      hints: ["names of log servers are not resolved in this version: write the address"])
    return nil
  }
}
