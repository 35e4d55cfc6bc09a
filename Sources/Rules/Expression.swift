import Configuration
import Linux

/// An expression as it is evaluated: what to fetch, and what to make of it.
struct CompiledExpression: BitwiseCopyable {
  var fetch: CompiledFetch
  /// Among the rule set's operations.
  var operations: Slice
}

/// A part of the constant bytes of a rule set.
struct Constant: BitwiseCopyable, Equatable {
  var start: UInt32
  var count: UInt32

  var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
  var isEmpty: Bool { count == 0 }
}

/// A converter, ready to run; see `SampleExpression.Converter`.
enum Operation: BitwiseCopyable {
  case cast(SampleType)
  case fold(CaseFolding)
  case length
  case hexadecimal, hexadecimalNumber
  case base64(isForURLs: Bool), base64Decoded(isForURLs: Bool)
  case bytes(offset: Int, count: Int)
  case part(index: Int, delimiters: Constant, count: Int, mergesDelimiters: Bool)
  case trimStart(Constant), trimEnd(Constant)
  case hostOnly, portOnly
  case substitute(expression: Int, replacement: Constant, all: Bool)
  case concatenate(before: Constant, variable: Int, after: Constant)
  case mask(ipv4: Int, ipv6: Int)
  case arithmetic(SampleExpression.Arithmetic, number: Int)
  case arithmeticVariable(SampleExpression.Arithmetic, variable: Int)
  case negative, complement, boolean, not, even, odd
  case hash(SampleExpression.HashFunction, argument: Int)
  case hexadecimalChunks(separator: Constant, size: Int, truncates: Bool)
  case decimalChunks(separator: Constant, size: Int, truncates: Bool, isLittleEndian: Bool)
  case choose(Constant, Constant)
  case compare(variable: Int)
  case setVariable(Int), unsetVariable(Int)
  case map(Int, default: ConstantSample?)
}

/// A sample that does not depend on the connection.
enum ConstantSample: BitwiseCopyable, Equatable {
  case boolean(Bool)
  case integer(Int)
  case address(AddressKey)
  case string(Constant)
  case binary(Constant)
}

/// A sample while it is worked on. Its bytes, if it has any, lie on a side of the workbench.
struct Sample: BitwiseCopyable {
  /// Never `any`.
  var type: SampleType
  var integer = 0
  var address = IPAddress.anyIPv4
  var side = 0
  var count = 0

  static func number(_ value: Int) -> Sample { Sample(type: .integer, integer: value) }
  static func flag(_ value: Bool) -> Sample { Sample(type: .boolean, integer: value ? 1 : 0) }
  static func address(_ address: IPAddress) -> Sample { Sample(type: .address, address: address) }
  static func bytes(_ count: Int, on side: Int, as type: SampleType = .string) -> Sample {
    Sample(type: type, side: side, count: count)
  }

  var range: Range<Int> { 0..<count }
  /// Where the next operation writes.
  var otherSide: Int { side ^ 1 }
}

/// What came of evaluating an expression.
enum Evaluation: BitwiseCopyable {
  /// `mayChange`: more of the request could make it another.
  case sample(Sample, mayChange: Bool)
  case missing
  /// What it looks at may still come.
  case unknown
}

/// A piece of a text that is put together for a connection.
enum CompiledPiece: BitwiseCopyable {
  case text(Constant)
  case expression(UInt32)
}

/// An action that decides nothing, and after which the next rule is heard.
enum CompiledAction: BitwiseCopyable {
  case setVariable(Int, expression: UInt32, longest: Int?)
  case setVariableText(Int, pieces: Slice)
  case unsetVariable(Int)
}
