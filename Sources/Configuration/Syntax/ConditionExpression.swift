/// What `.if`, `.elif` and the flag `-cc` evaluate:
/// `defined(NAME) && !(feature(X) || streq(a,b))`.
public struct ConditionExpression {
  public enum Outcome: Equatable, Sendable {
    case isTrue
    case isFalse
    /// It cannot be read: what was expected, and at which byte (from 0).
    case syntaxError(message: String, offset: Int)
  }

  /// The version of the language that `version_atleast()` and `version_before()` compare with.
  public static let languageVersion = [3, 2, 0]

  /// What `feature()` knows to be there, by the names of the reference's build options.
  static let features: Set<String> = [
    "ACCEPT4", "EPOLL", "GETADDRINFO", "LINUX_SPLICE", "LINUX_TPROXY", "NETFILTER", "PCRE2",
    "PCRE2_JIT", "SYSTEMD", "TFO", "TPROXY",
  ]

  /// What `enabled()` knows to be in use.
  static let enabledOptions: Set<String> = [
    "EPOLL", "GETADDRINFO", "REUSEPORT", "SPLICE",
  ]

  private let bytes: [UInt8]
  private var index = 0
  private var environment: Environment
  private var depth = 0

  /// How deep parentheses and negations may nest.
  private static let maximumDepth = 64

  private init(_ text: String, _ environment: Environment) {
    bytes = Array(text.utf8)
    self.environment = environment
  }

  /// Evaluates `text`; `environment` is what `defined()` looks into.
  public static func evaluate(_ text: String, environment: [String: String] = [:]) -> Outcome {
    var variables = Environment(environment)
    return evaluate(text, in: &variables)
  }

  static func evaluate(_ text: String, in environment: inout Environment) -> Outcome {
    var expression = ConditionExpression(text, environment)
    defer { environment = expression.environment }
    do throws(SyntaxError) {
      let value = try expression.disjunction()
      expression.skipBlanks()
      guard expression.index == expression.bytes.count else {
        throw expression.failure("expected '&&', '||' or the end")
      }
      return value ? .isTrue : .isFalse
    } catch {
      return .syntaxError(message: error.message, offset: error.offset)
    }
  }

  private struct SyntaxError: Error {
    let message: String
    let offset: Int
  }

  private func failure(_ message: String) -> SyntaxError {
    SyntaxError(message: message, offset: index)
  }

  // MARK: Grammar

  private mutating func disjunction() throws(SyntaxError) -> Bool {
    var value = try conjunction()
    while take("||") {
      let next = try conjunction()
      value = value || next
    }
    return value
  }

  private mutating func conjunction() throws(SyntaxError) -> Bool {
    var value = try term()
    while take("&&") {
      let next = try term()
      value = value && next
    }
    return value
  }

  private mutating func term() throws(SyntaxError) -> Bool {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw failure("nested too deeply") }
    if take("!") { return try !term() }
    if take("(") {
      let value = try disjunction()
      guard take(")") else { throw failure("expected ')'") }
      return value
    }
    return try atom()
  }

  private mutating func atom() throws(SyntaxError) -> Bool {
    skipBlanks()
    let start = index
    while index < bytes.count, bytes[index].isVariableName { index += 1 }
    let name = String(decoding: bytes[start..<index], as: UTF8.self)
    guard index > start else { throw failure("expected a predicate or an integer") }
    guard index < bytes.count, bytes[index] == UInt8(ascii: "(") else {
      if let number = Int(name) { return number != 0 }
      throw SyntaxError(message: "expected '(' after '\(name)'", offset: index)
    }
    index += 1
    return try predicate(name, at: start, arguments: try arguments())
  }

  /// What stands between the parentheses, split at commas. Quotes are gone by now: the lexer
  /// removed them.
  private mutating func arguments() throws(SyntaxError) -> [String] {
    var arguments: [String] = []
    var start = index
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ")") {
        arguments.append(String(decoding: bytes[start..<index], as: UTF8.self))
        index += 1
        if byte == UInt8(ascii: ")") { return arguments }
        start = index
      } else {
        index += 1
      }
    }
    throw failure("expected ')'")
  }

  private mutating func predicate(
    _ name: String, at start: Int, arguments: [String]
  ) throws(SyntaxError) -> Bool {
    let arity = Self.arities[name]
    guard let arity else {
      let known = Suggestion.nearest(to: name, among: Self.arities.keys)
      let hint = known.map { "; did you mean '\($0)'?" } ?? ""
      throw SyntaxError(message: "unknown predicate '\(name)'\(hint)", offset: start)
    }
    guard arguments.count == arity else {
      throw SyntaxError(
        message: "'\(name)' takes \(arity == 1 ? "one argument" : "\(arity) arguments")",
        offset: start)
    }
    switch name {
    case "defined": return environment.value(of: arguments[0]) != nil
    case "feature": return Self.features.contains(arguments[0])
    case "enabled": return Self.enabledOptions.contains(arguments[0])
    case "streq": return arguments[0] == arguments[1]
    case "strneq": return arguments[0] != arguments[1]
    case "strstr": return arguments[0].includes(arguments[1])
    case "version_atleast": return !(try isBefore(arguments[0], at: start))
    case "version_before": return try isBefore(arguments[0], at: start)
    // No TLS library is linked, so no version of one is there.
    default: return false
    }
  }

  private static let arities = [
    "defined": 1, "feature": 1, "enabled": 1, "streq": 2, "strneq": 2, "strstr": 2,
    "version_atleast": 1, "version_before": 1, "openssl_version_atleast": 1,
    "openssl_version_before": 1, "ssllib_name_startswith": 1, "awslc_api_atleast": 1,
    "awslc_api_before": 1,
  ]

  private func isBefore(_ version: String, at start: Int) throws(SyntaxError) -> Bool {
    // "3.2-dev4" compares as 3.2: development versions are not told apart.
    let release = version.split(atFirst: "-").head
    var parts: [Int] = []
    for part in release.split(separator: ".", omittingEmptySubsequences: false) {
      guard let number = Int(part), number >= 0 else {
        throw SyntaxError(message: "'\(version)' is not a version", offset: start)
      }
      parts.append(number)
    }
    return Self.languageVersion.lexicographicallyPrecedes(parts)
  }

  // MARK: Bytes

  private mutating func skipBlanks() {
    while index < bytes.count, bytes[index].isBlank { index += 1 }
  }

  private mutating func take(_ token: String) -> Bool {
    skipBlanks()
    guard bytes[index...].starts(with: token.utf8) else { return false }
    index += token.utf8.count
    return true
  }
}
