/// What two workers tell each other while connections go from one to the other.
///
/// A batch is offered, then taken or refused as a whole; the next one is offered after that. Whose
/// it is in the meantime, and after a death, is decided in the ledger and not by these packets.
public enum HandOverPacket: Equatable, Sendable {
  case offer(HandOverOffer)
  case taken(batch: UInt64)
  /// Nothing of the batch was taken, because of these.
  case refused(batch: UInt64, [Objection])

  /// The longest packet, in bytes: a connection may have 128 KiB of ClientHello that its server has
  /// not taken yet, and 32 KiB for its client.
  public static let maximumLength = 200 * 1024

  /// Most connections in an offer.
  public static let mostConnections = 64
  /// Most descriptors beside one: `SCM_MAX_FD`.
  public static let mostRights = 253

  public struct Objection: Equatable, Sendable {
    /// The place of the connection in the offer; nil when it is about all of them.
    public var position: Int?
    public var reason: Reason

    public init(position: Int?, reason: Reason) {
      self.position = position
      self.reason = reason
    }
  }

  /// Why a connection is not taken.
  public enum Reason: UInt8, CaseIterable, Sendable {
    /// The offer cannot be read: it comes from another release.
    case unreadable = 1
    case noDescriptors = 2
    case noPlace = 3
    case noMemory = 4
    /// The receiver is on its way out itself.
    case leaving = 5
    /// Its rules would be needed and are no longer in the configuration.
    case rulesGone = 6
    /// One that only a newer release knows.
    case other = 255

    /// For the log.
    public var text: String {
      switch self {
      case .unreadable: "of another release"
      case .noDescriptors: "out of descriptors"
      case .noPlace: "no place for more connections"
      case .noMemory: "no buffers left"
      case .leaving: "the receiver leaves too"
      case .rulesGone: "not routed yet, and the frontend is gone"
      case .other: "refused"
      }
    }
  }
}

/// Connections, and what of the configuration they came with.
public struct HandOverOffer: Equatable, Sendable {
  /// Counts the batches of the sender's lane.
  public var batch: UInt64
  public var frontends: [FrontendPortrait] = []
  public var listeners: [ListenerPortrait] = []
  public var backends: [BackendPortrait] = []
  public var servers: [ServerPortrait] = []
  public var connections: [ConnectionRecord] = []

  public init(batch: UInt64) { self.batch = batch }

  public var rightsCount: Int { connections.reduce(0) { $0 + $1.rightsCount } }
}
