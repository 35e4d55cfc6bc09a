import Configuration
import Testing

@Suite("Fixtures")
struct FixtureTests {
  @Test("valid files load, and say what is expected", arguments: Fixtures.names(in: "valid"))
  func valid(name: String) throws {
    let result = try Fixtures.load("valid", name)
    #expect(result.configuration != nil)
    #expect(try result.report == Fixtures.expectation("valid", name, actual: result.report))
  }

  @Test("invalid files say every error", arguments: Fixtures.names(in: "invalid"))
  func invalid(name: String) throws {
    let result = try Fixtures.load("invalid", name)
    #expect(result.configuration == nil)
    #expect(result.count(.error) > 0)
    #expect(try result.report == Fixtures.expectation("invalid", name, actual: result.report))
  }
}
