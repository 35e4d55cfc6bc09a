import Configuration
import Glibc
import Ledger
import Linux
import Wire

/// This release, as it introduces itself.
public enum Release {
  public static let version = ReleaseNumber.text
  static let date = "2026/11/24"

  /// The generation of HAProxy's interfaces that the outputs follow, then our own version: tools
  /// read the first two numbers, and decide by them which commands there are.
  static let compatibleVersion = "3.2.0-sluice\(version)"
}

/// A field of `show info`.
struct InfoField: Sendable {
  /// HAProxy's number of it.
  let place: Int
  let name: String
  /// As ``StatColumn/tags(of:)``.
  let tags: String
  let value: FieldValue
  let explanation: String
}

/// Makes the fields of `show info`: HAProxy's, in its order. What it counts for HTTP, for TLS and for
/// its own memory is zero.
///
/// "Name" says HAProxy, since some tools (haproxyadmin) refuse to talk to anything else; "Version"
/// says what answers in truth. No value before "Uptime_sec" may hold a colon, and every line has one
/// `: ` (Datadog's and collectd's readers split there).
struct Information {
  let deployment: Deployment
  let baseline: CounterBaseline
  /// `float`.
  let fractions: Bool

  func fields() -> [InfoField] {
    process() + description() + totals()
  }

  private func field(
    _ place: Int, _ name: String, _ tags: String, _ value: FieldValue, _ explanation: String
  ) -> InfoField {
    InfoField(place: place, name: name, tags: tags, value: value, explanation: explanation)
  }

  /// Only there when the file has one.
  private func description() -> [InfoField] {
    deployment.configuration.global.description.map {
      [field(51, "description", "COSV", .text($0), "Description of the node")]
    } ?? []
  }

