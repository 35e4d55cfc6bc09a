import Linux

/// A clock on the wall that is looked at once a second: most lines of a second share its text.
struct LogDate: BitwiseCopyable {
  private var second = Int64.min
  private var local = LocalTime(secondsSince1970: 0)
  private(set) var microsecond = 0

  /// The first look reads the time zone, which lies outside of a new root: make one before.
  init() {}

  /// Sets the clock, to microseconds since 1970.
  mutating func set(_ microseconds: Int64) {
    let (second, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    microsecond = Int(rest)
    guard second != self.second else { return }
    self.second = second
    local = LocalTime(secondsSince1970: second)
  }

  /// Seconds since 1970.
  var secondsSince1970: Int64 { second }

  /// `24/Nov/2026:15:06:45`
  func appendAccept(to line: inout LineWriter) {
    Self.append(local, to: &line)
  }

  /// `24/Nov/2026:15:06:45.765`
  func appendAcceptMilliseconds(to line: inout LineWriter) {
    Self.append(local, to: &line)
    line.append(UInt8(ascii: "."))
    line.append(decimal: UInt64(microsecond / 1000), digits: 3)
  }

  /// `24/Nov/2026:15:06:45 +0100`
  func appendAcceptZone(to line: inout LineWriter) {
    Self.append(local, to: &line)
    line.append(UInt8(ascii: " "))
    appendOffset(colon: false, to: &line)
  }

  /// `24/Nov/2026:14:06:45 +0000`
  func appendAcceptUTC(to line: inout LineWriter) {
    Self.append(.utc(second), to: &line)
    line.append(" +0000")
  }

  /// `Nov  4 15:06:45`: RFC 3164 section 4.1.2, the day padded with a blank.
  func appendSyslog(to line: inout LineWriter) {
    Self.appendMonth(local, to: &line)
    line.append(local.day < 10 ? "  " : " ")
    line.append(decimal: local.day)
    line.append(UInt8(ascii: " "))
    Self.appendTime(local, to: &line)
  }

  /// `2026-11-24T15:06:45.765767+01:00`: RFC 5424 section 6.2.3.
  func appendISO(to line: inout LineWriter) {
    line.append(decimal: UInt64(local.year), digits: 4)
    line.append(UInt8(ascii: "-"))
    line.append(decimal: UInt64(local.month), digits: 2)
    line.append(UInt8(ascii: "-"))
    line.append(decimal: UInt64(local.day), digits: 2)
    line.append(UInt8(ascii: "T"))
    Self.appendTime(local, to: &line)
    line.append(UInt8(ascii: "."))
    line.append(decimal: UInt64(microsecond), digits: 6)
    appendOffset(colon: true, to: &line)
  }

  private func appendOffset(colon: Bool, to line: inout LineWriter) {
    let minutes = UInt64(local.offset.magnitude / 60)
    line.append(UInt8(ascii: local.offset < 0 ? "-" : "+"))
    line.append(decimal: minutes / 60, digits: 2)
    if colon { line.append(UInt8(ascii: ":")) }
    line.append(decimal: minutes % 60, digits: 2)
  }

  private static func append(_ time: LocalTime, to line: inout LineWriter) {
    line.append(decimal: UInt64(time.day), digits: 2)
    line.append(UInt8(ascii: "/"))
    appendMonth(time, to: &line)
    line.append(UInt8(ascii: "/"))
    line.append(decimal: UInt64(time.year), digits: 4)
    line.append(UInt8(ascii: ":"))
    appendTime(time, to: &line)
  }

  private static func appendTime(_ time: LocalTime, to line: inout LineWriter) {
    line.append(decimal: UInt64(time.hour), digits: 2)
    line.append(UInt8(ascii: ":"))
    line.append(decimal: UInt64(time.minute), digits: 2)
    line.append(UInt8(ascii: ":"))
    line.append(decimal: UInt64(time.second), digits: 2)
  }

  private static func appendMonth(_ time: LocalTime, to line: inout LineWriter) {
    let names = ("JanFebMarAprMayJunJulAugSepOctNovDec" as StaticString).bytes
    let start = (time.month - 1) * 3
    line.append(names.extracting(start..<start + 3))
  }
}

extension LocalTime {
  /// The moment in UTC, by arithmetic: days to year, month and day after Howard Hinnant's
  /// `civil_from_days`, with years that begin in March.
  fileprivate static func utc(_ seconds: Int64) -> LocalTime {
    let days = Int(seconds / 86_400) + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let ofDay = Int(seconds % 86_400)
    var time = LocalTime(secondsSince1970: seconds)
    time.day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    time.month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    time.year = yearOfEra + era * 400 + (time.month <= 2 ? 1 : 0)
    time.hour = ofDay / 3600
    time.minute = ofDay / 60 % 60
    time.second = ofDay % 60
    time.offset = 0
    return time
  }
}
