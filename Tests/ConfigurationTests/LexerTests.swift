import Testing

@testable import Configuration

@Suite("Lexer")
struct LexerTests {
  private func words(
    _ line: String, _ variables: [String: String] = [:]
  ) throws -> [Word] {
    var environment = Environment(variables)
    var lexer = Lexer(
      Array(line.utf8)[...], place: .init(path: "a.cfg", line: 7, section: "global"))
    return try lexer.words(in: &environment)
  }

  private func texts(_ line: String, _ variables: [String: String] = [:]) throws -> [String] {
    try words(line, variables).map(\.text)
  }

  private func failure(_ line: String) -> Lexer.Failure? {
    #expect(throws: Lexer.Failure.self) { try words(line) }
  }

  @Test(
    "splits at blanks, and ends at a comment wherever it begins",
    arguments: [
      ("a b\tc", ["a", "b", "c"]),
      ("  a  ", ["a"]),
      ("a # b", ["a"]),
      ("a#b c", ["a"]),
      ("# a", []),
      ("", []),
    ])
  func blanks(line: String, expected: [String]) throws {
    #expect(try texts(line) == expected)
  }

  @Test(
    "takes the meaning off what is quoted or behind a backslash",
    arguments: [
      (#""a b" 'c # d'"#, ["a b", "c # d"]),
      (#"a"b"'c'd"#, ["abcd"]),
      (##"a\ b \# \\ \" \'"##, ["a b", "#", "\\", "\"", "'"]),
      (#"\n\r\t \x41\x7a"#, ["\n\r\t", "Az"]),
      (#"'\n' "\n""#, ["\\n", "\n"]),
      (#"^\w+\.example\.com$"#, [#"^\w+\.example\.com$"#]),
      (#"\$A "\$A""#, [#"\$A"#, "$A"]),
      (#"a\"#, ["a\\"]),
    ])
  func quotes(line: String, expected: [String]) throws {
    #expect(try texts(line) == expected)
  }

  @Test(
    "expands variables within double quotes only",
    arguments: [
      (#""$A" "${A}" $A '$A'"#, ["1 2", "1 2", "$A", "$A"]),
      (#""x${A}y""#, ["x1 2y"]),
      (#""${NONE-z z}" "${A-z}""#, ["z z", "1 2"]),
      (#""${A[*]}" b"#, ["1", "2", "b"]),
      (#""x${A[*]}y""#, ["x1", "2y"]),
      (#"a "${NONE[*]}" b"#, ["a", "b"]),
      (#""${.FILE}:${.LINE} $.SECTION""#, ["a.cfg:7 global"]),
    ])
  func variables(line: String, expected: [String]) throws {
    #expect(try texts(line, ["A": "1 2"]) == expected)
  }

  @Test("says where a word stands, quotes and all, in bytes")
  func columns() throws {
    let words = try words("\té 'b c'  d")
    #expect(words.map(\.column) == [2, 5, 12])
    #expect(words.map(\.length) == [2, 5, 1])
  }

  @Test(
    "says what is never closed, and where it was opened",
    arguments: [
      (#"a "b c"#, 2..<6), (#"a 'b"#, 2..<4), (#""${A"#, 1..<4), (#""${A[1]}""#, 1..<9),
      (#""$""#, 1..<2), (#""${9}""#, 1..<4), (#"\x4"#, 0..<3), (#"\x00"#, 0..<4),
      (#"a """#, 2..<4), (#""$NONE""#, 0..<7), (#""${.NAME}""#, 1..<9),
    ])
  func failures(line: String, range: Range<Int>) {
    #expect(failure(line)?.range == range)
  }

  @Test("keeps words that are no UTF-8 apart from those that are")
  func notUTF8() throws {
    var environment = Environment([:])
    var lexer = Lexer([0x61, 0xff, 0x20, 0x62], place: .init())
    let words = try lexer.words(in: &environment)
    #expect(words.map(\.isUTF8) == [false, true])
  }
}

@Suite("Environment")
struct EnvironmentTests {
  @Test("remembers what was asked for, and nothing else")
  func used() {
    var environment = Environment(["A": "1", "SECRET": "2"])
    #expect(environment.value(of: "A") == "1")
    #expect(environment.value(of: "B") == nil)
    #expect(environment.used == ["A": "1"])
  }

  @Test("is changed by the file, which the snapshot does not see")
  func changes() {
    var environment = Environment(["A": "1", "B": "2"])
    environment.set("C", to: "3")
    environment.remove("A")
    #expect(environment.value(of: "A") == nil)
    #expect(environment.value(of: "C") == "3")
    environment.reset(keeping: ["A", "B"])
    #expect(environment.value(of: "C") == nil)
    #expect(environment.value(of: "B") == "2")
    #expect(environment.used == ["B": "2"])
  }

  @Test("expands addresses without quotes, and tells what is missing")
  func addresses() {
    var environment = Environment(["IP": "192.0.2.1"])
    #expect(environment.expand("$IP:80").text == "192.0.2.1:80")
    #expect(environment.expand("${IP}:${PORT-80}").text == "192.0.2.1:80")
    #expect(environment.expand("${NONE}").missing == "NONE")
    #expect(environment.expand("${IP").text == "${IP")
    #expect(environment.expand("a$").text == "a$")
  }
}
