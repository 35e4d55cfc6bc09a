import CLinux
import Glibc

/// The kinds of sockets that sluice opens.
@frozen public enum SocketKind: Sendable {
  case stream, datagram, sequencedPacket

  var type: CInt {
    switch self {
    case .stream: CInt(SOCK_STREAM.rawValue)
    case .datagram: CInt(SOCK_DGRAM.rawValue)
    case .sequencedPacket: CInt(SOCK_SEQPACKET.rawValue)
    }
  }
}

// MARK: - Making and connecting

extension Descriptor {
  /// Opens a non-blocking socket of the family that `address` is of.
  ///
  /// - Throws: `EMFILE`, `ENFILE`, `EAFNOSUPPORT`.
  /// - SeeAlso: socket(2).
  public static func socket(
    _ kind: SocketKind, for address: SocketAddress
  ) throws(Errno) -> Descriptor {
    switch address {
    case .internet(let endpoint): try socket(kind, for: endpoint)
    case .unix, .abstract:
      Descriptor(adopting: try check(clinux_socket(AF_UNIX, kind.type, 0)))
    }
  }

  /// Opens a non-blocking socket of the family that `endpoint` is of.
  public static func socket(_ kind: SocketKind, for endpoint: Endpoint) throws(Errno) -> Descriptor
  {
    let family = endpoint.address.isIPv4 ? AF_INET : AF_INET6
    return Descriptor(adopting: try check(clinux_socket(family, kind.type, 0)))
  }

  /// - SeeAlso: bind(2).
  public borrowing func bind(to address: SocketAddress) throws(Errno) {
    let number = number
    try check(
      unsafe KernelAddress(address).withPointer { unsafe clinux_bind(number, $0, $1) })
  }

  /// - SeeAlso: listen(2).
  public borrowing func listen(backlog: Int) throws(Errno) {
    try check(clinux_listen(number, CInt(clamping: backlog)))
  }

  /// Begins to connect.
  ///
  /// - Returns: whether it is connected already, as unix sockets are at once.
  /// - Throws: `ECONNREFUSED`, `EADDRNOTAVAIL` when the source ports are used up, and for a unix
  ///   socket `EAGAIN` when its backlog is full.
  /// - SeeAlso: connect(2).
  public borrowing func connect(to endpoint: Endpoint) throws(Errno) -> Bool {
    let number = number
    let address = KernelAddress(endpoint)
    return try Self.connected(
      unsafe address.withPointer { unsafe clinux_connect(number, $0, $1) })
  }

  public borrowing func connect(to address: SocketAddress) throws(Errno) -> Bool {
    let number = number
    let address = try KernelAddress(address)
    return try Self.connected(
      unsafe address.withPointer { unsafe clinux_connect(number, $0, $1) })
  }

  private static func connected(_ result: CInt) throws(Errno) -> Bool {
    if result == 0 { return true }
    if result == -EINPROGRESS { return false }
    throw Errno(-result)
  }

  /// Two connected sockets that keep packets apart, for processes to talk over.
  ///
  /// - SeeAlso: socketpair(2), `SOCK_SEQPACKET` in unix(7).
  public static func packetPair() throws(Errno) -> DescriptorPair {
    var first: CInt = -1
    var second: CInt = -1
    try check(unsafe clinux_socketpair_seqpacket(&first, &second))
    return DescriptorPair(first: Descriptor(adopting: first), second: Descriptor(adopting: second))
  }
}

/// Two descriptors that are made together; take them apart with `split`.
@frozen public struct DescriptorPair: ~Copyable {
  public var first: Descriptor
  public var second: Descriptor
}

// MARK: - Accepting

/// Dead connections that one call passes over; level-triggered readiness tells of the rest.
private let mostDeadConnections = 64

extension Descriptor {
  /// Accepts a connection; its peer's address lands in `peer`.
  ///
  /// Connections that died in the queue are passed over, some at a time.
  ///
  /// - Throws: `EMFILE` and its like (`Errno.isExhaustion`): the connection stays in the queue.
  /// - SeeAlso: accept4(2).
  public borrowing func accept(peer: inout Endpoint) throws(Errno) -> Descriptor? {
    var address = KernelAddress()
    let number = number
    // Bounded, since what is no listening socket answers `EOPNOTSUPP` for ever.
    for _ in 0..<mostDeadConnections {
      let result = unsafe address.withMutablePointer { unsafe clinux_accept(number, $0, $1) }
      if result >= 0 {
        peer = address.endpoint
        return Descriptor(adopting: result)
      }
      switch -result {
      case EAGAIN: return nil
      // accept(2): errors already pending on the new socket are to be treated like EAGAIN.
      case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
        EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT:
        continue
      default: throw Errno(-result)
      }
    }
    return nil
  }

  /// The local end: where the client meant to go.
  ///
  /// - SeeAlso: getsockname(2).
  public borrowing func localEndpoint() -> Endpoint {
    var address = KernelAddress()
    let number = number
    let result = unsafe address.withMutablePointer { unsafe clinux_getsockname(number, $0, $1) }
    return result == 0 ? address.endpoint : .none
  }

  public borrowing func localAddress() -> SocketAddress? {
    var address = KernelAddress()
    let number = number
    let result = unsafe address.withMutablePointer { unsafe clinux_getsockname(number, $0, $1) }
    return result == 0 ? address.socketAddress : nil
  }

  /// - SeeAlso: getpeername(2).
  public borrowing func peerEndpoint() -> Endpoint {
    var address = KernelAddress()
    let number = number
    let result = unsafe address.withMutablePointer { unsafe clinux_getpeername(number, $0, $1) }
    return result == 0 ? address.endpoint : .none
  }
}

// MARK: - Ending

extension Descriptor {
  /// Tells the peer that nothing more will come.
  ///
  /// Never call it on a listener: that kills it for every process that holds it.
  ///
  /// - SeeAlso: shutdown(2), `SHUT_WR`.
  public borrowing func shutdownWrite() throws(Errno) {
    try check(clinux_shutdown(number, CInt(SHUT_WR)))
  }

  /// Makes the coming close a reset, which throws away what the peer has not acknowledged.
  ///
  /// - SeeAlso: `SO_LINGER` in socket(7).
  public borrowing func resetOnClose() {
    _ = clinux_set_reset_on_close(number)
  }

  /// Makes the coming close a silent one: the peer learns nothing. Needs CAP_NET_ADMIN.
  ///
  /// - Returns: whether the kernel let us.
  /// - SeeAlso: `TCP_REPAIR` in tcp(7).
  public borrowing func vanishOnClose() -> Bool {
    clinux_set_repair(number) == 0
  }

  /// Bytes sent that the peer's kernel has not acknowledged.
  ///
  /// - SeeAlso: `SIOCOUTQ` in tcp(7).
  public borrowing func bytesUnacknowledged() -> Int {
    Int(max(0, clinux_bytes_unacknowledged(number)))
  }

  /// Bytes received that nobody has read.
  ///
  /// - SeeAlso: `SIOCINQ` in tcp(7).
  public borrowing func bytesUnread() -> Int {
    Int(max(0, clinux_bytes_readable(number)))
  }

  /// The error that waits on a socket, and clears it: why a connect failed, or a reset.
  ///
  /// - SeeAlso: `SO_ERROR` in socket(7).
  public borrowing func pendingError() -> Errno? {
    var value: CInt = 0
    let result = unsafe clinux_getsockopt_int(number, SOL_SOCKET, SO_ERROR, &value)
    if result < 0 { return Errno(-result) }
    return value == 0 ? nil : Errno(value)
  }
}
