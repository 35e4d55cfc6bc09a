/// One connection as it travels from worker to worker: all that its next owner must know to go on
/// with it as if nothing had happened. Its descriptors travel beside it.
///
/// Times are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share; 0 for not yet.
/// Frontends, listeners, backends and servers are indices into the lists of the same
/// ``HandOverOffer``.
public struct ConnectionRecord: Equatable, Sendable {
  /// Where it stands. Numbers are never given a second meaning.
  public enum Phase: UInt8, CaseIterable, Sendable {
    case header = 1
    case inspecting = 2
    case queued = 3
    case resting = 4
    case dialing = 5
    case relaying = 6
    case resetting = 7
  }

  /// What is true of it. Bits are never given a second meaning.
  public struct Marks: OptionSet, Equatable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let redispatched = Marks(rawValue: 1 << 0)
    /// Keepalive was asked for on the server's socket.
    public static let keepalive = Marks(rawValue: 1 << 1)
    /// Counted as a session of its frontend.
    public static let isSession = Marks(rawValue: 1 << 2)
    /// Holds a place of its backend.
    public static let inBackend = Marks(rawValue: 1 << 3)
    /// Holds a place of its server.
    public static let inServer = Marks(rawValue: 1 << 4)
    /// The ClientHello was read whole.
    public static let hasHello = Marks(rawValue: 1 << 5)
    /// A PROXY header was read.
    public static let hadHeader = Marks(rawValue: 1 << 6)
    /// A rule said that a PROXY header comes first.
    public static let expectsHeader = Marks(rawValue: 1 << 7)
    /// The client's end of stream was read before there was a server.
    public static let clientEnded = Marks(rawValue: 1 << 8)
    /// The frontend's content rules have accepted.
    public static let contentAccepted = Marks(rawValue: 1 << 9)
    /// The backend's rules wait, by the backend's delay.
    public static let backendWaits = Marks(rawValue: 1 << 10)
    /// The wait for the rest of what is inspected is over.
    public static let inspectionIsFinal = Marks(rawValue: 1 << 11)
    /// It is the server that is gone, where one of the two is.
    public static let serverBroke = Marks(rawValue: 1 << 12)
    /// The peer has sent urgent data.
    public static let clientIsUrgent = Marks(rawValue: 1 << 13)
    public static let serverIsUrgent = Marks(rawValue: 1 << 14)
    /// Has a socket to its server.
    public static let hasServerSocket = Marks(rawValue: 1 << 15)
  }

  /// How far the end of a direction's stream has travelled.
  public enum End: UInt8, CaseIterable, Sendable {
    case notSeen = 0
    case seen = 1
    case passedOn = 2
  }

  /// One direction of what it relays.
  public struct Direction: Equatable, Sendable {
    /// Bytes taken from the source so far, and those of them that went through a pipe.
    public var received: UInt64 = 0
    public var spliced: UInt64 = 0
    /// What counters have been told of `received`.
    public var counted: UInt64 = 0
    /// Bytes in the pipe, whose two ends travel along unless this is 0.
    public var inPipe: UInt64 = 0
    /// Bytes that the sink has not taken yet; they come before those in the pipe.
    public var held: [UInt8] = []
    public var end = End.notSeen
    /// Whether the last portion was big.
    public var isBulk = false
    /// Whether the kernel refused to splice these ends.
    public var mustCopy = false

    public init() {}
  }

  public var id: UInt64 = 0
  public var phase = Phase.relaying
  public var marks: Marks = []

  public var frontend = 0
  public var listener = 0
  /// Nil until chosen.
  public var backend: Int?
  /// The server tried last.
  public var server: Int?
  /// The only server that may be used.
  public var wanted: Int?

  /// The client, and where it went, as they are known: the link's index is 0 but for link-local
  /// addresses.
  public var source = WireAddress.none
  public var sourceScope: UInt32 = 0
  public var destination = WireAddress.none
  public var destinationScope: UInt32 = 0

  public var accepted: Int64 = 0
  /// Wall clock, microseconds since 1970.
  public var acceptedWall: Int64 = 0
  public var inspectionStart: Int64 = 0
  public var queued: Int64 = 0
  public var dialed: Int64 = 0
  public var connected: Int64 = 0
  /// From accept until the server connected was begun to be dialed; nil for never.
  public var waitTime: Int64?
  public var clientActive: Int64 = 0
  public var serverActive: Int64 = 0
  /// When a rest, or the patience of a reset, is over.
  public var deadline: Int64 = 0

  public var attemptsLeft = 0
  public var retries = 0
  /// Its turn in the queue.
  public var ticket: UInt64 = 0
  /// How many waited when it began to wait.
  public var aheadInServer: UInt32 = 0
  public var aheadInBackend: UInt32 = 0
  /// What had been acknowledged when a reset last looked.
  public var settled: UInt64 = 0
  /// Bytes of both directions that counters know as spliced.
  public var countedSpliced: UInt64 = 0

  public var helloVersion: UInt16 = 0
  public var helloType: UInt8 = 0
  /// As sent, at most 255 and 256 bytes.
  public var serverName: [UInt8] = []
  public var protocolNames: [UInt8] = []

  /// What was read of the client before there was a server; nil while nothing is being read.
  public var inspected: [UInt8]?

  public var upload = Direction()
  public var download = Direction()

  public init() {}

  /// Descriptors that travel beside it, in this order: the client, the server, and outlet and inlet
  /// of the pipes that hold bytes.
  public var rightsCount: Int {
    1 + (marks.contains(.hasServerSocket) ? 1 : 0) + (upload.inPipe > 0 ? 2 : 0)
      + (download.inPipe > 0 ? 2 : 0)
  }
}

extension ConnectionRecord {
  /// Whether it is on its way to a server, or at one.
  public var needsServer: Bool {
    switch phase {
    case .resting, .dialing, .relaying: true
    case .header, .inspecting, .queued, .resetting: marks.contains(.inServer)
    }
  }

  public var needsBackend: Bool {
    phase == .queued || needsServer || server != nil || wanted != nil
      || marks.contains(.inBackend)
  }
}
