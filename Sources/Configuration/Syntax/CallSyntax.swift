/// `name(a,b)` within an expression.
struct Call {
  let name: String
  /// Nil without parentheses.
  let arguments: [String]?
  let span: SourceSpan

  var count: Int { arguments?.count ?? 0 }

  func error(_ message: String, hint: String? = nil) -> Diagnostic {
    span.error(message, hint: hint)
  }

  /// How many arguments there may be; `usage` shows them.
  func require(_ counts: ClosedRange<Int>, _ usage: String) throws(Diagnostic) {
    guard counts.contains(count) else {
      throw error(
        counts.upperBound == 0
          ? "'\(name)' takes no arguments"
          : "'\(name)' takes \(Self.text(counts)), and has \(count)",
        hint: counts.upperBound == 0 ? nil : "expected \(name)(\(usage))")
    }
  }

  private static func text(_ counts: ClosedRange<Int>) -> String {
    let plural = counts.upperBound == 1 ? "argument" : "arguments"
    return counts.count == 1
      ? "\(counts.upperBound) \(plural)"
      : "\(counts.lowerBound) to \(counts.upperBound) \(plural)"
  }

  /// The argument, or an empty text where it is missing.
  func text(_ index: Int) -> String { index < count ? arguments?[index] ?? "" : "" }

  func bytes(_ index: Int) -> [UInt8] { Array(text(index).utf8) }

  func integer(_ index: Int, in range: ClosedRange<Int>) throws(Diagnostic) -> Int {
    guard let number = Int(text(index)), text(index).utf8.first != UInt8(ascii: "+") else {
      throw error("argument \(index + 1) of '\(name)' is no number: '\(text(index))'")
    }
    guard range.contains(number) else {
      throw error(
        "argument \(index + 1) of '\(name)' is out of range: \(number)",
        hint: "expected \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The argument as a number, if it is there.
  func integer(_ index: Int, in range: ClosedRange<Int>, or missing: Int) throws(Diagnostic) -> Int
  {
    text(index).isEmpty ? missing : try integer(index, in: range)
  }
}

/// Takes `fetch(arguments),converter(arguments),…` apart.
///
/// As in the reference, an argument ends at a comma or a closing parenthesis unless it stands in
/// quotes or behind a backslash; parentheses do not nest.
struct CallScanner {
  private let bytes: [UInt8]
  private var index = 0
  private let span: SourceSpan

  init(_ text: String, _ span: SourceSpan) {
    bytes = Array(text.utf8)
    self.span = span
  }

  static func calls(in text: String, _ span: SourceSpan) throws(Diagnostic) -> [Call] {
    var scanner = CallScanner(text, span)
    var calls = [try scanner.call()]
    while scanner.index < scanner.bytes.count {
      guard scanner.bytes[scanner.index] == UInt8(ascii: ",") else {
        throw span.error(
          "unexpected '\(scanner.rest)' in an expression", hint: "expected ',' and a converter")
      }
      scanner.index += 1
      calls.append(try scanner.call())
    }
    return calls
  }

  /// Where an expression ends that begins at `start`: the index of the `]` behind it.
  static func end(ofExpressionAt start: Int, in bytes: [UInt8]) -> Int? {
    var scanner = CallScanner(String(decoding: bytes[start...], as: UTF8.self), .nowhere)
    while scanner.index < scanner.bytes.count {
      switch scanner.bytes[scanner.index] {
      case UInt8(ascii: "]"): return start + scanner.index
      case UInt8(ascii: "("):
        guard (try? scanner.argumentList()) != nil else { return nil }
      default: scanner.index += 1
      }
    }
    return nil
  }

  private var rest: String { String(decoding: bytes[index...], as: UTF8.self) }

  private mutating func call() throws(Diagnostic) -> Call {
    let start = index
    while index < bytes.count, bytes[index] != UInt8(ascii: "("), bytes[index] != UInt8(ascii: ",")
    {
      index += 1
    }
    let name = String(decoding: bytes[start..<index], as: UTF8.self)
    guard !name.isEmpty else { throw span.error("a name is missing in an expression") }
    guard index < bytes.count, bytes[index] == UInt8(ascii: "(") else {
      return Call(name: name, arguments: nil, span: span)
    }
    return Call(name: name, arguments: try argumentList(), span: span)
  }

  private mutating func argumentList() throws(Diagnostic) -> [String] {
    index += 1
    var arguments: [String] = []
    while true {
      let argument = try argument()
      let isLast = bytes[index] == UInt8(ascii: ")")
      index += 1
      if isLast, arguments.isEmpty, argument.isEmpty { return [] }
      arguments.append(argument)
      if isLast { return arguments }
    }
  }

  private mutating func argument() throws(Diagnostic) -> String {
    var text: [UInt8] = []
    var quote: UInt8?
    while index < bytes.count {
      let byte = bytes[index]
      if byte == quote {
        quote = nil
      } else if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "'"), index + 1 < bytes.count {
        index += 1
        text.append(Self.escaped(bytes[index]))
      } else if quote != nil {
        text.append(byte)
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
      } else if byte == UInt8(ascii: ",") || byte == UInt8(ascii: ")") {
        return String(decoding: text, as: UTF8.self)
      } else {
        text.append(byte)
      }
      index += 1
    }
    throw span.error(
      quote == nil
        ? "unbalanced parentheses in an expression" : "unbalanced quotes in an expression",
      hint: quote == nil ? "expected ')'" : nil)
  }

  private static func escaped(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "n"): 0x0a
    case UInt8(ascii: "r"): 0x0d
    case UInt8(ascii: "t"): 0x09
    default: byte
    }
  }
}

extension SourceSpan {
  fileprivate static let nowhere = SourceSpan(
    position: SourcePosition(file: 0, line: 1, column: 1), length: 1)
}
