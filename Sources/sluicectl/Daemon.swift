import ArgumentParser
import Linux

/// A running sluice, as its control socket shows it.
struct Daemon {
  let path: String

  /// Sends one command and returns the answer, without the empty line at its end.
  ///
  /// - Throws: `ExitCode.unreachable`, when the reason has been told.
  func ask(_ command: String) throws -> String {
    var answer = try exchange(command + "\n")
    while answer.hasSuffix("\n\n") { answer.removeLast() }
    return answer == "\n" ? "" : answer
  }

  /// Sends a command that says nothing when it worked.
  func order(_ command: String) throws {
    let answer = try ask(command)
    guard answer.isEmpty else { throw fail(answer.split(separator: "\n").joined(separator: " ")) }
  }

  /// Sends a command and does not wait for its answer.
  func leave(_ command: String) throws { _ = try exchange(command + "\n", waits: false) }

  /// As ``ask(_:)``; nil when nobody is there to answer, and nothing when somebody does not.
  func askIfThere(_ command: String) -> String? {
    do throws(Errno) {
      return try converse(command + "\n", waits: true)
    } catch {
      return error == .connectionRefused || error == .noSuchFile ? nil : ""
    }
  }

  private func exchange(_ command: String, waits: Bool = true) throws -> String {
    do throws(Errno) {
      return try converse(command, waits: waits)
    } catch {
      throw fail("cannot reach the daemon at \(path): \(error)", .unreachable)
    }
  }

  private func converse(_ command: String, waits: Bool) throws(Errno) -> String {
    let address = SocketAddress.unix(path: path)
    let socket = try Descriptor.socket(.stream, for: address)
    _ = try socket.connect(to: address)
    var epoll = try Epoll()
    try epoll.add(socket, [.readable, .writable], token: 0)
    try send(Array(command.utf8), over: socket, &epoll)
    guard waits else { return "" }
    try epoll.modify(socket, .readable, token: 0)
    return String(decoding: try receive(from: socket, &epoll), as: UTF8.self)
  }

  private func send(
    _ bytes: [UInt8], over socket: borrowing Descriptor, _ epoll: inout Epoll
  ) throws(Errno) {
    var sent = 0
    while sent < bytes.count {
      switch try socket.send(bytes.span.extracting(sent..<bytes.count)) {
      case .moved(let count): sent += count
      case .blocked: _ = try epoll.wait(milliseconds: -1)
      case .ended: throw .brokenPipe
      }
    }
  }

  private func receive(
    from socket: borrowing Descriptor, _ epoll: inout Epoll
  ) throws(Errno) -> [UInt8] {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      var span = buffer.mutableSpan
      switch try socket.receive(into: &span) {
      case .moved(let count): answer += buffer[..<count]
      case .blocked: _ = try epoll.wait(milliseconds: -1)
      case .ended: return answer
      }
    }
  }
}
