/// What an event is for, in the 64 bits that epoll carries: a kind, and which of its kind.
///
/// For a connection that is its place in the table and the generation of that place, so that an
/// event that was reported before the place was given to another connection is told apart.
@frozen public struct Token: Equatable, Sendable {
  @frozen public enum Kind: UInt8, Sendable {
    /// The client's socket of a connection.
    case client = 1
    /// The server's.
    case server
    case listener
    case master
    case controller
    case doorbell
    case signal
    case other
    /// The other end of a pair between workers.
    case peer
    /// A listening socket of another worker.
    case borrowed
  }

  /// Bits 60…63 the kind, 32…59 the generation, 0…31 the index.
  public let rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  public init(_ kind: Kind, index: Int, generation: UInt32 = 0) {
    rawValue =
      UInt64(kind.rawValue) << 60 | UInt64(generation & Self.generationMask) << 32
      | UInt64(UInt32(truncatingIfNeeded: index))
  }

  /// Generations wrap at 28 bits.
  public static let generationMask: UInt32 = 0x0fff_ffff

  @inlinable
  public var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: rawValue >> 60)) ?? .other }

  @inlinable
  public var generation: UInt32 {
    UInt32(truncatingIfNeeded: rawValue >> 32) & Self.generationMask
  }

  @inlinable
  public var index: Int { Int(UInt32(truncatingIfNeeded: rawValue)) }
}
