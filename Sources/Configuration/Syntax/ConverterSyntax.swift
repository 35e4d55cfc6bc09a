/// What stands behind the commas of an expression.
extension ConfigurationReader {
  mutating func converter(_ call: Call) throws(Diagnostic) -> SampleExpression.Converter {
    if let converter = Self.plainConverters[call.name] {
      try call.require(0...0, "")
      return converter
    }
    if let operation = Self.arithmetic[call.name] {
      try call.require(1...1, "number")
      return .arithmetic(operation, try operand(call))
    }
    if let function = Self.hashes[call.name] { return try Self.hash(function, call) }
    if call.name.hasPrefix("map_") || call.name == "map" { return try map(call) }
    switch call.name {
    case "bytes":
      try call.require(1...2, "offset,length")
      let size = 0...(1 << 20)
      return .bytes(
        offset: try call.integer(0, in: size),
        length: call.count == 2 ? try call.integer(1, in: size) : nil)
    case "field", "word": return try Self.part(call)
    case "ltrim": return .trimStart(try Self.letters(call))
    case "rtrim": return .trimEnd(try Self.letters(call))
    case "regsub": return try substitution(call)
    case "concat":
      try call.require(0...3, "before,variable,after")
      let name = call.text(1)
      let variable = name.isEmpty ? nil : try variableIndex(name, call.span)
      return .concatenate(before: call.bytes(0), variable: variable, after: call.bytes(2))
    case "ipmask":
      try call.require(1...2, "24,64")
      return .mask(
        ipv4: try Self.prefixLength(call, 0, 32),
        ipv6: call.count == 2 ? try call.integer(1, in: 0...128) : 128)
    case "be2hex": return try Self.hexadecimalChunks(call)
    case "be2dec", "le2dec":
      try call.require(2...3, "separator,chunk,truncate")
      return .decimalChunks(
        separator: call.bytes(0), size: try call.integer(1, in: 1...8),
        truncates: try call.integer(2, in: 0...1, or: 0) == 1,
        isLittleEndian: call.name == "le2dec")
    case "iif":
      try call.require(2...2, "true,false")
      return .choose(call.bytes(0), call.bytes(1))
    case "strcmp":
      try call.require(1...1, "variable")
      return .compare(variable: try variableIndex(call.text(0), call.span))
    case "set-var":
      try call.require(1...1, "variable")
      return .setVariable(try variableIndex(call.text(0), call.span))
    case "unset-var":
      try call.require(1...1, "variable")
      return .unsetVariable(try variableIndex(call.text(0), call.span))
    default: throw Self.unknownConverter(call)
    }
  }

  private static let plainConverters: [String: SampleExpression.Converter] = [
    "lower": .lower, "upper": .upper, "length": .length, "hex": .hexadecimal,
    "hex2i": .hexadecimalNumber, "base64": .base64, "b64dec": .base64Decoded,
    "ub64enc": .base64URL, "ub64dec": .base64URLDecoded, "host_only": .hostOnly,
    "port_only": .portOnly, "neg": .negative, "cpl": .complement, "bool": .boolean, "not": .not,
    "even": .even, "odd": .odd,
  ]

  private static let arithmetic: [String: SampleExpression.Arithmetic] = [
    "add": .add, "sub": .subtract, "mul": .multiply, "div": .divide, "mod": .remainder,
    "and": .and, "or": .or, "xor": .exclusiveOr,
  ]

  private static let hashes: [String: SampleExpression.HashFunction] = [
    "crc32": .crc32, "crc32c": .crc32c, "djb2": .djb2, "sdbm": .sdbm, "xxh32": .xxh32,
    "xxh64": .xxh64,
  ]

  static let converterNames =
    plainConverters.keys.sorted() + arithmetic.keys.sorted() + hashes.keys.sorted() + [
      "bytes", "field", "word", "ltrim", "rtrim", "regsub", "concat", "ipmask", "be2hex",
      "be2dec", "le2dec", "iif", "strcmp", "set-var", "unset-var", "map",
    ] + PatternMap.matches.map { "map_" + $0.key }

