import Configuration
import NIOCore

/// One connection to a stats socket: reads lines, runs what they say, answers.
struct CommandClient: Sendable {
  typealias Input = NIOAsyncChannelInboundStream<ByteBuffer>
  typealias Output = NIOAsyncChannelOutboundWriter<ByteBuffer>

  let services: CommandServices
  let idle: IdleWatch

  /// Talks until either side has enough.
  func serve(_ session: CommandSession, _ input: Input, _ output: Output) async throws {
    var session = session
    var lines = LineReader()
    for try await bytes in input {
      lines.append(bytes.readableBytesView)
      while let line = lines.next() {
        idle.pause()
        let text = await answer(line, &lines, &session)
        if !text.isEmpty { try await output.write(ByteBuffer(string: text)) }
        let goesOn = session.mode != .single || lines.isInPayload
        if session.isOver || !goesOn { return }
        idle.begin(session.timeout)
      }
      if lines.isTooLong { return }
    }
  }

  /// What one line is answered with, prompt included.
  private func answer(
    _ line: String, _ lines: inout LineReader, _ session: inout CommandSession
  ) async -> String {
    guard let text = lines.assemble(line) else { return session.mode == .prompt ? "+ " : "" }
    var answers = ""
    for command in CommandSyntax.commands(in: text) {
      let answer = await CommandTable.all.run(
        CommandSyntax.words(of: command), services, &session)
      if session.isOver { return answers }
      answers += answer.text(session.severityOutput)
    }
    return answers + prompt(session)
  }

  private func prompt(_ session: CommandSession) -> String {
    guard session.mode == .prompt else { return "" }
    guard session.tellsTime else { return "> " }
    let seconds = Int(services.deployment.age)
    return "[\(seconds / 86_400):\((seconds / 3600 % 24).twoDigits):"
      + "\((seconds / 60 % 60).twoDigits):\((seconds % 60).twoDigits)]> "
  }
}

/// Puts lines together from what comes in pieces.
struct LineReader {
  /// The longest line, and the longest payload, in bytes.
  static let longestLine = 16_384
  static let longestPayload = 131_072

  private var bytes: [UInt8] = []
  private var payload: Payload?

  /// Lines that belong to a command that was read before.
  private struct Payload {
    let command: String
    let end: String
    var size = 0
  }

  /// Whether the lines that come are a payload.
  var isInPayload: Bool { payload != nil }

  /// Whether a line, or a payload, has become longer than is allowed.
  var isTooLong: Bool {
    bytes.count > Self.longestLine || (payload?.size ?? 0) > Self.longestPayload
  }

  mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

  /// The next whole line without its end: LF, or CR LF.
  mutating func next() -> String? {
    guard !isTooLong || isInPayload, let end = bytes.firstIndex(of: 0x0a) else { return nil }
    var line = bytes[..<end]
    if line.last == 0x0d { line = line.dropLast() }
    let text = String(decoding: line, as: UTF8.self)
    bytes.removeSubrange(...end)
    return text
  }

  /// The commands to run once `line` has been read: nil while a payload goes on.
  ///
  /// No command takes a payload so far; one that is sent is passed over, not taken for commands.
  mutating func assemble(_ line: String) -> String? {
    if var current = payload {
      if line == current.end {
        payload = nil
        return current.command
      }
      current.size += line.utf8.count + 1
      payload = current
      return nil
    }
    guard let (command, end) = CommandSyntax.payloadMark(of: line) else { return line }
    payload = Payload(command: command, end: end)
    return nil
  }
}
