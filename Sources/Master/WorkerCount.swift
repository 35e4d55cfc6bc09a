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
    let own = contents("/proc/self/cgroup").flatMap(unifiedGroup) ?? "/"
    // A container sees its own group as the root.
    for path in ["/sys/fs/cgroup\(own)/cpu.max", "/sys/fs/cgroup/cpu.max"] {
      if let text = contents(path), let granted = processors(quota: text) { return granted }
    }
    return nil
  }

  /// The path in the line `0::/path`.
  static func unifiedGroup(_ text: String) -> String? {
    text.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
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

  private static func contents(_ path: String) -> String? {
    guard let file = try? File.open(path), let bytes = try? file.contents() else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
