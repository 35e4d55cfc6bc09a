import CLinux
import Glibc

/// A signal's number.
@frozen public struct Signal: RawRepresentable, Hashable, Sendable {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let hangUp = Signal(rawValue: SIGHUP)
  public static let interrupt = Signal(rawValue: SIGINT)
  public static let quit = Signal(rawValue: SIGQUIT)
  public static let kill = Signal(rawValue: SIGKILL)
  public static let user1 = Signal(rawValue: SIGUSR1)
  public static let user2 = Signal(rawValue: SIGUSR2)
  public static let pipe = Signal(rawValue: SIGPIPE)
  public static let terminate = Signal(rawValue: SIGTERM)
  public static let child = Signal(rawValue: SIGCHLD)
  public static let terminalInput = Signal(rawValue: SIGTTIN)
  public static let terminalOutput = Signal(rawValue: SIGTTOU)

  /// From now on it does nothing to the process, nor to the programs that it becomes.
  ///
  /// - SeeAlso: `SIG_IGN` in signal(7).
  public func ignore() { _ = clinux_ignore_signal(rawValue) }

  /// From now on it does again what signal(7) says.
  public func restoreDefault() { _ = clinux_default_signal(rawValue) }

  /// Lets all signals through that were held back.
  public static func unblockAll() { _ = clinux_unblock_all_signals() }

  /// Holds all signals back, until they are let through or read from a ``SignalDescriptor``.
  public static func blockAll() { _ = clinux_block_all_signals() }
}

extension Signal: CustomStringConvertible {
  /// strsignal(3)'s text, such as `Terminated`.
  public var description: String {
    guard let text = unsafe strsignal(rawValue) else { return "unknown signal" }
    return unsafe String(cString: text)
  }
}

/// Signals as something to be read, in the order of the loop that reads it.
///
/// Blocked signals stay pending over fork and execve(2), so none is lost while a process replaces
/// itself.
///
/// - SeeAlso: signalfd(2).
public struct SignalDescriptor: ~Copyable, Sendable {
  public let descriptor: Descriptor

  /// Blocks these signals, to be read from here.
  public init(_ signals: [Signal]) throws(Errno) {
    let mask = signals.reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue - 1) }
    descriptor = Descriptor(adopting: try check(clinux_signalfd(mask)))
  }

  /// The next signal and who sent it; nil when none waits.
  public borrowing func next() -> (signal: Signal, sender: Int32)? {
    var sender: Int32 = 0
    let result = unsafe clinux_signalfd_read(descriptor.number, &sender)
    return result > 0 ? (Signal(rawValue: result), sender) : nil
  }
}
