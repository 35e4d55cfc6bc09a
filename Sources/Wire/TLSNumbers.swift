/// Record types (RFC 8446 section 5.1).
enum ContentType {
  static let changeCipherSpec: UInt8 = 20
  static let alert: UInt8 = 21
  static let handshake: UInt8 = 22
  static let applicationData: UInt8 = 23
}

/// Handshake message types (RFC 8446 section 4).
enum HandshakeType {
  static let clientHello: UInt8 = 1
}

/// Extension types (IANA, "TLS ExtensionType Values").
enum ExtensionType {
  static let serverName: UInt16 = 0
  static let supportedGroups: UInt16 = 10
  static let protocols: UInt16 = 16
  static let sessionTicket: UInt16 = 35
  static let supportedVersions: UInt16 = 43
  static let encryptedClientHello: UInt16 = 0xfe0d
}
