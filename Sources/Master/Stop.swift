import Configuration
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

  /// Accepts no more, and ends when all connections have.
  func stopGracefully() {
    if case .stopping = phase { return }
    begin(toStop: 0, "Finishing connections.")
    // Before the drain, as on a reload.
    listeners.closeBinds()
    letStoreGo()
    for worker in workers where !worker.isDraining { drain(worker) }
  }

  private func begin(toStop status: Int32, _ text: String) {
    phase = .stopping(status: status)
    schedule.cancel()
    trial?.abandon()
    trial = nil
    answerThatItStops()
    keepState()
    notifier.stopping(text)
    log.notice(text == "Stopping." ? "stopping" : "stopping when the last connection has ended")
  }

  /// Operators may look on until the last worker has gone.
  func exitWhenAlone(_ status: Int32) {
    guard workers.isEmpty else { return }
    for controller in controllers { stop(controller) }
    guard controllers.isEmpty else { return }
    listeners.removeFiles()
    if let path = generation.configuration.global.pidFile { PidFile(path: path).remove() }
    Process.exit(status)
  }
}
