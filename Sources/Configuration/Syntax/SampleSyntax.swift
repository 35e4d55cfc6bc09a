import Linux

extension SampleExpression {
  /// Names by which the language calls a fetch without arguments, with those of older releases.
  static let fetches: [String: Fetch] = [
    "src": .source, "src_port": .sourcePort, "dst": .destination, "dst_port": .destinationPort,
    "req.ssl_sni": .serverName, "req_ssl_sni": .serverName,
    "req.ssl_sni_crt": .serverNameInCertificate,
    "req.ssl_hello_type": .helloType, "req_ssl_hello_type": .helloType,
    "req.ssl_ver": .helloVersion, "req_ssl_ver": .helloVersion,
    "req.ssl_alpn": .applicationProtocols,
    "req.ssl_st_ext": .helloTicket, "req.ssl_ec_ext": .helloHasGroups,
    "req.ssl_cipherlist": .helloList(.cipherSuites),
    "req.ssl_sigalgs": .helloList(.signatureAlgorithms),
    "req.ssl_supported_groups": .helloList(.supportedGroups),
    "req.ssl_keyshare_groups": .helloList(.keyShareGroups),
    "req.len": .requestLength, "req_len": .requestLength,
    "req.proto_http": .protocolHTTP, "req_proto_http": .protocolHTTP,
    "wait_end": .waitEnd, "always_true": .always(true), "always_false": .always(false),
    "pid": .process(.pid), "hostname": .process(.hostname),
    // Whatever stands for threads and processes in the reference is one daemon here.
    "nbproc": .constant(.integer(1)), "proc": .constant(.integer(1)),
    "thread": .constant(.integer(0)),
    "fe_name": .identity(.frontendName), "fe_id": .identity(.frontendID),
    "fe_defbe": .identity(.frontendDefault),
    "be_name": .identity(.backendName), "be_id": .identity(.backendID),
    "srv_name": .identity(.serverName), "srv_id": .identity(.serverID),
    "so_name": .identity(.bindName), "so_id": .identity(.bindID),
    "act_conn": .gauge(Gauge(kind: .processConnections, target: .process)),
  ]

  /// Fetches that take arguments.
  static let callNames = [
    "payload", "req.payload", "payload_lv", "req.payload_lv", "str", "int", "bool", "bin", "ipv4",
    "ipv6", "env", "var", "rand", "date", "capture.req.hdr",
  ]

  /// Numbers of the frontend, the backend or the server that is named between the parentheses.
  static let gauges: [String: Gauge.Kind] = [
    "fe_conn": .frontendConnections, "fe_sess_rate": .frontendSessionRate,
    "be_conn": .backendConnections, "be_sess_rate": .backendSessionRate,
    "queue": .backendQueue, "avg_queue": .averageQueue, "nbsrv": .usableServers,
    "connslots": .freeSlots,
    "srv_conn": .serverConnections, "srv_conn_free": .freeServerConnections,
    "srv_queue": .serverQueue, "srv_is_up": .serverIsUp, "srv_weight": .serverWeight,
    "srv_uweight": .serverWeight, "srv_iweight": .serverInitialWeight,
    "srv_sess_rate": .serverSessionRate,
  ]

  static let names = fetches.keys.sorted() + callNames + gauges.keys.sorted()

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
}

