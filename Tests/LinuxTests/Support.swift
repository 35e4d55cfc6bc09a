import Glibc

@testable import Linux

/// Random numbers that are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

extension IPAddress {
  static let loopback = IPAddress(ipv4: 0x7f00_0001)
  static let loopback6 = IPAddress(high: 0, low: 1)
}

extension DescriptorPair {
  /// Two ends of a connection to `address`, of whatever family that is.
  static func connected(over address: SocketAddress) throws -> DescriptorPair {
    let listener = try Descriptor.socket(.stream, for: address)
    try listener.bind(to: address)
    try listener.listen(backlog: 1)
    guard let target = listener.localAddress() else { throw Errno.invalidArgument }
    let client = try Descriptor.socket(.stream, for: target)
    _ = try client.connect(to: target)
    try listener.wait(for: .readable)
    var peer = Endpoint.none
    guard let server = try listener.accept(peer: &peer) else { throw Errno.again }
    return DescriptorPair(first: client, second: server)
  }

  static func tcp() throws -> DescriptorPair { try connected(over: .ip(.loopback, port: 0)) }
}

extension Descriptor {
  /// Waits until it is so, ten seconds at most.
  borrowing func wait(for readiness: Readiness) throws {
    var query = pollfd(
      fd: number, events: Int16(truncatingIfNeeded: readiness.rawValue), revents: 0)
    guard poll(&query, 1, 10_000) > 0 else { throw Errno.timedOut }
  }

  /// Whether a pipe ends within ten seconds, without another byte.
  borrowing func ends() -> Bool {
    (try? wait(for: .readable)) != nil && (try? readOnce()) == .ended
  }

  /// What comes of one attempt to read up to `count` bytes of a socket.
  borrowing func received(upTo count: Int = 65_536) throws(Errno) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: count)
    var span = buffer.mutableSpan
    switch try receive(into: &span) {
    case .moved(let count): return Array(buffer[..<count])
    case .ended: return []
    case .blocked: return nil
    }
  }

  /// Likewise of a pipe.
  borrowing func readOnce(upTo count: Int = 65_536) throws(Errno) -> Transfer {
    var buffer = [UInt8](repeating: 0, count: count)
    var span = buffer.mutableSpan
    return try read(into: &span)
  }
}

/// A pipe by which to see whether a descriptor has been closed everywhere: its outlet ends when the
/// last owner of its inlet is gone.
final class Canary {
  private let outlet: Descriptor

  private init(_ outlet: consuming Descriptor) { self.outlet = outlet }

  /// The number of the inlet, which somebody is to own, and who watches it.
  static func make() throws -> (number: CInt, canary: Canary) {
    let pipe = try Pipe(size: 4096)
    return (try pipe.inlet.duplicate().release(), Canary(try pipe.outlet.duplicate()))
  }

  /// Whether somebody still has the inlet open.
  var isAlive: Bool { (try? outlet.readOnce()) != .ended }

  /// Whether nobody has it, or will in a moment: a process that another test starts has copies of
  /// all descriptors until it becomes another program.
  var isGone: Bool { outlet.ends() }
}

extension Optional where Wrapped: ~Copyable {
  var isNone: Bool {
    switch self {
    case .none: true
    case .some: false
    }
  }

  /// What `#require` does for what cannot be copied.
  consuming func found() throws -> Wrapped {
    guard let wrapped = self else { throw Errno.noSuchFile }
    return wrapped
  }
}

/// A pair whose first end can be closed by itself.
struct Sides: ~Copyable {
  let first: Descriptor
  let second: Descriptor

  consuming func closeFirst() -> Descriptor { second }
}

extension DescriptorPair {
  consuming func sides() -> Sides { Sides(first: first, second: second) }
}
