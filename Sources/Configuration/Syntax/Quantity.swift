/// Numbers with units: times, sizes, counts.
extension Statement {
  /// The longest time that the language can say, in milliseconds: a little under 25 days.
  static let longestTime = 0x7fff_ffff

  enum TimeUnit: Int {
    case milliseconds = 1
    case seconds = 1000
  }

  /// The next word as an integer within `range`.
  mutating func integer(_ what: String, in range: ClosedRange<Int>) throws(Diagnostic) -> Int {
    let word = try require(what)
    guard let number = Int(word.text), word.text.utf8.first != UInt8(ascii: "+") else {
      throw span(of: word).error("'\(word.text)' is not a number", hint: "expected \(what)")
    }
    guard range.contains(number) else {
      throw span(of: word).error(
        "\(number) is out of range",
        hint: range.upperBound == Int.max
          ? "expected at least \(range.lowerBound)"
          : "expected \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The next word as a time, in milliseconds: `250`, `250ms`, `5s`, `1m`, `2h`, `1d`, `100us`.
  ///
  /// Microseconds are rounded up, so that a short time does not become none.
  mutating func time(
    _ what: String = "a time", defaultUnit: TimeUnit = .milliseconds, minimum: Int = 0
  ) throws(Diagnostic) -> Int {
    let word = try require(what)
    let (digits, unit) = Self.splitNumber(word.text)
    guard let number = Int(digits), unit.utf8.allSatisfy(\.isLetter) else {
      throw span(of: word).error(
        "'\(word.text)' is not a time",
        hint: "expected an integer and a unit: us, ms, s, m, h or d; \(defaultUnit) without one")
    }
    guard let milliseconds = Self.milliseconds(number, unit, defaultUnit: defaultUnit) else {
      throw span(of: word).error(
        "'\(unit)' is not a unit of time", hint: "expected us, ms, s, m, h or d")
    }
    guard milliseconds <= Self.longestTime else {
      throw span(of: word).error("'\(word.text)' is too long", hint: "at most 24 days")
    }
    guard milliseconds >= minimum else {
      throw span(of: word).error("'\(word.text)' is too short", hint: "at least \(minimum) ms")
    }
    return milliseconds
  }

  private static func splitNumber(_ text: String) -> (digits: String, unit: String) {
    let end = text.utf8.firstIndex { !$0.isDigit } ?? text.endIndex
    return (String(text[..<end]), String(text[end...]))
  }

  private static func milliseconds(
    _ number: Int, _ unit: String, defaultUnit: TimeUnit
  ) -> Int? {
    let factor: Int
    switch unit {
    case "": factor = defaultUnit.rawValue
    case "us": return number / 1000 + (number % 1000 == 0 ? 0 : 1)
    case "ms": factor = 1
    case "s": factor = 1000
    case "m": factor = 60_000
    case "h": factor = 3_600_000
    case "d": factor = 86_400_000
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? Int.max : product
  }

  /// The next word as a size in bytes: `16384`, `16k`, `1m`, `1g`.
  mutating func size(_ what: String, in range: ClosedRange<Int>) throws(Diagnostic) -> Int {
    let word = try require(what)
    let (digits, unit) = Self.splitNumber(word.text)
    let shifts = ["": 0, "k": 10, "m": 20, "g": 30]
    guard let number = Int(digits), let shift = shifts[unit.lowercasedASCII] else {
      throw span(of: word).error(
        "'\(word.text)' is not a size", hint: "expected an integer and k, m, g or nothing")
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    guard !overflow, range.contains(bytes) else {
      throw span(of: word).error(
        "'\(word.text)' is out of range",
        hint: "expected \(range.lowerBound) to \(range.upperBound) bytes")
    }
    return bytes
  }

  /// The next word as the name of a proxy, a server or an ACL.
  mutating func name(_ what: String) throws(Diagnostic) -> Word {
    let word = try require(what)
    guard word.text.isName else {
      throw span(of: word).error(
        "'\(word.text)' is not a name", hint: "expected letters, digits and - _ . : only")
    }
    return word
  }

  /// The next word as one of a few.
  mutating func choice<Value>(
    _ what: String, _ values: KeyValuePairs<String, Value>
  ) throws(Diagnostic) -> Value {
    let word = try require("\(what): \(Self.list(values.map(\.key)))")
    guard let entry = values.first(where: { $0.key == word.text }) else {
      throw span(of: word).error(
        "unknown \(what) '\(word.text)'", hint: "expected \(Self.list(values.map(\.key)))",
        suggestion: Suggestion.nearest(to: word.text, among: values.map(\.key)))
    }
    return entry.value
  }

  static func list(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }
}

extension Statement.TimeUnit: CustomStringConvertible {
  var description: String {
    switch self {
    case .milliseconds: "ms"
    case .seconds: "s"
    }
  }
}
