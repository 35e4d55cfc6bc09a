import Glibc
import Testing

@testable import Linux

@Suite("Memory")
struct MemoryTests {
  @Test("a region begins as zeroes, and keeps what is put in it")
  func region() throws {
    var region = try Region<UInt32>(count: 100_000)
    #expect(region.count == 100_000)
    for index in 0..<100_000 where region[index] != 0 { Issue.record("place \(index) is not zero") }
    for index in stride(from: 0, to: 100_000, by: 777) { region[index] = UInt32(index) }
    region[99_999] += 5
    #expect(Self.sum(of: region.span(777..<1_555)) == 777 + 1_554)
    #expect(region[99_999] == 5)
    Self.fill(region.mutableSpan(10..<12))
    #expect([9, 10, 11, 12].map { region[$0] } == [0, 42, 42, 0])
  }

  private static func sum(of span: Span<UInt32>) -> UInt32 {
    span.indices.reduce(0) { $0 + span[$1] }
  }

  private static func fill(_ span: consuming MutableSpan<UInt32>) {
    for index in span.indices { span[index] = 42 }
  }

  @Test("untouched room costs nothing")
  func lazy() throws {
    let before = residentPages()
    let region = try Region<UInt8>(count: 1 << 32)
    region[1 << 31] = 1
    // Other tests run meanwhile: it is the gigabytes that would show.
    #expect(residentPages() - before < 1 << 18)
  }

  private func residentPages() -> Int {
    let fields = try? String(decoding: File.contents(of: "/proc/self/statm"), as: UTF8.self)
    return fields?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  }

  @Test("an empty region is one")
  func empty() throws {
    let region = try Region<UInt64>(count: 0)
    #expect(region.count == 0)
    #expect(region.span(0..<0).count == 0)
  }

  @Test("a place outside a region is not touched")
  func outside() async {
    await #expect(processExitsWith: .failure) {
      let region = try Region<UInt8>(count: 10)
      region[10] = 1
    }
    await #expect(processExitsWith: .failure) {
      let region = try Region<UInt8>(count: 10)
      _ = region[-1]
    }
    await #expect(processExitsWith: .failure) {
      let region = try Region<UInt8>(count: 10)
      _ = region.span(5..<11).count
    }
  }

  @Test("shared memory is the same in each mapping, and cannot change its size")
  func shared() throws {
    let memory = try SharedMemory(name: "test", size: 8192)
    let other = try SharedMemory(adopting: try memory.descriptor.duplicate())
    #expect(memory.size == 8192 && other.size == 8192)
    #expect(memory.address != other.address)
    let here = UnsafeMutablePointer<UInt64>(bitPattern: memory.address)!
    let there = UnsafeMutablePointer<UInt64>(bitPattern: other.address)!
    here[1023] = 77
    #expect(there[1023] == 77 && there[0] == 0)
    for size in [0, 4096, 16_384] {
      #expect(ftruncate(memory.descriptor.number, size) == -1 && errno == EPERM)
    }
    #expect(fcntl(memory.descriptor.number, F_ADD_SEALS_, 1) == -1 && errno == EPERM)
  }

  @Test("what is no memory is not adopted")
  func notMemory() throws {
    let pipe = try Pipe(size: 4096)
    let empty = try Descriptor.emptyFile(name: "empty")
    #expect(throws: Errno.self) { _ = try SharedMemory(adopting: try pipe.inlet.duplicate()).size }
    #expect(throws: Errno.self) { _ = try SharedMemory(adopting: try empty.duplicate()).size }
  }

  @Test("a sealed file holds its bytes, and nobody changes them")
  func sealed() throws {
    let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let file = try Descriptor.sealedFile(name: "test", bytes)
    #expect(try file.contents() == bytes)
    // Reading moves no offset, which another owner would share.
    #expect(try file.duplicate().contents() == bytes)
    #expect(throws: Errno.notPermitted) { _ = try file.write([1].span) }
    #expect(ftruncate(file.number, 0) == -1)
    let none = try Descriptor.sealedFile(name: "none", [])
    #expect(try none.contents() == [])
  }
}

/// `F_ADD_SEALS`, which Glibc's module hides.
private let F_ADD_SEALS_ = CInt(1033)
