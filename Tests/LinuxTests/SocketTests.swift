import Glibc
import Testing

@testable import Linux

@Suite("Sockets")
struct SocketTests {
  /// An address of each family that nobody else uses.
  enum Family: CaseIterable { case inet, inet6, unix, abstract }

  private func address(_ family: Family) -> SocketAddress {
    let unique = "sluice-test-\(Process.id)-\(UInt64.random(in: 0 ... .max))"
    return switch family {
    case .inet: .ip(.loopback, port: 0)
    case .inet6: .ip(.loopback6, port: 0)
    case .unix: .unix(path: "/tmp/" + unique)
    case .abstract: .abstract(name: unique)
    }
  }

  @Test("an address comes back from the kernel as it went", arguments: Family.allCases)
  func roundTrip(_ family: Family) throws {
    let address = address(family)
    let listener = try Descriptor.socket(.stream, for: address)
    try listener.bind(to: address)
    defer { if case .unix(let path) = address { unlink(path) } }
    try listener.listen(backlog: 1)
    let named = listener.localAddress()
    let bound = try #require(named)
    if let endpoint = bound.endpoint {
      #expect(endpoint.address == address.endpoint?.address)
      #expect(endpoint.port != 0)
      #expect(listener.localEndpoint() == endpoint)
    } else {
      #expect(bound == address)
      #expect(listener.localEndpoint() == .none)
    }

    let client = try Descriptor.socket(.stream, for: bound)
    _ = try client.connect(to: bound)
    try listener.wait(for: .readable)
    var peer = Endpoint(address: .loopback, port: 1)
    guard let server = try listener.accept(peer: &peer) else { throw Errno.again }
    #expect(peer == (bound.isUnix ? .none : client.localEndpoint()))
    #expect(client.peerEndpoint() == server.localEndpoint())
    let more = try listener.accept(peer: &peer)
    #expect(more.isNone == true)

    let greeting: [UInt8] = [1, 2, 3]
    #expect(try client.send(greeting.span) == .moved(3))
    try server.wait(for: .readable)
    #expect(try server.received() == greeting)
    let listen = (listener.isListening(), client.isListening())
    #expect(listen == (true, false))
    #expect(client.isStreamSocket() == true)
  }

  @Test("a link-local address keeps its interface")
  func scope() {
    let endpoint = Endpoint(address: IPAddress("fe80::1")!, port: 9, scope: 7)
    #expect(KernelAddress(endpoint).endpoint == endpoint)
  }

  @Test("a name is as long as the kernel allows, and no longer")
  func longNames() throws {
    let longest = String(repeating: "n", count: SocketAddress.longestPath)
    for address in [SocketAddress.unix(path: longest), .abstract(name: longest)] {
      #expect(try KernelAddress(address).socketAddress == address)
    }
    for address in [SocketAddress.unix(path: longest + "n"), .abstract(name: longest + "n")] {
      #expect(throws: Errno(ENAMETOOLONG)) { try KernelAddress(address) }
    }
  }

  @Test("an unnamed unix socket, and a socket of another family, have no address")
  func unnamed() throws {
    let pair = try Descriptor.packetPair()
    #expect(pair.first.localAddress() == nil)
    #expect(pair.first.localEndpoint() == .none)
    let kinds = (pair.first.isStreamSocket(), try Pipe(size: 4096).inlet.isStreamSocket())
    #expect(kinds == (false, nil))
    let pipe = try Pipe(size: 4096)
    #expect(pipe.inlet.localAddress() == nil)
  }

  @Test("a refused connection says so, once")
  func refused() throws {
    let unused = try Descriptor.socket(.stream, for: .ip(.loopback, port: 0))
    try unused.bind(to: .ip(.loopback, port: 0))
    let target = unused.localEndpoint()
    let client = try Descriptor.socket(.stream, for: target)
    do throws(Errno) {
      let isConnected = try client.connect(to: target)
      #expect(!isConnected)
    } catch {
      // Loopback may tell at once.
      #expect(error == .connectionRefused)
      return
    }
    try client.wait(for: .writable)
    #expect(client.pendingError() == .connectionRefused)
    #expect(client.pendingError() == nil)
    #expect(Errno.connectionRefused.isDisconnect && !Errno.connectionRefused.isExhaustion)
  }

