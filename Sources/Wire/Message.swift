/// What master, workers and controller tell each other over the fabric: SOCK_SEQPACKET pairs, one
/// message a packet.
///
/// The two ends of a pair may be of different releases, so everything is a numbered field that a
/// reader may pass over or miss: `MessageCoding` says how. Case names say what is wanted or what
/// happened; the groups say who tells whom. Answers carry the number of the request.
public enum Message: Equatable, Sendable {
  /// The longest packet.
  public static let maximumLength = 65_536

  // Worker to master.

  /// The worker of this generation and slot can begin to accept.
  case workerReady(generation: UInt32, slot: UInt32)
  /// It accepts no more, and ends once its connections have.
  case workerStopping(generation: UInt32, slot: UInt32)
  /// All connections that could be handed over have been.
  case handedOver(HandOverReport)

  // Master to worker.

  /// Accept no more, carry on what there is, then end.
  case drain
  /// End now. Also from master to controller.
  case stop
  /// Begin to accept: all workers of the generation are ready, so that it will not be given up.
  case accept
  /// Also accept from these sockets of a worker that does not move, which travel beside the message
  /// in the same order: instead of those that were lent before, if this is the first of several
  /// messages. None at all: the loan is over.
  case borrow([SocketRole], isFirst: Bool)
  /// Give all connections to the workers of these lanes: one end of a pair with each travels beside
  /// the message, in the same order. Listeners of these slots of the ledger are polled by others, so
  /// that nobody is lost when they are let go. They read packets of formats up to this one.
  case handOver(lanes: [UInt32], listenersElsewhere: [UInt32], format: UInt8)
  /// Take over what the worker of this lane gives: the other end travels beside the message.
  case takeOver(lane: UInt32)
  /// The same where the two count in ledgers of different layouts: behind each end of a pair travels
  /// the memory that says whose a batch of theirs is. A kind of its own, so that a worker that does
  /// not know it keeps what it has.
  case handOverAcross(lanes: [UInt32], listenersElsewhere: [UInt32], format: UInt8)
  case takeOverAcross(lane: UInt32)

  // Controller to master.

  case controllerReady
  case reload(requestID: UInt64)
  case stopGracefully
  case stopNow
  /// Say that the node is not ready, accept for `drain-delay`, then stop gracefully.
  case drainNode
  case showProcesses(requestID: UInt64)

  // Master to controller.

  case reloadResult(ReloadResult)
  case processes(requestID: UInt64, [ProcessRow], ReloadStatus?)
  /// The controller's ends of the pairs with these workers, whose descriptors travel beside the
  /// message in the same order. Until the last one, these are a part of the whole set.
  case workers([WorkerLane], isLast: Bool)

  // Controller to worker.

  /// Answered by a `session` for each one, then `end`.
  case showSessions(requestID: UInt64, SessionFilter)
  /// Answered by `done`.
  case shutdownSession(requestID: UInt64, session: UInt64)
  /// Ends all sessions on one server. Answered by `end`, which counts them.
  case shutdownSessions(requestID: UInt64, backend: String, server: String)
  /// The state, weight or address of a server changed in the ledger: look again, queues included.
  case serverChanged(backend: String, server: String)

  // Worker to controller.

  case session(requestID: UInt64, SessionRecord)
  case end(requestID: UInt64, count: UInt64)
  case done(requestID: UInt64, found: Bool)

  // A short-lived controller that reads certificates, to master.

  /// Names found so far; `hasMore` if another message follows.
  case certificateNames([CertificateName], hasMore: Bool)
  case certificateFailure(String)
}

/// What a listening socket is for: indices into the configuration's frontends, and the frontend's
/// binds.
public struct SocketRole: Equatable, Sendable {
  public var frontend: UInt32
  public var bind: UInt32

  public init(frontend: UInt32, bind: UInt32) {
    self.frontend = frontend
    self.bind = bind
  }
}

/// What became of the connections of a worker that was told to hand them over.
public struct HandOverReport: Equatable, Sendable {
  /// How many went to other workers, and how long that took.
  public var moved: UInt64
  public var milliseconds: UInt64
  /// How many end where they are, and for the operator, why.
  public var kept: UInt64
  public var reason: String

  public init(moved: UInt64, milliseconds: UInt64, kept: UInt64, reason: String) {
    self.moved = moved
    self.milliseconds = milliseconds
    self.kept = kept
    self.reason = reason
  }
}

/// How a reload ended.
public struct ReloadResult: Equatable, Sendable {
  /// The most text that is told, in bytes: half a packet.
  public static let maximumTextLength = 32_768

  public var requestID: UInt64
  public var success: Bool

  /// What the operator reads: diagnostics if there were any.
  public let text: String

