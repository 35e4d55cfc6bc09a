import Linux

/// What a sample is, and so what it can be compared with.
enum SampleType: String {
  case address = "an address"
  case string = "a string"
  case integer = "an integer"
  case boolean = "a boolean"
  case binary = "bytes"

  /// How it is compared where the rule does not say.
  var impliedMatch: Match {
    switch self {
    case .address: .address
    case .string: .string
    case .integer: .integer
    case .boolean: .boolean
    case .binary: .binary
    }
  }

  func fits(_ match: Match) -> Bool {
    switch match {
    case .found: true
    case .boolean: self == .boolean || self == .integer
    case .integer: self != .binary && self != .address
    case .address: self == .address || self == .integer
    // Numbers and addresses are compared as they are written.
    case .string, .begin, .end, .substring, .domain, .directory, .regularExpression, .length:
      true
    case .binary: self == .string || self == .binary
    }
  }
}

extension SampleExpression {
  /// Names by which the language calls a fetch, with those of older releases.
  static let fetches: [String: Fetch] = [
    "src": .source, "src_port": .sourcePort, "dst": .destination, "dst_port": .destinationPort,
    "req.ssl_sni": .serverName, "req_ssl_sni": .serverName,
    "req.ssl_sni_crt": .serverNameInCertificate,
    "req.ssl_hello_type": .helloType, "req_ssl_hello_type": .helloType,
    "req.ssl_ver": .helloVersion, "req_ssl_ver": .helloVersion,
    "req.ssl_alpn": .applicationProtocols,
    "req.len": .requestLength, "req_len": .requestLength,
    "req.payload": .payload(offset: 0, length: 0), "payload": .payload(offset: 0, length: 0),
    "req.proto_http": .protocolHTTP, "req_proto_http": .protocolHTTP,
    "wait_end": .waitEnd, "always_true": .always(true), "always_false": .always(false),
  ]

  /// The names of today, without those that older releases had for the same.
  static let currentNames = fetches.keys.filter { !$0.hasPrefix("req_") && $0 != "payload" }
    .sorted()

  /// Conditions that need no declaration.
  ///
  /// Made anew each time, which is seldom: leak checkers do not see what only a global's enum
  /// refers to, since the case is kept in the reference's spare bits.
  static var predefined: [String: (fetch: Fetch, match: Match, patterns: Patterns)] {
    [
      "TRUE": (.always(true), .boolean, .none),
      "FALSE": (.always(false), .boolean, .none),
      "WAIT_END": (.waitEnd, .boolean, .none),
      "REQ_CONTENT": (.requestLength, .integer, .integers([1...Int.max])),
      "HTTP": (.protocolHTTP, .boolean, .none),
      "LOCALHOST": (
        .source, .address,
        .networks([
          Network(address: .init(ipv4: 0x7f00_0000), prefixLength: 8),
          Network(address: .init(high: 0, low: 1), prefixLength: 128),
        ])
      ),
    ]
  }

  /// Predefined in the reference, and about what is inside TLS, or about protocols unknown here.
  static let unsupportedPredefined: Set<String> = [
    "HTTP_1.0", "HTTP_1.1", "HTTP_2.0", "HTTP_3.0", "HTTP_CONTENT", "HTTP_URL_ABS",
    "HTTP_URL_SLASH", "HTTP_URL_STAR", "METH_CONNECT", "METH_DELETE", "METH_GET", "METH_HEAD",
    "METH_OPTIONS", "METH_POST", "METH_PUT", "METH_TRACE", "RDP_COOKIE",
  ]

  var type: SampleType {
    if !converters.isEmpty { return .string }
    switch fetch {
    case .source, .destination: return .address
    case .sourcePort, .destinationPort, .helloType, .helloVersion, .requestLength:
      return .integer
    case .serverName, .applicationProtocols: return .string
    case .serverNameInCertificate, .waitEnd, .always, .protocolHTTP: return .boolean
    case .payload: return .binary
    }
  }
}

