import Glibc

@testable import Ledger

/// Random numbers that are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// A process of the test, which must do no more than arithmetic and ledger calls: its parent has
/// threads, and it has not.
struct Child {
  let id: pid_t

  static func run(_ work: () -> Void) -> Child {
    // A group of its own, so that who fails can take its children along.
    setpgid(0, 0)
    let id = clone()
    precondition(id >= 0)
    if id == 0 {
      work()
      _exit(0)
    }
    return Child(id: id)
  }

  func kill() {
    Glibc.kill(id, SIGKILL)
    wait()
  }

  func wait() {
    var status: CInt = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
  }

  /// Holds it where it is.
  func stop() {
    var status: CInt = 0
    Glibc.kill(id, SIGSTOP)
    while waitpid(id, &status, WUNTRACED) < 0, errno == EINTR {}
  }

  func goOn() { Glibc.kill(id, SIGCONT) }

  private static func clone() -> pid_t {
    // Swift hides fork(2), with good reason: see above.
    guard let fork = dlsym(nil, "fork") else { return -1 }
    return unsafeBitCast(fork, to: (@convention(c) () -> pid_t).self)()
  }
}

/// Leaves an exit test as failed, and its children too, and says where.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
  guard !condition else { return }
  let message = "failed: \(what())\n"
  _ = write(2, message, message.utf8.count)
  kill(0, SIGKILL)
}
