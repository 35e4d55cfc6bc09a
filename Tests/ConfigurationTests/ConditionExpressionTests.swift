import Configuration
import Testing

@Suite("Condition expressions")
struct ConditionExpressionTests {
  private func evaluate(_ text: String) -> ConditionExpression.Outcome {
    ConditionExpression.evaluate(text, environment: ["HOME": "/root"])
  }

  @Test(
    "true",
    arguments: [
      "1", "42", "defined(HOME)", "!defined(NONE)", "streq(a,a)", "strneq(a,b)",
      "strstr(abc,bc)", "strstr(abc,)", "feature(EPOLL)", "enabled(SPLICE)",
      "version_atleast(1.0)", "version_atleast(3.2)", "version_atleast(3.2-dev4)",
      "version_before(99.0)", "0 || 1", "1 && !0", "!(0 || 0)", "(((1)))", "! ! 1",
      "0 && 0 || 1", "1 || 0 && 0", "defined(HOME) && (streq(a,b) || 1)",
    ])
  func isTrue(text: String) {
    #expect(evaluate(text) == .isTrue)
  }

  @Test(
    "false",
    arguments: [
      "0", "defined(NONE)", "streq(a,b)", "feature(OPENSSL)", "feature(THREAD)",
      "version_atleast(99.0)", "version_before(3.2)", "version_before(3.2.0)", "1 && 0",
      "openssl_version_atleast(1.1)", "!1 || 0",
    ])
  func isFalse(text: String) {
    #expect(evaluate(text) == .isFalse)
  }

  @Test(
    "no condition",
    arguments: [
      "", " ", "nonsense", "nonsense(", "nonsense(a)", "defined(HOME", "defined()x", "streq(a)",
      "streq(a,b,c)", "(1", "1)", "1 &&", "|| 1", "!", "1 1", "version_atleast(x)",
      "1 & 1", "-1",
    ])
  func syntaxError(text: String) {
    guard case .syntaxError(_, let offset) = evaluate(text) else {
      Issue.record("\(text) is \(evaluate(text))")
      return
    }
    #expect(offset >= 0 && offset <= text.utf8.count)
  }

  @Test("nesting has a bound, so that no input exhausts the stack")
  func depth() {
    let deep = String(repeating: "(", count: 100_000)
    guard case .syntaxError = evaluate(deep) else {
      Issue.record("accepted")
      return
    }
    guard case .syntaxError = evaluate(String(repeating: "!", count: 100_000) + "1") else {
      Issue.record("accepted")
      return
    }
  }

  @Test("a nearly right predicate is named")
  func suggestion() {
    guard case .syntaxError(let message, _) = evaluate("defind(A)") else {
      Issue.record("accepted")
      return
    }
    #expect(message.contains("'defined'"))
  }
}
