import Configuration
import Linux
import Testing

@testable import Master

private func key(_ port: UInt16, interface: String? = nil) -> ListenerSpecification.Key {
  ListenerSpecification.Key(
    address: .socket(.ip(.anyIPv4, port: port)), interface: interface)
}

@Suite("Which held listener a wanted one is")
struct ListenerMatchTests {
  @Test("the same key, whatever the order")
  func order() {
    let match = ListenerMatch(wanted: [key(2), key(1)], held: [key(1), key(2)])
    #expect(match.held == [1, 0])
    #expect(match.leftOver == [])
  }

  @Test("the n-th of a key is the n-th held of it")
  func repeated() {
    let match = ListenerMatch(wanted: [key(1), key(1), key(1)], held: [key(1), key(2), key(1)])
    #expect(match.held == [0, 2, nil])
    #expect(match.leftOver == [1])
  }

  @Test("another interface is another listener")
  func interface() {
    let match = ListenerMatch(wanted: [key(1, interface: "lo")], held: [key(1)])
    #expect(match.held == [nil])
    #expect(match.leftOver == [0])
  }

  @Test("every held one is kept once or left over, never both")
  func partition() {
    var chance = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      let wanted = (0..<Int.random(in: 0...8, using: &chance)).map { _ in
        key(.random(in: 1...4, using: &chance))
      }
      let held = (0..<Int.random(in: 0...8, using: &chance)).map { _ in
        key(.random(in: 1...4, using: &chance))
      }
      let match = ListenerMatch(wanted: wanted, held: held)
      let kept = match.held.compactMap(\.self)
      #expect((kept + match.leftOver).sorted() == Array(held.indices))
      for (key, index) in zip(wanted, match.held) {
        if let index { #expect(held[index] == key) }
      }
      // What is left over is wanted by none of those that found nothing.
      let unmet = Set(zip(wanted, match.held).filter { $0.1 == nil }.map(\.0))
      #expect(match.leftOver.allSatisfy { !unmet.contains(held[$0]) })
    }
  }
}

@Suite("Which sockets a worker polls")
struct SlotShareTests {
  @Test("every socket has exactly one worker", arguments: 1...9, 1...9)
  func everySocket(workers: Int, sockets: Int) {
    let polled = (0..<workers).flatMap {
      SlotShare.sockets(of: $0, workers: workers, sockets: sockets)
    }
    if sockets == 1 {
      // One socket is shared by all.
      #expect(polled == Array(repeating: 0, count: workers))
    } else {
      #expect(polled.sorted() == Array(0..<sockets))
    }
  }
}

@Suite("Inherited sockets")
struct InheritedSocketsTests {
  @Test("one of equal address satisfies a bind, and is given out once")
  func equalAddress() throws {
    let socket = try Descriptor.socket(.stream, for: .ip(IPAddress(ipv4: 0x7f00_0001), port: 0))
    try socket.bind(to: .ip(IPAddress(ipv4: 0x7f00_0001), port: 0))
    try socket.listen(backlog: 1)
    let bound = socket.localAddress()
    let address = try #require(bound)
    var inherited = InheritedSockets()
    inherited.add(socket, name: "web")
    let wanted = ListenerSpecification(key: .init(address: .socket(address)), text: "x")
    let satisfies = inherited.satisfies(wanted)
    #expect(satisfies)
    let leftOver = inherited.leftOver
    #expect(leftOver.first?.hasPrefix("\(address) (web, descriptor ") == true)
    let first = inherited.take(for: wanted).count
    let second = inherited.take(for: wanted).count
    #expect((first, second) == (1, 0))
    let nothing = inherited.leftOver
    #expect(nothing == [])
  }

  @Test("a name stands for all sockets of that name")
  func names() throws {
    var inherited = InheritedSockets()
    for name in ["web", "other", "web"] {
      inherited.add(try Descriptor.socket(.stream, for: .unix(path: "x")), name: name)
    }
    let wanted = ListenerSpecification(key: .init(address: .descriptorName("web")), text: "fd@web")
    let taken = inherited.take(for: wanted).count
    let leftOver = inherited.leftOver.count
    #expect((taken, leftOver) == (2, 1))
  }

  @Test("[::] satisfies *, another port does not")
  func wildcards() {
    let any = SocketAddress.ip(.anyIPv6, port: 443)
    #expect(InheritedSockets.satisfies(any, wanted: .ip(.anyIPv4, port: 443)))
    #expect(!InheritedSockets.satisfies(any, wanted: .ip(.anyIPv4, port: 444)))
    #expect(!InheritedSockets.satisfies(any, wanted: .ip(IPAddress(ipv4: 1), port: 443)))
    #expect(InheritedSockets.satisfies(.unix(path: "/a"), wanted: .unix(path: "/a")))
    #expect(!InheritedSockets.satisfies(.unix(path: "/a"), wanted: .unix(path: "/b")))
  }
}