  private func process() -> [InfoField] {
    [
      field(0, "Name", "POSV", .text("HAProxy"), "Product name"),
      field(1, "Version", "POSV", .text(Release.compatibleVersion), "Product version"),
      field(2, "Release_date", "POSV", .text(Release.date), "Date of the release"),
      field(3, "Nbthread", "CGSV", .number(workers), "Workers"),
      field(4, "Nbproc", "CGSV", .number(1), "Always 1"),
      field(5, "Process_num", "KGPV", .number(1), "Always 1"),
      field(6, "Pid", "SGPV", .number(master), "Process id of the master"),
      field(
        7, "Uptime", "MDPV", .text(uptimeText), "Time since the daemon began, reloads or not"),
      field(8, "Uptime_sec", "MDPV", uptime, "Seconds since the daemon began, reloads or not"),
      field(9, "Memmax_MB", "CLPV", .number(0), "Limit of memory"),
      field(10, "PoolAlloc_MB", "MGPV", .number(0), "Memory in pools"),
      field(11, "PoolUsed_MB", "MGPV", .number(0), "Memory used in pools"),
      field(12, "PoolFailed", "MCPV", .number(0), "Allocations that failed"),
      field(13, "Ulimit-n", "CLPV", .number(descriptors), "Limit of descriptors of a process"),
      field(14, "Maxsock", "CLPV", .number(descriptors), "Limit of sockets of a process"),
      field(15, "Maxconn", "CLPV", .number(maxconn), "Limit of connections"),
      field(
        16, "Hard_maxconn", "CLPV", .number(maxconn),
        "Limit of connections that the machine imposes"),
      field(17, "CurrConns", "MGPV", .number(gauges[.current].value), "Connections now"),
      field(18, "CumConns", "MCPV", .number(total(.connections)), "Connections so far"),
      field(19, "CumReq", "MCPV", .number(total(.sessions)), "Sessions so far"),
      field(20, "MaxSslConns", "MMPV", .number(0), "Not used by a TCP proxy"),
      field(21, "CurrSslConns", "MGPV", .number(0), "Not used by a TCP proxy"),
      field(22, "CumSslConns", "MCPV", .number(0), "Not used by a TCP proxy"),
      field(
        23, "Maxpipes", "CLPV", .number(pipeLimit), "Limit of pipes, 0 for none but the machine's"),
      field(24, "PipesUsed", "MGPV", .number(lanes(.pipesUsed)), "Pipes that hold data"),
      field(25, "PipesFree", "MGPV", .number(lanes(.pipesFree)), "Pipes that wait to be used"),
      field(26, "ConnRate", "MRPV", .number(connectionRate), "Connections in the last second"),
      field(27, "ConnRateLimit", "CLPV", .number(0), "Limit of connections a second"),
      field(
        28, "MaxConnRate", "MMPV", .number(gauges[.connectionRateMaximum].value),
        "Most connections in a second"),
      field(29, "SessRate", "MRPV", .number(sessionRate), "Sessions in the last second"),
      field(30, "SessRateLimit", "CLPV", .number(0), "Limit of sessions a second"),
      field(
        31, "MaxSessRate", "MRPV", .number(gauges[.rateMaximum].value), "Most sessions in a second"),
      field(32, "SslRate", "MRPV", .number(0), "Not used by a TCP proxy"),
      field(33, "SslRateLimit", "CLPV", .number(0), "Not used by a TCP proxy"),
      field(34, "MaxSslRate", "MMPV", .number(0), "Not used by a TCP proxy"),
      field(35, "SslFrontendKeyRate", "MGPV", .number(0), "Not used by a TCP proxy"),
      field(36, "SslFrontendMaxKeyRate", "MMPV", .number(0), "Not used by a TCP proxy"),
      field(37, "SslFrontendSessionReuse_pct", "MGPV", .number(0), "Not used by a TCP proxy"),
      field(38, "SslBackendKeyRate", "MRPV", .number(0), "Not used by a TCP proxy"),
      field(39, "SslBackendMaxKeyRate", "MMPV", .number(0), "Not used by a TCP proxy"),
      field(40, "SslCacheLookups", "MCPV", .number(0), "Not used by a TCP proxy"),
      field(41, "SslCacheMisses", "MCPV", .number(0), "Not used by a TCP proxy"),
      field(42, "CompressBpsIn", "MRPV", .number(0), "Not used by a TCP proxy"),
      field(43, "CompressBpsOut", "MRPV", .number(0), "Not used by a TCP proxy"),
      field(44, "CompressBpsRateLim", "CLPV", .number(0), "Not used by a TCP proxy"),
      field(47, "Tasks", "MGPV", .number(gauges[.current].value), "Connections that are served"),
      field(48, "Run_queue", "MGPV", .number(0), "Not measured"),
      field(49, "Idle_pct", "MaPV", .number(100), "Not measured"),
      field(50, "node", "COSV", .text(node), "Name of the node"),
    ]
  }

