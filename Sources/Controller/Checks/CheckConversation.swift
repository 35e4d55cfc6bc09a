import Configuration
import Linux
import NIOCore
import NIOPosix
import NIOSSL

/// Speaks with one server as a script says, once.
struct CheckConversation {
  let script: CheckScript
  let target: CheckTarget
  let probe: CheckProbe
  private var judge: CheckJudge
  private let start = Clock.monotonic

  private var link: CheckLink?
  private var events: AsyncStream<CheckLink.Event>.Iterator?
  private var timer: Scheduled<Void>?
  private var usesTLS = false
  private var hasSent = false
  private var lingers = false

  /// What came since the last sending.
  private var answer: [UInt8] = []
  private var isOver = false

  /// Why it ends before its last step.
  private struct Ending: Error {
    var status: CheckStatus
    var info = ""
    var error: Errno?
  }

  init(_ script: CheckScript, _ target: CheckTarget, _ probe: CheckProbe) {
    self.script = script
    self.target = target
    self.probe = probe
    judge = CheckJudge(
      script.dialect, probe.patterns, obeys404: script.disablesOn404 && target.isUp)
  }

  mutating func run() async -> CheckResult {
    var result = CheckResult(status: .layer7OK)
    do {
      for step in script.steps {
        result.status = .layer7OK
        result.info = script.dialect == .tcp ? "(tcp-check)" : ""
        try await take(step, &result)
      }
    } catch let ending as Ending {
      result.status = ending.status
      result.info = ending.info
      result.error = ending.error
    } catch {
      result.status = .socketError
      result.info = ""
    }
    await hangUp()
    result.code = judge.code
    result.milliseconds = UInt64(max(0, Clock.monotonic - start)) / 1_000_000
    return result
  }

  private mutating func take(_ step: CheckStep, _ result: inout CheckResult) async throws {
    switch step.action {
    case .connect(let connect):
      try await self.connect(connect, step)
      result.status = usesTLS ? .layer6OK : .layer4OK
      if step.number == 0 { result.info = "" }
    case .send(let bytes): try await send(bytes, step)
    case .request(let request):
      try await send(request.bytes(state: script.sendsState ? target.state : nil), step)
    case .expect(let expectation):
      result.info = try await expect(expectation, step)
      if let status = expectation.okStatus { result.status = CheckStatus(status) }
    }
  }

  private mutating func hangUp() async {
    timer?.cancel()
    // A server that has been spoken to may not have read it all: a reset would make it complain.
    await link?.close(withReset: !hasSent && !usesTLS && !lingers)
    link = nil
    events = nil
  }
}

// MARK: - Connecting

extension CheckConversation {
  private mutating func connect(_ connect: CheckConnect, _ step: CheckStep) async throws {
    await hangUp()
    answer = []
    (isOver, hasSent, lingers) = (false, false, connect.lingers)
    let link = try await open(connect, step)
    self.link = link
    events = link.events.makeAsyncIterator()
    timer = link.expire(after: target.answerMilliseconds ?? target.timeoutMilliseconds - elapsed)
    let header = connect.isDefault ? target.proxyHeader : connect.sendsProxy ? .version1 : .none
    if header != .none {
      try? await link.send(Array(CheckProbe.header(header).readableBytesView))
      hasSent = true
    }
    let tls = connect.isDefault ? target.tls : nil
    usesTLS = connect.usesTLS || tls != nil
    if usesTLS { try await secure(link, connect, tls ?? target.tls, step) }
  }

  private var elapsed: Int { Int(Clock.monotonic - start) / 1_000_000 }

  private func open(_ connect: CheckConnect, _ step: CheckStep) async throws -> CheckLink {
    let address: NIOCore.SocketAddress
    switch connect.address ?? target.address {
    case .internet(var endpoint):
      if connect.address != nil, endpoint.port == 0 {
        endpoint.port = target.address.endpoint?.port ?? 0
      }
      if let port = connect.port { endpoint.port = port }
      address = try NIOCore.SocketAddress(endpoint)
    case .unix(let path): address = try NIOCore.SocketAddress(unixDomainSocketPath: path)
    case .abstract:
      throw Ending(
        status: .socketError, info: "abstract sockets can be connected to, not spoken to")
    }
    do {
      return try await CheckLink.open(
        to: address, from: target.source?.endpoint, within: target.timeoutMilliseconds,
        on: probe.group)
    } catch let error as IOError {
      let (status, error) = CheckProbe.outcome(Errno(error.errnoCode))
      throw Ending(status: status, info: whereabouts(step), error: error)
    } catch ChannelError.connectTimeout {
      throw Ending(status: .layer4Timeout, info: whereabouts(step))
    } catch {
      throw Ending(status: .socketError, info: whereabouts(step))
    }
  }

