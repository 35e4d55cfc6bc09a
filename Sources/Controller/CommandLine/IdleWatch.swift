import Synchronization

/// Notices when a client has said nothing for too long.
final class IdleWatch: Sendable {
  private enum State {
    case waiting(until: ContinuousClock.Instant)
    /// A command runs: it may take as long as it likes.
    case busy
  }

  private let state: Mutex<State>

  init(_ timeout: Duration) { state = Mutex(.waiting(until: .now + timeout)) }

  /// The client's turn begins, and may last so long.
  func begin(_ timeout: Duration) {
    let deadline = ContinuousClock.now + timeout
    state.withLock { $0 = .waiting(until: deadline) }
  }

  /// The client's turn is over.
  func pause() { state.withLock { $0 = .busy } }

  /// Returns when the client's time is up.
  ///
  /// - Throws: `CancellationError`.
  func expire() async throws {
    while true {
      let now = ContinuousClock.now
      switch state.withLock({ $0 }) {
      case .busy: try await Task.sleep(for: .milliseconds(250))
      case .waiting(let deadline) where deadline <= now: return
      case .waiting(let deadline): try await Task.sleep(until: deadline)
      }
    }
  }
}
