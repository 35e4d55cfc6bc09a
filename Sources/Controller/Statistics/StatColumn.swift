/// A column of `show stat`, by HAProxy's name, in HAProxy's order.
///
/// The first 119 are those of HAProxy 3.x, whatever they mean in `mode tcp`: exporters read them by
/// place. Behind them, where HAProxy has columns of its HTTP and TLS modules, are sluice's own.
enum StatColumn: String, CaseIterable, Sendable {
  case proxyName = "pxname"
  case name = "svname"
  case queued = "qcur"
  case queuedMaximum = "qmax"
  case sessions = "scur"
  case sessionsMaximum = "smax"
  case sessionLimit = "slim"
  case sessionsTotal = "stot"
  case bytesUp = "bin"
  case bytesDown = "bout"
  case deniedRequests = "dreq"
  case deniedResponses = "dresp"
  case requestErrors = "ereq"
  case connectErrors = "econ"
  case responseErrors = "eresp"
  case retries = "wretr"
  case redispatches = "wredis"
  case status
  case weight
  case active = "act"
  case backup = "bck"
  case checksFailed = "chkfail"
  case transitionsDown = "chkdown"
  case lastChange = "lastchg"
  case downtime
  case queueLimit = "qlimit"
  case processNumber = "pid"
  case proxyID = "iid"
  case serverID = "sid"
  case throttle
  case selected = "lbtot"
  case tracked
  case `type`
  case rate
  case rateLimit = "rate_lim"
  case rateMaximum = "rate_max"
  case checkStatus = "check_status"
  case checkCode = "check_code"
  case checkDuration = "check_duration"
  case responses1xx = "hrsp_1xx"
  case responses2xx = "hrsp_2xx"
  case responses3xx = "hrsp_3xx"
  case responses4xx = "hrsp_4xx"
  case responses5xx = "hrsp_5xx"
  case responsesOther = "hrsp_other"
  case observedFailures = "hanafail"
  case requestRate = "req_rate"
  case requestRateMaximum = "req_rate_max"
  case requestsTotal = "req_tot"
  case clientAborts = "cli_abrt"
  case serverAborts = "srv_abrt"
  case compressedIn = "comp_in"
  case compressedOut = "comp_out"
  case compressionBypassed = "comp_byp"
  case compressedResponses = "comp_rsp"
  case lastSession = "lastsess"
  case lastCheck = "last_chk"
  case lastAgent = "last_agt"
  case queueTime = "qtime"
  case connectTime = "ctime"
  case responseTime = "rtime"
  case totalTime = "ttime"
  case agentStatus = "agent_status"
  case agentCode = "agent_code"
  case agentDuration = "agent_duration"
  case checkDescription = "check_desc"
  case agentDescription = "agent_desc"
  case checkRise = "check_rise"
  case checkFall = "check_fall"
  case checkHealth = "check_health"
  case agentRise = "agent_rise"
  case agentFall = "agent_fall"
  case agentHealth = "agent_health"
  case address = "addr"
  case cookie
  case mode
  case algorithm = "algo"
  case connectionRate = "conn_rate"
  case connectionRateMaximum = "conn_rate_max"
  case connectionsTotal = "conn_tot"
  case intercepted
  case deniedConnections = "dcon"
  case deniedSessions = "dses"
  case rewriteErrors = "wrew"
  case connects = "connect"
  case reuses = "reuse"
  case cacheLookups = "cache_lookups"
  case cacheHits = "cache_hits"
  case idleConnections = "srv_icur"
  case idleConnectionLimit = "src_ilim"
  case queueTimeMaximum = "qtime_max"
  case connectTimeMaximum = "ctime_max"
  case responseTimeMaximum = "rtime_max"
  case totalTimeMaximum = "ttime_max"
  case internalErrors = "eint"
  case unsafeIdleConnections = "idle_conn_cur"
  case safeIdleConnections = "safe_conn_cur"
  case usedConnections = "used_conn_cur"
  case neededConnections = "need_conn_est"
  case userWeight = "uweight"
  case aggregatedServerStatus = "agg_server_status"
  case aggregatedServerCheckStatus = "agg_server_check_status"
  case aggregatedCheckStatus = "agg_check_status"
  case serverRevision = "srid"
  case otherSessions = "sess_other"
  case http1Sessions = "h1sess"
  case http2Sessions = "h2sess"
  case http3Sessions = "h3sess"
  case otherRequests = "req_other"
  case http1Requests = "h1req"
  case http2Requests = "h2req"
  case http3Requests = "h3req"
  case protocolName = "proto"
  case privateIdleConnections = "priv_idle_cur"
  case requestBytesIn = "reqbin"
  case requestBytesOut = "reqbout"
  case responseBytesIn = "resbin"
  case responseBytesOut = "resbout"
  case cacheHintHits = "cache_hint_hits"

