import Linux

/// The control group that this process is in: under systemd, that of its unit.
///
/// - SeeAlso: cgroups(7), Linux `Documentation/admin-guide/cgroup-v2.rst`.
enum ControlGroup {
  /// The path in the line `0::/path` of `/proc/PID/cgroup`.
  static func unifiedGroup(_ text: String) -> String? {
    text.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
  }

  /// Where version 2 is mounted: alone, or beside version 1.
  private static let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]

  /// All processes of the group; empty where it cannot be read.
  static var processes: Set<Int32> {
    guard let own = contents("/proc/self/cgroup").flatMap(unifiedGroup) else { return [] }
    for mount in mounts {
      if let text = contents("\(mount)\(own)/cgroup.procs") {
        return Set(text.split(separator: "\n").compactMap { Int32($0) })
      }
    }
    return []
  }

  static func contents(_ path: String) -> String? {
    guard let file = try? File.open(path), let bytes = try? file.contents() else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
