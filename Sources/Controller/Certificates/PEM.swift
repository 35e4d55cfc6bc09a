/// The certificates in a PEM file (RFC 7468), as DER.
enum PEM {
  static let begin = "-----BEGIN CERTIFICATE-----"
  static let end = "-----END CERTIFICATE-----"

  enum Failure: Error, Equatable {
    /// There is not one.
    case noCertificate
    /// One begins and does not end.
    case unfinished
    /// What is in the one with this number, counted from 1, is not base64.
    case notBase64(Int)
  }

  /// All of them, in order. Whatever else is in the file is passed over.
  static func certificates(in bytes: [UInt8]) throws(Failure) -> [[UInt8]] {
    var certificates: [[UInt8]] = []
    var body: [UInt8]?
    for line in bytes.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }) {
      let text = String(decoding: line, as: UTF8.self)
      if text.hasPrefix(begin) {
        body = []
      } else if text.hasPrefix(end) {
        guard let base64 = body else { continue }
        guard let der = Base64.decode(base64), !der.isEmpty else {
          throw .notBase64(certificates.count + 1)
        }
        certificates.append(der)
        body = nil
      } else {
        body?.append(contentsOf: line)
      }
    }
    guard body == nil else { throw .unfinished }
    guard !certificates.isEmpty else { throw .noCertificate }
    return certificates
  }
}

/// RFC 4648 section 4.
enum Base64 {
  /// The bytes that `text` stands for; nil when it is not base64. Blanks are passed over.
  static func decode(_ text: [UInt8]) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var padding = 0
    for character in text where character != 0x20 && character != 0x09 {
      if character == UInt8(ascii: "=") {
        padding += 1
        continue
      }
      guard padding == 0, let value = value(of: character) else { return nil }
      bits = bits << 6 | value
      count += 1
      if count % 4 == 0 {
        for shift in [UInt32(16), 8, 0] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
      }
    }
    switch (count % 4, padding) {
    case (0, 0): break
    case (2, 2): bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
    case (3, 1):
      bytes.append(UInt8(truncatingIfNeeded: bits >> 10))
      bytes.append(UInt8(truncatingIfNeeded: bits >> 2))
    default: return nil
    }
    return bytes
  }

  private static func value(of character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