  private mutating func secure(
    _ link: CheckLink, _ connect: CheckConnect, _ settings: CheckTLS?, _ step: CheckStep
  ) async throws {
    var settings = settings ?? .trustingAnyone
    if let name = connect.serverName { settings.serverName = name }
    if !connect.protocols.isEmpty { settings.protocols = connect.protocols }
    let context: NIOSSLContext
    do {
      context = try probe.contexts.context(for: settings)
    } catch {
      throw Ending(status: .socketError, info: "cannot use '\(settings.authorities ?? "")'")
    }
    do {
      try await link.secure(context, serverName: settings.serverName)
    } catch {
      throw Ending(status: .layer6Response, info: "SSL handshake failure" + whereabouts(step))
    }
    switch await events?.next(isolation: nil) {
    case .secured?: return
    case .expired?: throw Ending(status: .layer6Timeout, info: whereabouts(step))
    case .ended?, nil:
      throw Ending(
        status: .layer6Response, info: "Connection closed during SSL handshake" + whereabouts(step))
    case .failed?, .bytes?:
      throw Ending(status: .layer6Response, info: "SSL handshake failure" + whereabouts(step))
    }
  }
}

// MARK: - Talking

extension CheckConversation {
  private mutating func send(_ bytes: [UInt8], _ step: CheckStep) async throws {
    answer = []
    hasSent = true
    do {
      try await link?.send(bytes)
    } catch {
      throw Ending(
        status: .socketError, info: whereabouts(step),
        error: (error as? IOError).map { Errno($0.errnoCode) } ?? .brokenPipe)
    }
  }

  private mutating func expect(
    _ expectation: CheckExpectation, _ step: CheckStep
  ) async throws -> String {
    while true {
      switch judge.judge(step, expectation, answer, isOver: isOver) {
      case .met(let info): return info
      case .failed(let status, let info): throw Ending(status: status, info: info)
      case .leaving: throw Ending(status: .layer7ConditionallyOK)
      case .undecided: try await receive(expectation, step)
      }
    }
  }

  private mutating func receive(_ expectation: CheckExpectation, _ step: CheckStep) async throws {
    switch await events?.next(isolation: nil) {
    case .bytes(let bytes)?: answer += bytes
    case .secured?: break
    case .ended?, nil: isOver = true
    case .expired?:
      let status = expectation.timeoutStatus.map { CheckStatus($0) } ?? .layer7Timeout
      throw Ending(status: status, info: whereabouts(step))
    case .failed(let error)?:
      isOver = true
      // A server that resets behind its answer has answered.
      guard answer.isEmpty else { return }
      throw Ending(
        status: .socketError, info: whereabouts(step),
        error: (error as? IOError).map { Errno($0.errnoCode) })
    }
  }

  /// Which step it was, where the file has written them: as the reference says it.
  private func whereabouts(_ step: CheckStep) -> String {
    guard script.dialect == .tcp, !script.isPlainConnection else { return "" }
    guard step.number > 0 else { return " at initial connection step of tcp-check" }
    let what =
      switch step.action {
      case .connect(let connect): connect.port.map { " (connect port \($0))" } ?? " (connect)"
      case .send, .request: " (send)"
      case .expect(let expectation): expectation.pattern.expectation
      }
    let comment = step.comment.map { " comment: '\($0)'" } ?? ""
    return " at step \(step.number) of tcp-check\(what)\(comment)"
  }
}

extension CheckTLS {
  /// `tcp-check connect ssl` on a server without `check-ssl`: nobody said whom to trust.
  static var trustingAnyone: CheckTLS {
    var settings = CheckTLS()
    settings.trustsAnyone = true
    return settings
  }
}

extension CheckRequest {
  /// As it is sent, with `state` in `X-Haproxy-Server-State`.
  func bytes(state: String?) -> [UInt8] {
    var lines = ["\(method) \(target) \(version)"]
    let names = Set(headers.map { $0.name.lowercased() })
    lines += headers.map { "\($0.name): \($0.value)" }
    if version != "HTTP/1.0", !names.contains("connection") { lines.append("Connection: close") }
    if let state { lines.append("X-Haproxy-Server-State: \(state)") }
    if !body.isEmpty, !names.contains("content-length") {
      lines.append("Content-Length: \(body.count)")
    }
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
  }
}
