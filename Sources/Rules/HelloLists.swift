import Configuration

/// Finds a list in the raw bytes of a ClientHello that the parser has found complete: few rules ask
/// for one, so they are not kept while it is parsed.
///
/// Reads the handshake message through the headers of its TLS records (RFC 8446 sections 4.1.2 and
/// 5.1), however it was cut into them.
struct HelloLists: ~Escapable {
  private let bytes: Span<UInt8>
  /// Where the next byte of the message is, and how many more its record has.
  private var position = 0
  private var left = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  /// Puts the list, as sent and without its length, on a side of the workbench.
  ///
  /// - Returns: its length; nil if the hello has no such list, or is in the format of SSLv2.
  mutating func copy(
    _ list: SampleExpression.HelloList, to side: Int, of bench: borrowing Workbench
  ) -> Int? {
    guard bytes.count > 0, bytes[0] == 0x16 else { return nil }
    guard skip(4 + 2 + 32), let sessionID = number(1), skip(sessionID), let ciphers = number(2)
    else { return nil }
    if list == .cipherSuites { return copy(ciphers, to: side, of: bench) }
    guard skip(ciphers), let methods = number(1), skip(methods), var rest = number(2) else {
      return nil
    }
    while rest >= 4, let type = number(2), let length = number(2) {
      if type == list.extensionType {
        guard let inner = number(2), inner <= length - 2 else { return nil }
        return list == .keyShareGroups
          ? copyGroups(inner, to: side, of: bench) : copy(inner, to: side, of: bench)
      }
      guard skip(length) else { return nil }
      rest -= 4 + length
    }
    return nil
  }

  private mutating func next() -> UInt8? {
    while left == 0 {
      guard position + 5 <= bytes.count else { return nil }
      left = Int(bytes[position + 3]) << 8 | Int(bytes[position + 4])
      position += 5
    }
    guard position < bytes.count else { return nil }
    left -= 1
    position += 1
    return bytes[position - 1]
  }

  private mutating func number(_ size: Int) -> Int? {
    var number = 0
    for _ in 0..<size {
      guard let byte = next() else { return nil }
      number = number << 8 | Int(byte)
    }
    return number
  }

  private mutating func skip(_ count: Int) -> Bool {
    for _ in 0..<count where next() == nil { return false }
    return true
  }

  private mutating func copy(_ count: Int, to side: Int, of bench: borrowing Workbench) -> Int? {
    var end = 0
    for _ in 0..<count {
      guard let byte = next() else { return nil }
      end = bench.put(byte, on: side, at: end)
    }
    return end
  }

  /// Of each key share only its group: two bytes, before a length and the key itself.
  private mutating func copyGroups(
    _ count: Int, to side: Int, of bench: borrowing Workbench
  ) -> Int? {
    var end = 0
    var rest = count
    while rest >= 4, let high = next(), let low = next(), let length = number(2) {
      end = bench.put(high, on: side, at: end)
      end = bench.put(low, on: side, at: end)
      guard skip(length) else { return nil }
      rest -= 4 + length
    }
    return rest == 0 ? end : nil
  }
}

extension SampleExpression.HelloList {
  /// The extension that holds it (IANA's TLS ExtensionType values).
  fileprivate var extensionType: Int? {
    switch self {
    case .cipherSuites: nil
    case .supportedGroups: 10
    case .signatureAlgorithms: 13
    case .keyShareGroups: 51
    }
  }
}
