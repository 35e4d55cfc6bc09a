/// The keywords of proxies that are acted on; others are in ``ForeignKeywords``.
enum ProxyKeyword: String, CaseIterable {
  case acl
  case backlog
  case balance
  case bind
  case clientKeepaliveCount = "clitcpka-cnt"
  case clientKeepaliveIdle = "clitcpka-idle"
  case clientKeepaliveInterval = "clitcpka-intvl"
  case clientTimeout = "clitimeout"
  case connectTimeout = "contimeout"
  case declare
  case `default`
  case defaultBackend = "default_backend"
  case defaultServer = "default-server"
  case description
  case disabled
  case enabled
  case errorLogFormat = "error-log-format"
  case fullConnections = "fullconn"
  case hashType = "hash-type"
  case httpCheck = "http-check"
  case id
  case log
  case logFormat = "log-format"
  case logFormatStructured = "log-format-sd"
  case logTag = "log-tag"
  case maxConnections = "maxconn"
  case mode
  case no
  case option
  case rateLimit = "rate-limit"
  case redispatch
  case retries
  case server
  case serverKeepaliveCount = "srvtcpka-cnt"
  case serverKeepaliveIdle = "srvtcpka-idle"
  case serverKeepaliveInterval = "srvtcpka-intvl"
  case serverTimeout = "srvtimeout"
  case source
  case tcpCheck = "tcp-check"
  case tcpRequest = "tcp-request"
  case tcpResponse = "tcp-response"
  case timeout
  case useBackend = "use_backend"
  case useServer = "use-server"

  /// Where it means something.
  var roles: ProxyRoles {
    switch self {
    case .backlog, .clientKeepaliveCount, .clientKeepaliveIdle, .clientKeepaliveInterval,
      .clientTimeout, .defaultBackend, .maxConnections, .rateLimit, .logFormat,
      .logFormatStructured, .errorLogFormat:
      [.defaults, .frontend]
    case .balance, .connectTimeout, .defaultServer, .fullConnections, .hashType, .httpCheck,
      .redispatch,
      .retries, .serverKeepaliveCount, .serverKeepaliveIdle, .serverKeepaliveInterval,
      .serverTimeout, .source, .tcpCheck, .tcpResponse:
      [.defaults, .backend]
    case .bind, .declare, .useBackend: [.frontend]
    case .server, .useServer: [.backend]
    case .id: [.frontend, .backend]
    case .acl, .default, .description, .disabled, .enabled, .log, .logTag, .mode, .no, .option,
      .tcpRequest, .timeout:
      .any
    }
  }
}
