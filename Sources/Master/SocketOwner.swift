import Linux

/// Finds out who listens at an address, for a message that helps.
///
/// - SeeAlso: `/proc/net/tcp`, `/proc/PID/fd` in proc(5).
enum SocketOwner {
  /// `nginx (process 812)`; nil when it cannot be seen.
  static func find(at endpoint: Endpoint) -> String? {
    let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeningSockets($0, endpoint.port) }
    guard !inodes.isEmpty else { return nil }
    let targets = Set(inodes.map { "socket:[\($0)]" })
    for name in File.names(in: "/proc") {
      guard let process = Int32(name), process != Process.id else { continue }
      let directory = "/proc/\(process)/fd"
      let holds = File.names(in: directory).contains {
        targets.contains(File.linkTarget("\(directory)/\($0)") ?? "")
      }
      if holds { return "\(programName(process)) (process \(process))" }
    }
    return nil
  }

  private static func programName(_ process: Int32) -> String {
    guard let file = try? File.open("/proc/\(process)/comm"), let bytes = try? file.contents()
    else { return "a program" }
    return String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
  }

  /// Inodes of the sockets that listen at a port.
  private static func listeningSockets(_ path: String, _ port: UInt16) -> [String] {
    guard let file = try? File.open(path), let bytes = try? file.contents() else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap {
      inode(in: $0, listeningAt: port)
    }
  }

  /// Columns: number, local address and port in hexadecimal, remote address, state (0A listens),
  /// …, inode as the tenth.
  static func inode(in line: Substring, listeningAt port: UInt16) -> String? {
    let columns = line.split(separator: " ")
    guard columns.count >= 10, columns[3] == "0A",
      let own = columns[1].split(separator: ":").last, UInt16(own, radix: 16) == port
    else { return nil }
    return String(columns[9])
  }
}
