import CLinux
import Glibc

/// A hold on another process, which need not be a child: its number may come to mean another
/// process, this never does.
///
/// - SeeAlso: pidfd_open(2).
public struct ProcessHandle: ~Copyable, Sendable {
  /// Becomes readable when the process has ended.
  public let descriptor: Descriptor

  /// - Throws: `ESRCH` when there is no such process.
  public init(of process: Int32) throws(Errno) {
    descriptor = Descriptor(adopting: try check(clinux_pidfd_open(process)))
  }

  public var hasEnded: Bool { descriptor.hasInput }

  /// - Throws: `ESRCH` when it has ended, `EPERM`.
  /// - SeeAlso: pidfd_send_signal(2).
  public borrowing func send(_ signal: Signal) throws(Errno) {
    try check(clinux_pidfd_signal(descriptor.number, signal.rawValue))
  }
}

extension Descriptor {
  /// Whether there is something to be read now: bytes, a connection or an end.
  ///
  /// - SeeAlso: `POLLIN` in poll(2).
  public var hasInput: Bool { clinux_has_input(number) > 0 }

  /// Whether nobody is at the other end any more, whatever waits to be read.
  ///
  /// - SeeAlso: `POLLHUP` in poll(2).
  public var hasHungUp: Bool { clinux_has_hung_up(number) > 0 }
}
