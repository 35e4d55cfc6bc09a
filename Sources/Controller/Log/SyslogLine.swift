import Configuration
import Linux

/// One log line and what its header needs.
struct SyslogLine {
  var facility: UInt8
  var level: UInt8
  /// Wall clock, nanoseconds.
  var time: Int64
  var hostname: String?
  var tag: String
  var process: Int32
  var text: String

  /// The line in one of HAProxy's formats, cut at `maxLength` bytes.
  func formatted(_ format: LogTarget.Format, maxLength: Int) -> String {
    let line =
      switch format {
      case .local:
        "<\(priority)>\(date)\(hostname.map { " " + $0 } ?? "") \(tag)[\(process)]: \(text)"
      case .rfc3164:
        "<\(priority)>\(date) \(hostname ?? Machine.hostname) \(tag)[\(process)]: \(text)"
      case .rfc5424:
        "<\(priority)>1 \(timestamp) \(hostname ?? Machine.hostname) \(tag) \(process) - - \(text)"
      case .priority: "<\(priority)>\(text)"
      case .short: "<\(level)>\(text)"
      case .timed: "<\(level)>\(date) \(text)"
      case .iso: "\(timestamp) \(text)"
      case .raw: text
      }
    return line.cut(toBytes: maxLength)
  }

  private var priority: Int { Int(facility) * 8 + Int(level) }

  private var local: LocalTime { LocalTime(secondsSince1970: time / 1_000_000_000) }

  /// `Nov  4 09:05:01` (RFC 3164 section 4.1.2).
  private var date: String {
    let local = local
    let day = (local.day < 10 ? " " : "") + String(local.day)
    return "\(local.monthName) \(day) \(local.clock)"
  }

  /// `2026-11-24T09:05:01+01:00` (RFC 3339).
  private var timestamp: String {
    let local = local
    let minutes = abs(local.offset) / 60
    return "\(local.year)-\(local.month.twoDigits)-\(local.day.twoDigits)T\(local.clock)"
      + "\(local.offset < 0 ? "-" : "+")\((minutes / 60).twoDigits):\((minutes % 60).twoDigits)"
  }
}

extension LocalTime {
  /// `09:05:01`.
  var clock: String { "\(hour.twoDigits):\(minute.twoDigits):\(second.twoDigits)" }
}

extension Int {
  /// With a leading zero below ten.
  var twoDigits: String { (self < 10 ? "0" : "") + String(self) }
}

extension String {
  /// The longest beginning of whole characters that is no longer than `limit` bytes.
  func cut(toBytes limit: Int) -> String {
    guard utf8.count > limit else { return self }
    var end = utf8.index(startIndex, offsetBy: limit)
    while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
