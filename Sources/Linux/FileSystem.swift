import CLinux
import Glibc

/// Whole files and directories, as a parser of configurations wants them. Blocking, and with
/// allocations: not for the path of a byte.
public enum FileSystem {
  /// The largest file that is read: a quarter of a gigabyte, so that `/dev/zero` ends too.
  public static let largestFile = 1 << 28

  /// The content of a file.
  ///
  /// - Throws: What open(2) and read(2) report; `EFBIG` beyond ``largestFile``; `EISDIR`.
  public static func read(_ path: String) throws(Errno) -> [UInt8] {
    let file = try open(path)
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        guard let start = bytes.baseAddress else { return Int64(0) }
        return unsafe clinux_read(file.number, start, bytes.count)
      }
      if count == 0 { return content }
      if count == -Int64(EINTR) { continue }
      if count < 0 { throw Errno(CInt(-count)) }
      guard content.count + Int(count) <= largestFile else { throw Errno(EFBIG) }
      content += buffer[..<Int(count)]
    }
  }

  /// Whether the file can be opened for reading, by this process, now.
  public static func isReadable(_ path: String) -> Bool {
    do throws(Errno) {
      _ = try open(path)
      return true
    } catch {
      return false
    }
  }

  private static func open(_ path: String) throws(Errno) -> Descriptor {
    // O_NONBLOCK: a FIFO without a writer must not hold us up.
    let number = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard number >= 0 else { throw Errno(errno) }
    return Descriptor(adopting: number)
  }

  public static func isDirectory(_ path: String) throws(Errno) -> Bool {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw Errno(errno) }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// The names in a directory, `.` and `..` left out, in no order.
  ///
  /// - SeeAlso: readdir(3).
  public static func names(in path: String) throws(Errno) -> [String] {
    guard let directory = unsafe opendir(path) else { throw Errno(errno) }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
