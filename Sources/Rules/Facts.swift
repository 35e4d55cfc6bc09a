public import Linux
public import Wire

/// What is known of a connection at the moment its rules are evaluated.
///
/// It borrows what it describes, so that building one copies no name and no request. What is not
/// known yet is not the same as what is not there: `awaiting` says which of the two an absent fact
/// is.
public struct Facts: ~Escapable {
  /// What may still arrive, and therefore which absent facts a rule has to wait for.
  public enum Awaiting: UInt8, Sendable {
    /// `inspect-delay` is running: hello and request may both grow, and `wait_end` is not true yet.
    case request
    /// No `inspect-delay`: only the hello is waited for, everything else is taken as it is.
    case hello
    /// The waiting is over (time, end of stream, full buffer): what is missing is not there.
    case nothing
  }

  /// The client's address; `.none` for a unix socket.
  public var client: Endpoint
  /// The address the client connected to; `.none` for a unix socket.
  public var destination: Endpoint
  public var hello: HelloFacts
  /// The name the client asked for, as sent; empty if it named nobody.
  public var serverName: Span<UInt8>
  /// The ALPN list as sent: each name behind one byte that holds its length.
  public var protocolNames: Span<UInt8>
  /// The bytes received so far, as many as rules may see (`tune.bufsize`).
  public var request: Span<UInt8>
  public var awaiting: Awaiting
  /// The names of the bind's certificates; see ``RuleSet/certificateNames(frontend:bind:)``.
  public var certificateNames: CertificateNames.ID?
  /// Which parts of the configuration serve the connection.
  public var place = Place()

  /// Indices into the configuration, -1 for what is not chosen yet.
  public struct Place: BitwiseCopyable, Sendable {
    /// Where the connection's variables are: its number among the worker's.
    public var connection = 0
    public var frontend = -1
    /// Within the frontend.
    public var bind = -1
    public var backend = -1
    /// Within the backend.
    public var server = -1

    public init() {}
  }

  /// What is known before a byte was received: connection and session rules see this much.
  @_lifetime(immortal)
  public init(client: Endpoint, destination: Endpoint) {
    self.client = client
    self.destination = destination
    hello = HelloFacts(state: .incomplete)
    serverName = Span()
    protocolNames = Span()
    request = Span()
    awaiting = .nothing
    certificateNames = nil
  }

  /// What is known while a request comes in, the hello read by `parser`.
  ///
  /// A name longer than any host's counts as none: what is left of it could match by accident.
  @_lifetime(borrow parser, copy request)
  public init(
    client: Endpoint, destination: Endpoint, parser: borrowing ClientHelloParser,
    request: Span<UInt8>, awaiting: Awaiting, certificateNames: CertificateNames.ID? = nil
  ) {
    self.init(
      client: client, destination: destination, hello: HelloFacts(parser),
      serverName: parser.hello.serverName.matchableBytes,
      protocolNames: parser.hello.alpn.wire.span, request: request, awaiting: awaiting,
      certificateNames: certificateNames)
  }

  /// What is known while a request comes in.
  @_lifetime(copy serverName, copy protocolNames, copy request)
  public init(
    client: Endpoint, destination: Endpoint, hello: HelloFacts, serverName: Span<UInt8>,
    protocolNames: Span<UInt8>, request: Span<UInt8>, awaiting: Awaiting,
    certificateNames: CertificateNames.ID? = nil
  ) {
    self.client = client
    self.destination = destination
    self.hello = hello
    self.serverName = serverName
    self.protocolNames = protocolNames
    self.request = request
    self.awaiting = awaiting
    self.certificateNames = certificateNames
  }
}

/// The numbers in a ClientHello that rules can ask for.
public struct HelloFacts: BitwiseCopyable, Equatable, Sendable {
  public enum State: UInt8, BitwiseCopyable, Sendable {
    /// A hello so far, but not all of it.
    case incomplete
    case complete
    /// What came is no hello, or none that a server could understand: its facts are absent.
    case absent
  }

  public var state: State
  /// The handshake type, 1 for a ClientHello.
  public var type: UInt8
  /// `legacy_version` as on the wire: 0x0303 for TLS 1.2 and later.
  public var legacyVersion: UInt16
  /// `req.ssl_st_ext`: 0 without a session ticket extension, 1 for an empty one, 2 with a ticket;
  /// nil where only what log lines need has been kept of the hello.
  public var ticket: UInt8?
  /// Whether the hello lists groups of elliptic curves.
  public var hasGroups = false

  public init(state: State, type: UInt8 = 0, legacyVersion: UInt16 = 0) {
    self.state = state
    self.type = type
    self.legacyVersion = legacyVersion
  }

  init(_ parser: borrowing ClientHelloParser) {
    switch parser.verdict {
    case .needMore: state = .incomplete
    case .complete: state = .complete
    case .notTLS, .malformed, .tooLarge: state = .absent
    }
    type = parser.hello.helloType
    legacyVersion = parser.hello.legacyVersion
    ticket = parser.hello.sessionTicket.rawValue
    hasGroups = parser.hello.hasSupportedGroups
  }
}

extension ServerName {
  fileprivate var matchableBytes: Span<UInt8> {
    @_lifetime(borrow self)
    get { isTruncated ? bytes.span.extracting(0..<0) : bytes.span }
  }
}
