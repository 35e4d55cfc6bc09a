/// Why a connection ends.
enum CloseReason: UInt8 {
  /// Both ends said that they are done.
  case done
  /// The client went away.
  case clientAborted
  /// The server went away.
  case serverAborted
  case clientTimeout
  case serverTimeout

  /// A `tcp-request content` rule refused it.
  case denied
  /// A `tcp-request session` rule refused it.
  case deniedSession
  /// A `tcp-request connection` rule refused it.
  case deniedConnection
  case silentlyDropped

  case notTLS
  case badHello
  case helloTimeout
  case unknownName
  case badProxyHeader
  case proxyHeaderTimeout
  /// The client closed before it had sent a byte: a port check, as a rule.
  case probe

  /// No backend, or no server in it that may be used.
  case noServer
  case connectFailed
  case connectTimeout
  case queueTimeout
  case queueFull
  /// Descriptors, buffers or source ports have run out.
  case noResources

  /// An operator shut it down.
  case shutDown
  /// Its server was marked down, and sessions are not to outlive that.
  case serverDown
  /// The worker stops.
  case stopping

  /// The first letter of HAProxy's termination code: who ended it.
  var letter: UInt8 {
    switch self {
    case .done: UInt8(ascii: "-")
    case .clientAborted, .probe: UInt8(ascii: "C")
    case .serverAborted, .noServer, .connectFailed: UInt8(ascii: "S")
    case .clientTimeout, .helloTimeout, .proxyHeaderTimeout: UInt8(ascii: "c")
    case .serverTimeout, .connectTimeout, .queueTimeout: UInt8(ascii: "s")
    case .denied, .deniedSession, .deniedConnection, .silentlyDropped, .notTLS, .badHello,
      .unknownName, .badProxyHeader:
      UInt8(ascii: "P")
    case .queueFull, .noResources: UInt8(ascii: "R")
    case .shutDown, .stopping: UInt8(ascii: "K")
    case .serverDown: UInt8(ascii: "D")
    }
  }

  /// The second letter: what it was doing. Nil where the phase says it.
  var stateLetter: UInt8? {
    switch self {
    case .done: UInt8(ascii: "-")
    case .denied, .deniedSession, .deniedConnection, .silentlyDropped, .notTLS, .badHello,
      .helloTimeout, .unknownName, .badProxyHeader, .proxyHeaderTimeout, .probe:
      UInt8(ascii: "R")
    case .noServer, .connectFailed, .connectTimeout: UInt8(ascii: "C")
    case .queueTimeout, .queueFull: UInt8(ascii: "Q")
    default: nil
    }
  }

  /// Whether the client is told by a reset rather than by an end of stream.
  var resetsClient: Bool {
    switch self {
    case .deniedConnection, .badProxyHeader, .shutDown, .stopping, .serverDown: true
    default: false
    }
  }

  /// Whether the server is told by a reset: what it got is not all that there would have been.
  var resetsServer: Bool {
    switch self {
    case .shutDown, .stopping, .serverDown: true
    default: false
    }
  }

  /// What happened, in an operator's words.
  var text: StaticString {
    switch self {
    case .done: "done"
    case .clientAborted: "the client went away"
    case .serverAborted: "the server went away"
    case .clientTimeout: "the client was silent for too long"
    case .serverTimeout: "the server was silent for too long"
    case .denied, .deniedSession, .deniedConnection, .silentlyDropped: "refused by a rule"
    case .notTLS: "not TLS"
    case .badHello: "malformed ClientHello"
    case .helloTimeout: "Timeout during SSL handshake"
    case .unknownName: "no certificate for the name asked for"
    case .badProxyHeader: "Received something which does not look like a PROXY protocol header"
    case .proxyHeaderTimeout: "Timeout while waiting for PROXY protocol header"
    case .probe: "closed without a byte"
    case .noServer: "no server may be used"
    case .connectFailed: "no server could be connected to"
    case .connectTimeout: "the server did not answer in time"
    case .queueTimeout: "waited too long for a free server"
    case .queueFull: "the queue is full"
    case .noResources: "descriptors, buffers or source ports have run out"
    case .shutDown: "shut down by an operator"
    case .serverDown: "the server was marked down"
    case .stopping: "the worker stops"
    }
  }
}
