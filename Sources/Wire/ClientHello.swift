/// What a client says when it opens a TLS connection (RFC 8446 section 4.1.2), as far as a proxy
/// that never decrypts wants to know.
///
/// Facts appear as they are read and never change after: while the parser still needs more, those
/// that have arrived can be read already. A name or a list appears only once it is whole.
public struct ClientHello: BitwiseCopyable, Sendable {
  /// How many extension types are listed. Clients send 10 to 20.
  public static let maximumExtensionTypes = 64

  /// How the hello was framed.
  public enum Framing: UInt8, BitwiseCopyable, Sendable {
    /// In TLS records.
    case records
    /// In the SSLv2 format (RFC 5246 appendix E.2), which has room for no extension.
    case ssl2
  }

  /// `session_ticket` (RFC 5077): what `req.ssl_st_ext` gives.
  public enum SessionTicket: UInt8, BitwiseCopyable, Sendable {
    case absent = 0
    case empty = 1
    case present = 2
  }

  public internal(set) var framing = Framing.records

  /// The type of the first handshake message, 1 for a ClientHello; 0 while none was read.
  /// `req.ssl_hello_type`.
  public internal(set) var helloType: UInt8 = 0

  /// The version in the first record's header. It says nothing (RFC 8446 section 5.1), but is a
  /// part of some fingerprints. 0 in the SSLv2 format.
  public internal(set) var recordVersion: UInt16 = 0

  /// `legacy_version`; TLS 1.3 says 0x0303 here too. 0 while unknown.
  public internal(set) var legacyVersion: UInt16 = 0

  /// What `supported_versions` offers; empty without it.
  public internal(set) var supportedVersions = TLSVersions()

  /// The name asked for; empty if there was none.
  public internal(set) var serverName = ServerName()

  /// The protocols offered; empty if there were none.
  public internal(set) var alpn = ProtocolNames()

  public internal(set) var sessionIDLength: UInt8 = 0
  public internal(set) var cipherSuiteCount: UInt16 = 0
  public internal(set) var extensionCount: UInt16 = 0
  var extensionTypes = InlineArray<64, UInt16>(repeating: 0)

  public internal(set) var sessionTicket = SessionTicket.absent

  /// Whether `supported_groups` is there (once "elliptic curves"): `req.ssl_ec_ext`.
  public internal(set) var hasSupportedGroups = false

  /// Whether `encrypted_client_hello` (0xfe0d) is there. Clients also send it with random content,
  /// so it proves nothing; the name that can be read is the outer one.
  public internal(set) var hasECH = false

  /// Whether a reserved value of RFC 8701 was seen among cipher suites, extensions or versions.
  public internal(set) var hasGREASE = false

  /// The handshake message with its four bytes of header; 0 while unknown. In the SSLv2 format
  /// the message with its two bytes of length.
  public internal(set) var helloLength = 0

  /// How many records were begun, counting the one that holds the end of the hello.
  public internal(set) var recordCount = 0

  /// How many raw bytes were read, framing included. Once complete: where the hello ends.
  public internal(set) var rawLength = 0

  public init() {}

  /// The newest version the client can speak, as its number on the wire.
  public var highestVersion: UInt16 {
    supportedVersions.isEmpty ? legacyVersion : supportedVersions.highest
  }

  /// `req.ssl_ver`: 65536 times the major number plus the minor one of `legacy_version`.
  public var versionNumber: Int {
    Int(legacyVersion >> 8) << 16 | Int(legacyVersion & 0xff)
  }

  /// How many of the extension types can be asked for.
  public var listedExtensionCount: Int { min(Int(extensionCount), Self.maximumExtensionTypes) }

  /// The type of one of the listed extensions, in the order sent.
  public func extensionType(at index: Int) -> UInt16 {
    precondition(index < listedExtensionCount, "extension that is not listed")
    return extensionTypes[index]
  }

  mutating func list(extensionType type: UInt16) {
    if Int(extensionCount) < Self.maximumExtensionTypes {
      extensionTypes[Int(extensionCount)] = type
    }
    extensionCount += 1
  }
}

extension ClientHello: Equatable {
  public static func == (left: Self, right: Self) -> Bool {
    left.isSameMessage(as: right) && left.recordVersion == right.recordVersion
      && left.recordCount == right.recordCount && left.rawLength == right.rawLength
  }

  /// Whether both say the same, however each was cut into records.
  public func isSameMessage(as other: Self) -> Bool {
    framing == other.framing && helloType == other.helloType
      && legacyVersion == other.legacyVersion && supportedVersions == other.supportedVersions
      && serverName == other.serverName && alpn == other.alpn
      && sessionIDLength == other.sessionIDLength && cipherSuiteCount == other.cipherSuiteCount
      && listsSameExtensions(as: other) && sessionTicket == other.sessionTicket
      && hasSupportedGroups == other.hasSupportedGroups && hasECH == other.hasECH
      && hasGREASE == other.hasGREASE && helloLength == other.helloLength
  }

  private func listsSameExtensions(as other: Self) -> Bool {
    guard extensionCount == other.extensionCount else { return false }
    for index in 0..<listedExtensionCount where extensionTypes[index] != other.extensionTypes[index]
    {
      return false
    }
    return true
  }
}
