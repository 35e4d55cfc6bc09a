import Linux

/// Going to the background once ready: the process that was started waits for the daemon, so that
/// its exit status is true and its messages are seen.
struct Background: ~Copyable {
  private let starter: Descriptor

  /// Returns in the daemon-to-be only.
  static func enter() throws(Errno) -> Background {
    let pipe = try Pipe(size: 4096)
    switch try Process.fork() {
    case .parent(let child):
      pipe.inlet.close()
      Process.exit(waitUntilReady(child, pipe.outlet))
    case .child:
      Process.leaveTerminal()
      return Background(starter: pipe.inlet)
    }
  }

  private static func waitUntilReady(_ child: Int32, _ pipe: borrowing Descriptor) -> Int32 {
    var byte: [UInt8] = [0]
    try? pipe.setBlocking()
    var span = byte.mutableSpan
    if case .moved = try? pipe.read(into: &span) { return 0 }
    if case .exited(let status) = Process.wait(for: child), status != 0 { return status }
    return 1
  }

  /// What standard streams lead to in the background.
  static func openNothing() -> Descriptor? { try? File.openForUpdate("/dev/null") }

  /// Lets go of the standard streams: whoever reads them would wait for the daemon's end.
  static func leaveStreams(to nothing: borrowing Descriptor) {
    for number in Int32(0)...2 { try? Process.redirect(number, to: nothing.numberForSuccessor) }
  }

  /// Lets the starter go, and the terminal.
  consuming func tellReady() {
    if let nothing = Self.openNothing() { Self.leaveStreams(to: nothing) }
    let byte: [UInt8] = [1]
    _ = try? starter.write(byte.span)
  }
}