@Suite("Listening")
struct ListenerBinderTests {
  private let log = MasterLog(isQuiet: true).silenced

  private func specification(_ port: UInt16) -> ListenerSpecification {
    let address = SocketAddress.ip(IPAddress(ipv4: 0x7f00_0001), port: port)
    return ListenerSpecification(key: .init(address: .socket(address)), text: "\(address)")
  }

  @Test("makes one socket of an address for each slot, with options that connections inherit")
  func slots() throws {
    var binder = ListenerBinder(log: log)
    var wanted = specification(0)
    wanted.options.keepalive = Keepalive()
    let listener = try binder.listen(wanted, slots: 3)
    let count = listener.sockets.count
    #expect(count == 3)
    #expect(listener.spreads)
    let address = listener.sockets[0].localAddress()
    for index in 0..<3 {
      let (own, listens) = (
        listener.sockets[index].localAddress(), listener.sockets[index].isListening()
      )
      #expect(own == address)
      #expect(listens)
      let options = (
        try listener.sockets[index].get(.noDelay), try listener.sockets[index].get(.keepaliveIdle)
      )
      #expect(options == (1, 120))
    }
  }

  @Test("one socket can be joined by siblings later, since it was made to be shared")
  func laterSiblings() throws {
    var binder = ListenerBinder(log: log)
    let listener = try binder.listen(specification(0), slots: 1)
    #expect(!listener.spreads)
    ListenerBinder.addSiblings(to: listener, upTo: 2, log)
    let joined = listener.sockets.count
    #expect(joined == 2)
    #expect(listener.spreads)
  }

  @Test("what a failed reload added to an address is polled by one worker more")
  func spareSockets() throws {
    var binder = ListenerBinder(log: log)
    let listener = try binder.listen(specification(0), slots: 2)
    var plan = ListenerPlan()
    plan.workers = 2
    plan.binds = [.init(specification: listener.specification, frontend: 0, bind: 0)]
    let set = ListenerSet(plan: plan, binds: [listener], control: nil, statsSockets: [])
    set.commit()
    #expect(!set.hasSpareSockets)
    ListenerBinder.addSiblings(to: listener, upTo: 5, log)
    #expect(set.hasSpareSockets)
    let numbers = (0..<5).map { listener.sockets[$0].numberForSuccessor }
    #expect(set.share(of: set.spareSlot).sockets == Array(numbers[2...]))
  }

  @Test("an address in use is told with its owner, though SO_REUSEPORT would hide it")
  func probe() throws {
    var binder = ListenerBinder(log: log)
    let listener = try binder.listen(specification(0), slots: 2)
    let address = listener.sockets[0].localAddress()
    let endpoint = try #require(address?.endpoint)
    #expect(throws: ListenFailure.self) {
      try ListenerBinder.probe(specification(endpoint.port))
    }
  }

  @Test("a unix socket replaces what was left behind, has its mode, and is removed by its owner")
  func unix() throws {
    let path = "/tmp/sluice-test-\(Process.id).sock"
    defer { try? File.remove(path) }
    var wanted = ListenerSpecification(
      key: .init(address: .socket(.unix(path: path))), text: path)
    wanted.options.permissions.mode = 0o640
    var binder = ListenerBinder(log: log)
    let stale = try binder.listen(wanted, slots: nil)
    let listener = try binder.listen(wanted, slots: 4)
    let count = listener.sockets.count
    #expect(count == 1)
    #expect(try File.status(path).mode & 0o777 == 0o640)
    #expect(throws: ListenFailure.self) { try ListenerBinder.probe(wanted) }
    // The file is another's by now.
    stale.removeFile()
    #expect(try File.status(path).isSocket)
    listener.removeFile()
    #expect(throws: Errno.noSuchFile) { try File.status(path) }
  }

  @Test("a file that is no socket is left alone")
  func unixFile() throws {
    let path = "/tmp/sluice-test-\(Process.id).file"
    try File.write([1], to: path, mode: 0o600)
    defer { try? File.remove(path) }
    var binder = ListenerBinder(log: log)
    let wanted = ListenerSpecification(
      key: .init(address: .socket(.unix(path: path))), text: path)
    var failed = false
    do { _ = try binder.listen(wanted, slots: nil) } catch { failed = true }
    #expect(failed)
    #expect(try File.status(path).size == 1)
  }

  @Test("finds the inode of a listening socket in a line of /proc/net/tcp")
  func owner() {
    let line: Substring =
      "   0: 0100007F:1D13 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 73921 1"
    #expect(SocketOwner.inode(in: line, listeningAt: 7443) == "73921")
    #expect(SocketOwner.inode(in: line, listeningAt: 7444) == nil)
    #expect(SocketOwner.inode(in: "  sl  local_address rem_address", listeningAt: 1) == nil)
  }
}
