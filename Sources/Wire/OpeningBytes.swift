/// The first bytes of a connection, up to eight, most significant first: enough to tell by which
/// word a protocol opens, without a loop over strings.
struct OpeningBytes {
  private var bytes: UInt64 = 0
  private let count: Int

  init(_ opening: borrowing Span<UInt8>) {
    count = min(opening.count, 8)
    for index in 0..<count { bytes = bytes << 8 | UInt64(opening[index]) }
  }

  /// Whether these bytes agree with `word`, as far as both go.
  func agree(with word: UInt64, length: Int) -> Bool {
    let common = min(count, length)
    return bytes >> (8 * UInt64(count - common)) == word >> (8 * UInt64(length - common))
  }
}

extension NotTLSReason {
  /// Guesses the protocol by the first bytes, of which there must be one.
  init(opening: borrowing Span<UInt8>) {
    switch opening[0] {
    case ContentType.changeCipherSpec: self = .changeCipherSpec
    case ContentType.alert: self = .alert
    case ContentType.applicationData: self = .applicationData
    default: self = Self.byWord(OpeningBytes(opening))
    }
  }

  private static func byWord(_ opening: OpeningBytes) -> NotTLSReason {
    if opening.isHTTP { return .http }
    if opening.agree(with: 0x5353_482d, length: 4) { return .ssh }  // SSH-
    if opening.agree(with: 0x5052_4f58_5920, length: 6) { return .proxyHeader }  // PROXY v1
    if opening.agree(with: 0x0d0a_0d0a_000d_0a51, length: 8) { return .proxyHeader }  // v2
    if opening.agree(with: 0x0000_0008_04d2, length: 6) { return .postgreSQL }
    if opening.agree(with: 0, length: 1) { return .zeroBytes }
    return .unknown
  }
}

extension OpeningBytes {
  /// Whether a method of RFC 9110 or RFC 5789, or the preface of RFC 9113, is being said.
  fileprivate var isHTTP: Bool {
    agree(with: 0x4745_5420, length: 4)  // GET
      || agree(with: 0x504f_5354_20, length: 5)  // POST
      || agree(with: 0x4845_4144_20, length: 5)  // HEAD
      || agree(with: 0x5055_5420, length: 4)  // PUT
      || agree(with: 0x4445_4c45_5445_20, length: 7)  // DELETE
      || agree(with: 0x434f_4e4e_4543_5420, length: 8)  // CONNECT
      || agree(with: 0x4f50_5449_4f4e_5320, length: 8)  // OPTIONS
      || agree(with: 0x5452_4143_4520, length: 6)  // TRACE
      || agree(with: 0x5041_5443_4820, length: 6)  // PATCH
      || agree(with: 0x5052_4920, length: 4)  // PRI
  }
}
