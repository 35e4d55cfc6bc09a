extension SampleType {
  /// As messages name it.
  var title: String {
    switch self {
    case .any: "a variable of any type"
    case .boolean: "a boolean"
    case .integer: "an integer"
    case .address: "an address"
    case .string: "a string"
    case .binary: "bytes"
    }
  }

  /// How it is compared where the rule does not say; nil where nobody can know.
  var impliedMatch: Match? {
    switch self {
    case .any: nil
    case .boolean: .boolean
    case .integer: .integer
    case .address: .address
    case .string: .string
    case .binary: .binary
    }
  }

  func fits(_ match: Match) -> Bool {
    if self == .any { return true }
    return switch match {
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

  /// Whether a sample of this type can be read as one of another.
  func casts(to other: SampleType) -> Bool {
    switch self {
    case .any, .string, .integer: true
    case .boolean: other != .address
    case .address: other != .boolean
    case .binary: other == .binary || other == .string
    }
  }
}

extension SampleExpression {
  /// What the expression gives.
  func type(maps: [PatternMap]) -> SampleType {
    converters.reduce(fetch.type) { type, converter in converter.output(of: type, maps) }
  }
}

extension SampleExpression.Fetch {
  public var type: SampleType {
    switch self {
    case .source, .destination: .address
    case .sourcePort, .destinationPort, .helloType, .helloVersion, .helloTicket, .requestLength,
      .random, .date:
      .integer
    case .serverName, .applicationProtocols: .string
    case .serverNameInCertificate, .waitEnd, .always, .protocolHTTP, .helloHasGroups: .boolean
    case .payload, .payloadByLength, .helloList: .binary
    case .constant(let value): value.type
    case .variable: .any
    case .process(let fact): fact == .pid ? .integer : .string
    case .identity(let identity):
      switch identity {
      case .frontendID, .backendID, .serverID, .bindID: .integer
      default: .string
      }
    case .gauge(let gauge): gauge.kind == .serverIsUp ? .boolean : .integer
    }
  }
}

extension SampleExpression.Converter {
  /// What it converts; nil for anything.
  public func input(_ maps: [PatternMap]) -> SampleType? {
    switch self {
    case .lower, .upper, .length, .hexadecimalNumber, .base64Decoded, .base64URLDecoded, .field,
      .word, .trimStart, .trimEnd, .hostOnly, .portOnly, .substitute, .concatenate, .compare:
      .string
    case .hexadecimal, .base64, .base64URL, .bytes, .hash, .hexadecimalChunks, .decimalChunks:
      .binary
    case .mask: .address
    case .arithmetic, .negative, .complement, .boolean, .not, .even, .odd: .integer
    case .choose: .boolean
    case .setVariable, .unsetVariable: nil
    case .map(let index, _): maps[index].match.subject
    }
  }

  public func output(of input: SampleType, _ maps: [PatternMap]) -> SampleType {
    switch self {
    case .lower, .upper, .hexadecimal, .base64, .base64URL, .field, .word, .trimStart, .trimEnd,
      .hostOnly, .substitute, .concatenate, .hexadecimalChunks, .decimalChunks, .choose:
      .string
    case .length, .hexadecimalNumber, .portOnly, .arithmetic, .negative, .complement, .hash,
      .compare:
      .integer
    case .boolean, .not, .even, .odd: .boolean
    case .base64Decoded, .base64URLDecoded, .bytes: .binary
    case .mask: .address
    case .setVariable, .unsetVariable: input
    case .map(let index, _): maps[index].output
    }
  }
}

extension Match {
  /// What it looks at.
  public var subject: SampleType? {
    switch self {
    case .found: nil
    case .boolean: .boolean
    case .integer: .integer
    case .address: .address
    case .binary: .binary
    case .string, .begin, .end, .substring, .domain, .directory, .regularExpression, .length:
      .string
    }
  }
}

extension SampleExpression.Fetch {
  /// Whether it is about what the client has sent.
  var readsRequest: Bool {
    switch self {
    case .serverName, .serverNameInCertificate, .helloType, .helloVersion, .applicationProtocols,
      .helloTicket, .helloHasGroups, .helloList, .requestLength, .payload, .payloadByLength,
      .protocolHTTP, .waitEnd:
      true
    default: false
    }
  }

  /// What the language calls it today.
  var name: String {
    if case .payloadByLength = self { return "payload_lv" }
    let names = SampleExpression.fetches.filter { $0.value == self }.keys
    return names.sorted().first { !$0.hasPrefix("req_") } ?? "payload"
  }
}

extension SampleExpression {
  var readsRequest: Bool { fetch.readsRequest }
}
