import Configuration
import Testing

@Suite("log-format")
struct LogFormatTests {
  private func items(_ format: String) -> [LogItem]? {
    let result = load(
      """
      defaults
        mode tcp
        timeout connect 1s
        timeout client 1s
        timeout server 1s
      frontend f
        bind 127.0.0.1:4430
        log-format "\(format)"
        default_backend b
      backend b
        server s 127.0.0.1:4431

      """)
    guard case .custom(let items)? = result.configuration?.frontends.first?.log.format else {
      return nil
    }
    return items
  }

  @Test("text, variables and samples, in order")
  func pieces() {
    #expect(
      items("%ci:%cp 100%% %[req.ssl_sni,lower]") == [
        .variable("ci"), .text(":"), .variable("cp"), .text(" 100% "),
        .sample(SampleExpression(fetch: .serverName, converters: [.lower])),
      ])
  }

  @Test("flags belong to a variable, or after %o to all that follow")
  func flags() {
    #expect(
      items("%{+Q}f %{+X,+E}ci %{+Q}o %f %{-Q}b %[src]") == [
        .variable("f", .quoted), .text(" "), .variable("ci", [.hexadecimal, .escaped]),
        .text("  "), .variable("f", .quoted), .text(" "), .variable("b"), .text(" "),
        .sample(SampleExpression(fetch: .source), .quoted),
      ])
  }

  @Test("an unknown variable is an error; one of HTTP is kept, with a warning")
  func unknown() {
    #expect(items("%nope") == nil)
    #expect(items("%ST") == [.variable("ST")])
  }
}
