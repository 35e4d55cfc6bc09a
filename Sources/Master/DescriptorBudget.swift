import Configuration
import Linux

/// How many connections there may be, from how many descriptors a worker may have.
struct DescriptorBudget: Equatable {
  /// Connections over all workers.
  var maxConnections: Int
  /// Descriptors that a worker needs to carry its part of them.
  var descriptorsNeeded: Int

  /// What a worker opens beside connections: doorbells, log sockets, epoll and the like.
  static let reserve = 128 + 64

  /// `limit` is RLIMIT_NOFILE; `configured` is `maxconn`, nil derives it; `pipes` is `maxpipes` over
  /// all workers, nil is one for every fourth connection, since few are full at a time.
  init(limit: Int, workers: Int, listeners: Int, configured: Int?, pipes: Int?) {
    let overhead = Self.reserve + listeners
    let room = max(0, limit - overhead)
    // A connection has two sockets, a pipe two ends.
    if let configured {
      maxConnections = configured
      let share = (configured + workers - 1) / workers
      let ownPipes = pipes.map { $0 / workers } ?? share / 4
      descriptorsNeeded = share * 2 + ownPipes * 2 + overhead
    } else {
      let perWorker = pipes.map { max(0, room - $0 / workers * 2) / 2 } ?? room * 2 / 5
      maxConnections = max(1, perWorker * workers)
      descriptorsNeeded = limit
    }
  }
}

extension DescriptorBudget {
  /// Raises the limit of descriptors as far as is wanted and allowed, and warns when it stays below
  /// what the configuration needs.
  static func arrange(
    for global: GlobalSettings, workers: Int, listeners: Int, _ log: MasterLog
  ) -> DescriptorBudget {
    var limit = ResourceLimit.openFiles
    limit.soft = min(limit.hard, mostUseful)
    if let wanted = global.descriptorLimit.map(UInt64.init) {
      limit = raise(limit, to: wanted, because: "'ulimit-n'", log)
    }
    let budget = DescriptorBudget(
      limit: Int(limit.soft), workers: workers, listeners: listeners,
      configured: global.maxConnections, pipes: global.maxPipes)
    if budget.descriptorsNeeded > Int(limit.soft) {
      limit = raise(
        limit, to: UInt64(budget.descriptorsNeeded),
        because: "'maxconn \(budget.maxConnections)'", log)
    }
    try? ResourceLimit.setOpenFiles(limit)
    return budget
  }

  /// Beyond it tables that are sized by the limit would only waste memory.
  private static let mostUseful: UInt64 = 1_048_576

  private static func raise(
    _ limit: ResourceLimit, to wanted: UInt64, because reason: String, _ log: MasterLog
  ) -> ResourceLimit {
    let raised = ResourceLimit(soft: wanted, hard: max(wanted, limit.hard))
    guard (try? ResourceLimit.setOpenFiles(raised)) == nil else { return raised }
    log.warning(
      "\(reason) needs \(wanted) descriptors a worker and only \(limit.hard) are allowed: accepting "
        + "will pause when they run out; raise LimitNOFILE= or 'ulimit -Hn'")
    return ResourceLimit(soft: limit.hard, hard: limit.hard)
  }
}
