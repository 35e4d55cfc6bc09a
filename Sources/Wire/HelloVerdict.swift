/// What the bytes of a new connection are.
public enum HelloVerdict: Equatable, BitwiseCopyable, Sendable {
  /// A ClientHello so far. "Need more" is never "no match".
  case needMore

  /// The whole ClientHello was read.
  case complete

  /// Not TLS from its first bytes on.
  case notTLS(NotTLSReason)

  /// It began as TLS, but no server could understand it.
  case malformed(HelloDefect)

  /// A ClientHello longer than `ClientHelloParser.maximumBodyLength`.
  case tooLarge

  /// A few words for the operator.
  public var text: StaticString {
    switch self {
    case .needMore: "incomplete ClientHello"
    case .complete: "ClientHello"
    case .notTLS(let reason): reason.text
    case .malformed(let defect): defect.text
    case .tooLarge: "ClientHello larger than 16384 bytes"
    }
  }
}

/// What a client that does not speak TLS seems to speak.
///
/// The verdict falls with the first byte that TLS does not begin with. The reason is drawn from the
/// bytes at hand then, usually the whole first segment; from a single byte it is a good guess.
public enum NotTLSReason: UInt8, BitwiseCopyable, Sendable, CaseIterable {
  case http
  case ssh
  case proxyHeader
  case postgreSQL
  case zeroBytes
  case alert
  case applicationData
  case changeCipherSpec
  case unknown

  public var text: StaticString {
    switch self {
    case .http: "HTTP request in plain text"
    case .ssh: "SSH"
    case .proxyHeader: "PROXY protocol header that was not expected"
    case .postgreSQL: "PostgreSQL request before TLS"
    case .zeroBytes: "zero bytes"
    case .alert: "TLS alert instead of a ClientHello"
    case .applicationData: "TLS application data instead of a ClientHello"
    case .changeCipherSpec: "TLS change_cipher_spec instead of a ClientHello"
    case .unknown: "not TLS"
    }
  }
}

/// Why something that began as a ClientHello is none.
public enum HelloDefect: UInt8, BitwiseCopyable, Sendable, CaseIterable {
  case emptyRecord
  case recordTooLong
  case recordVersion
  case recordInterrupted
  case notClientHello
  case overrun
  case trailingBytes
  case sessionID
  case cipherSuites
  case compression
  case emptyServerName
  case emptyProtocolName
  case versions
  case repeatedExtension
  case ssl2Lengths

  public var text: StaticString {
    switch self {
    case .emptyRecord: "empty TLS record"
    case .recordTooLong: "TLS record longer than 16384 bytes"
    case .recordVersion: "TLS record of an unknown major version"
    case .recordInterrupted: "record of another kind in the middle of the ClientHello"
    case .notClientHello: "TLS handshake message other than a ClientHello"
    case .overrun: "field that runs past the end of what holds it"
    case .trailingBytes: "bytes behind the end of a field"
    case .sessionID: "session id longer than 32 bytes"
    case .cipherSuites: "cipher suites missing or of odd length"
    case .compression: "no compression method"
    case .emptyServerName: "empty server name"
    case .emptyProtocolName: "empty ALPN protocol name"
    case .versions: "supported_versions empty or of odd length"
    case .repeatedExtension: "extension sent twice"
    case .ssl2Lengths: "SSLv2 hello whose lengths contradict each other"
    }
  }
}
