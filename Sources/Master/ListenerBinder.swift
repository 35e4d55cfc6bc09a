import Configuration
import Linux

/// Why an address cannot be listened at, as the operator reads it.
struct ListenFailure: Error, Equatable {
  let message: String
}

/// Makes listening sockets, or adopts the ones that came from outside.
struct ListenerBinder: ~Copyable {
  /// What came from outside and nobody has asked for yet.
  var inherited: InheritedSockets
  let log: MasterLog

  init(inherited: consuming InheritedSockets = InheritedSockets(), log: MasterLog) {
    self.inherited = inherited
    self.log = log
  }

  /// Listens as `specification` says.
  ///
  /// `slots` is how many sockets there shall be, where the kernel spreads connections over several
  /// of one address; nil where there shall be one, now and later.
  mutating func listen(
    _ specification: ListenerSpecification, slots: Int?
  ) throws(ListenFailure) -> HeldListener {
    let listener = try firstSocket(of: specification, spreads: slots != nil)
    if let slots { Self.addSiblings(to: listener, upTo: slots, log) }
    return listener
  }

  private mutating func firstSocket(
    of specification: ListenerSpecification, spreads: Bool
  ) throws(ListenFailure) -> HeldListener {
    let taken = inherited.take(for: specification)
    if !taken.isEmpty {
      for index in 0..<taken.count { try Self.prepare(taken[index], for: specification) }
      return HeldListener(specification, sockets: taken, isAdopted: true)
    }
    switch specification.key.address {
    case .socket(.unix(let path)):
      return try UnixListener.listen(at: path, specification, log)
    case .socket(let address):
      let socket = try Self.bind(specification, to: address, sharing: spreads)
      return HeldListener(specification, sockets: DescriptorTable(of: socket))
    case .descriptor(let number):
      throw ListenFailure(
        message: "'\(specification.text)': descriptor \(number) was no socket when the daemon "
          + "started")
    case .descriptorName(let name):
      throw ListenFailure(
        message: "'\(specification.text)': no socket of the name '\(name)' was passed in "
          + "(FileDescriptorName= of a socket unit)")
    }
  }

  // MARK: Internet sockets

  static func bind(
    _ specification: ListenerSpecification, to address: SocketAddress, sharing: Bool
  ) throws(ListenFailure) -> Descriptor {
    do throws(Errno) {
      let socket = try Descriptor.socket(.stream, for: address)
      if address.endpoint != nil { try allow(socket, specification.key, sharing: sharing) }
      try socket.bind(to: address)
      apply(specification.options, to: socket, isInternet: address.endpoint != nil)
      try socket.listen(backlog: specification.options.backlog)
      return socket
    } catch {
      throw failure(error, at: address)
    }
  }

  /// Sets what must be so before bind(2).
  private static func allow(
    _ socket: borrowing Descriptor, _ key: ListenerSpecification.Key, sharing: Bool
  ) throws(Errno) {
    try socket.set(.reuseAddress, to: true)
    if sharing { try socket.set(.reusePort, to: true) }
    if let onlyIPv6 = key.onlyIPv6, case .socket(let address) = key.address,
      address.endpoint?.address.isIPv4 == false
    {
      try socket.set(.onlyIPv6, to: onlyIPv6)
    }
    if key.isTransparent { try socket.set(.transparent, to: true) }
    if let interface = key.interface { try socket.bind(toInterface: interface) }
  }

