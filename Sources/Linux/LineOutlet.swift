import CLinux
import Glibc

/// What became of a line.
@frozen public enum LineOutcome: Sendable {
  case sent
  /// Whoever reads is slow or does not listen now; the line is lost, all or in part.
  case dropped
  /// Nobody is at the other end any more; connecting anew may help.
  case disconnected
}

/// Where lines are written that must never make the writer wait.
///
/// Standard output is shared with whoever started the process, and so is its `O_NONBLOCK`: to set
/// it would surprise them. So a pipe or a terminal is opened anew through `/proc`, which gives an
/// open file of our own; a socket is told with each call instead; a file needs neither.
@frozen public struct LineOutlet: ~Copyable, Sendable {
  /// How to write without waiting.
  @frozen public enum Kind: UInt8, BitwiseCopyable, Sendable {
    /// A socket, connected or not.
    case socket
    /// A pipe or a terminal opened anew, or a file.
    case file
    /// A pipe that could not be opened anew: it is asked for room before each line.
    case askedPipe
  }

  public let descriptor: Descriptor
  public let kind: Kind

  @usableFromInline
  init(descriptor: consuming Descriptor, kind: Kind) {
    self.descriptor = descriptor
    self.kind = kind
  }

  /// The longest line that a pipe takes all or nothing of (`PIPE_BUF` in pipe(7)): several
  /// processes may write to it, and their lines must not mix.
  public static let longestWhole = 4096

  /// An outlet for datagrams to `address`, not yet connected.
  public static func datagrams(to address: SocketAddress) throws(Errno) -> LineOutlet {
    LineOutlet(descriptor: try .socket(.datagram, for: address), kind: .socket)
  }

  /// An outlet on a descriptor that the process was started with: 1, 2, or one that is named.
  ///
  /// Must be made while `/proc` can be reached, that is, before chroot(2).
  ///
  /// - Throws: `EBADF` when there is no such descriptor.
  public static func inherited(_ number: CInt) throws(Errno) -> LineOutlet {
    var status = clinux_file_status()
    try check(unsafe clinux_fstat(number, &status))
    let type = status.mode & S_IFMT
    switch type {
    case S_IFIFO, S_IFCHR:
      if let descriptor = openedAnew(number) {
        return LineOutlet(descriptor: descriptor, kind: .file)
      }
      return LineOutlet(descriptor: try .duplicate(ofNumber: number), kind: .askedPipe)
    case S_IFSOCK:
      return LineOutlet(descriptor: try .duplicate(ofNumber: number), kind: .socket)
    default:
      return LineOutlet(descriptor: try .duplicate(ofNumber: number), kind: .file)
    }
  }

  private static func openedAnew(_ number: CInt) -> Descriptor? {
    let flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
    let opened = unsafe clinux_open("/proc/self/fd/\(number)", flags, 0)
    return opened >= 0 ? Descriptor(adopting: opened) : nil
  }
}

/// An address in the kernel's form, made while allocating was still allowed.
public struct DatagramAddress: BitwiseCopyable, Sendable {
  fileprivate let address: KernelAddress

  /// - Throws: `ENAMETOOLONG` when a path does not fit.
  public init(_ address: SocketAddress) throws(Errno) {
    self.address = try KernelAddress(address)
  }
}

extension Descriptor {
  /// Connects a datagram socket, or connects it to another place than before.
  ///
  /// - Returns: whether somebody is there.
  /// - SeeAlso: connect(2), which for datagrams may be called again and again.
  public borrowing func connectDatagrams(to address: DatagramAddress) -> Bool {
    let number = number
    return unsafe address.address.withPointer { unsafe clinux_connect(number, $0, $1) } == 0
  }

  /// Sends one datagram to where nothing is connected.
  ///
  /// - SeeAlso: sendto(2), with `MSG_DONTWAIT`.
  public borrowing func sendDatagram(
    _ line: Span<UInt8>, to address: DatagramAddress
  ) -> LineOutcome {
    let number = number
    let result = unsafe line.withUnsafeBytes { bytes -> CInt in
      guard let base = bytes.baseAddress else { return 0 }
      return unsafe address.address.withPointer {
        CInt(truncatingIfNeeded: unsafe clinux_sendto(number, base, bytes.count, $0, $1))
      }
    }
    return result >= 0 ? .sent : .dropped
  }

  /// Writes one line, and never waits.
  ///
  /// - SeeAlso: send(2), with `MSG_DONTWAIT`; write(2).
  public borrowing func writeLine(_ line: Span<UInt8>, as kind: LineOutlet.Kind) -> LineOutcome {
    let number = number
    let result = unsafe line.withUnsafeBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return 0 }
      switch kind {
      case .socket: return unsafe clinux_send(number, base, bytes.count, dontWait)
      case .file: return unsafe clinux_write(number, base, bytes.count)
      case .askedPipe:
        guard clinux_has_room(number) > 0 else { return -Int64(EAGAIN) }
        return unsafe clinux_write(number, base, min(bytes.count, LineOutlet.longestWhole))
      }
    }
    if result == Int64(line.count) { return .sent }
    switch CInt(truncatingIfNeeded: -result) {
    case ECONNREFUSED, ENOTCONN, ECONNRESET, EPIPE, EDESTADDRREQ, ENOENT: return .disconnected
    default: return .dropped
    }
  }
}

private let dontWait = CInt(MSG_DONTWAIT)

extension StaticString {
  /// The text as bytes, which live as long as the program.
  public var bytes: Span<UInt8> {
    @_lifetime(immortal)
    get {
      let span = unsafe Span(_unsafeStart: utf8Start, count: utf8CodeUnitCount)
      return unsafe _overrideLifetime(span, borrowing: ())
    }
  }
}
