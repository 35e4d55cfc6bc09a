import Testing

@testable import Controller

@Suite("CommandSyntax")
struct CommandSyntaxTests {
  @Test("splits at semicolons that no backslash takes the meaning from")
  func commands() {
    #expect(CommandSyntax.commands(in: "show info;show stat") == ["show info", "show stat"])
    #expect(CommandSyntax.commands(in: #"echo a\;b;c"#) == [#"echo a\;b"#, "c"])
    #expect(CommandSyntax.commands(in: #"echo a\\;b"#) == [#"echo a\\"#, "b"])
    #expect(CommandSyntax.commands(in: "") == [""])
    #expect(CommandSyntax.commands(in: ";;") == ["", "", ""])
  }

  @Test("splits words at blanks and resolves escapes")
  func words() {
    #expect(CommandSyntax.words(of: "  show \t stat ") == ["show", "stat"])
    #expect(CommandSyntax.words(of: #"a\ b c\\d \;"#) == ["a b", #"c\d"#, ";"])
    #expect(CommandSyntax.words(of: "   ").isEmpty)
  }

  @Test("knows payloads by their mark")
  func payload() {
    #expect(CommandSyntax.payloadMark(of: "add map x <<")?.command == "add map x")
    #expect(CommandSyntax.payloadMark(of: "add map x <<")?.end == "")
    #expect(CommandSyntax.payloadMark(of: "add map x <<END")?.end == "END")
    #expect(CommandSyntax.payloadMark(of: "echo << two") == nil)
    #expect(CommandSyntax.payloadMark(of: "echo <<" + String(repeating: "x", count: 65)) == nil)
    #expect(CommandSyntax.payloadMark(of: "show stat") == nil)
  }

  @Test("puts lines together however they come, with either end")
  func lines() {
    let text = "show info\r\nshow stat\nrest"
    for size in 1...text.utf8.count {
      var reader = LineReader()
      var lines: [String] = []
      var bytes = Array(text.utf8)[...]
      while !bytes.isEmpty {
        reader.append(bytes.prefix(size))
        bytes = bytes.dropFirst(size)
        while let line = reader.next() { lines.append(line) }
      }
      #expect(lines == ["show info", "show stat"])
    }
  }

  @Test("passes over a payload, and runs the command behind its end")
  func payloadLines() {
    var reader = LineReader()
    #expect(reader.assemble("show table <<END") == nil)
    #expect(reader.isInPayload)
    #expect(reader.assemble("") == nil)
    #expect(reader.assemble("quit") == nil)
    #expect(reader.assemble("END") == "show table")
    #expect(!reader.isInPayload)
  }

  @Test("has enough of a line that does not end")
  func tooLong() {
    var reader = LineReader()
    reader.append(repeatElement(UInt8(ascii: "x"), count: LineReader.longestLine + 1))
    #expect(reader.isTooLong)
    #expect(reader.next() == nil)
  }

  @Test("reads times with their units")
  func times() {
    #expect(TimeText.milliseconds("10", unit: 1000) == 10_000)
    #expect(TimeText.milliseconds("10", unit: 1) == 10)
    #expect(TimeText.milliseconds("3s", unit: 1) == 3000)
    #expect(TimeText.milliseconds("2m", unit: 1) == 120_000)
    #expect(TimeText.milliseconds("1500us", unit: 1) == 1)
    #expect(TimeText.milliseconds("abc", unit: 1) == nil)
    #expect(TimeText.milliseconds("-1", unit: 1) == nil)
    #expect(TimeText.milliseconds("99999999999999999999", unit: 1) == nil)
    #expect(TimeText.milliseconds("9223372036854775807d", unit: 1) == nil)
  }
}
