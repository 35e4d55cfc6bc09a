import Linux

/// The files that the running program is made of: `-dL`.
enum LinkedLibraries {
  /// The program and its libraries, a path a line, as the kernel mapped them; under a title as the
  /// reference has it, unless nothing else is to be said.
  ///
  /// - SeeAlso: `/proc/PID/maps` in proc_pid_maps(5).
  static func text(isQuiet: Bool) -> String {
    guard let file = try? File.open("/proc/self/maps"), let bytes = try? file.contents() else {
      return ""
    }
    let title = isQuiet ? "" : "List of loaded object files:\n"
    return title + paths(in: String(decoding: bytes, as: UTF8.self)).joined(separator: "\n") + "\n"
  }

  /// Paths of mapped files, each once, in the order of their addresses: the sixth column.
  static func paths(in maps: String) -> [String] {
    var paths: [String] = []
    for line in maps.split(separator: "\n") {
      let columns = line.split(separator: " ", maxSplits: 5)
      guard columns.count == 6 else { continue }
      let path = String(columns[5].drop { $0 == " " })
      if path.hasPrefix("/"), !path.hasPrefix("/memfd:"), !paths.contains(path) {
        paths.append(path)
      }
    }
    return paths
  }
}
