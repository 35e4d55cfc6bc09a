import Ledger
import Linux

/// How many workers there are where the file does not say.
enum WorkerCount {
  /// Half of the ledger's lanes, so that a reload always finds room for as many again.
  static let most = SharedLedger.laneCapacity / 2

  /// One for each processor that the process may use: its affinity, and the share of time that its
  /// control group grants.
  static var standard: Int {
    min(Process.usableProcessors, grantedProcessors ?? most, most)
  }

  private static var grantedProcessors: Int? {
    let own = ControlGroup.contents("/proc/self/cgroup").flatMap(ControlGroup.unifiedGroup) ?? "/"
    // A container sees its own group as the root.
    for path in ["/sys/fs/cgroup\(own)/cpu.max", "/sys/fs/cgroup/cpu.max"] {
      if let text = ControlGroup.contents(path), let granted = processors(quota: text) {
        return granted
      }
    }
    return nil
  }

  /// Reads `cpu.max`: microseconds of time, in microseconds; nil where it is unlimited.
  ///
  /// - SeeAlso: Linux `Documentation/admin-guide/cgroup-v2.rst`.
  static func processors(quota text: String) -> Int? {
    let parts = text.split { $0 == " " || $0 == "\n" }
    guard parts.count == 2, let quota = Int(parts[0]), let period = Int(parts[1]), period > 0,
      quota > 0
    else { return nil }
    return max(1, (quota + period - 1) / period)
  }
}