  // sluice's own.

  case notTLS = "not_tls"
  case helloTimeouts = "hello_timeouts"
  case badHellos = "bad_hellos"
  case unknownNames = "unknown_names"
  case badProxyHeaders = "bad_proxy_headers"
  case bytesSpliced = "bytes_spliced"

  /// How many columns HAProxy has.
  static let referenceCount = 119
}

extension StatColumn {
  /// What `typed` says of it: origin, nature, scope and persistence (HAProxy's management guide,
  /// section 9.2).
  func tags(of kind: StatRow.Kind) -> String {
    switch (self, kind) {
    case (.active, .server), (.backup, .server): "SGPV"
    case (.rateMaximum, .backend): "MGPV"
    default: tags
    }
  }

  private var tags: String {
    switch self {
    case .processNumber: "KGPV"
    case .cookie: "CNSV"
    case .status, .protocolName: "SGPV"
    case .lastChange, .lastSession: "MAPP"
    case .proxyID, .serverID: "KGSV"
    case .checkDuration, .agentDuration: "MDPV"
    case .proxyName, .name, .tracked: "KNSV"
    case .downtime, .serverRevision, .otherSessions: "MCPV"
    case .rate, .requestRate, .connectionRate: "MRPP"
    case .sessionLimit, .queueLimit, .rateLimit, .idleConnectionLimit: "CLPV"
    case .weight, .throttle, .queueTime, .connectTime, .responseTime, .totalTime, .userWeight:
      "MaPV"
    case .checkStatus, .checkCode, .lastCheck, .lastAgent, .agentStatus, .agentCode,
      .checkDescription, .agentDescription:
      "MOPV"
    case .queuedMaximum, .sessionsMaximum, .rateMaximum, .requestRateMaximum,
      .connectionRateMaximum, .queueTimeMaximum, .connectTimeMaximum, .responseTimeMaximum,
      .totalTimeMaximum:
      "MMPV"
    case .type, .checkRise, .checkFall, .checkHealth, .agentRise, .agentFall, .agentHealth,
      .address, .mode, .algorithm:
      "CGSV"
    case .queued, .sessions, .active, .backup, .idleConnections, .unsafeIdleConnections,
      .safeIdleConnections, .usedConnections, .neededConnections, .aggregatedServerStatus,
      .aggregatedServerCheckStatus, .aggregatedCheckStatus, .privateIdleConnections:
      "MGPV"
    default: "MCPP"
    }
  }

