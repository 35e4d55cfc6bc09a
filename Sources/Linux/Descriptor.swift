import CLinux
import Glibc

/// The sole owner of an open file descriptor.
///
/// The descriptor is closed when its owner goes out of scope, so a connection is closed by
/// forgetting it. The number itself never leaves this module but to be handed to a successor
/// process: other modules borrow the owner, and give it to a function here.
@frozen public struct Descriptor: ~Copyable, Sendable {
  let number: CInt

  /// Takes ownership of `number`, which must be open and owned by no one else.
  init(adopting number: CInt) {
    precondition(number >= 0, "not a descriptor: \(number)")
    self.number = number
  }

  deinit {
    // EBADF here means that someone else closed our number, and that the next close may hit a
    // stranger's connection: stop before it does. Other errors report a failed flush; the number
    // is released all the same (close(2)).
    if clinux_close(number) == -EBADF {
      fatalError("descriptor \(number) was closed behind its owner")
    }
  }

  /// Closes now, for when the moment matters. Same as letting go.
  public consuming func close() {}

  /// A second owner of the same open file.
  ///
  /// - Throws: `EMFILE`.
  /// - SeeAlso: `F_DUPFD_CLOEXEC` in fcntl(2).
  public borrowing func duplicate() throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(clinux_dup(number)))
  }
}

// MARK: - Across fork and exec

extension Descriptor {
  /// Lets the descriptor survive execve(2), and returns its number for the successor to adopt.
  public borrowing func keepAcrossExec() throws(Errno) -> CInt {
    try check(clinux_set_cloexec(number, 0))
    return number
  }

  /// Takes it back from the next execve(2), for when that failed.
  public borrowing func closeOnExec() throws(Errno) {
    try check(clinux_set_cloexec(number, 1))
  }

  /// Its number, to be told to people, or to a process that inherits it.
  public var numberForSuccessor: CInt { number }

  /// Adopts a number that a predecessor left open for this process: from systemd, or from the
  /// process image before an execve(2). Nil when no such descriptor is open.
  ///
  /// Must be called once a number: two owners would close it twice.
  public static func inherited(_ number: CInt) -> Descriptor? {
    guard number >= 0, clinux_is_open(number) != 0 else { return nil }
    _ = clinux_set_cloexec(number, 1)
    return Descriptor(adopting: number)
  }

  /// A duplicate of standard output, standard error or another inherited descriptor, the original
  /// left alone.
  public static func duplicate(ofNumber number: CInt) throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(clinux_dup(number)))
  }

  /// Gives up ownership without closing.
  consuming func release() -> CInt {
    let number = number
    discard self
    return number
  }
}
