import Glibc

/// A moment as a clock on the wall shows it, in the time zone of the process.
///
/// - SeeAlso: localtime_r(3), `TZ` in tzset(3).
@frozen public struct LocalTime: Equatable, Sendable {
  public var year: Int
  /// 1…12.
  public var month: Int
  public var day: Int
  public var hour: Int
  public var minute: Int
  public var second: Int
  /// Seconds east of UTC.
  public var offset: Int

  public init(secondsSince1970 seconds: Int64) {
    var moment = time_t(seconds)
    var parts = unsafe tm()
    _ = unsafe localtime_r(&moment, &parts)
    year = unsafe Int(parts.tm_year) + 1900
    month = unsafe Int(parts.tm_mon) + 1
    day = unsafe Int(parts.tm_mday)
    hour = unsafe Int(parts.tm_hour)
    minute = unsafe Int(parts.tm_min)
    second = unsafe Int(parts.tm_sec)
    offset = unsafe Int(parts.tm_gmtoff)
  }

  /// `Jan`…`Dec`, whatever the locale.
  public var monthName: String {
    switch month {
    case 1: "Jan"
    case 2: "Feb"
    case 3: "Mar"
    case 4: "Apr"
    case 5: "May"
    case 6: "Jun"
    case 7: "Jul"
    case 8: "Aug"
    case 9: "Sep"
    case 10: "Oct"
    case 11: "Nov"
    default: "Dec"
    }
  }
}

/// The machine that the process runs on.
public enum Machine {
  /// Its name; `localhost` when it has none.
  ///
  /// - SeeAlso: gethostname(2).
  public static var hostname: String {
    var bytes = [CChar](repeating: 0, count: 256)
    let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer -> CInt in
      guard let base = buffer.baseAddress else { return -1 }
      return unsafe gethostname(base, buffer.count - 1)
    }
    let name = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return result == 0 && !name.isEmpty ? String(decoding: name, as: UTF8.self) : "localhost"
  }
}
