import Glibc
import Testing

@testable import Linux

@Suite("Pipes and splices")
struct PipeTests {
  @Test("a pipe says how large it became", arguments: [4096, 65_536, 100_000, 262_144])
  func sizes(_ wanted: Int) throws {
    let pipe = try Pipe(size: wanted)
    #expect(pipe.nominalSize == Int(fcntl(pipe.inlet.number, CInt(1032))))
    // The kernel rounds up to a power of two pages.
    #expect(pipe.nominalSize >= wanted)
    #expect(pipe.nominalSize.nonzeroBitCount == 1)
    #expect(pipe.bytesInside() == 0)
  }

  @Test("a size beyond what is allowed leaves the pipe as it was made")
  func tooLarge() throws {
    let pipe = try Pipe(size: 1 << 31)
    #expect(pipe.nominalSize > 0)
    #expect(pipe.nominalSize == Int(fcntl(pipe.inlet.number, CInt(1032))))
  }

  @Test("both ends never wait")
  func nonBlocking() throws {
    let pipe = try Pipe(size: 4096)
    #expect(try pipe.outlet.readOnce() == .blocked)
    let page = [UInt8](repeating: 1, count: 4096)
    var written = 0
    while case .moved(let count) = try pipe.inlet.write(page.span) { written += count }
    #expect(written == pipe.nominalSize)
    #expect(pipe.bytesInside() == written)
  }

  @Test("bytes go from socket to pipe to socket")
  func splice() throws {
    let source = try DescriptorPair.tcp()
    let sink = try DescriptorPair.tcp()
    let pipe = try Pipe(size: 65_536)
    #expect(try source.second.splice(into: pipe.inlet, upTo: 1 << 20) == .blocked)

    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(try source.first.send(bytes.span) == .moved(10_000))
    try source.first.shutdownWrite()
    try source.second.wait(for: .readable)
    #expect(try source.second.splice(into: pipe.inlet, upTo: 6_000) == .moved(6_000))
    #expect(pipe.bytesInside() == 6_000)
    #expect(try source.second.splice(into: pipe.inlet, upTo: 1 << 20) == .moved(4_000))
    #expect(try source.second.splice(into: pipe.inlet, upTo: 1 << 20) == .ended)

    #expect(try pipe.outlet.splice(into: sink.first, upTo: 10_000) == .moved(10_000))
    #expect(pipe.bytesInside() == 0)
    #expect(try pipe.outlet.splice(into: sink.first, upTo: 1) == .blocked)
    try sink.second.wait(for: .readable)
    #expect(try sink.second.received() == bytes)
  }

  @Test("a full sink, and a full pipe, are blocked: not ended, not failed")
  func full() throws {
    let source = try DescriptorPair.tcp()
    let sink = try DescriptorPair.tcp()
    let pipe = try Pipe(size: 65_536)
    let chunk = [UInt8](repeating: 1, count: 65_536)
    while case .moved = try sink.first.send(chunk.span) {}
    #expect(try source.first.send(chunk.span) != .blocked)
    try source.second.wait(for: .readable)
    while case .moved = try source.second.splice(into: pipe.inlet, upTo: 1 << 20) {
      _ = try source.first.send(chunk.span)
    }
    #expect(pipe.bytesInside() > 0)
    #expect(try pipe.outlet.splice(into: sink.first, upTo: 1 << 20) == .blocked)
  }

  @Test("a pipe has slots: small segments fill it long before its bytes do")
  func slots() throws {
    let source = try DescriptorPair.tcp()
    try source.first.set(.noDelay, to: true)
    let pipe = try Pipe(size: 4096)
    var inside = 0
    for _ in 0..<64 {
      #expect(try source.first.send([1, 2].span) == .moved(2))
      try source.second.wait(for: .readable)
      guard case .moved(let count) = try source.second.splice(into: pipe.inlet, upTo: 1 << 20)
      else {
        break
      }
      inside += count
    }
    #expect(inside == pipe.bytesInside())
    #expect(inside <= 64)
  }

  @Test("what cannot be spliced says so")
  func unspliceable() throws {
    let pair = try DescriptorPair.tcp()
    #expect(throws: Errno.invalidArgument) {
      _ = try pair.first.splice(into: pair.second, upTo: 10)
    }
  }

  @Test("a socket that is gone is an error, and no signal")
  func gone() async {
    await #expect(processExitsWith: .success) {
      Signal.pipe.ignore()
      let sink = try DescriptorPair.tcp()
      let pipe = try Pipe(size: 4096)
      _ = try pipe.inlet.write([1, 2, 3].span)
      try sink.first.shutdownWrite()
      do throws(Errno) {
        _ = try pipe.outlet.splice(into: sink.first, upTo: 3)
        exit(1)
      } catch {
        guard error == .brokenPipe else { exit(2) }
      }
    }
  }
}
