import Linux

/// Where a connection stands. It moves down this list and never back, but for a server that is
/// dialed again.
enum Phase: UInt8 {
  /// The place in the table is free.
  case free
  /// Reading a PROXY header.
  case header
  /// Reading what rules look at, the ClientHello above all.
  case inspecting
  /// Choosing a backend and a server.
  case routing
  /// Waiting for a server to have a place.
  case queued
  /// Resting before the same server is tried again.
  case resting
  /// Waiting for the server to accept.
  case dialing
  /// Carrying bytes both ways.
  case relaying
  /// One end is gone: what it sent is still being delivered, then the other is reset.
  case resetting

  /// The second letter of a termination code.
  var letter: UInt8 {
    switch self {
    case .free, .header, .inspecting, .routing: UInt8(ascii: "R")
    case .queued: UInt8(ascii: "Q")
    case .resting, .dialing: UInt8(ascii: "C")
    case .relaying, .resetting: UInt8(ascii: "D")
    }
  }
}

/// What a stage asks of the worker. Stages decide; only the worker acts.
enum Step: Equatable {
  /// Nothing can be done before a socket or the clock says so.
  case wait
  /// The next stage has something to do at once.
  case advance
  /// The turn is over though more could be done: on the next lap again.
  case again
  case close(CloseReason)
}

/// One client, the server it was given, and what passes between them.
///
/// Flat, so that a place in the table can be taken and given back without an allocation; idle, it
/// owns two descriptors and no other memory.
struct Connection: ~Copyable {
  var client: Descriptor?
  var server: Descriptor?
  var clientSide = Side()
  var serverSide = Side()
  var phase = Phase.free

  /// Client to server.
  var upload = Channel()
  /// Server to client.
  var download = Channel()

  /// Index of the connection's place.
  var index: Int32 = 0
  /// Index into the worker's listeners.
  var listener: Int32 = 0
  var frontend: Int32 = 0
  /// -1 until chosen.
  var backend: Int32 = -1
  /// Index into the worker's servers; -1 while the connection holds no place of a server.
  var target: Int32 = -1
  /// The server that the log line names: the one tried last.
  var lastTarget: Int32 = -1
  /// The only server that may be used, by rule or hash; -1 for any.
  var wanted: Int32 = -1

  /// The client's address: from accept(2), or from a PROXY header.
  var source = Endpoint.none
  /// Where the client went, once somebody asked; `.none` before.
  var destination = Endpoint.none
  /// Number of the record that holds what was read so far; -1 when nothing is being read.
  var inspection: Int32 = -1

  // Times of the monotonic clock, milliseconds; 0 for not yet.
  var accepted: Milliseconds = 0
  /// Wall clock, microseconds.
  var acceptedWall: Int64 = 0
  /// When the first byte had to be waited for.
  var inspectionStart: Milliseconds = 0
  var queued: Milliseconds = 0
  var dialed: Milliseconds = 0
  var connected: Milliseconds = 0
  /// Milliseconds until the server connected was begun to be dialed; -1 for never.
  var waitTime: Milliseconds = -1
  /// When bytes last came from, or went to, the client.
  var clientActive: Milliseconds = 0
  var serverActive: Milliseconds = 0
  /// When the rest before the next attempt, or the patience of a reset, ends.
  var deadline: Milliseconds = 0

  /// What counts were told already.
  var countedUp: UInt64 = 0
  var countedDown: UInt64 = 0
  var countedSpliced: UInt64 = 0

  /// Attempts that may still be made.
  var attemptsLeft: Int16 = 0
  var retries: UInt16 = 0
  var marks = Marks()
  /// Why it is being reset.
  var broken = CloseReason.clientAborted
  /// What the other end had acknowledged when a reset last looked, in bytes.
  var settledBefore: UInt64 = 0

  /// The place in the queue, and who comes behind: index plus one, 0 for nobody.
  var ticket: UInt64 = 0
  var behind: Int32 = 0
  /// How many waited when it began to wait.
  var aheadInServer: UInt32 = 0
  var aheadInBackend: UInt32 = 0

  /// What the hello said, for the log; 0 when none was read.
  var helloVersion: UInt16 = 0
  var helloType: UInt8 = 0

  /// Number of the connection, unique over workers and reloads; it keeps it when another worker
  /// carries it on.
  var id: UInt64 = 0

  struct Marks: OptionSet, BitwiseCopyable {
    let rawValue: UInt16
    static let redispatched = Marks(rawValue: 1)
    /// Keepalive was asked for on the server's socket.
    static let keepalive = Marks(rawValue: 2)
    /// Counted in the frontend's sessions, so that it must leave.
    static let isSession = Marks(rawValue: 4)
    /// Counted in the backend's sessions.
    static let inBackend = Marks(rawValue: 8)
    /// A server name was read, and is kept until the log line.
    static let hasName = Marks(rawValue: 16)
    /// The hello was read whole.
    static let hasHello = Marks(rawValue: 32)
    /// A PROXY header was read.
    static let hadHeader = Marks(rawValue: 64)
    /// Offered to another worker: nothing may be done to it until that is decided.
    static let travels = Marks(rawValue: 128)
    /// Refused by another worker: it ends here.
    static let stays = Marks(rawValue: 32768)
    /// It waits in a queue.
    static let isQueued = Marks(rawValue: 256)
    /// A rule said that a PROXY header comes first.
    static let expectsHeader = Marks(rawValue: 512)
    /// The client's end of stream was read before there was a server.
    static let clientEnded = Marks(rawValue: 1024)
    /// The connect log line was written.
    static let announced = Marks(rawValue: 2048)
    /// The frontend's content rules have accepted.
    static let contentAccepted = Marks(rawValue: 8192)
    /// A backend's rules wait, by the backend's delay.
    static let backendWaits = Marks(rawValue: 16384)
    /// The connection counts in the process and the frontend.
    static let counted = Marks(rawValue: 4096)
  }

  private let isInPlace = InPlace()

  init() {}

  /// The wall clock's second at a moment of the monotonic one, told from when the connection came:
  /// a clock is asked once a connection.
  func wallSecond(at now: Milliseconds) -> UInt64 {
    UInt64(max(0, acceptedWall / 1_000 + now - accepted)) / 1_000
  }
}
