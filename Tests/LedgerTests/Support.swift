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

/// Workers at one ledger, each of which dies at any moment, is settled and has a successor.
final class DeathStorm {
  let ledger: SharedLedger
  let slots: Int
  private(set) var children: [Child] = []
  private var random = SeededGenerator(state: UInt64(getpid()))
  private let work: (_ lane: Int, _ seed: UInt64) -> Void

  /// Starts a worker on each of the first lanes; `work` must not end.
  init(
    _ ledger: SharedLedger, workers: Int, slots: Int,
    work: @escaping (_ lane: Int, _ seed: UInt64) -> Void
  ) {
    self.ledger = ledger
    self.slots = slots
    self.work = work
    for lane in 0..<workers { _ = ledger.takeLane(generation: 1, workerSlot: lane, now: 1) }
    for lane in 0..<workers { children.append(start(lane)) }
  }

  private func start(_ lane: Int) -> Child {
    let seed = random.next()
    return Child.run { work(lane, seed) }
  }

  /// Kills one after the other, and has a look now and then while everybody stands still.
  func rage(rounds: Int, inspect: (_ moment: String) -> Void) {
    for round in 0..<rounds {
      usleep(useconds_t(random.next() % 1_000))
      let lane = Int(random.next() % UInt64(children.count))
      children[lane].kill()
      settle(lane)
      require(ledger.takeLane(generation: 2, workerSlot: lane, now: 1) == lane, "lane is taken")
      children[lane] = start(lane)
      if round % 10 == 0 {
        for child in children { child.stop() }
        inspect("round \(round)")
        for child in children { child.goOn() }
      }
    }
  }

  func settle(_ lane: Int) {
    for _ in 0..<10_000 {
      if ledger.settle(lane: lane, slots: slots) { return }
      usleep(100)
    }
    require(false, "lane \(lane) could not be settled")
  }

  /// How many workers stand between two writes to a slot.
  func intents(at slot: Int) -> Int {
    children.indices.count { ledger.intent(of: $0).slot == slot }
  }
}
