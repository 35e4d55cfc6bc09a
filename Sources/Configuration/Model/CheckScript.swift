public import Linux

/// What a check of a server does: `option tcp-check`, `option httpchk`, `option redis-check`, ….
///
/// All kinds are scripts of the same steps, as in the reference: connect, send, expect.
public struct CheckScript: Equatable, Sendable {
  /// Which words the results have.
  public enum Dialect: Equatable, Sendable {
    case tcp, http
    /// One of the protocols that are known by name: what went wrong is told in its own words.
    case known
  }

  public var dialect = Dialect.tcp
  /// The first of them connects.
  public var steps: [CheckStep]
  /// `http-check disable-on-404`: who answers so takes no new clients, and keeps those he has.
  public var disablesOn404 = false
  /// `http-check send-state`.
  public var sendsState = false

  public init(_ dialect: Dialect = .tcp, steps: [CheckStep] = [.connect]) {
    self.dialect = dialect
    self.steps = steps
  }

  /// Whether it is nothing but a connection.
  public var isPlainConnection: Bool { steps == [.connect] }
}

/// One step of a check.
public struct CheckStep: Equatable, Sendable {
  public enum Action: Equatable, Sendable {
    case connect(CheckConnect)
    case send([UInt8])
    case request(CheckRequest)
    case expect(CheckExpectation)
  }

  /// As results count it, from 1 in the order of the file; 0 is the connection that nobody wrote.
  public var number: Int
  public var comment: String?
  public var action: Action
  public var position: SourcePosition

  public init(
    number: Int, comment: String? = nil, _ action: Action,
    at position: SourcePosition = SourcePosition(file: 0, line: 0, column: 0)
  ) {
    self.number = number
    self.comment = comment
    self.action = action
    self.position = position
  }

  /// The connection that nobody wrote.
  public static let connect = CheckStep(number: 0, .connect(CheckConnect()))
}

/// `tcp-check connect`, `http-check connect`.
public struct CheckConnect: Equatable, Sendable {
  /// nil: the one that the server is checked at.
  public var port: UInt16?
  public var address: SocketAddress?
  /// `ssl`.
  public var usesTLS = false
  public var serverName: String?
  /// `alpn`, as it is offered.
  public var protocols: [String] = []
  public var sendsProxy = false
  /// `linger`: ends with FIN instead of RST.
  public var lingers = false
  /// Whether PROXY header and TLS are those of the server's own check: `default`, and where nobody
  /// wrote a connection.
  public var isDefault: Bool

  public init(isDefault: Bool = true) { self.isDefault = isDefault }
}

/// `option httpchk`, `http-check send`.
public struct CheckRequest: Equatable, Sendable {
  public var method = "OPTIONS"
  public var target = "/"
  public var version = "HTTP/1.0"
  public var headers: [Header] = []
  public var body: [UInt8] = []

  public struct Header: Equatable, Sendable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  public init() {}
}

/// `tcp-check expect`, `http-check expect`.
public struct CheckExpectation: Equatable, Sendable {
  public enum Pattern: Equatable, Sendable {
    /// `string`, `binary`: found anywhere.
    case string([UInt8]), binary([UInt8])
    /// `rstring`, and `rbinary`, which searches the answer in hexadecimal.
    case expression(String), binaryExpression(String)
    case status([ClosedRange<Int>]), statusExpression(String)
    /// `hdr`, `fhdr`: a header with a value like this, whole or between commas.
    case header(name: CheckText, value: CheckText?, isWhole: Bool)
    /// In the body of an answer.
    case body([UInt8]), bodyExpression(String)
    /// The packet that MySQL opens with; the one that it answers a login with.
    case mySQLGreeting, mySQLAnswer
    case ldapBindResponse
  }

  public var pattern: Pattern
  /// `!`
  public var isNegated = false
  /// `min-recv`; nil waits as long as the answer may still come to match.
  public var minimumLength: Int?
  public var okStatus: CheckVerdict?
  public var errorStatus: CheckVerdict?
  public var timeoutStatus: CheckVerdict?
  /// `on-success`, `on-error`: nil is the usual text.
  public var successText: CheckMessage?
  public var errorText: CheckMessage?
  /// `status-code`: where the number is in the answer.
  public var code: CheckExcerpt?

  public init(_ pattern: Pattern) { self.pattern = pattern }
}

/// How a header's name or value is compared.
public struct CheckText: Equatable, Sendable {
  public enum Method: String, CaseIterable, Sendable {
    case exact = "str"
    case prefix = "beg"
    case suffix = "end"
    case part = "sub"
    case expression = "reg"
  }

  public var method: Method
  public var text: String

  public init(_ method: Method, _ text: String) {
    self.method = method
    self.text = text
  }
}

/// How checks end, by the codes of `show stat`.
public enum CheckVerdict: String, CaseIterable, Sendable {
  case layer4OK = "L4OK"
  case layer4Timeout = "L4TOUT"
  case layer4Connection = "L4CON"
  case layer6OK = "L6OK"
  case layer6Timeout = "L6TOUT"
  case layer6Response = "L6RSP"
  case layer7OK = "L7OK"
  case layer7ConditionallyOK = "L7OKC"
  case layer7Timeout = "L7TOUT"
  case layer7Response = "L7RSP"
  case layer7Status = "L7STS"
}

/// Text with excerpts of what the server said: the log-format of checks.
public struct CheckMessage: Equatable, Sendable {
  public enum Part: Equatable, Sendable {
    case text(String)
    case excerpt(CheckExcerpt)
  }

  public var parts: [Part]

  public init(_ parts: [Part]) { self.parts = parts }
}

/// `res.payload(OFFSET,LENGTH)`, and what may follow it.
public struct CheckExcerpt: Equatable, Sendable {
  public var offset: Int
  /// 0 is all that follows.
  public var length: Int
  /// `,cut_crlf`: up to the end of the line.
  public var endsWithLine = false
  /// `,ltrim(' ')`: without blanks at its beginning.
  public var isTrimmed = false

  public init(offset: Int, length: Int, endsWithLine: Bool = false, isTrimmed: Bool = false) {
    self.offset = offset
    self.length = length
    self.endsWithLine = endsWithLine
    self.isTrimmed = isTrimmed
  }
}

/// `check-ssl` and what belongs to it.
public struct CheckTLS: Equatable, Sendable {
  /// `verify none`.
  public var trustsAnyone = false
  /// `ca-file`: a file of certificates.
  public var authorities: String?
  /// `check-sni`.
  public var serverName: String?
  /// `check-alpn`.
  public var protocols: [String] = []

  public init() {}
}

extension CheckScript {
  /// The regular expressions in it, which only those can compile who link PCRE2.
  public var expressions: [(text: String, position: SourcePosition)] {
    steps.flatMap { step -> [(String, SourcePosition)] in
      guard case .expect(let expectation) = step.action else { return [] }
      return expectation.pattern.expressions.map { ($0, step.position) }
    }
  }
}

extension CheckExpectation.Pattern {
  fileprivate var expressions: [String] {
    switch self {
    case .expression(let text), .binaryExpression(let text), .statusExpression(let text),
      .bodyExpression(let text):
      [text]
    case .header(let name, let value, _):
      [name, value].compactMap { $0 }.filter { $0.method == .expression }.map(\.text)
    default: []
    }
  }
}
