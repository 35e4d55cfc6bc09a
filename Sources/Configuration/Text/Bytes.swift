extension UInt8 {
  var isDigit: Bool { 0x30...0x39 ~= self }
  var isLetter: Bool { 0x41...0x5a ~= self || 0x61...0x7a ~= self }
  /// What may stand in the name of a variable.
  var isVariableName: Bool { isLetter || isDigit || self == UInt8(ascii: "_") }
  /// What may stand in the name of a proxy, a server or an ACL.
  var isName: Bool {
    switch self {
    case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"): true
    default: isLetter || isDigit
    }
  }
  /// Blanks of the language; line ends are dealt with before.
  var isBlank: Bool { self == 0x20 || self == 0x09 || self == 0x0b || self == 0x0c }

  /// What it stands for as a hexadecimal digit; nil if it is none.
  public var hexadecimalValue: UInt8? {
    switch self {
    case 0x30...0x39: self - 0x30
    case 0x41...0x46: self - 0x41 + 10
    case 0x61...0x66: self - 0x61 + 10
    default: nil
    }
  }
}

extension String {
  /// Whether it is a legal name of a proxy, a server or an ACL.
  var isName: Bool { !isEmpty && utf8.allSatisfy(\.isName) }

  var isDecimal: Bool { !isEmpty && utf8.allSatisfy(\.isDigit) }

  /// Whether `part` stands anywhere in it, byte for byte.
  func includes(_ part: String) -> Bool {
    let haystack = Array(utf8)
    let needle = Array(part.utf8)
    guard haystack.count >= needle.count else { return false }
    return (0...(haystack.count - needle.count)).contains {
      haystack[$0...].starts(with: needle)
    }
  }

  /// The bytes that pairs of hexadecimal digits stand for; nil for anything else.
  var hexadecimalBytes: [UInt8]? {
    let digits = utf8.map(\.hexadecimalValue)
    guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { index in
      (digits[index] ?? 0) << 4 | (digits[index + 1] ?? 0)
    }
  }

  /// What follows `prefix`, or nil if it does not begin so.
  func dropping(prefix: String) -> String? {
    // Bytes, not characters: what joins the prefix's last letter to one character is still a rest.
    utf8.starts(with: prefix.utf8) ? String(Substring(utf8.dropFirst(prefix.utf8.count))) : nil
  }

  /// The text before and after the first `separator`.
  func split(atFirst separator: Character) -> (head: String, tail: String?) {
    guard let index = firstIndex(of: separator) else { return (self, nil) }
    return (String(self[..<index]), String(self[self.index(after: index)...]))
  }

  /// ASCII letters in lower case, everything else as it is.
  var lowercasedASCII: String {
    let bytes = utf8.map { 0x41...0x5a ~= $0 ? $0 | 0x20 : $0 }
    return String(decoding: bytes, as: UTF8.self)
  }
}