extension ConfigurationReader {
  /// Reads `fetch(arguments),converter,…` from one word.
  func sample(_ word: Word, of statement: Statement) throws(Diagnostic) -> SampleExpression {
    let span = statement.span(of: word)
    var parts = Self.splitExpression(word.text)
    let (name, arguments) = try Self.call(parts.removeFirst(), span)
    var expression = SampleExpression(fetch: try Self.fetch(name, arguments, span))
    for part in parts {
      let converter = try Self.converter(try Self.call(part, span).name, span)
      guard expression.type == .string || expression.type == .binary else {
        throw span.error(
          "'\(part)' converts strings, but '\(name)' is \(expression.type.rawValue)")
      }
      expression.converters.append(converter)
    }
    return expression
  }

  /// Splits at commas outside parentheses.
  private static func splitExpression(_ text: String) -> [String] {
    var parts: [[UInt8]] = [[]]
    var depth = 0
    for byte in text.utf8 {
      if byte == UInt8(ascii: "(") { depth += 1 }
      if byte == UInt8(ascii: ")") { depth -= 1 }
      if byte == UInt8(ascii: ","), depth == 0 {
        parts.append([])
      } else {
        parts[parts.count - 1].append(byte)
      }
    }
    return parts.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Takes `name(a,b)` apart.
  private static func call(
    _ text: String, _ span: SourceSpan
  ) throws(Diagnostic) -> (name: String, arguments: [String]?) {
    guard let open = text.firstIndex(of: "(") else { return (text, nil) }
    guard text.hasSuffix(")") else {
      throw span.error("unbalanced parentheses in '\(text)'", hint: "expected ')'")
    }
    let inner = text[text.index(after: open)...].dropLast()
    let arguments = inner.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    return (String(text[..<open]), inner.isEmpty ? [] : arguments)
  }

  private static func fetch(
    _ name: String, _ arguments: [String]?, _ span: SourceSpan
  ) throws(Diagnostic) -> SampleExpression.Fetch {
    guard let fetch = SampleExpression.fetches[name] else { throw unknownFetch(name, span) }
    guard case .payload = fetch else {
      if let arguments, !arguments.isEmpty {
        throw span.error("'\(name)' takes no arguments")
      }
      return fetch
    }
    let numbers = (arguments ?? []).compactMap { $0.isDecimal ? Int($0) : nil }
    guard let arguments, numbers.count == arguments.count, numbers.count == 2 else {
      throw span.error("'\(name)' takes an offset and a length", hint: "expected \(name)(0,7)")
    }
    guard numbers.allSatisfy({ $0 <= 1 << 20 }) else {
      throw span.error("'\(name)' cannot look that far", hint: "expected at most 1048576")
    }
    return .payload(offset: numbers[0], length: numbers[1])
  }

  static func unknownFetch(_ name: String, _ span: SourceSpan) -> Diagnostic {
    if ForeignWords.fetches.contains(name) {
      return span.error(
        "'\(name)' is not supported in this version",
        hint: "supported are " + Statement.list(SampleExpression.currentNames))
    }
    return span.error(
      "unknown fetch '\(name)'", hint: "expected what to look at, such as req.ssl_sni or src",
      suggestion: Suggestion.nearest(to: name, among: SampleExpression.fetches.keys.sorted()))
  }

  private static func converter(
    _ name: String, _ span: SourceSpan
  ) throws(Diagnostic) -> SampleExpression.Converter {
    switch name {
    case "lower": return .lower
    case "upper": return .upper
    default: break
    }
    if ForeignWords.converters.contains(name) {
      throw span.error(
        "the converter '\(name)' is not supported in this version",
        hint: "supported are lower and upper")
    }
    throw span.error(
      "unknown converter '\(name)'", hint: "expected lower or upper",
      suggestion: Suggestion.nearest(to: name, among: ["lower", "upper"]))
  }
}