  /// What `desc` adds.
  var explanation: String {
    switch self {
    case .proxyName: "Name of the frontend or backend"
    case .name: "FRONTEND, BACKEND, or the name of the server or listener"
    case .queued: "Sessions waiting for a free place"
    case .queuedMaximum: "Most sessions that waited at a time"
    case .sessions: "Sessions now"
    case .sessionsMaximum: "Most sessions at a time"
    case .sessionLimit: "Limit of sessions"
    case .sessionsTotal: "Sessions so far"
    case .bytesUp: "Bytes received from clients"
    case .bytesDown: "Bytes received from servers"
    case .deniedRequests: "Requests denied by content rules"
    case .deniedResponses: "Responses denied by rules"
    case .requestErrors: "Requests that ended before a server was chosen"
    case .connectErrors: "Sessions that reached no server"
    case .responseErrors: "Sessions that the server ended wrongly"
    case .retries: "Connection attempts after the first"
    case .redispatches: "Attempts at another server than the first"
    case .status: "State"
    case .weight: "Effective weight"
    case .active: "Active servers that can be used"
    case .backup: "Backup servers that can be used"
    case .checksFailed: "Failed health checks"
    case .transitionsDown: "Times it went down"
    case .lastChange: "Seconds since the last change of state"
    case .downtime: "Seconds it was down in all"
    case .queueLimit: "Limit of waiting sessions"
    case .processNumber: "Process number, always 1"
    case .proxyID: "Number of the proxy"
    case .serverID: "Number of the server or listener"
    case .throttle: "Slow start, per cent"
    case .selected: "Times that balancing chose it"
    case .tracked: "Server whose state it follows"
    case .type: "0 frontend, 1 backend, 2 server, 3 listener"
    case .rate: "Sessions in the last second"
    case .rateLimit: "Limit of sessions a second"
    case .rateMaximum: "Most sessions in a second"
    case .checkStatus: "Result of the last health check"
    case .checkCode: "Number in the answer to the last health check"
    case .checkDuration: "Milliseconds that the last health check took"
    case .clientAborts: "Sessions that the client aborted"
    case .serverAborts: "Sessions that the server aborted"
    case .lastSession: "Seconds since the last session, -1 for never"
    case .lastCheck: "Detail of the last health check"
    case .queueTime: "Average milliseconds in the queue"
    case .connectTime: "Average milliseconds to connect"
    case .responseTime: "Average milliseconds to respond"
    case .totalTime: "Average milliseconds a session"
    case .checkDescription: "Result of the last health check in words"
    case .checkRise: "Checks that must pass to be up"
    case .checkFall: "Checks that must fail to be down"
    case .checkHealth: "Health counter, 0 to rise+fall-1"
    case .address: "Address and port"
    case .mode: "Mode of the proxy"
    case .algorithm: "Balancing algorithm"
    case .connectionRate: "Connections in the last second"
    case .connectionRateMaximum: "Most connections in a second"
    case .connectionsTotal: "Connections so far"
    case .deniedConnections: "Connections denied by rules"
    case .deniedSessions: "Sessions denied by rules"
    case .connects: "Connections that servers accepted"
    case .queueTimeMaximum: "Most milliseconds in the queue"
    case .connectTimeMaximum: "Most milliseconds to connect"
    case .responseTimeMaximum: "Most milliseconds to respond"
    case .totalTimeMaximum: "Most milliseconds of a session"
    case .internalErrors: "Internal errors"
    case .usedConnections: "Connections to the server now"
    case .neededConnections: "Connections to the server that are needed"
    case .userWeight: "Weight as configured or set"
    case .otherSessions: "Sessions so far"
    case .protocolName: "Protocol of the listener"
    case .requestBytesIn: "Bytes received from clients"
    case .requestBytesOut: "Bytes sent to servers"
    case .responseBytesIn: "Bytes received from servers"
    case .responseBytesOut: "Bytes sent to clients"
    case .notTLS: "Refused: not TLS"
    case .helloTimeouts: "Refused: no whole ClientHello in time"
    case .badHellos: "Refused: malformed or too large ClientHello"
    case .unknownNames: "Refused: no certificate for the name"
    case .badProxyHeaders: "Refused: no valid PROXY header"
    case .bytesSpliced: "Bytes relayed through pipes"
    default: "Not used by a TCP proxy"
    }
  }
}
