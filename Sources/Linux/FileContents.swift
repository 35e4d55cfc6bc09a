import CLinux
import Glibc

extension File {
  /// The largest file that is read whole: a quarter of a gigabyte, so that `/dev/zero` ends too.
  public static let largestContents = 1 << 28

  /// All that is in a file, or comes out of a pipe until it ends.
  ///
  /// - Throws: What open(2) and read(2) report, and `EFBIG` beyond ``largestContents``.
  public static func contents(of path: String) throws(Errno) -> [UInt8] {
    let file = try open(path)
    var contents: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes -> Int64 in
        guard let base = bytes.baseAddress else { return 0 }
        return unsafe clinux_read(file.number, base, bytes.count)
      }
      if count == 0 { return contents }
      if count == -Int64(EINTR) { continue }
      guard count > 0 else { throw Errno(CInt(-count)) }
      guard contents.count + Int(count) <= largestContents else { throw Errno(EFBIG) }
      contents += buffer[..<Int(count)]
    }
  }

  /// Whether this process could read it, now.
  public static func isReadable(_ path: String) -> Bool {
    do throws(Errno) {
      _ = try open(path)
      return true
    } catch {
      return false
    }
  }
}
