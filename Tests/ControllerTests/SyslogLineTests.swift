import Configuration
import Linux
import Testing

@testable import Controller

@Suite("SyslogLine")
struct SyslogLineTests {
  static let line = SyslogLine(
    facility: 16, level: 5, time: 1_795_528_817_000_000_000, hostname: "lb1", tag: "sluice",
    process: 42, text: "Server be/s1 is UP.")

  @Test("writes the formats of the reference")
  func formats() {
    let local = LocalTime(secondsSince1970: 1_795_528_817)
    let date = "\(local.monthName) \(local.day) \(local.clock)"
    func text(_ format: LogTarget.Format) -> String { Self.line.formatted(format, maxLength: 1024) }
    #expect(text(.raw) == "Server be/s1 is UP.")
    #expect(text(.short) == "<5>Server be/s1 is UP.")
    #expect(text(.priority) == "<133>Server be/s1 is UP.")
    #expect(text(.local) == "<133>\(date) lb1 sluice[42]: Server be/s1 is UP.")
    #expect(text(.rfc3164) == "<133>\(date) lb1 sluice[42]: Server be/s1 is UP.")
    #expect(text(.rfc5424).hasPrefix("<133>1 \(local.year)-11-"))
    #expect(text(.rfc5424).hasSuffix(" lb1 sluice 42 - - Server be/s1 is UP."))
  }

  @Test("leaves the name of the host out of the local format where none is asked for")
  func withoutHostname() {
    var line = Self.line
    line.hostname = nil
    #expect(!line.formatted(.local, maxLength: 1024).contains("lb1"))
  }

  @Test("cuts long lines between characters")
  func cut() {
    #expect("abc".cut(toBytes: 3) == "abc")
    #expect("abcd".cut(toBytes: 3) == "abc")
    #expect("aé".cut(toBytes: 2) == "a")
  }
}
