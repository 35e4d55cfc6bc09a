import CLinux
import Glibc

/// An option of a socket whose value is a number.
///
/// - SeeAlso: socket(7), ip(7), ipv6(7), tcp(7).
@frozen public enum SocketOption: Sendable {
  case reuseAddress, reusePort, keepalive, receiveBuffer, sendBuffer, mark
  case noDelay, keepaliveIdle, keepaliveInterval, keepaliveCount
  /// Milliseconds.
  case userTimeout
  /// Seconds to wait for data before accept(2) sees the connection.
  case deferAccept
  /// Length of the queue of cookies that wait, on a listener.
  case fastOpen
  case maxSegmentSize
  case onlyIPv6
  case freeBind, transparent
  /// Chooses the source port at connect(2), which then may share it: `IP_BIND_ADDRESS_NO_PORT`.
  case bindAddressNoPort

  var level: CInt {
    switch self {
    case .reuseAddress, .reusePort, .keepalive, .receiveBuffer, .sendBuffer, .mark: SOL_SOCKET
    case .noDelay, .keepaliveIdle, .keepaliveInterval, .keepaliveCount, .userTimeout, .deferAccept,
      .fastOpen, .maxSegmentSize:
      CInt(IPPROTO_TCP)
    case .onlyIPv6: CInt(IPPROTO_IPV6)
    case .freeBind, .transparent, .bindAddressNoPort: CInt(IPPROTO_IP)
    }
  }

  var name: CInt {
    switch self {
    case .reuseAddress: SO_REUSEADDR
    case .reusePort: SO_REUSEPORT
    case .keepalive: SO_KEEPALIVE
    case .receiveBuffer: SO_RCVBUF
    case .sendBuffer: SO_SNDBUF
    case .mark: SO_MARK
    case .noDelay: TCP_NODELAY
    case .keepaliveIdle: TCP_KEEPIDLE
    case .keepaliveInterval: TCP_KEEPINTVL
    case .keepaliveCount: TCP_KEEPCNT
    case .userTimeout: TCP_USER_TIMEOUT
    case .deferAccept: TCP_DEFER_ACCEPT
    case .fastOpen: TCP_FASTOPEN
    case .maxSegmentSize: TCP_MAXSEG
    case .onlyIPv6: IPV6_V6ONLY
    case .freeBind: IP_FREEBIND
    case .transparent: IP_TRANSPARENT
    case .bindAddressNoPort: IP_BIND_ADDRESS_NO_PORT
    }
  }
}

extension Descriptor {
  /// - SeeAlso: setsockopt(2).
  public borrowing func set(_ option: SocketOption, to value: Int) throws(Errno) {
    try check(
      clinux_setsockopt_int(number, option.level, option.name, CInt(clamping: value)))
  }

  public borrowing func set(_ option: SocketOption, to value: Bool) throws(Errno) {
    try set(option, to: value ? 1 : 0)
  }

  /// - SeeAlso: getsockopt(2).
  public borrowing func get(_ option: SocketOption) throws(Errno) -> Int {
    var value: CInt = 0
    try check(unsafe clinux_getsockopt_int(number, option.level, option.name, &value))
    return Int(value)
  }

  /// Binds the socket to a network interface.
  ///
  /// - SeeAlso: `SO_BINDTODEVICE` in socket(7).
  public borrowing func bind(toInterface name: String) throws(Errno) {
    let bytes = Array(name.utf8)
    let number = number
    let result = unsafe bytes.withUnsafeBytes { bytes -> CInt in
      guard let base = bytes.baseAddress else { return -EINVAL }
      return unsafe clinux_setsockopt_bytes(
        number, SOL_SOCKET, SO_BINDTODEVICE, base, UInt32(bytes.count))
    }
    try check(result)
  }

  /// Whether the socket listens.
  ///
  /// - SeeAlso: `SO_ACCEPTCONN` in socket(7).
  public borrowing func isListening() -> Bool {
    var value: CInt = 0
    return unsafe clinux_getsockopt_int(number, SOL_SOCKET, SO_ACCEPTCONN, &value) == 0
      && value != 0
  }

  /// Whether the socket is a stream socket; nil when the descriptor is no socket.
  ///
  /// - SeeAlso: `SO_TYPE` in socket(7).
  public borrowing func isStreamSocket() -> Bool? {
    var value: CInt = 0
    guard unsafe clinux_getsockopt_int(number, SOL_SOCKET, SO_TYPE, &value) == 0 else { return nil }
    return value == CInt(SOCK_STREAM.rawValue)
  }

  public borrowing func setNonBlocking() throws(Errno) {
    try check(clinux_set_nonblocking(number, 1))
  }

  /// Makes reading and writing wait, for a process that has nothing else to do.
  public borrowing func setBlocking() throws(Errno) {
    try check(clinux_set_nonblocking(number, 0))
  }
}
