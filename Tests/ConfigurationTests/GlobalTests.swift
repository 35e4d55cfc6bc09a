import Configuration
import Linux
import Testing

@Suite("Global settings")
struct GlobalTests {
  private func global(_ lines: String...) throws -> GlobalSettings {
    let result = load("global\n" + lines.map { " \($0)\n" }.joined())
    return try #require(result.configuration, "\(result.report)").global
  }

  @Test("are read, and merged over several sections")
  func values() throws {
    let read = try global(
      "maxconn 5000", "nbthread 3", "ulimit-n 20000", "daemon", "pidfile /run/p", "user a",
      "gid 33", "chroot /var/empty", "log-send-hostname", "log-tag t", "node n",
      "hard-stop-after 30s", "drain-delay 12s", "nosplice", "noreuseport", "maxpipes 10",
      "tune.pipesize 1m",
      "tune.bufsize 32k", "tune.maxaccept -1", "spread-checks 5", "max-spread-checks 3s",
      "tune.rcvbuf.client 8192", "tune.sndbuf.server 8k", "zero-warning", "global",
      "stats timeout 1m", "stats maxconn 20", "description two words")
    #expect(read.maxConnections == 5000)
    #expect(read.workers == 3)
    #expect(read.descriptorLimit == 20_000)
    #expect(read.daemonize && read.noSplice && read.noReusePort && read.warningsAreErrors)
    #expect(read.pidFile == "/run/p")
    #expect(read.user == .name("a"))
    #expect(read.group == .number(33))
    #expect(read.root == "/var/empty")
    #expect(read.logHostname?.isEmpty == true)
    #expect(read.logTag == "t")
    #expect(read.node == "n")
    #expect(read.description == "two words")
    #expect(read.hardStopAfter == 30_000)
    #expect(read.drainDelay == 12_000)
    #expect(read.maxPipes == 10)
    #expect(read.pipeSize == 1 << 20)
    #expect(read.bufferSize == 32_768)
    #expect(read.maxAccept == nil)
    #expect(read.spreadChecks == 5)
    #expect(read.maxSpreadChecks == 3000)
    #expect(read.clientReceiveBuffer == 8192)
    #expect(read.serverSendBuffer == 8192)
    #expect(read.statsTimeout == 60_000)
    #expect(read.statsMaxConnections == 20)
  }

  @Test("name the sockets of operators")
  func statsSockets() throws {
    let read = try global(
      "unix-bind prefix /run mode 600 user root",
      "stats socket /admin.sock level admin expose-fd listeners mode 660 group g",
      "stats socket ipv4@127.0.0.1:9999 level user severity-output number",
      "stats socket fd@4"
    ).statsSockets
    #expect(read.map(\.level) == [.admin, .user, .operator])
    #expect(read[0].address == .socket(.unix(path: "/run/admin.sock")))
    #expect(read[0].permissions.mode == 0o660)
    #expect(read[0].permissions.user == .name("root"))
    #expect(read[0].permissions.group == .name("g"))
    #expect(read.map(\.exposesListeners) == [true, false, false])
    #expect(read[1].severityOutput == .number)
    #expect(read[2].address == .descriptor(4))
  }

  @Test("take 'nbproc' for the number of workers, unless 'nbthread' says it")
  func workers() throws {
    #expect(try global("nbproc 4").workers == 4)
    #expect(try global("nbproc 4", "nbthread 2").workers == 2)
    #expect(try global("nbthread 2", "nbproc 4").workers == 2)
  }

  @Test(
    "about TLS, HTTP and tuning are passed over in silence",
    arguments: [
      "ssl-default-bind-ciphers PROFILE=SYSTEM", "ca-base /etc/ssl",
      "tune.ssl.default-dh-param 2048",
      "ssl-server-verify none", "tune.maxrewrite 1024", "tune.h2.max-concurrent-streams 10",
      "master-worker", "no strict-limits", "insecure-fork-wanted", "quiet", "localpeer a",
    ])
  func silent(line: String) {
    let result = load("global\n \(line)\n")
    #expect(result.configuration != nil)
    #expect(result.diagnostics.isEmpty)
  }

  @Test("know one way to wait for the kernel, and say why another is none")
  func engine() {
    for line in ["io-engine auto", "io-engine epoll"] {
      #expect(load("global\n \(line)\n").diagnostics.isEmpty)
    }
    let refused = load("global\n io-engine io_uring\n").errors
    #expect(refused.count == 1)
    #expect(refused.first?.contains("no faster than epoll") == true)
    #expect(load("global\n io-engine kqueue\n").errors.count == 1)
  }

  @Test(
    "that are almost a keyword are unknown",
    arguments: ["tune.bufsiez 1", "ssl-default 1", "maxcon 1"])
  func unknown(line: String) {
    #expect(load("global\n \(line)\n").errors.count == 1)
  }
}