  @Test("connections that died in the queue are passed over")
  func deadInQueue() throws {
    let listener = try Descriptor.socket(.stream, for: .ip(.loopback, port: 0))
    try listener.bind(to: .ip(.loopback, port: 0))
    try listener.listen(backlog: 8)
    for isDead in [true, false] {
      let client = try Descriptor.socket(.stream, for: listener.localEndpoint())
      _ = try client.connect(to: listener.localEndpoint())
      if isDead { client.resetOnClose() }
    }
    try listener.wait(for: .readable)
    var peer = Endpoint.none
    // Linux hands out even the dead one: what matters is that nothing is thrown and none is lost.
    var count = 0
    while let connection = try listener.accept(peer: &peer) {
      count += 1
      _ = try? connection.received()
    }
    #expect(count >= 1)
  }

  @Test("what is no listener is not asked for ever")
  func noListener() throws {
    let datagrams = try Descriptor.socket(.datagram, for: .ip(.loopback, port: 0))
    var peer = Endpoint.none
    let none = try datagrams.accept(peer: &peer)
    #expect(none.isNone == true)
    let idle = try Descriptor.socket(.stream, for: .ip(.loopback, port: 0))
    #expect(throws: Errno.invalidArgument) { _ = try idle.accept(peer: &peer) }
  }

  @Test("options are what they were set to")
  func options() throws {
    let socket = try Descriptor.socket(.stream, for: .ip(.loopback, port: 0))
    for option in [SocketOption.noDelay, .keepalive, .reuseAddress, .reusePort, .bindAddressNoPort]
    {
      try socket.set(option, to: true)
      #expect(try socket.get(option) != 0, "\(option)")
      try socket.set(option, to: false)
      #expect(try socket.get(option) == 0, "\(option)")
    }
    for (option, value) in [
      (SocketOption.keepaliveIdle, 33), (.keepaliveInterval, 7), (.keepaliveCount, 4),
      (.userTimeout, 12_345),
    ] {
      try socket.set(option, to: value)
      #expect(try socket.get(option) == value, "\(option)")
    }
    let six = try Descriptor.socket(.stream, for: .ip(.loopback6, port: 0))
    try six.set(.onlyIPv6, to: true)
    #expect(try six.get(.onlyIPv6) == 1)
  }

  @Test("bytes, end and reset arrive as such")
  func ends() throws {
    let pair = try DescriptorPair.tcp()
    #expect(try pair.second.received() == nil)
    #expect(try pair.first.send([7].span) == .moved(1))
    try pair.first.shutdownWrite()
    try pair.second.wait(for: .readable)
    #expect(try pair.second.received() == [7])
    #expect(try pair.second.received() == [])
    #expect(throws: Errno.brokenPipe) { _ = try pair.first.send([8].span) }
    #expect(try pair.second.send([9].span) == .moved(1))

    let other = try DescriptorPair.tcp().sides()
    other.first.resetOnClose()
    let second = other.closeFirst()
    try second.wait(for: .readable)
    #expect(throws: Errno.connectionReset) { _ = try second.received() }
  }

  @Test("sending stops where the kernel's buffers are full, and nothing of it is lost")
  func fullSink() throws {
    let pair = try DescriptorPair.tcp()
    let chunk = [UInt8](repeating: 5, count: 1 << 16)
    var sent = 0
    while case .moved(let count) = try pair.first.send(chunk.span) {
      sent += count
      try #require(sent < 1 << 28)
    }
    #expect(pair.first.bytesUnacknowledged() <= sent)
    var received = 0
    while received < sent {
      try pair.second.wait(for: .readable)
      received += try pair.second.received()?.count ?? 0
    }
    #expect(received == sent)
    #expect(try pair.second.received() == nil)
    #expect(try pair.first.send([UInt8]().span) == .blocked)
  }
}
