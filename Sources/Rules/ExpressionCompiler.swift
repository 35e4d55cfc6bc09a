import Configuration
import Linux

/// Expressions, texts and actions on their way into a rule set.
struct ExpressionCompiler: ~Copyable {
  private let configuration: ProxyConfiguration
  private let bufferSize: Int
  /// Of the `listen` section at hand: where a line of it names no backend, it is about its own.
  var ownBackend: Int?
  var constants = ConstantStore()
  private(set) var table: [CompiledExpression] = []
  private(set) var operations: [Operation] = []
  private(set) var pieces: [CompiledPiece] = []
  private(set) var texts: [Slice] = []
  private(set) var actions: [CompiledAction] = []

  init(_ configuration: ProxyConfiguration) {
    self.configuration = configuration
    bufferSize = configuration.global.bufferSize
  }

  /// Compiles an expression, and what an ACL's match wants it cast to.
  mutating func compile(
    _ expression: SampleExpression, as wanted: SampleType? = nil,
    _ expressions: inout RegularExpressions
  ) throws(RegularExpressionFault) -> UInt32 {
    let fetch = fetch(expression.fetch)
    var type = expression.fetch.type
    var compiled: [Operation] = []
    for converter in expression.converters {
      if let input = converter.input(configuration.maps), input != type {
        compiled.append(.cast(input))
      }
      compiled.append(try operation(converter, &expressions))
      type = converter.output(of: type, configuration.maps)
    }
    if let wanted, wanted != type { compiled.append(.cast(wanted)) }
    let start = operations.count
    operations += compiled
    table.append(
      CompiledExpression(fetch: fetch, operations: Slice(start..<operations.count)))
    return UInt32(table.count - 1)
  }

  /// What the pieces of a text look at is added to `needs`.
  ///
  /// - Returns: its place among the texts.
  mutating func compile(
    text: [TextPiece], needs: inout Needs, _ expressions: inout RegularExpressions
  ) throws(RegularExpressionFault) -> Int {
    var compiled: [CompiledPiece] = []
    for piece in text {
      switch piece {
      case .text(let text): compiled.append(.text(constants.insert(text.utf8)))
      case .sample(let expression):
        let index = try compile(expression, &expressions)
        needs.formUnion(table[Int(index)].fetch.needs)
        compiled.append(.expression(index))
      }
    }
    let start = pieces.count
    pieces += compiled
    texts.append(Slice(start..<pieces.count))
    return texts.count - 1
  }

  /// What an action looks at is added to `needs`.
  ///
  /// - Returns: its place among the actions; nil for one that is a verdict.
  mutating func compile(
    _ action: Rule.Action, needs: inout Needs, _ expressions: inout RegularExpressions
  ) throws(RegularExpressionFault) -> Int? {
    switch action {
    case .accept, .reject, .silentDrop, .expectProxyHeader: return nil
    case .setVariable(let variable, let expression, let longest):
      let index = try compile(
        expression, as: longest == nil ? nil : .string, &expressions)
      needs.formUnion(table[Int(index)].fetch.needs)
      actions.append(.setVariable(variable, expression: index, longest: longest))
    case .setVariableFormat(let variable, let text):
      let index = try compile(text: text, needs: &needs, &expressions)
      actions.append(.setVariableText(variable, pieces: texts[index]))
    case .unsetVariable(let variable): actions.append(.unsetVariable(variable))
    }
    return actions.count - 1
  }

  // MARK: Fetches

  mutating func fetch(_ fetch: SampleExpression.Fetch) -> CompiledFetch {
    switch fetch {
    case .source: .source
    case .sourcePort: .sourcePort
    case .destination: .destination
    case .destinationPort: .destinationPort
    case .serverName: .serverName
    case .serverNameInCertificate: .serverNameInCertificate
    case .helloType: .helloType
    case .helloVersion: .helloVersion
    case .applicationProtocols: .applicationProtocols
    case .helloTicket: .helloTicket
    case .helloHasGroups: .helloHasGroups
    case .helloList(let list): .helloList(list)
    case .requestLength: .requestLength
    case .payload(let offset, let length):
      offset + length > bufferSize
        ? .never : .payload(offset: UInt32(offset), length: UInt32(length))
    case .payloadByLength(let offset, let size, _) where offset + size > bufferSize: .never
    case .payloadByLength(let offset, let size, let second):
      switch second {
      case .behind(let distance):
        .payloadByLength(
          offset: UInt32(offset), size: UInt32(size), second: Int32(distance), isRelative: true)
      case .at(let position):
        .payloadByLength(
          offset: UInt32(offset), size: UInt32(size), second: Int32(position), isRelative: false)
      }
    case .waitEnd: .waitEnd
    case .protocolHTTP: .protocolHTTP
    case .always(let value): .always(value)
    case .constant(let value): .constant(constant(value))
    case .variable(let index, let missing):
      .variable(UInt32(index), default: missing.map { constants.insert($0) })
    case .random(let below): .random(below: below)
    case .date(let offset, let unit): .date(offset: offset, unit)
    case .process(let fact): .process(fact)
    case .identity(let identity): .identity(identity)
    case .gauge(let gauge): .gauge(CompiledGauge(kind: gauge.kind, target: target(of: gauge)))
    }
  }