  /// Cuts `text` behind the last whole character that fits in `maximumTextLength`.
  public init(requestID: UInt64, success: Bool, text: String) {
    self.requestID = requestID
    self.success = success
    // A cut inside a character falls back to its beginning.
    let end = text.utf8.index(
      text.startIndex, offsetBy: Self.maximumTextLength, limitedBy: text.endIndex)
    self.text = String(text[..<(end ?? text.endIndex)])
  }
}

/// What the master says of its reloads.
public struct ReloadStatus: Equatable, Sendable {
  /// The generation that serves.
  public var generation: UInt32 = 0
  /// How many succeeded, and how many did not.
  public var reloads: UInt32 = 0
  public var failedReloads: UInt32 = 0
  /// When the last one ended, in seconds since 1970; 0 while there has been none.
  public var lastEnd: UInt64 = 0
  public var lastSucceeded = false
  /// From the order to the outcome.
  public var lastMilliseconds: UInt64 = 0
  /// Connections that went from old workers to new ones, how long that took, and how many did not.
  public var handedOver: UInt64 = 0
  public var handOverMilliseconds: UInt64 = 0
  public var kept: UInt64 = 0
  /// Why it failed: the first line of it.
  public var text = ""

  public init() {}
}

/// One line of `show proc`.
public struct ProcessRow: Equatable, Sendable {
  public enum Kind: UInt8, Sendable, CaseIterable {
    case master = 1
    case worker = 2
    case controller = 3
    /// A kind that only a newer release knows.
    case other = 255
  }

  public var pid: Int32
  public var kind: Kind
  public var slot: UInt32
  public var generation: UInt32
  public var uptimeSeconds: UInt64

  /// How many reloads the process has outlived.
  public var reloads: UInt32

  public init(
    pid: Int32, kind: Kind, slot: UInt32, generation: UInt32, uptimeSeconds: UInt64,
    reloads: UInt32
  ) {
    self.pid = pid
    self.kind = kind
    self.slot = slot
    self.generation = generation
    self.uptimeSeconds = uptimeSeconds
    self.reloads = reloads
  }
}

/// A socket pair between the controller and one worker.
public struct WorkerLane: Equatable, Sendable {
  public var pid: Int32
  public var generation: UInt32
  public var slot: UInt32

  /// The worker's place in the ledger.
  public var lane: UInt32

  public var isDraining: Bool

  public init(pid: Int32, generation: UInt32, slot: UInt32, lane: UInt32, isDraining: Bool) {
    self.pid = pid
    self.generation = generation
    self.slot = slot
    self.lane = lane
    self.isDraining = isDraining
  }
}

/// Which sessions are meant: all that agree with everything that is not nil.
public struct SessionFilter: Equatable, Sendable {
  public var id: UInt64?
  public var frontend: String?
  public var backend: String?
  public var server: String?

  public init(
    id: UInt64? = nil, frontend: String? = nil, backend: String? = nil, server: String? = nil
  ) {
    self.id = id
    self.frontend = frontend
    self.backend = backend
    self.server = server
  }
}

/// One connection as `show sess` shows it. Names and addresses are empty while there are none,
/// times and timeouts are 0 where none runs.
public struct SessionRecord: Equatable, Sendable {
  public enum Phase: UInt8, Sendable, CaseIterable {
    case inspecting = 1
    case queued = 2
    case dialing = 3
    case relaying = 4
    case closing = 5
    /// A phase that only a newer release knows.
    case other = 255
  }

  public var id: UInt64 = 0
  public var phase = Phase.inspecting
  public var frontend = ""
  public var backend = ""
  public var server = ""

  /// Addresses as the operator reads them: `192.0.2.1:51000`.
  public var clientAddress = ""
  public var destinationAddress = ""
  public var serverAddress = ""

  /// The name the client asked for.
  public var serverName = ""

  public var ageMilliseconds: UInt64 = 0
  public var idleMilliseconds: UInt64 = 0

  /// Until the timeout that runs now.
  public var expiresInMilliseconds: UInt64 = 0
  public var clientTimeoutMilliseconds: UInt64 = 0
  public var serverTimeoutMilliseconds: UInt64 = 0

  /// From client to server, and back.
  public var bytesUp: UInt64 = 0
  public var bytesDown: UInt64 = 0

  public var isUploadSpliced = false
  public var isDownloadSpliced = false

  /// Whether its frontend, backend or server is no longer in the configuration.
  public var isOrphan = false

  public init() {}
}

/// A name that a certificate is for.
public struct CertificateName: Equatable, Sendable {
  /// As the certificate has it: `example.test` or `*.example.test`.
  public var name: String

  /// When the certificate ends, in seconds since 1970.
  public var notAfter: Int64

  public init(name: String, notAfter: Int64) {
    self.name = name
    self.notAfter = notAfter
  }
}