  /// Sets what accepted sockets inherit, so that no worker has to, and what may change while the
  /// socket listens. A kernel that lacks one of these serves all the same.
  static func apply(
    _ options: ListenerSpecification.Options, to socket: borrowing Descriptor, isInternet: Bool
  ) {
    func set(_ option: SocketOption, _ value: Int) { try? socket.set(option, to: value) }

    if let size = options.receiveBuffer { set(.receiveBuffer, size) }
    if let size = options.sendBuffer { set(.sendBuffer, size) }
    guard isInternet else { return }
    set(.noDelay, 1)
    if let keepalive = options.keepalive {
      set(.keepalive, keepalive.isEnabled ? 1 : 0)
      set(.keepaliveIdle, keepalive.idle)
      set(.keepaliveInterval, keepalive.interval)
      set(.keepaliveCount, keepalive.count)
    }
    set(.userTimeout, options.userTimeout ?? 0)
    set(.deferAccept, options.deferAccept ? 1 : 0)
    if options.fastOpen { set(.fastOpen, options.backlog) }
    if let size = options.maxSegmentSize { set(.maxSegmentSize, size) }
  }

  /// Gives a listener its missing sockets.
  ///
  /// The kernel allows siblings of the same user where the first has SO_REUSEPORT: an inherited one
  /// may lack it. All workers then share the first.
  static func addSiblings(to listener: HeldListener, upTo slots: Int, _ log: MasterLog) {
    guard listener.sockets.count < slots, listener.spreads || listener.sockets.count == 1,
      case .some(.internet(let endpoint)) = listener.sockets[0].localAddress(),
      (try? listener.sockets[0].get(.reusePort)) == 1
    else { return }
    while listener.sockets.count < slots {
      do throws(ListenFailure) {
        listener.sockets.append(
          try bind(listener.specification, to: .internet(endpoint), sharing: true))
        listener.spreads = true
      } catch {
        if !listener.isAdopted { log.warning(error.message) }
        return
      }
    }
  }

  /// Makes a socket from outside fit.
  private static func prepare(
    _ socket: borrowing Descriptor, for specification: ListenerSpecification
  ) throws(ListenFailure) {
    do throws(Errno) {
      // Sockets of a service manager arrive blocking.
      try socket.setNonBlocking()
      let address = socket.localAddress()
      apply(specification.options, to: socket, isInternet: address?.endpoint != nil)
      // Sets the backlog of a socket that listens already, and makes a bound one listen.
      try socket.listen(backlog: specification.options.backlog)
    } catch {
      throw ListenFailure(message: "cannot use the socket for '\(specification.text)': \(error)")
    }
  }

  static func failure(_ error: Errno, at address: SocketAddress) -> ListenFailure {
    switch error {
    case .addressInUse:
      let owner = address.endpoint.flatMap { SocketOwner.find(at: $0) } ?? "another process"
      let hint =
        owner.hasPrefix("sluice")
        ? "; '-x SOCKET' takes over from a daemon, whether its master lives or not, whose "
          + "'stats socket SOCKET' says 'expose-fd listeners'" : ""
      return ListenFailure(message: "cannot listen at \(address): it is in use by \(owner)\(hint)")
    case .permissionDenied, .notPermitted:
      let needs = address.endpoint.map { $0.port < 1024 } ?? false
      let hint = needs ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : ""
      return ListenFailure(message: "cannot listen at \(address): \(error)\(hint)")
    default:
      return ListenFailure(message: "cannot listen at \(address): \(error)")
    }
  }

  // MARK: Before the first socket

  /// Makes sure that nobody else listens at an address, which SO_REUSEPORT would hide: two masters
  /// that silently share a port answer for each other.
  static func probe(_ specification: ListenerSpecification) throws(ListenFailure) {
    guard case .socket(let address) = specification.key.address else { return }
    switch address {
    case .internet(let endpoint):
      guard endpoint.port != 0 else { return }
      do throws(Errno) {
        let socket = try Descriptor.socket(.stream, for: address)
        try allow(socket, specification.key, sharing: false)
        try socket.bind(to: address)
      } catch {
        throw failure(error, at: address)
      }
    case .unix(let path): try UnixListener.probe(path)
    case .abstract: return
    }
  }
}

extension DescriptorTable {
  init(of descriptor: consuming Descriptor) {
    self.init()
    append(descriptor)
  }
}
