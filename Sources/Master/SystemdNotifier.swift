import CSystemd
import Linux

/// What the service manager is told.
///
/// - SeeAlso: sd_notify(3), for what each line means.
struct SystemdNotifier {
  /// Nanoseconds between signs of life; nil when nobody watches.
  let watchdogInterval: Int64?

  init() {
    guard let limit = Process.variable("WATCHDOG_USEC").flatMap({ Int64($0) }), limit > 0,
      Process.variable("WATCHDOG_PID").map({ Int32($0) == Process.id }) ?? true
    else {
      watchdogInterval = nil
      return
    }
    watchdogInterval = limit * 1000 / 2
  }

  func ready(_ status: String) {
    send("READY=1\nMAINPID=\(Process.id)\nSTATUS=\(status)")
  }

  /// Since systemd 253 a reload counts from the clock's time in it.
  func reloading() {
    send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic / 1000)\nSTATUS=Reloading configuration")
  }

  func stopping(_ status: String) { send("STOPPING=1\nSTATUS=\(status)") }

  func status(_ text: String) { send("STATUS=\(text)") }

  func isAlive() { send("WATCHDOG=1") }

  // MARK: Descriptors

  /// Lets the manager keep a copy of a descriptor under a name of its own, over the end of this
  /// process, also when the other end of it is gone.
  func store(_ number: Int32, name: String) {
    var number = number
    _ = unsafe sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)", &number, 1)
  }

  func forget(_ name: String) { send("FDSTOREREMOVE=1\nFDNAME=\(name)") }

  /// Microseconds that the manager may take to do what it was told.
  private static let patience: UInt64 = 5_000_000

  /// Waits until the manager has done all that it was told before.
  func waitUntilHeard() { _ = sd_notify_barrier(0, Self.patience) }

  private func send(_ lines: String) {
    // Without NOTIFY_SOCKET nothing is sent. A manager that does not listen is no reason to stop.
    _ = unsafe sd_notify(0, lines)
  }
}
