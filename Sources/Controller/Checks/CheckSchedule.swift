import Configuration

/// When checks are due. Times in milliseconds.
enum CheckSchedule {
  /// Servers with a shorter interval do not make the others hurry at the start.
  static let shortestSpread = 1000

  /// When each server is first checked: as far from each other as the shortest interval allows.
  static func firstDelays(of checks: [HealthCheck], limit: Int?) -> [Int] {
    let spread = checks.map(\.interval).filter { $0 >= shortestSpread }.min() ?? 0
    return checks.enumerated().map { place, check in
      let window = max(spread, check.interval)
      return min(window, limit ?? window) * place / checks.count
    }
  }

  /// The time until the next check.
  static func interval(of check: HealthCheck, health: HealthCounter) -> Int {
    if health.isFullyUp { return check.interval }
    if health.isFullyDown { return check.downInterval ?? check.interval }
    return check.fastInterval ?? check.interval
  }

  /// `spread-checks`: up to so many per cent more or less. `draw` is from -1 to 1, drawn anew each
  /// time.
  static func spread(_ interval: Int, percent: Int, draw: Double) -> Int {
    interval + Int(Double(interval * percent) / 100 * draw)
  }

  /// How long a server may take to accept: `timeout check` bounds what follows, so that connecting
  /// may take as long as it takes clients' connections; without it the interval bounds all.
  static func connectTimeout(of check: HealthCheck, _ timeouts: Timeouts) -> Int {
    guard timeouts.check != nil, let connect = timeouts.connect else { return check.interval }
    return min(connect, check.interval)
  }
}
