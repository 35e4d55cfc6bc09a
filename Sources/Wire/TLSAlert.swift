/// A fatal alert (RFC 8446 section 6), for a client that is refused before any server is asked.
///
/// A client shows it to its user as what it is, "unrecognized name" for example, where a mere close
/// would look like a broken network.
public struct TLSAlert: BitwiseCopyable, Sendable, Equatable {
  public enum Description: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case handshakeFailure = 40
    case accessDenied = 49
    case internalError = 80
    case unrecognizedName = 112
  }

  /// The length of the record: five bytes of header, the level and the description.
  public static let length = 7

  public let description: Description

  /// The version in the record's header.
  public let recordVersion: UInt16

  /// An alert for a client that offers `version` at most in its `legacy_version`.
  ///
  /// No version has been agreed on yet. Clients ignore the minor number then, but very old ones
  /// want no newer one than they know; TLS 1.3 freezes it at 0x0303.
  public init(_ description: Description, offered version: UInt16 = 0x0301) {
    self.description = description
    self.recordVersion = min(max(version, 0x0300), 0x0303)
  }

  /// The record as it is sent.
  public var bytes: InlineArray<7, UInt8> {
    [
      ContentType.alert, UInt8(truncatingIfNeeded: recordVersion >> 8),
      UInt8(truncatingIfNeeded: recordVersion), 0, 2, 2, description.rawValue,
    ]
  }
}