  private func target(of gauge: SampleExpression.Gauge) -> CompiledGauge.Target {
    switch gauge.target {
    case .process: return .process
    case .current:
      return ownBackend.flatMap { gauge.kind.isOfFrontend ? nil : .backend($0) } ?? .current
    case .named(let proxy, let server):
      if gauge.kind.isOfFrontend {
        let index = configuration.frontends.firstIndex { $0.identity.name == proxy }
        return index.map { .frontend($0) } ?? .current
      }
      var first = 0
      for (index, backend) in configuration.backends.enumerated() {
        if backend.identity.name == proxy {
          guard let server else { return .backend(index) }
          let number = backend.servers.firstIndex { $0.name == server } ?? 0
          return .server(first + number)
        }
        first += backend.servers.count
      }
      return .current
    }
  }

  private mutating func constant(_ value: SampleValue) -> ConstantSample {
    switch value {
    case .boolean(let value): .boolean(value)
    case .integer(let value): .integer(value)
    case .address(let address): .address(AddressKey(address))
    case .string(let bytes): .string(constants.insert(bytes))
    case .binary(let bytes): .binary(constants.insert(bytes))
    }
  }

  // MARK: Converters

  private mutating func operation(
    _ converter: SampleExpression.Converter, _ expressions: inout RegularExpressions
  ) throws(RegularExpressionFault) -> Operation {
    switch converter {
    case .lower: return .fold(.lower)
    case .upper: return .fold(.upper)
    case .length: return .length
    case .hexadecimal: return .hexadecimal
    case .hexadecimalNumber: return .hexadecimalNumber
    case .base64: return .base64(isForURLs: false)
    case .base64Decoded: return .base64Decoded(isForURLs: false)
    case .base64URL: return .base64(isForURLs: true)
    case .base64URLDecoded: return .base64Decoded(isForURLs: true)
    case .bytes(let offset, let length): return .bytes(offset: offset, count: length ?? 1 << 30)
    case .field(let index, let delimiters, let count):
      return .part(
        index: index, delimiters: constants.insert(delimiters), count: count,
        mergesDelimiters: false)
    case .word(let index, let delimiters, let count):
      return .part(
        index: index, delimiters: constants.insert(delimiters), count: count,
        mergesDelimiters: true)
    case .trimStart(let letters): return .trimStart(constants.insert(letters))
    case .trimEnd(let letters): return .trimEnd(constants.insert(letters))
    case .hostOnly: return .hostOnly
    case .portOnly: return .portOnly
    case .substitute(let pattern, let replacement, let all, let ignoresCase):
      try expressions.compile(pattern, ignoresCase: ignoresCase, captures: true)
      return .substitute(
        expression: expressions.count - 1, replacement: constants.insert(replacement), all: all)
    case .concatenate(let before, let variable, let after):
      return .concatenate(
        before: constants.insert(before), variable: variable ?? -1,
        after: constants.insert(after))
    case .mask(let ipv4, let ipv6): return .mask(ipv4: ipv4, ipv6: ipv6)
    case .arithmetic(let operation, .number(let number)):
      return .arithmetic(operation, number: number)
    case .arithmetic(let operation, .variable(let variable)):
      return .arithmeticVariable(operation, variable: variable)
    case .negative: return .negative
    case .complement: return .complement
    case .boolean: return .boolean
    case .not: return .not
    case .even: return .even
    case .odd: return .odd
    case .hash(let function, let argument): return .hash(function, argument: argument)
    case .hexadecimalChunks(let separator, let size, let truncates):
      return .hexadecimalChunks(
        separator: constants.insert(separator), size: size, truncates: truncates)
    case .decimalChunks(let separator, let size, let truncates, let isLittleEndian):
      return .decimalChunks(
        separator: constants.insert(separator), size: size, truncates: truncates,
        isLittleEndian: isLittleEndian)
    case .choose(let yes, let no):
      return .choose(constants.insert(yes), constants.insert(no))
    case .compare(let variable): return .compare(variable: variable)
    case .setVariable(let variable): return .setVariable(variable)
    case .unsetVariable(let variable): return .unsetVariable(variable)
    case .map(let index, let missing):
      return .map(index, default: missing.map { constant($0) })
    }
  }
}
