import CLinux
import Glibc

/// An error number reported by the kernel.
@frozen public struct Errno: Error, Equatable, Hashable, Sendable {
  /// The number, as `errno` holds it. Never zero.
  public let code: CInt

  @inlinable
  public init(_ code: CInt) {
    precondition(code != 0, "errno 0 means success")
    self.code = code
  }

  public static let again = Errno(EAGAIN)
  public static let interrupted = Errno(EINTR)
  public static let inProgress = Errno(EINPROGRESS)
  public static let connectionRefused = Errno(ECONNREFUSED)
  public static let connectionReset = Errno(ECONNRESET)
  public static let connectionAborted = Errno(ECONNABORTED)
  public static let brokenPipe = Errno(EPIPE)
  public static let timedOut = Errno(ETIMEDOUT)
  public static let addressInUse = Errno(EADDRINUSE)
  public static let addressNotAvailable = Errno(EADDRNOTAVAIL)
  public static let noSuchFile = Errno(ENOENT)
  public static let noSuchProcess = Errno(ESRCH)
  public static let permissionDenied = Errno(EACCES)
  public static let notPermitted = Errno(EPERM)
  public static let invalidArgument = Errno(EINVAL)
  public static let notADirectory = Errno(ENOTDIR)
  public static let messageTooLong = Errno(EMSGSIZE)
  public static let tooManyReferences = Errno(ETOOMANYREFS)
  public static let notConnected = Errno(ENOTCONN)
  public static let executableNotFound = Errno(ENOEXEC)
  public static let noChild = Errno(ECHILD)
  public static let noSpace = Errno(ENOSPC)

  /// Whether descriptors or memory have run out, for this process or the whole machine: what
  /// accept(2) reports when a connection must wait rather than be lost.
  public var isExhaustion: Bool {
    code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM
  }

  /// Whether the peer is gone: reset, refused, timed out or unreachable.
  public var isDisconnect: Bool {
    switch code {
    case ECONNRESET, ECONNREFUSED, ECONNABORTED, EPIPE, ETIMEDOUT, ENOTCONN, ESHUTDOWN,
      EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENETRESET, ENONET, EPROTO, ENOPROTOOPT:
      true
    default: false
    }
  }
}

extension Errno: CustomStringConvertible {
  /// strerror(3)'s text, such as `Connection refused`.
  public var description: String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
  }
}

/// Turns a result of CLinux, which is a value or a negated errno, into one or the other.
@inline(__always)
@discardableResult
func check(_ result: CInt) throws(Errno) -> CInt {
  if result < 0 { throw Errno(-result) }
  return result
}
