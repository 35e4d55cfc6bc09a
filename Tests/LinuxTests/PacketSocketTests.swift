import Glibc
import Testing

@testable import Linux

@Suite("Packets and rights")
struct PacketSocketTests {
  private struct Packet: Equatable {
    var transfer: Transfer
    var bytes: [UInt8] = []
    var rights: [CInt] = []
  }

  private func receive(
    from socket: borrowing Descriptor, room: Int = 1024
  ) throws(Errno) -> Packet {
    var buffer = [UInt8](repeating: 0, count: room)
    var rights: [CInt] = []
    let transfer = try socket.receivePacket(into: &buffer, rights: &rights)
    guard case .moved(let count) = transfer else {
      return Packet(transfer: transfer, rights: rights)
    }
    return Packet(transfer: transfer, bytes: Array(buffer[..<count]), rights: rights)
  }

  @Test("packets stay apart, and the end is told")
  func packets() throws {
    let pair = try Descriptor.packetPair().sides()
    #expect(try receive(from: pair.second) == Packet(transfer: .blocked))
    #expect(try pair.first.sendPacket([1, 2].span))
    #expect(try pair.first.sendPacket([3].span))
    #expect(try receive(from: pair.second).bytes == [1, 2])
    #expect(try receive(from: pair.second).bytes == [3])
    let second = pair.closeFirst()
    #expect(try receive(from: second).transfer == .ended)
    #expect(throws: Errno.brokenPipe) { _ = try second.sendPacket([1].span) }
  }

  @Test("a full queue is no error")
  func full() throws {
    let pair = try Descriptor.packetPair()
    let packet = [UInt8](repeating: 0, count: 1024)
    var count = 0
    while try pair.first.sendPacket(packet.span) {
      count += 1
      try #require(count < 100_000)
    }
    for _ in 0..<count { #expect(try receive(from: pair.second).bytes.count == 1024) }
    #expect(try pair.first.sendPacket(packet.span))
  }

  @Test(
    "rights travel as copies, close-on-exec, as many as the kernel allows", arguments: [1, 2, 253])
  func rights(_ count: Int) throws {
    let pair = try Descriptor.packetPair()
    let (number, canary) = try Canary.make()
    do {
      let inlet = Descriptor(adopting: number)
      #expect(
        try pair.first.sendPacket([9].span, rights: Array(repeating: inlet.number, count: count)))
    }
    #expect(canary.isAlive)
    let packet = try receive(from: pair.second)
    #expect(packet.bytes == [9])
    #expect(packet.rights.count == count)
    for number in packet.rights {
      #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
      #expect(canary.isAlive)
      Descriptor.received(number).close()
    }
    #expect(canary.isGone)
  }

  @Test("more rights than the kernel allows are refused before anything is sent")
  func tooManyRights() throws {
    let pair = try Descriptor.packetPair()
    let (number, canary) = try Canary.make()
    do {
      let inlet = Descriptor(adopting: number)
      #expect(throws: Errno.invalidArgument) {
        _ = try pair.first.sendPacket([9].span, rights: Array(repeating: inlet.number, count: 254))
      }
    }
    #expect(try receive(from: pair.second).transfer == .blocked)
    #expect(canary.isGone)
  }

  @Test("a packet that is too long is lost whole, its rights closed")
  func truncated() throws {
    let pair = try Descriptor.packetPair()
    let (number, canary) = try Canary.make()
    do {
      let inlet = Descriptor(adopting: number)
      let packet = [UInt8](repeating: 1, count: 100)
      #expect(try pair.first.sendPacket(packet.span, rights: [inlet.number, inlet.number]))
      #expect(try pair.first.sendPacket([4].span))
    }
    #expect(throws: Errno.messageTooLong) { _ = try receive(from: pair.second, room: 99) }
    #expect(canary.isGone)
    #expect(try receive(from: pair.second).bytes == [4])
  }

  @Test("rights that the process has no room for are closed, and the packet is lost")
  func noRoomForRights() async {
    await #expect(processExitsWith: .success) {
      let pair = try Descriptor.packetPair()
      let (number, canary) = try Canary.make()
      do {
        let inlet = Descriptor(adopting: number)
        _ = try pair.first.sendPacket([9].span, rights: Array(repeating: inlet.number, count: 50))
      }
      let lowest = dup(0)
      close(lowest)
      var limit = rlimit(rlim_cur: rlim_t(lowest + 10), rlim_max: rlim_t(lowest + 10))
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      var buffer = [UInt8](repeating: 0, count: 10)
      var rights: [CInt] = []
      do throws(Errno) {
        _ = try pair.second.receivePacket(into: &buffer, rights: &rights)
        exit(1)
      } catch {
        guard error == .messageTooLong, rights.isEmpty, canary.isGone else { exit(2) }
      }
    }
  }
}
