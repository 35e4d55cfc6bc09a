/// Splits a line into words: blanks, quotes, escapes, comments and variables.
///
/// The rules are the language's own: a comment begins at any unquoted `#`, also behind a word;
/// variables are expanded within double quotes only; a backslash before a letter that means
/// nothing stays.
struct Lexer {
  /// What cannot be read, as a range of the line's bytes.
  struct Failure: Error {
    let range: Range<Int>
    let message: String
    let hint: String
    /// What was read before it, half a word included: enough to know whose line it is.
    var words: [Word] = []
  }

  /// What `.FILE`, `.LINE` and `.SECTION` mean on this line.
  struct Place {
    var path = ""
    var line = 0
    var section = ""
  }

  private let bytes: ArraySlice<UInt8>
  private let place: Place
  private var index: Int
  private var words: [Word] = []

  /// The word being read: where it began, and its bytes where they are not simply the line's.
  private var start: Int?
  private var text: [UInt8] = []
  /// A variable that is not set stands in this word.
  private var missingVariable: String?

  /// Reads `line`, which must not include its line end.
  init(_ line: ArraySlice<UInt8>, place: Place) {
    bytes = line
    self.place = place
    index = line.startIndex
  }

  mutating func words(in environment: inout Environment) throws(Failure) -> [Word] {
    do throws(Failure) {
      return try readWords(in: &environment)
    } catch {
      var failure = error
      if let start, !text.isEmpty { append(from: start, to: error.range.lowerBound) }
      failure.words = words
      throw failure
    }
  }

  private mutating func readWords(
    in environment: inout Environment
  ) throws(Failure) -> [Word] {
    while index < bytes.endIndex {
      switch bytes[index] {
      case let byte where byte.isBlank:
        try finishWord()
        index += 1
      case UInt8(ascii: "#"):
        try finishWord()
        return words
      case UInt8(ascii: "\""):
        try readDoubleQuoted(&environment)
      case UInt8(ascii: "'"):
        try readSingleQuoted()
      case UInt8(ascii: "\\"):
        begin()
        try readEscape(inQuotes: false)
      default:
        readPlain()
      }
    }
    try finishWord()
    return words
  }

  // MARK: Words

  private mutating func begin() {
    if start == nil { start = index }
  }

  private mutating func finishWord() throws(Failure) {
    guard let start else { return }
    guard !text.isEmpty else {
      if let missingVariable {
        throw Failure(
          range: start..<index, message: "environment variable '\(missingVariable)' is not set",
          hint: "set it, or give a default: \"${\(missingVariable)-default}\"")
      }
      throw Failure(
        range: start..<index, message: "empty word", hint: "an argument cannot be empty")
    }
    append(from: start, to: index)
    self.start = nil
    missingVariable = nil
  }

  private mutating func append(from start: Int, to end: Int) {
    let valid = String(validating: text, as: UTF8.self)
    words.append(
      Word(
        text: valid ?? String(decoding: text, as: UTF8.self),
        column: start - bytes.startIndex + 1, length: end - start, isUTF8: valid != nil))
    text.removeAll(keepingCapacity: true)
  }

  private mutating func readPlain() {
    begin()
    let first = index
    while index < bytes.endIndex, !Self.isSpecial(bytes[index]) { index += 1 }
    text += bytes[first..<index]
  }

