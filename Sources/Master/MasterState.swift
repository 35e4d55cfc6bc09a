/// What a master tells its successor: itself after execve(2), as a rule of the next release.
///
/// It goes through an anonymous file whose number is in the environment. Descriptors are the
/// numbers that they keep over the exec. For a master that may crash the same state lies in the
/// service manager's store, where descriptors are keys (``DescriptorStore``). This is a plain value;
/// ``Supervisor`` turns it into owners and back.
struct MasterState: Equatable, Sendable {
  /// Why the successor runs.
  enum Purpose: Int, Equatable, Sendable {
    /// Bring up the new generation; the old one still serves.
    case takeOver = 1
    /// The new generation did not come up: go on with the one before.
    case fallBack = 2
    /// The master died: go on with what it left running.
    case adopt = 3
  }

  /// The files that make up a generation, kept open so that it can be gone back to.
  struct Release: Equatable, Sendable {
    var generation: UInt64
    var daemon: Int32
    /// Nil where none was found.
    var controller: Int32?
    var snapshot: Int32
  }

  struct Listener: Equatable, Sendable {
    var specification: ListenerSpecification
    var sockets: [Int32]
    var spreads = false
    var socketsInUse = 0
    /// Came from outside, so that its siblings may not be ours to make.
    var isAdopted = false
    /// The file that was made for a unix socket, so that no other's is removed in the end.
    var device: UInt64?
    var inode: UInt64?
  }

  struct Worker: Equatable, Sendable {
    var pid: Int32
    var lane: Int
    var generation: UInt64
    var slot: Int
    /// Nanoseconds of the monotonic clock.
    var started: Int64
    var isReady: Bool
    var isDraining: Bool
    /// When it is ended by force.
    var endBy: Int64
    /// The master's end of the pair with the worker.
    var socket: Int32
    /// The end that controllers get copies of.
    var controllerEnd: Int32
    /// Started by a master that has died since: no child of this one.
    var isAdopted = false
    /// Counts in a ledger that cannot be read: its lane is none of ours.
    var isForeign = false
    /// The ledger that it counts in, where that is another than the state's, of another layout.
    var ledger: Int32?
  }

  struct Controller: Equatable, Sendable {
    var pid: Int32
    var generation: UInt64
    var started: Int64
    var isReady: Bool
    var isStopping: Bool
    var endBy: Int64
    var socket: Int32
    /// Started by a master that has died since: no child of this one.
    var isAdopted = false
  }

  /// Someone who asked for a reload and has not been answered.
  struct Waiter: Equatable, Sendable {
    var controller: Int32
    var requestID: UInt64
  }

  /// What lies in the service manager's store, for ``DescriptorStore``.
  struct Store: Equatable, Sendable {
    var nextKey: Int32
    var sequence: UInt64
    /// Where the state is written to.
    var files: [Int32]
    /// To the ``KeeperProcess``; nil where it is the service manager that keeps.
    var keeper: Int32?
    var entries: [StoredDescriptor]
  }

  struct StoredDescriptor: Equatable, Sendable {
    var key: Int32
    var kind: DescriptorKind
    var number: Int32
  }

  var purpose = Purpose.takeOver
  /// The highest generation so far, failed ones included.
  var lastGeneration: UInt64 = 1
  /// Nanoseconds of the monotonic clock when the first image of the master began.
  var started: Int64 = 0
  var reloads = 0
  var failedReloads = 0
  var lastReload = ReloadOutcome()
  /// The command line, program name included.
  var arguments: [String] = []
  /// Where the daemon lies, for the next reload to look there.
  var path = ""
  /// `SharedLedger`'s memory.
  var ledger: Int32 = -1
  /// The one that ``previous`` counts in, where that is another.
  var previousLedger: Int32?
  var doorbells: [Int32] = []
  var binds: [Listener] = []
  /// The default control socket; nil where it could not be made.
  var control: Listener?
  var statsSockets: [Listener] = []
  var workers: [Worker] = []
  var controllers: [Controller] = []
  var current = Release(generation: 1, daemon: -1, controller: nil, snapshot: -1)
  /// What to fall back to; nil when not taking over.
  var previous: Release?
  var waiters: [Waiter] = []
  /// Asked after the reload under way had begun, so that another must follow.
  var laterWaiters: [Waiter] = []
  var wantsAnotherReload = false
  /// What the reload had to say: warnings, or why it failed.
  var text = ""
  /// It was told to end, so that whoever starts next is to read the files.
  var isStopping = false
  /// When a node that is taken out accepts no more, in nanoseconds of the monotonic clock.
  var leaveDue = Int64.max
  /// Nil where no service manager keeps descriptors.
  var store: Store?

  /// The state to go back with, when what it describes did not come up.
  func fallingBack(because text: String) -> MasterState? {
    guard let previous else { return nil }
    var state = self
    state.purpose = .fallBack
    state.current = previous
    state.previous = nil
    state.text = text
    state.returnToPreviousLedger()
    return state
  }

  /// Makes the ledger of the generation before that of the state: workers of the one that did not come
  /// up are now those who count in another.
  private mutating func returnToPreviousLedger() {
    guard let previousLedger else { return }
    for index in workers.indices where !workers[index].isForeign {
      let own = workers[index].ledger ?? ledger
      workers[index].ledger = own == previousLedger ? nil : own
    }
    ledger = previousLedger
    self.previousLedger = nil
  }
}
