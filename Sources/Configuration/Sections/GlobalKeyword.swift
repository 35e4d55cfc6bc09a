/// The keywords of `global` that are acted on; others are in ``ForeignKeywords``.
enum GlobalKeyword: String, CaseIterable {
  case certificateBase = "crt-base"
  case chroot
  case daemon
  case description
  case drainDelay = "drain-delay"
  case gid
  case group
  case hardStopAfter = "hard-stop-after"
  case ioEngine = "io-engine"
  case log
  case logHostname = "log-send-hostname"
  case logTag = "log-tag"
  case maxAccept = "tune.maxaccept"
  case maxConnections = "maxconn"
  case maxPipes = "maxpipes"
  case maxSpreadChecks = "max-spread-checks"
  case nbproc
  case nbthread
  case no
  case node
  case noReusePort = "noreuseport"
  case noSplice = "nosplice"
  case pidFile = "pidfile"
  case bufferSize = "tune.bufsize"
  case clientReceiveBuffer = "tune.rcvbuf.client"
  case clientSendBuffer = "tune.sndbuf.client"
  case pipeSize = "tune.pipesize"
  case serverReceiveBuffer = "tune.rcvbuf.server"
  case serverSendBuffer = "tune.sndbuf.server"
  case reloadSessions = "reload-sessions"
  case setVariable = "set-var"
  case spreadChecks = "spread-checks"
  case stats
  case uid
  case ulimitN = "ulimit-n"
  case unixBind = "unix-bind"
  case user
  case zeroWarning = "zero-warning"
}
