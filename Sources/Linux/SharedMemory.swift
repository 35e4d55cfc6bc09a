import CLinux
import Glibc

/// Memory that processes share: an anonymous file and its mapping.
///
/// The mapping stays for the life of the process: what points into it never dangles.
///
/// - SeeAlso: memfd_create(2), mmap(2).
public struct SharedMemory: ~Copyable, Sendable {
  public let descriptor: Descriptor
  /// Bytes.
  public let size: Int
  /// Where it begins in this process, aligned to a page.
  public let address: UInt

  /// Makes `size` bytes of zeroes that can neither shrink nor grow. Pages are taken when they are
  /// first touched.
  ///
  /// - Parameters:
  ///   - name: what `/proc/PID/maps` calls it.
  ///   - size: bytes, a multiple of the page size.
  /// - Throws: `EMFILE` or `ENOMEM`.
  public init(name: String, size: Int) throws(Errno) {
    let number = try check(unsafe name.withCString { unsafe clinux_memfd($0) })
    let descriptor = Descriptor(adopting: number)
    try check(clinux_ftruncate(number, Int64(size)))
    try check(clinux_seal(number, 1, 1, 0, 1))
    address = try Self.map(descriptor, size)
    self.size = size
    self.descriptor = descriptor
  }

  /// Maps what another process, or this one before an execve(2), made.
  public init(adopting descriptor: consuming Descriptor) throws(Errno) {
    let size = clinux_file_size(descriptor.number)
    if size <= 0 { throw size < 0 ? Errno(CInt(-size)) : .invalidArgument }
    address = try Self.map(descriptor, Int(size))
    self.size = Int(size)
    self.descriptor = descriptor
  }

  private static func map(_ descriptor: borrowing Descriptor, _ size: Int) throws(Errno) -> UInt {
    var error: CInt = 0
    let address = unsafe clinux_map_shared(descriptor.number, size, 1, &error)
    guard let address = unsafe address else { throw Errno(error) }
    return UInt(bitPattern: address)
  }
}

extension Descriptor {
  /// An anonymous file with these bytes, sealed against any change: to be handed to a process that
  /// must not be able to alter it.
  ///
  /// - SeeAlso: memfd_create(2), `F_ADD_SEALS` in fcntl(2).
  public static func sealedFile(name: String, _ bytes: [UInt8]) throws(Errno) -> Descriptor {
    let number = try check(unsafe name.withCString { unsafe clinux_memfd($0) })
    let file = Descriptor(adopting: number)
    var rest = bytes.span
    while !rest.isEmpty {
      guard case .moved(let count) = try file.write(rest) else { throw Errno(EIO) }
      rest = rest.extracting(droppingFirst: count)
    }
    try check(clinux_seal(number, 1, 1, 1, 1))
    return file
  }

  /// An empty anonymous file, for another process to write its results to.
  ///
  /// - SeeAlso: memfd_create(2).
  public static func emptyFile(name: String) throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(unsafe name.withCString { unsafe clinux_memfd($0) }))
  }

  /// Makes these bytes all that is in a regular or anonymous file. A process that dies at it leaves
  /// a part of them.
  ///
  /// - SeeAlso: pwrite(2), ftruncate(2).
  public borrowing func replaceContents(with bytes: [UInt8]) throws(Errno) {
    var offset = 0
    while offset < bytes.count {
      let number = number
      let result = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(
          number, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset, offset)
      }
      if result < 0 { throw Errno(errno) }
      offset += result
    }
    try check(clinux_ftruncate(number, Int64(bytes.count)))
  }

  /// All the bytes of a regular or anonymous file, from its beginning.
  public borrowing func contents() throws(Errno) -> [UInt8] {
    let size = clinux_file_size(number)
    if size < 0 { throw Errno(CInt(-size)) }
    // A second owner's offset is ours too, so the place to read is named each time.
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: max(4096, Int(size)))
    while true {
      let offset = bytes.count
      let number = number
      let result = unsafe chunk.withUnsafeMutableBytes { buffer in
        unsafe pread(number, buffer.baseAddress, buffer.count, offset)
      }
      if result < 0 { throw Errno(errno) }
      if result == 0 { return bytes }
      bytes += chunk[..<result]
    }
  }
}