  private mutating func operand(_ call: Call) throws(Diagnostic) -> SampleExpression.Operand {
    if Int(call.text(0)) == nil, call.text(0).includes(".") {
      return .variable(try variableIndex(call.text(0), call.span))
    }
    return .number(try call.integer(0, in: Int.min...Int.max))
  }

  private static func hash(
    _ function: SampleExpression.HashFunction, _ call: Call
  ) throws(Diagnostic) -> SampleExpression.Converter {
    try call.require(0...1, function.takesSeed ? "seed" : "avalanche")
    let range = function.takesSeed ? 0...Int.max : 0...1
    return .hash(function, argument: try call.integer(0, in: range, or: 0))
  }

  private static func part(_ call: Call) throws(Diagnostic) -> SampleExpression.Converter {
    try call.require(2...3, "index,delimiters,count")
    let index = try call.integer(0, in: -65_536...65_536)
    guard index != 0 else {
      throw call.error("'\(call.name)' counts from 1", hint: "or from -1, the last one")
    }
    let count = try call.integer(2, in: 0...65_536, or: 1)
    let delimiters = call.bytes(1)
    return call.name == "field"
      ? .field(index: index, delimiters: delimiters, count: count)
      : .word(index: index, delimiters: delimiters, count: count)
  }

  private static func hexadecimalChunks(
    _ call: Call
  ) throws(Diagnostic) -> SampleExpression.Converter {
    try call.require(0...3, "separator,chunk,truncate")
    let size = try call.integer(1, in: 0...1024, or: 0)
    let truncates = try call.integer(2, in: 0...1, or: 0) == 1
    guard size > 0 || call.bytes(0).isEmpty && !truncates else {
      throw call.error("'be2hex' needs the size of its chunks", hint: "expected be2hex(:,2)")
    }
    // A buffer is one chunk then.
    return .hexadecimalChunks(
      separator: call.bytes(0), size: size > 0 ? size : 1 << 20, truncates: truncates)
  }

  private static func letters(_ call: Call) throws(Diagnostic) -> [UInt8] {
    try call.require(1...1, "letters")
    return call.bytes(0)
  }

  private func substitution(_ call: Call) throws(Diagnostic) -> SampleExpression.Converter {
    try call.require(2...3, "pattern,replacement,flags")
    let flags = call.text(2)
    guard flags.utf8.allSatisfy({ $0 == UInt8(ascii: "g") || $0 == UInt8(ascii: "i") }) else {
      throw call.error("unknown flags '\(flags)'", hint: "expected g, i or gi")
    }
    let ignoresCase = flags.includes("i")
    if let fault = judge?(call.text(0), ignoresCase) {
      throw call.error("bad regular expression '\(call.text(0))': \(fault.message)")
    }
    return .substitute(
      pattern: call.text(0), replacement: call.bytes(1), all: flags.includes("g"),
      ignoresCase: ignoresCase)
  }

  /// `24`, or `255.255.255.0`.
  private static func prefixLength(
    _ call: Call, _ index: Int, _ width: Int
  ) throws(Diagnostic) -> Int {
    if call.text(index).isDecimal { return try call.integer(index, in: 0...width) }
    guard let length = PatternList.prefixLength(ofMask: call.text(index)) else {
      throw call.error(
        "argument \(index + 1) of '\(call.name)' is no mask: '\(call.text(index))'",
        hint: "expected 0 to \(width), or a mask such as 255.255.255.0")
    }
    return length
  }

  private static func unknownConverter(_ call: Call) -> Diagnostic {
    if ForeignWords.converters.contains(call.name) {
      return call.error(
        "the converter '\(call.name)' is not supported in this version",
        hint: "sluice.cfg(5) lists the converters")
    }
    return call.span.error(
      "unknown converter '\(call.name)'", hint: "expected a converter, such as lower",
      suggestion: Suggestion.nearest(to: call.name, among: converterNames))
  }
}

extension SampleExpression.HashFunction {
  /// Whether its argument is a seed, rather than a choice of the final mixing.
  public var takesSeed: Bool { self == .xxh32 || self == .xxh64 }
}
