import Configuration

/// A piece of a log format, ready to be written.
struct LogPiece: BitwiseCopyable {
  enum Content: BitwiseCopyable {
    case text(ByteStore.Part)
    case separator
    case variable(LogVariable)
    case sample(LogSample)
  }

  var content: Content
  var encoding: LogEncoding = []
}

/// The log variables that mean something without HTTP, and those which formats made for both
/// modes carry along.
enum LogVariable: String, BitwiseCopyable, CaseIterable {
  case clientAddress = "ci"
  case clientPort = "cp"
  case frontendAddress = "fi"
  case frontendPort = "fp"
  case frontendName = "f"
  case frontendTransport = "ft"
  case backendName = "b"
  case serverName = "s"
  case sourceAddress = "bi"
  case sourcePort = "bp"
  case serverAddress = "si"
  case serverPort = "sp"
  case processConnections = "ac"
  case frontendConnections = "fc"
  case backendConnections = "bc"
  case serverConnections = "sc"
  case retries = "rc"
  case serverQueue = "sq"
  case backendQueue = "bq"
  case waitTime = "Tw"
  case connectTime = "Tc"
  case totalTime = "Tt"
  case dataTime = "Td"
  case handshakeTime = "Th"
  case activeTime = "Ta"
  case userTime = "Tu"
  case idleTime = "Ti"
  case requestTime = "TR"
  case queryTime = "Tq"
  case responseTime = "Tr"
  case date = "t"
  case dateUTC = "T"
  case dateLocal = "Tl"
  case seconds = "Ts"
  case milliseconds = "ms"
  case bytesDown = "B"
  case bytesUp = "U"
  case termination = "ts"
  case terminationWithCookie = "tsc"
  case status = "ST"
  case uniqueID = "ID"
  case processID = "pid"
  case sessionNumber = "rt"
  case hostname = "H"
  case requestCookie = "CC"
  case responseCookie = "CS"
  case cipher = "sslc"
  case version = "sslv"
  case lineCount = "lc"
  /// Why the connection was refused before it became a session.
  case refusal = "fc_err_str"
  case request = "r"
  case method = "HM"
  case path = "HP"
  case pathOnly = "HPO"
  case query = "HQ"
  case uri = "HU"
  case httpVersion = "HV"
  case requestHeaders = "hr"
  case requestHeaderList = "hrl"
  case responseHeaders = "hs"
  case responseHeaderList = "hsl"
  case requestDate = "tr"
  case requestDateUTC = "trg"
  case requestDateLocal = "trl"

  /// Whether it is taken from the clock rather than from the session.
  var isDate: Bool {
    switch self {
    case .date, .dateUTC, .dateLocal, .seconds, .milliseconds, .requestDate, .requestDateUTC,
      .requestDateLocal:
      true
    default: false
    }
  }

  /// Whether it grows until the session ends: `logasap` marks it with a plus sign.
  var isTotal: Bool {
    switch self {
    case .totalTime, .activeTime, .userTime, .bytesDown: true
    default: false
    }
  }
}

/// `%[…]`: what of a session can still be told when it is logged.
struct LogSample: BitwiseCopyable {
  enum Fetch: BitwiseCopyable {
    case source, sourcePort, destination, destinationPort
    case serverName, helloType, helloVersion, applicationProtocols
    case always(Bool)
    /// What an expression of the rule set gives: the place of the sample in its format.
    case computed(Int)
  }

  var fetch: Fetch
  var lowers = false
  var uppers = false
}

// MARK: - Compiling

extension LogSettings.Format {
  /// The format's items.
  var items: [LogItem] {
    switch self {
    case .connect: []
    case .tcp: LogItem.tcp
    case .custom(let items): items
    }
  }
}

extension LogItem {
  /// `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`
  static let tcp: [LogItem] = [
    .variable("ci"), .text(":"), .variable("cp"), .text(" ["), .variable("t"), .text("] "),
    .variable("ft"), .text(" "), .variable("b"), .text("/"), .variable("s"), .text(" "),
    .variable("Tw"), .text("/"), .variable("Tc"), .text("/"), .variable("Tt"), .text(" "),
    .variable("B"), .text(" "), .variable("ts"), .text(" "),
    .variable("ac"), .text("/"), .variable("fc"), .text("/"), .variable("bc"), .text("/"),
    .variable("sc"), .text("/"), .variable("rc"), .text(" "),
    .variable("sq"), .text("/"), .variable("bq"),
  ]

  /// Pieces to write; a variable that nobody knows is written as its name, as it stood.
  /// `sample` samples stand before it.
  func pieces(in store: inout ByteStore, sample: Int) -> [LogPiece] {
    switch self {
    case .text(let text):
      return Self.pieces(of: text, in: &store)
    case .variable(let name, let encoding):
      guard let variable = LogVariable(rawValue: name) else {
        return Self.pieces(of: "%" + name, in: &store)
      }
      return [LogPiece(content: .variable(variable), encoding: encoding)]
    case .sample(let expression, let encoding):
      return [LogPiece(content: .sample(LogSample(expression, sample)), encoding: encoding)]
    }
  }

  /// Blanks stand apart: those around an empty field are written once.
  private static func pieces(of text: String, in store: inout ByteStore) -> [LogPiece] {
    var pieces: [LogPiece] = []
    for (index, word) in text.utf8.split(
      separator: UInt8(ascii: " "), omittingEmptySubsequences: false
    ).enumerated() {
      if index > 0 { pieces.append(LogPiece(content: .separator)) }
      if !word.isEmpty { pieces.append(LogPiece(content: .text(store.insert(word)))) }
    }
    return pieces
  }
}

extension LogSample {
  /// What a session keeps until it is logged is written as it lies; all else is evaluated.
  init(_ expression: SampleExpression, _ number: Int) {
    let foldsOnly = expression.converters.allSatisfy { $0 == .lower || $0 == .upper }
    lowers = expression.converters.last == .lower
    uppers = expression.converters.last == .upper
    switch expression.fetch {
    case .source where expression.converters.isEmpty: fetch = .source
    case .sourcePort where expression.converters.isEmpty: fetch = .sourcePort
    case .destination where expression.converters.isEmpty: fetch = .destination
    case .destinationPort where expression.converters.isEmpty: fetch = .destinationPort
    case .helloType where expression.converters.isEmpty: fetch = .helloType
    case .helloVersion where expression.converters.isEmpty: fetch = .helloVersion
    case .always(let value) where expression.converters.isEmpty: fetch = .always(value)
    case .serverName where foldsOnly: fetch = .serverName
    case .applicationProtocols where foldsOnly: fetch = .applicationProtocols
    default:
      fetch = .computed(number)
      lowers = false
      uppers = false
    }
  }
}
