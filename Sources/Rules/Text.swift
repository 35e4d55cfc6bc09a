/// How the letters `A`-`Z` of a sample are read. Other bytes stay as they are, as in the C locale.
enum CaseFolding: UInt8, BitwiseCopyable {
  case none, lower, upper

  func callAsFunction(_ byte: UInt8) -> UInt8 {
    switch self {
    case .none: byte
    case .lower: (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
    case .upper: (0x61...0x7a).contains(byte) ? byte & ~0x20 : byte
    }
  }
}

/// A sample as bytes, read through its case converters: nothing is copied to fold it.
struct Text: ~Escapable {
  let bytes: Span<UInt8>
  let folding: CaseFolding

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, folding: CaseFolding) {
    self.bytes = bytes
    self.folding = folding
  }

  var count: Int { bytes.count }

  subscript(index: Int) -> UInt8 { folding(bytes[index]) }

  /// The number the text begins with, 0 if none; nil for an empty text. As HAProxy casts strings.
  var integer: Int? {
    guard count > 0 else { return nil }
    let isNegative = bytes[0] == UInt8(ascii: "-")
    var position = isNegative || bytes[0] == UInt8(ascii: "+") ? 1 : 0
    var number = 0
    while position < count, (0x30...0x39).contains(bytes[position]) {
      let digit = Int(bytes[position] &- 0x30)
      let (product, tooLarge) = number.multipliedReportingOverflow(by: 10)
      let (sum, tooLargeToo) = product.addingReportingOverflow(isNegative ? -digit : digit)
      if tooLarge || tooLargeToo { return isNegative ? Int.min : Int.max }
      number = sum
      position += 1
    }
    return number
  }
}
