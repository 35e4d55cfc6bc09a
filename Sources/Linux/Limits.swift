import CLinux
import Glibc

/// How much of something a process may have: what it obeys, and how far it may raise that.
///
/// - SeeAlso: getrlimit(2).
@frozen public struct ResourceLimit: Equatable, Sendable {
  public var soft: UInt64
  public var hard: UInt64

  public init(soft: UInt64, hard: UInt64) {
    self.soft = soft
    self.hard = hard
  }

  /// Open descriptors: `RLIMIT_NOFILE`.
  public static var openFiles: ResourceLimit {
    var limit = ResourceLimit(soft: 1024, hard: 1024)
    _ = unsafe clinux_get_limit(CInt(RLIMIT_NOFILE.rawValue), &limit.soft, &limit.hard)
    return limit
  }

  /// Sets the limit of open descriptors of this process and its children to be.
  ///
  /// - Throws: `EPERM` when the hard limit would rise, and the process lacks CAP_SYS_RESOURCE or
  ///   the number exceeds `fs.nr_open`.
  public static func setOpenFiles(_ limit: ResourceLimit) throws(Errno) {
    try check(clinux_set_limit(CInt(RLIMIT_NOFILE.rawValue), limit.soft, limit.hard))
  }

  /// Lets this process open as many descriptors as the hard limit allows.
  public static func raiseOpenFiles() {
    var limit = openFiles
    limit.soft = limit.hard
    try? setOpenFiles(limit)
  }
}
