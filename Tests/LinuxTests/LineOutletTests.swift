import Glibc
import Testing

@testable import Linux

/// A pipe that others share, and that blocks for them.
private struct SharedPipe: ~Copyable {
  let outlet: CInt
  let inlet: CInt

  init() throws {
    var ends: [CInt] = [-1, -1]
    try #require(pipe(&ends) == 0)
    outlet = ends[0]
    inlet = ends[1]
  }

  deinit {
    close(outlet)
    close(inlet)
  }

  var blocks: Bool { fcntl(inlet, F_GETFL) & O_NONBLOCK == 0 }

  /// What is in it; at least one byte must be.
  func read() -> Int {
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    return Glibc.read(outlet, &bytes, bytes.count)
  }
}

@Suite("LineOutlet")
struct LineOutletTests {
  private let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1000)

  @Test("a pipe is opened anew, so that its other users go on blocking")
  func opensAnew() throws {
    let pipe = try SharedPipe()
    let outlet = try LineOutlet.inherited(pipe.inlet)
    #expect(outlet.kind == .file)
    var sent = 0
    while outlet.descriptor.writeLine(line.span, as: outlet.kind) == .sent, sent < 1000 {
      sent += 1
    }
    #expect(sent > 0 && sent < 1000)
    #expect(pipe.blocks == true)
    #expect(pipe.read() == sent * line.count)
  }

  @Test("a pipe that cannot be opened anew is asked for room, and does not block either")
  func asks() throws {
    let pipe = try SharedPipe()
    let outlet = LineOutlet(
      descriptor: try .duplicate(ofNumber: pipe.inlet), kind: .askedPipe)
    var sent = 0
    while outlet.descriptor.writeLine(line.span, as: outlet.kind) == .sent, sent < 1000 {
      sent += 1
    }
    #expect(sent > 0 && sent < 1000)
    #expect(pipe.blocks == true)
    #expect(pipe.read() == sent * line.count)
  }

  @Test("a socket is told with each call")
  func socket() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    let outlet = try LineOutlet.inherited(ends[1])
    #expect(outlet.kind == .socket)
    var sent = 0
    while outlet.descriptor.writeLine(line.span, as: outlet.kind) == .sent, sent < 10_000 {
      sent += 1
    }
    #expect(sent > 0 && sent < 10_000)
    #expect(fcntl(ends[1], F_GETFL) & O_NONBLOCK == 0)
    close(ends[0])
    #expect(outlet.descriptor.writeLine(line.span, as: outlet.kind) == .disconnected)
    close(ends[1])
  }

  @Test("a number that is not open is an error")
  func notOpen() {
    #expect(throws: Errno(EBADF)) { _ = try LineOutlet.inherited(9999) }
  }

  @Test("literals are bytes")
  func literals() {
    let bytes = ("äb" as StaticString).bytes
    #expect(bytes.count == 3)
    #expect(bytes[2] == UInt8(ascii: "b"))
  }
}
