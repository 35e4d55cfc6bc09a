import Configuration
import Ledger
import Linux
import Wire

/// The ways to end.
extension Supervisor {
  /// Ends everything now: connections are cut. Asked twice, it does not wait for anyone.
  func stopNow(status: Int32) {
    if case .stopping = phase, isStoppingNow {
      forceDue = 0
      for worker in workers { worker.endBy = 0 }
      for controller in controllers { controller.endBy = 0 }
      return
    }
    begin(toStop: status, "Stopping.")
    isStoppingNow = true
    let endBy = Clock.monotonic + Patience.stop
    for worker in workers {
      worker.tell(.stop)
      worker.endBy = min(worker.endBy, endBy)
    }
    for controller in controllers { stop(controller) }
    forceDue = min(forceDue, endBy)
  }

  /// Takes the node out: it says that it is not ready and goes on accepting for `drain-delay`, until
  /// whoever sends clients here has seen that, and then stops gracefully.
  func drainNode() {
    if case .stopping = phase { return }
    guard leaveDue == .max else { return }
    let delay = generation.configuration.global.drainDelay
    leaveDue = Clock.monotonic + Int64(delay) * 1_000_000
    ledger.isLeaving.store(1)
    notifier.status("Not ready: the node is being taken out.")
    log.notice("the node is being taken out: accepting for \(delay) ms more")
  }

  var isLeaving: Bool { leaveDue != .max }

  /// Accepts no more, and ends when all connections have.
  func stopGracefully() {
    if case .stopping = phase { return }
    ledger.isLeaving.store(1)
    begin(toStop: 0, "Finishing connections.", isGraceful: true)
    // Before the drain, as on a reload.
    listeners.closeBinds()
    letStoreGo()
    for worker in workers where !worker.isDraining { drain(worker) }
  }

  private func begin(toStop status: Int32, _ text: String, isGraceful: Bool = false) {
    phase = .stopping(status: status)
    schedule.cancel()
    trial?.abandon()
    trial = nil
    answerThatItStops()
    keepState()
    // A service manager bounds the time from STOPPING=1 on: connections may take longer.
    if isGraceful { notifier.status(text) } else { notifier.stopping(text) }
    log.notice(isGraceful ? "stopping when the last connection has ended" : "stopping")
  }

  /// Operators may look on until the last worker has gone.
  func exitWhenAlone(_ status: Int32) {
    guard workers.isEmpty else { return }
    for controller in controllers { stop(controller) }
    guard controllers.isEmpty else { return }
    if !isStoppingNow { notifier.stopping("Stopping.") }
    listeners.removeFiles()
    if let path = generation.configuration.global.pidFile { PidFile(path: path).remove() }
    Process.exit(status)
  }
}
