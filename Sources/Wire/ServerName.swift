/// The name a client asked for: the first `host_name` of `server_name` (RFC 6066 section 3).
///
/// Kept as it was sent, trailing dot and odd bytes included, because rules and logs are about what
/// was sent. Empty when the client named nobody; an empty name on the wire is malformed.
public struct ServerName: BitwiseCopyable, Sendable, Equatable {
  /// The longest name that is kept: what a DNS name can be (RFC 1035 section 2.3.4).
  public static let maximumLength = 255

  /// The name as sent, cut at `maximumLength`.
  public internal(set) var bytes = InlineBytes<255>()

  /// Whether the name was longer than what is kept. Such a name is never a host's.
  public internal(set) var isTruncated = false

  public init() {}

  /// A name of these bytes.
  public init(_ name: borrowing Span<UInt8>) {
    let kept = min(name.count, Self.maximumLength)
    for index in 0..<kept { bytes.stage(name[index], at: index) }
    bytes.publish(kept)
    isTruncated = kept < name.count
  }

  public var count: Int { bytes.count }
  public var isEmpty: Bool { bytes.isEmpty }

  /// The same name with `A`-`Z` lowered, for lookups. Other bytes stay as they are.
  public var lowercased: ServerName {
    var name = self
    for index in 0..<count where (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[index]) {
      name.bytes.stage(bytes[index] | 0x20, at: index)
    }
    return name
  }

  /// Whether a host could be called so: letters, digits, `-` and `_` in labels of 1 to 63 bytes,
  /// at most 253 in all, and perhaps a dot at the end.
  public var isValid: Bool {
    guard !isEmpty, !isTruncated else { return false }
    var label = 0
    for index in 0..<count {
      switch bytes[index] {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        label += 1
        guard label <= 63 else { return false }
      case UInt8(ascii: "."):
        guard label > 0 else { return false }
        label = 0
      default:
        return false
      }
    }
    let dots = label == 0 ? 1 : 0
    return count - dots <= 253
  }
}
