import Linux

/// The file that tells other programs the master's process id.
struct PidFile {
  let path: String

  func write(_ log: MasterLog) {
    do throws(Errno) {
      // A reader must not see half a number, nor a link lead elsewhere.
      let temporary = "\(path).\(Process.id).tmp"
      try File.write(Array("\(Process.id)\n".utf8), to: temporary, mode: 0o644)
      try File.rename(temporary, to: path)
    } catch {
      log.warning("cannot write the process id to \(path): \(error)")
    }
  }

  /// Removes it, unless another master has taken it over.
  func remove() {
    guard let file = try? File.open(path), let bytes = try? file.contents(),
      String(decoding: bytes, as: UTF8.self) == "\(Process.id)\n"
    else { return }
    try? File.remove(path)
  }
}