extension ConfigurationReader {
  /// Reads `fetch(arguments),converter,…` from one word.
  mutating func sample(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> SampleExpression {
    try sample(word.text, statement.span(of: word))
  }

  mutating func sample(_ text: String, _ span: SourceSpan) throws(Diagnostic) -> SampleExpression {
    let calls = try CallScanner.calls(in: text, span)
    var expression = try fetch(calls[0])
    for call in calls.dropFirst() { try append(call, to: &expression) }
    return expression
  }

  private mutating func append(
    _ call: Call, to expression: inout SampleExpression
  ) throws(Diagnostic) {
    let converter = try converter(call)
    let type = expression.type(maps: maps)
    if let input = converter.input(maps), !type.casts(to: input) {
      throw call.error(
        "'\(call.name)' converts \(input.title), but what stands before it is \(type.title)")
    }
    expression.converters.append(converter)
  }

  // MARK: Fetches

  private mutating func fetch(_ call: Call) throws(Diagnostic) -> SampleExpression {
    if let fetch = SampleExpression.fetches[call.name] {
      try call.require(0...0, "")
      return SampleExpression(fetch: fetch)
    }
    if let kind = SampleExpression.gauges[call.name] {
      return SampleExpression(fetch: .gauge(try gauge(kind, call)))
    }
    switch call.name {
    case "var": return try variable(call)
    case "payload", "req.payload": return SampleExpression(fetch: try Self.payload(call))
    case "payload_lv", "req.payload_lv":
      return SampleExpression(fetch: try Self.payloadByLength(call))
    case "rand":
      try call.require(0...1, "number")
      let below = try call.integer(0, in: 1...Int(UInt32.max), or: 1 << 32)
      return SampleExpression(fetch: .random(below: below))
    case "date": return SampleExpression(fetch: try Self.date(call))
    case "capture.req.hdr": return SampleExpression(fetch: try capture(call))
    default:
      guard let value = try constant(call) else {
        throw Self.unknownFetch(call.name, call.span)
      }
      return SampleExpression(fetch: .constant(value))
    }
  }

  private static let farthest = 0...(1 << 20)

  private static func payload(_ call: Call) throws(Diagnostic) -> SampleExpression.Fetch {
    try call.require(2...2, "0,7")
    return .payload(
      offset: try call.integer(0, in: farthest), length: try call.integer(1, in: farthest))
  }

  private static func payloadByLength(_ call: Call) throws(Diagnostic) -> SampleExpression.Fetch {
    try call.require(2...3, "43,1")
    let offset = try call.integer(0, in: farthest)
    let size = try call.integer(1, in: 1...4)
    let text = call.text(2)
    guard let sign = text.utf8.first else {
      return .payloadByLength(offset: offset, size: size, second: .behind(0))
    }
    let isRelative = sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
    guard let second = Int(text), isRelative || farthest.contains(second),
      (-farthest.upperBound...farthest.upperBound).contains(second),
      !isRelative || offset + size + second >= 0
    else {
      throw call.error("argument 3 of '\(call.name)' is no offset: '\(text)'")
    }
    return .payloadByLength(
      offset: offset, size: size, second: isRelative ? .behind(second) : .at(second))
  }

  private static func date(_ call: Call) throws(Diagnostic) -> SampleExpression.Fetch {
    try call.require(0...2, "offset,unit")
    let units: [String: SampleExpression.TimeUnit] = [
      "": .seconds, "s": .seconds, "ms": .milliseconds, "us": .microseconds,
    ]
    guard let unit = units[call.text(1)] else {
      throw call.error("unknown unit '\(call.text(1))'", hint: "expected s, ms or us")
    }
    let far = Int(Int32.max) * 1_000_000
    return .date(offset: try call.integer(0, in: -far...far, or: 0), unit: unit)
  }

  /// A slot of `tcp-request content capture`, which are numbered in each frontend.
  private mutating func capture(_ call: Call) throws(Diagnostic) -> SampleExpression.Fetch {
    try call.require(1...1, "0")
    return .variable(
      captureVariable(try call.integer(0, in: 0...(Self.mostCaptures - 1))), default: nil)
  }

  private mutating func gauge(
    _ kind: SampleExpression.Gauge.Kind, _ call: Call
  ) throws(Diagnostic) -> SampleExpression.Gauge {
    try call.require(0...1, kind.isOfServer ? "backend/server" : "name")
    let text = call.text(0)
    if text.isEmpty {
      guard !kind.isOfServer else {
        throw call.error("'\(call.name)' needs a server", hint: "expected backend/server")
      }
      return SampleExpression.Gauge(kind: kind, target: .current)
    }
    let (proxy, server) = text.split(atFirst: "/")
    // A server without a backend is one of the backend that the line stands in.
    let target: SampleExpression.Target =
      kind.isOfServer
      ? .named(proxy: server == nil ? presentProxy : proxy, server: server ?? proxy)
      : .named(proxy: text, server: nil)
    gaugeReferences.append(GaugeReference(kind: kind, target: target, span: call.span))
    return SampleExpression.Gauge(kind: kind, target: target)
  }

  private mutating func constant(_ call: Call) throws(Diagnostic) -> SampleValue? {
    guard ["str", "int", "bool", "bin", "ipv4", "ipv6", "env"].contains(call.name) else {
      return nil
    }
    if call.name == "str" || call.name == "bin" {
      try call.require(0...1, "text")
    } else {
      try call.require(1...1, call.name == "env" ? "NAME" : "value")
    }
    let text = call.text(0)
    switch call.name {
    case "str": return .string(Array(text.utf8))
    case "env": return .string(Array((environment.value(of: text) ?? "").utf8))
    case "int": return .integer(try call.integer(0, in: Int.min...Int.max))
    case "bool":
      if text == "true" || text == "false" { return .boolean(text == "true") }
      return .boolean(try call.integer(0, in: Int.min...Int.max) != 0)
    case "bin":
      guard let bytes = text.hexadecimalBytes else {
        throw call.error("'\(text)' is not hexadecimal", hint: "expected pairs of digits")
      }
      return .binary(bytes)
    default:
      guard let address = IPAddress(text), address.isIPv4 == (call.name == "ipv4") else {
        throw call.error("'\(text)' is no \(call.name == "ipv4" ? "IPv4" : "IPv6") address")
      }
      return .address(address)
    }
  }

  static func unknownFetch(_ name: String, _ span: SourceSpan) -> Diagnostic {
    if ForeignWords.fetches.contains(name) {
      return span.error(
        "'\(name)' is not supported in this version",
        hint: "sluice.cfg(5) lists what can be looked at")
    }
    return span.error(
      "unknown fetch '\(name)'", hint: "expected what to look at, such as req.ssl_sni or src",
      suggestion: Suggestion.nearest(to: name, among: SampleExpression.names))
  }
}

extension SampleExpression.Gauge.Kind {
  /// Whether it is about one server, rather than about a frontend or a backend.
  var isOfServer: Bool {
    switch self {
    case .serverConnections, .freeServerConnections, .serverQueue, .serverIsUp, .serverWeight,
      .serverInitialWeight, .serverSessionRate:
      true
    default: false
    }
  }

  public var isOfFrontend: Bool { self == .frontendConnections || self == .frontendSessionRate }
}
