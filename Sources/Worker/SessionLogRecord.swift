public import Linux

/// What the log says of one session: all that its line can show.
///
/// Durations are in milliseconds, -1 for a phase that never began or never ended.
public struct SessionLogRecord: BitwiseCopyable, Sendable {
  /// When the connection was accepted, in microseconds since 1970 (UTC).
  public var accepted: Int64 = 0
  /// Counts the sessions of the process: `%rt`.
  public var number: UInt64 = 0

  /// Indices into the configuration; -1 for a backend or server that was never chosen.
  public var frontend: Int32 = 0
  public var bind: Int32 = 0
  public var backend: Int32 = -1
  public var server: Int32 = -1

  /// The client, as a PROXY header tells it; `.none` for a unix socket.
  public var client = Endpoint.none
  /// Where the client connected to.
  public var destination = Endpoint.none
  /// Our own end of the connection to the server; `.none` while there is none.
  public var source = Endpoint.none
  /// The server's end; `.none` while there is none.
  public var target = Endpoint.none
  /// Whether there is, or was, a connection to a server.
  public var hasServerConnection = false

  /// From accept until the connection was ours to inspect, a PROXY header included: `%Th`.
  public var handshakeDuration: Int32 = 0
  /// Everything before the connect, inspection and queue: `%Tw`.
  public var waitDuration: Int32 = -1
  /// The connect, retries included: `%Tc`.
  public var connectDuration: Int32 = -1
  /// From accept to the last close: `%Tt`.
  public var totalDuration: Int64 = 0

  /// Bytes that the client sent: `%U`.
  public var bytesUp: UInt64 = 0
  /// Bytes that the server sent: `%B`.
  public var bytesDown: UInt64 = 0

  /// Who ended the session, and in which state it was: two ASCII letters, `%ts`.
  public var cause = UInt8(ascii: "-")
  public var state = UInt8(ascii: "-")

  /// Connections when the session was logged, itself included: of the process, the frontend, the
  /// backend, the server.
  public var processConnections: UInt32 = 0
  public var frontendConnections: UInt32 = 0
  public var backendConnections: UInt32 = 0
  public var serverConnections: UInt32 = 0

  /// Connection attempts after the first: `%rc`.
  public var retries: UInt32 = 0
  /// Whether the session went to another server than the one first chosen.
  public var isRedispatched = false
  /// How many waited before it, in the server's queue and in the backend's.
  public var serverQueue: UInt32 = 0
  public var backendQueue: UInt32 = 0

  public init() {}

  /// Whether the session counts as an error, as the reference decides it.
  var isError: Bool {
    switch cause {
    case UInt8(ascii: "-"): isRedispatched || retries > 0
    case UInt8(ascii: "L"): isRedispatched
    default: true
    }
  }
}

/// How severe a line is: syslog's levels (RFC 5424 section 6.2.1).
public enum LogLevel: UInt8, BitwiseCopyable, Comparable, Sendable {
  case emergency, alert, critical, error, warning, notice, info, debug

  public static func < (left: LogLevel, right: LogLevel) -> Bool {
    left.rawValue < right.rawValue
  }
}
