import Wire

/// What the program says of itself.
enum Version {
  static let number = ReleaseNumber.text

  static let line = "sluice version \(number) - carries TLS connections, never decrypts them"

  /// What `-vv` prints: one `Name : value` a line where test runners look for one.
  static let features = """
    \(line)
    Language: HAProxy's configuration language, mode tcp, as of version 3.2
    Build options :
      TARGET  = linux-glibc
      OPTIONS = USE_PCRE2=1 USE_PCRE2_JIT=1 USE_SYSTEMD=1
    Feature list : +ACCEPT4 +EPOLL +GETADDRINFO +LINUX_SPLICE +LINUX_TPROXY +NETFILTER +PCRE2 \
    +PCRE2_JIT +PRCTL +SYSTEMD +TFO +TPROXY -LUA -OPENSSL -PROMEX -QUIC -THREAD
    Default settings :
      maxconn from RLIMIT_NOFILE, workers from CPU affinity, pipesize = 262144
    Running on the polling system epoll; relays by splice(2) and copy.
    No TLS library is linked.
    """

  static func text(_ detail: Arguments.VersionDetail) -> String {
    switch detail {
    case .line: line
    case .features: features
    case .number: number
    case .branch: number.split(separator: ".").prefix(2).joined(separator: ".")
    }
  }

  static let usage = """
    Usage: sluice -f FILE|DIRECTORY [-f ...] [options] [-- FILE ...]
           sluice -f FILE explain [--sni NAME] [--alpn NAME,...] [--src ADDRESS[:PORT]]
                  [--dst ADDRESS[:PORT]] [--dst-port PORT] [--payload TEXT] [--frontend NAME]

      -f FILE      read this file, or the *.cfg files of this directory
      -c           check the configuration and exit: 0 valid, 1 not
      -cc COND     evaluate a condition and exit: 0 true, 1 false, 2 not understood
      -C DIR       change to this directory first
      -D           go to the background once ready
      -db  -d      stay in the foreground, whatever the file says; -d says more, too
      -p FILE      write the process id to this file once ready
      -S SOCKET    control socket: PATH, abns@NAME or ADDRESS:PORT[,mode,600,user,NAME,group,NAME]
      -n N         carry at most N connections; -N N: in a frontend that has no maxconn
      -sf PID...   once ready, let these processes finish what they carry (SIGUSR1)
      -st PID...   once ready, end these processes (SIGTERM)
      -x SOCKET    take over from the daemon whose 'stats socket SOCKET' says 'expose-fd listeners',
                   even if its master has died; also --takeover SOCKET
      -dW          take warnings for errors
      -dS  -dR     relay without splice(2); listen without SO_REUSEPORT
      -dL          say which libraries are loaded, once the files are read
      -q  -V       say nothing; say more
      -v  -vv      version; version and features
      -vq -vqb     version number; its branch
      explain      say which rules, backend and server a connection would get, and why

    Accepted and without effect: -W -Ws -4 -L NAME -m MB -dI -dM -dr and other
    debugging flags of HAProxy. See sluice(8).

    """
}
