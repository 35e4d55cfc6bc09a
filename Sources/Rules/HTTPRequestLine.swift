/// Tells an HTTP/1 request from other bytes by its first line: `METHOD SP target SP HTTP/`
/// (RFC 9112 section 3).
enum HTTPRequestLine {
  enum State: Equatable {
    /// Nothing speaks against it yet.
    case more
    case yes, no
  }

  /// The longest method that is believed, and more than any registered one has.
  private static let longestMethod = 24

  static func state(of bytes: borrowing Span<UInt8>) -> State {
    var index = 0
    while index < bytes.count, isMethod(bytes[index]) { index += 1 }
    guard index <= longestMethod else { return .no }
    guard index < bytes.count else { return .more }
    guard index > 0, bytes[index] == UInt8(ascii: " ") else { return .no }

    let target = index + 1
    index = target
    while index < bytes.count, bytes[index] > 0x20, bytes[index] != 0x7f { index += 1 }
    guard index < bytes.count else { return .more }
    guard index > target, bytes[index] == UInt8(ascii: " ") else { return .no }
    return version(in: bytes, at: index + 1)
  }

  private static func isMethod(_ byte: UInt8) -> Bool {
    0x41...0x5a ~= byte || byte == UInt8(ascii: "-")
  }

  private static func version(in bytes: borrowing Span<UInt8>, at start: Int) -> State {
    let expected: InlineArray<5, UInt8> = [0x48, 0x54, 0x54, 0x50, 0x2f]
    for offset in expected.indices {
      guard start + offset < bytes.count else { return .more }
      guard bytes[start + offset] == expected[offset] else { return .no }
    }
    return .yes
  }
}
