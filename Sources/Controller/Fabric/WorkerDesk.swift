import Configuration
import Glibc
import Wire

/// Asks workers and the master, and finds out which answer belongs to which question.
///
/// A question to workers is answered by all of them, or given up after two seconds: one that hangs
/// must not hang an operator.
actor WorkerDesk {
  private static let patience = Duration.seconds(2)

  private nonisolated let port: FabricPort
  private(set) var lanes: [WorkerLane] = []
  private var questions: [UInt64: Question] = [:]
  private var nextNumber: UInt64

  /// A question that waits for answers.
  private struct Question {
    var missing: Set<UInt32>
    var answer = Answer()
    var asker: CheckedContinuation<Answer, Never>
  }

  /// All that came back.
  private struct Answer: Sendable {
    var sessions: [SessionRecord] = []
    var count: UInt64 = 0
    var found = false
    var processes: [ProcessRow] = []
    var reloads: ReloadStatus?
    var reload: ReloadResult?
  }

  /// Stands for the master among those whose answer is missing; lanes are far below.
  private static let masterLane = UInt32.max

  init(port: FabricPort) {
    self.port = port
    // Workers outlive controllers: a number must not be one that a predecessor used.
    nextNumber = UInt64(getpid()) << 32
  }
}

// MARK: - Telling

extension WorkerDesk {
  nonisolated func serverChanged(_ server: ServerView) {
    port.sendToEveryWorker(
      .serverChanged(backend: server.backendName, server: server.settings.name))
  }

  /// Ends the sessions on a server, without waiting for that.
  nonisolated func shutdownSessions(of server: ServerView) {
    port.sendToEveryWorker(
      .shutdownSessions(
        requestID: 0, backend: server.backendName, server: server.settings.name))
  }
}

// MARK: - Asking

extension WorkerDesk {
  func sessions(_ filter: SessionFilter) async -> [SessionRecord] {
    await askWorkers { .showSessions(requestID: $0, filter) }.sessions
  }

  /// - Returns: whether a worker had it.
  func shutdownSession(_ id: UInt64) async -> Bool {
    await askWorkers { .shutdownSession(requestID: $0, session: id) }.found
  }

  func shutdownSessions(backend: String, server: String) async {
    _ = await askWorkers {
      .shutdownSessions(requestID: $0, backend: backend, server: server)
    }
  }

  /// The daemon's processes, and what the master says of its reloads.
  func processes() async -> (rows: [ProcessRow], reloads: ReloadStatus?) {
    let answer = await askMaster(within: Self.patience) { .showProcesses(requestID: $0) }
    return (answer.processes, answer.reloads)
  }

  /// - Returns: nil when the master did not say in time.
  func reload() async -> ReloadResult? {
    await askMaster(within: .seconds(120)) { .reload(requestID: $0) }.reload
  }

  /// Takes the node out, without waiting for that.
  nonisolated func drainNode() { port.sendToMaster(.drainNode) }

  private func askWorkers(_ question: (UInt64) -> Message) async -> Answer {
    let asked = Set(lanes.map(\.lane))
    guard !asked.isEmpty else { return Answer() }
    let number = takeNumber()
    let message = question(number)
    return await wait(for: asked, number: number, within: Self.patience) {
      for lane in asked { self.port.send(message, toWorker: lane) }
    }
  }

  private func askMaster(
    within patience: Duration, _ question: (UInt64) -> Message
  ) async -> Answer {
    let number = takeNumber()
    let message = question(number)
    return await wait(for: [Self.masterLane], number: number, within: patience) {
      self.port.sendToMaster(message)
    }
  }

  private func takeNumber() -> UInt64 {
    nextNumber += 1
    return nextNumber
  }

  private func wait(
    for asked: Set<UInt32>, number: UInt64, within patience: Duration, send: () -> Void
  ) async -> Answer {
    let limit = Task {
      try await Task.sleep(for: patience)
      self.giveUp(number)
    }
    defer { limit.cancel() }
    return await withCheckedContinuation { asker in
      questions[number] = Question(missing: asked, asker: asker)
      send()
    }
  }
}

// MARK: - Hearing

extension WorkerDesk {
  func heard(workers: [WorkerLane]) {
    lanes = workers
    let present = Set(workers.map(\.lane))
    for number in Array(questions.keys) {
      questions[number]?.missing.formIntersection(present.union([Self.masterLane]))
      finishIfComplete(number)
    }
  }

  /// Answers to numbers that nobody asked with are a predecessor's, or come too late.
  func heard(_ message: Message, from lane: UInt32) {
    switch message {
    case .session(let number, let session):
      questions[number]?.answer.sessions.append(session)
    case .end(let number, let count):
      questions[number]?.answer.count += count
      complete(number, lane)
    case .done(let number, let found):
      if found { questions[number]?.answer.found = true }
      complete(number, lane)
    default:
      break
    }
  }

  func heardFromMaster(_ message: Message) {
    switch message {
    case .processes(let number, let rows, let reloads):
      questions[number]?.answer.processes = rows
      questions[number]?.answer.reloads = reloads
      complete(number, Self.masterLane)
    case .reloadResult(let result):
      questions[result.requestID]?.answer.reload = result
      complete(result.requestID, Self.masterLane)
    default:
      break
    }
  }

  private func complete(_ number: UInt64, _ lane: UInt32) {
    questions[number]?.missing.remove(lane)
    finishIfComplete(number)
  }

  private func finishIfComplete(_ number: UInt64) {
    guard let question = questions[number], question.missing.isEmpty else { return }
    giveUp(number)
  }

  /// Answers with what has come so far.
  private func giveUp(_ number: UInt64) {
    guard let question = questions.removeValue(forKey: number) else { return }
    question.asker.resume(returning: question.answer)
  }
}