  private static func isSpecial(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"): true
    default: byte.isBlank
    }
  }

  // MARK: Quotes and escapes

  private mutating func readSingleQuoted() throws(Failure) {
    begin()
    let quote = index
    guard let close = bytes[(quote + 1)...].firstIndex(of: UInt8(ascii: "'")) else {
      throw Self.unclosed(quote, "'", in: bytes)
    }
    text += bytes[(quote + 1)..<close]
    index = close + 1
  }

  private mutating func readDoubleQuoted(_ environment: inout Environment) throws(Failure) {
    let quote = index
    let isWholeWord = start == nil
    let outside = text.count
    begin()
    index += 1
    var wasArray = false
    while index < bytes.endIndex {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        index += 1
        // Nothing in an expanded array means no word at all, not an empty one.
        if wasArray, isWholeWord, text.isEmpty { start = nil }
        return
      case UInt8(ascii: "\\"):
        try readEscape(inQuotes: true)
      case UInt8(ascii: "$"):
        wasArray = try readVariable(&environment) || wasArray
      default:
        text.append(bytes[index])
        index += 1
      }
    }
    text.removeLast(max(text.count - outside, 0))
    throw Self.unclosed(quote, "\"", in: bytes)
  }

  private static func unclosed(
    _ quote: Int, _ mark: String, in bytes: ArraySlice<UInt8>
  ) -> Failure {
    Failure(
      range: quote..<bytes.endIndex, message: "this \(mark) is never closed",
      hint: "expected another \(mark) before the end of the line")
  }

  private mutating func readEscape(inQuotes: Bool) throws(Failure) {
    let backslash = index
    index += 1
    guard index < bytes.endIndex else {
      text.append(UInt8(ascii: "\\"))
      return
    }
    switch bytes[index] {
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: " "), UInt8(ascii: "\\"), UInt8(ascii: "#"), UInt8(ascii: "'"),
      UInt8(ascii: "\""):
      text.append(bytes[index])
    case UInt8(ascii: "$") where inQuotes:
      text.append(bytes[index])
    case UInt8(ascii: "x"):
      text.append(try hexadecimal(from: backslash))
      index += 2
    default:
      text.append(UInt8(ascii: "\\"))
      return
    }
    index += 1
  }

  private func hexadecimal(from backslash: Int) throws(Failure) -> UInt8 {
    guard index + 2 < bytes.endIndex, let high = bytes[index + 1].hexadecimalValue,
      let low = bytes[index + 2].hexadecimalValue, high | low != 0
    else {
      throw Failure(
        range: backslash..<min(index + 3, bytes.endIndex), message: "bad \\x escape",
        hint: "expected two hexadecimal digits other than 00")
    }
    return high << 4 | low
  }

  // MARK: Variables

  /// Reads a variable from `$` on.
  ///
  /// - Returns: whether it was an array, `${NAME[*]}`, whose words are words of the line.
  private mutating func readVariable(_ environment: inout Environment) throws(Failure) -> Bool {
    let dollar = index
    index += 1
    let isBraced = take(UInt8(ascii: "{"))
    let name = try variableName(from: dollar)
    let isArray = isBraced && bytes[index...].starts(with: "[*]".utf8)
    if isArray { index += 3 }
    let defaultText = isBraced ? try variableDefault(from: dollar) : nil
    let value = try self.value(of: name, from: dollar, in: &environment) ?? defaultText

    if isArray {
      appendWords(of: value ?? "")
    } else if let value {
      text += value.utf8
    } else {
      missingVariable = missingVariable ?? name
    }
    return isArray
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard index < bytes.endIndex, bytes[index] == byte else { return false }
    index += 1
    return true
  }

  private mutating func variableName(from dollar: Int) throws(Failure) -> String {
    let first = index
    if index < bytes.endIndex, bytes[index] == UInt8(ascii: ".") { index += 1 }
    while index < bytes.endIndex, bytes[index].isVariableName { index += 1 }
    guard index > first, !bytes[first].isDigit else {
      throw Failure(
        range: dollar..<max(index, dollar + 1), message: "no variable name after '$'",
        hint: "expected $NAME or ${NAME}; write \\$ for the sign itself")
    }
    return String(decoding: bytes[first..<index], as: UTF8.self)
  }

  /// The rest of a braced variable: `}` or `-default}`.
  private mutating func variableDefault(from dollar: Int) throws(Failure) -> String? {
    guard let close = bytes[index...].firstIndex(of: UInt8(ascii: "}")),
      close == index || bytes[index] == UInt8(ascii: "-")
    else {
      throw Failure(
        range: dollar..<bytes.endIndex, message: "this '${' is never closed",
        hint: "expected ${NAME}, ${NAME-default} or ${NAME[*]}")
    }
    defer { index = close + 1 }
    return close == index ? nil : String(decoding: bytes[(index + 1)..<close], as: UTF8.self)
  }

  private func value(
    of name: String, from dollar: Int, in environment: inout Environment
  ) throws(Failure) -> String? {
    guard name.utf8.first == UInt8(ascii: ".") else { return environment.value(of: name) }
    switch name {
    case ".FILE": return place.path
    case ".LINE": return String(place.line)
    case ".SECTION": return place.section
    default:
      throw Failure(
        range: dollar..<index, message: "unknown variable '\(name)'",
        hint: "expected .FILE, .LINE or .SECTION")
    }
  }

  /// Every blank of `value` ends a word, and the last word stays open.
  private mutating func appendWords(of value: String) {
    let origin = start ?? index
    for byte in value.utf8 {
      if byte.isBlank || byte == 0x0a || byte == 0x0d {
        if !text.isEmpty { append(from: origin, to: index) }
      } else {
        text.append(byte)
      }
    }
  }
}
