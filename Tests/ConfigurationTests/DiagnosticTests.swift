import Configuration
import Testing

@Suite("Diagnostics")
struct DiagnosticTests {
  private func snapshot(_ text: String) -> ConfigurationSnapshot { snapshot(Array(text.utf8)) }

  private func snapshot(_ bytes: [UInt8]) -> ConfigurationSnapshot {
    ConfigurationSnapshot(files: [.init(path: "a.cfg", role: .configuration, bytes: bytes)])
  }

  private func rendered(_ text: String, column: Int, length: Int) -> String {
    Diagnostic(
      .error, at: .init(file: 0, line: 1, column: column), length: length, "wrong"
    ).rendered(in: snapshot(text))
  }

  @Test("show the line, a caret under the place, what was meant and what was expected")
  func complete() {
    let diagnostic = Diagnostic(
      .warning, at: .init(file: 0, line: 2, column: 3), length: 4, "unknown word",
      hints: ["expected another"], suggestion: "bind")
    #expect(
      diagnostic.rendered(in: snapshot("x\n  bnid :1\n")) == """
        a.cfg:2:3: warning: unknown word
          bnid :1
          ^~~~
        did you mean 'bind'?
        expected another
        """)
  }

  @Test("repeat tabs above the caret, and count characters in it, bytes in the column")
  func tabsAndCharacters() {
    #expect(
      rendered("\té\tab", column: 5, length: 2) == "a.cfg:1:5: error: wrong\n\té\tab\n\t \t^~")
    #expect(rendered("éé", column: 1, length: 4) == "a.cfg:1:1: error: wrong\néé\n^~")
  }

  @Test("let nothing reach the terminal that it would act on")
  func controlBytes() {
    #expect(rendered("a\u{1b}[2J", column: 1, length: 1).contains("a?[2J"))
  }

  @Test("show the neighbourhood of the place in a line without end")
  func longLines() {
    let text = rendered(String(repeating: "é", count: 50_000), column: 50_001, length: 2)
    #expect(text.utf8.count < 1500)
    #expect(text.hasSuffix("^"))
  }

  @Test("show a place among bytes that are no text")
  func continuationBytesOnly() {
    let bytes = Array(repeating: UInt8(0x80), count: 400)
    for column in [1, 2, 200, 400, 401] {
      let text = Diagnostic(
        .error, at: .init(file: 0, line: 1, column: column), length: 2, "wrong"
      ).rendered(in: snapshot(bytes))
      #expect(text.hasPrefix("a.cfg:1:\(column): error: wrong\n"))
      #expect(text.contains("^"))
    }
  }

  @Test("say it all of what has no place in a file")
  func noPlace() {
    #expect(Diagnostic(.error, at: nil, "no file").rendered(in: .init()) == "error: no file")
  }

  @Test("point just behind a line that ends too early")
  func behindTheEnd() {
    let result = load("frontend\n")
    #expect(result.report.contains("frontend\n        ^\n"))
  }

  @Test("come in the order of the file, whatever was found first")
  func order() {
    let result = load("frontend f\n bind :1\n default_backend b\n bogus\n")
    #expect(result.diagnostics.compactMap { $0.position?.line } == [3, 4])
  }
}
