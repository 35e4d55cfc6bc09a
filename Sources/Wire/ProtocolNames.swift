/// The application protocols a client offers, in its order (ALPN, RFC 7301).
public struct ProtocolNames: BitwiseCopyable, Sendable, Equatable {
  /// The room for the list: what clients send takes 3 to 30 bytes.
  public static let maximumLength = 256

  /// The list as sent: each name behind one byte that holds its length. Only whole names are kept.
  public internal(set) var wire = InlineBytes<256>()

  /// Whether there were names for which there was no room.
  public internal(set) var isTruncated = false

  public init() {}

  /// A list as `wire` has it.
  public init(wire list: [UInt8]) {
    let kept = min(list.count, Self.maximumLength)
    for index in 0..<kept { wire.stage(list[index], at: index) }
    wire.publish(kept)
  }

  public var isEmpty: Bool { wire.isEmpty }

  /// The names with commas between them, as `req.ssl_alpn` gives them: `h2,http/1.1`.
  public var commaJoined: InlineBytes<256> {
    var joined = InlineBytes<256>()
    guard !isEmpty else { return joined }
    var nextLength = 0
    for index in 0..<wire.count {
      if index == nextLength {
        nextLength += 1 + Int(wire[index])
        if index > 0 { joined.stage(UInt8(ascii: ","), at: index - 1) }
      } else {
        joined.stage(wire[index], at: index - 1)
      }
    }
    joined.publish(wire.count - 1)
    return joined
  }
}