  private func totals() -> [InfoField] {
    [
      field(52, "Stopping", "MGPV", .number(deployment.ledger.isLeaving.value), "1 while it stops"),
      field(
        53, "Jobs", "MGPV", .number(gauges[.current].value + listeners), "Connections and listeners"
      ),
      field(54, "Unstoppable Jobs", "MGPV", .number(0), "Not used"),
      field(55, "Listeners", "MGPV", .number(listeners), "Listeners"),
      field(56, "ActivePeers", "MGPV", .number(0), "Not used"),
      field(57, "ConnectedPeers", "MGPV", .number(0), "Not used"),
      field(
        58, "DroppedLogs", "MGPV", .number(lanes(.droppedLogs)), "Log lines that could not be sent"),
      field(59, "BusyPolling", "MGPV", .number(0), "Always 0"),
      field(60, "FailedResolutions", "MGPV", .number(0), "Not measured"),
      field(
        61, "TotalBytesOut", "MGPV", .wide(total(.bytesUp) &+ total(.bytesDown)), "Bytes relayed"),
      field(
        62, "TotalSplicedBytesOut", "MGPV", .wide(total(.bytesSpliced)),
        "Bytes relayed through pipes"),
      field(63, "BytesOutRate", "MRPV", .wide(0), "Not measured"),
      field(64, "DebugCommandsIssued", "MGPV", .number(0), "Not used"),
      field(65, "CumRecvLogs", "MCPV", .number(0), "Not used"),
      field(66, "Build info", "POSV", .text(Release.compatibleVersion), "Product version"),
      field(67, "Memmax_bytes", "CLPV", .number(0), "Limit of memory"),
      field(68, "PoolAlloc_bytes", "MGPV", .wide(0), "Memory in pools"),
      field(69, "PoolUsed_bytes", "MGPV", .wide(0), "Memory used in pools"),
      field(
        70, "Start_time_sec", "MDPV", .number(started),
        "When the daemon began, seconds since 1970"),
      field(71, "Tainted", "SGPV", .text("0"), "Always 0"),
      field(72, "TotalWarnings", "MCPV", .number(0), "Not counted"),
      field(
        73, "MaxconnReached", "MCPV", .number(lanes(.acceptPauses)),
        "Times that accepting was paused"),
      field(74, "BootTime_ms", "MDPV", .number(0), "Not measured"),
      field(75, "Niced_tasks", "MGPV", .number(0), "Not used"),
      field(76, "CurrStreams", "MGPV", .wide(gauges[.current].value), "Sessions now"),
      field(77, "CumStreams", "MGPV", .wide(total(.sessions)), "Sessions so far"),
      field(78, "BlockedTrafficWarnings", "MGPV", .number(0), "Not used"),
      field(79, "PatternsAdded", "MGPV", .wide(0), "Not used"),
      field(80, "PatternsFreed", "MGPV", .wide(0), "Not used"),
      field(81, "NbThreadGroups", "CGSV", .number(1), "Always 1"),
      field(
        82, "HungWorkers", "MCPV", .wide(deployment.ledger.hungWorkers.value),
        "Workers that were ended since they hung"),
    ]
  }
}

// MARK: - Values

extension Information {
  private var slot: Int { deployment.slots.process }
  private var gauges: GaugeBlock { deployment.ledger.gauges(of: slot) }

  private func total(_ counter: Counter) -> UInt64 {
    baseline.total(counter, slot: slot, in: deployment.ledger)
  }

  private func lanes(_ cell: LaneCell) -> UInt64 {
    deployment.lanes.reduce(0) { $0 + $1[cell].value }
  }

  private var workers: UInt64 { UInt64(deployment.workerCount) }
  private var master: UInt64 { UInt64(getppid()) }
  private var maxconn: UInt64 { UInt64(deployment.maxConnections) }
  private var pipeLimit: UInt64 { UInt64(deployment.configuration.global.maxPipes ?? 0) }
  private var node: String { deployment.configuration.global.node ?? Machine.hostname }

  private var listeners: UInt64 {
    UInt64(deployment.configuration.frontends.reduce(0) { $0 + $1.binds.count })
  }

  private var descriptors: UInt64 { ResourceLimit.openFiles.soft }
  private var started: UInt64 { deployment.daemonStart }

  private var uptime: FieldValue {
    let seconds = UInt64.wallClock.since(started)
    guard fractions else { return .number(seconds) }
    let nanoseconds = max(0, Clock.realtime - Int64(started) * 1_000_000_000)
    return .text("\(nanoseconds / 1_000_000_000).\((nanoseconds / 1_000_000 % 1000).threeDigits)")
  }

  /// `0d 0h00m05s`.
  private var uptimeText: String {
    let seconds = Int(UInt64.wallClock.since(started))
    return "\(seconds / 86_400)d \(seconds / 3600 % 24)h\((seconds / 60 % 60).twoDigits)m"
      + "\((seconds % 60).twoDigits)s"
  }

  private var connectionRate: UInt64 { now(RateGauge(connectionsOf: gauges)) }
  private var sessionRate: UInt64 { now(RateGauge(sessionsOf: gauges)) }

  private func now(_ rate: RateGauge) -> UInt64 {
    let ticks = Clock.monotonic
    return rate.rate(
      second: UInt32(truncatingIfNeeded: ticks / 1_000_000_000),
      milliseconds: UInt64(ticks / 1_000_000 % 1000))
  }
}

extension Int64 {
  /// With leading zeroes below a hundred.
  fileprivate var threeDigits: String { (self < 100 ? "0" : "") + Int(self).twoDigits }
}
