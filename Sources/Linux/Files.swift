import CLinux
import Glibc

/// What a file is, and whose.
///
/// - SeeAlso: stat(2).
@frozen public struct FileStatus: Equatable, Sendable {
  /// Type and permissions, as `st_mode`.
  public var mode: UInt32
  public var user: UInt32
  public var group: UInt32
  /// Bytes.
  public var size: Int64
  public var device: UInt64
  public var inode: UInt64

  public var isDirectory: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
  public var isSocket: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFSOCK) }
  public var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }

  /// Whether both are one file, by any name. Event descriptors (eventfd(2), epoll(7) and the like)
  /// share one.
  public func isSameFile(as other: FileStatus?) -> Bool {
    device == other?.device && inode == other?.inode
  }

  /// A file of which only that is known which names it.
  public static func naming(_ device: UInt64, _ inode: UInt64) -> FileStatus {
    var status = clinux_file_status()
    status.device = device
    status.inode = inode
    return FileStatus(status)
  }

  init(_ status: clinux_file_status) {
    mode = status.mode
    user = status.user
    group = status.group
    size = status.size
    device = status.device
    inode = status.inode
  }
}

/// Files by their paths.
public enum File {
  /// - SeeAlso: stat(2), which follows links.
  public static func status(_ path: String) throws(Errno) -> FileStatus {
    var status = clinux_file_status()
    try check(unsafe path.withCString { unsafe clinux_stat($0, &status) })
    return FileStatus(status)
  }

  /// Opens a file, pipe or device for reading.
  ///
  /// - SeeAlso: open(2), with `O_RDONLY`.
  public static func open(_ path: String) throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(unsafe path.withCString { unsafe clinux_open($0, O_RDONLY, 0) }))
  }

  /// Opens for reading and writing what is there already, `/dev/null` say.
  public static func openForUpdate(_ path: String) throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(unsafe path.withCString { unsafe clinux_open($0, O_RDWR, 0) }))
  }

  /// Replaces the file's contents, or makes it with `mode`. A link is not followed.
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt32) throws(Errno) {
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
    let file = Descriptor(
      adopting: try check(unsafe path.withCString { unsafe clinux_open($0, flags, mode) }))
    var rest = bytes.span
    while !rest.isEmpty {
      guard case .moved(let count) = try file.write(rest) else { throw Errno(EIO) }
      rest = rest.extracting(droppingFirst: count)
    }
  }

  /// - SeeAlso: unlink(2).
  public static func remove(_ path: String) throws(Errno) {
    try check(unsafe path.withCString { unsafe clinux_unlink($0) })
  }

  /// Moves a file within its file system, over what is there.
  ///
  /// - SeeAlso: rename(2).
  public static func rename(_ path: String, to target: String) throws(Errno) {
    try check(
      unsafe path.withCString { path in
        unsafe target.withCString { unsafe clinux_rename(path, $0) }
      })
  }

  /// - SeeAlso: chmod(2).
  public static func setMode(_ path: String, _ mode: UInt32) throws(Errno) {
    try check(unsafe path.withCString { unsafe clinux_chmod($0, mode) })
  }

  /// Gives the file away; nil leaves user or group as they are.
  ///
  /// - SeeAlso: chown(2).
  public static func setOwner(_ path: String, user: UInt32?, group: UInt32?) throws(Errno) {
    try check(
      unsafe path.withCString { unsafe clinux_chown($0, user ?? .max, group ?? .max) })
  }

  /// - SeeAlso: mkdir(2).
  public static func makeDirectory(_ path: String, mode: UInt32) throws(Errno) {
    try check(unsafe path.withCString { unsafe clinux_mkdir($0, mode) })
  }

  /// Makes a directory and those above it that are missing.
  public static func makeDirectories(_ path: String, mode: UInt32) throws(Errno) {
    do throws(Errno) {
      try makeDirectory(path, mode: mode)
    } catch {
      if error.code == EEXIST { return }
      guard error == .noSuchFile, let slash = path.lastIndex(of: "/"), slash != path.startIndex
      else { throw error }
      try makeDirectories(String(path[..<slash]), mode: mode)
      try makeDirectory(path, mode: mode)
    }
  }

  /// - SeeAlso: chdir(2).
  public static func changeDirectory(to path: String) throws(Errno) {
    try check(unsafe path.withCString { unsafe clinux_chdir($0) })
  }

  /// Sets which permissions new files do not get, and says which it was before.
  ///
  /// - SeeAlso: umask(2).
  @discardableResult
  public static func setCreationMask(_ mask: UInt32) -> UInt32 { UInt32(clinux_umask(mask)) }

  /// Where a symbolic link points; nil when it is none.
  ///
  /// - SeeAlso: readlink(2).
  public static func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let length = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
      guard let base = unsafe bytes.bindMemory(to: CChar.self).baseAddress else { return -1 }
      return unsafe readlink(path, base, bytes.count)
    }
    return length > 0 ? String(decoding: buffer[..<length], as: UTF8.self) : nil
  }

  /// The names in a directory but `.` and `..`, in no order; empty when it cannot be read.
  ///
  /// - SeeAlso: readdir(3).
  public static func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}

extension Descriptor {
  /// - SeeAlso: fstat(2).
  public borrowing func status() throws(Errno) -> FileStatus {
    var status = clinux_file_status()
    try check(unsafe clinux_fstat(number, &status))
    return FileStatus(status)
  }
}

extension Descriptor {
  /// What is open under a number; nil when nothing is.
  public static func status(ofNumber number: CInt) -> FileStatus? {
    var status = clinux_file_status()
    return unsafe clinux_fstat(number, &status) == 0 ? FileStatus(status) : nil
  }
}

/// The standard streams that this process writes to.
public enum StandardStream: Int32, Sendable {
  case output = 1
  case error = 2

  /// Writes all of it, or as much as there is a reader for.
  public func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let number = rawValue
      let result = unsafe rest.withUnsafeBytes { bytes -> Int64 in
        guard let base = bytes.baseAddress else { return 0 }
        return unsafe clinux_write(number, base, bytes.count)
      }
      if result == -Int64(EINTR) { continue }
      guard result > 0 else { return }
      rest = rest.dropFirst(Int(result))
    }
  }

  /// What it goes to; nil when it is closed.
  public var status: FileStatus? {
    var status = clinux_file_status()
    return unsafe clinux_fstat(rawValue, &status) == 0 ? FileStatus(status) : nil
  }
}
