import Configuration
import Ledger
import Linux

/// What a reload's check found to be good, for the running master to bind before anything changes.
struct TrialReport: Equatable {
  /// The configuration that was checked, as `ConfigurationSnapshot` encodes it: what the next
  /// generation runs, whatever happens to the files from now on.
  var snapshot: [UInt8]
  var binds: [ListenerSpecification]
  var statsSockets: [ListenerSpecification]
  var workers: Int
  var sharesSockets: Bool

  private enum Tag {
    static let snapshot: UInt16 = 1
    static let bind: UInt16 = 2
    static let statsSocket: UInt16 = 3
    static let workers: UInt16 = 4
    static let sharesSockets: UInt16 = 5
  }

  var encoded: [UInt8] {
    var writer = RecordWriter()
    writer.write(Tag.snapshot, snapshot)
    for bind in binds { writer.write(Tag.bind, record: bind.write) }
    for socket in statsSockets { writer.write(Tag.statsSocket, record: socket.write) }
    writer.write(Tag.workers, workers)
    writer.write(Tag.sharesSockets, sharesSockets)
    return writer.bytes
  }

  init(_ generation: Generation) {
    snapshot = generation.snapshot.encoded
    binds = generation.plan.binds.map(\.specification)
    statsSockets = generation.plan.statsSockets
    workers = generation.plan.workers
    sharesSockets = generation.plan.sharesSockets
  }

  init(decoding bytes: [UInt8]) throws(RecordError) {
    let reader = try RecordReader(bytes)
    guard let snapshot = reader.bytes(Tag.snapshot) else { throw .missing(Tag.snapshot) }
    self.snapshot = snapshot
    binds = try reader.records(Tag.bind, ListenerSpecification.init)
    statsSockets = try reader.records(Tag.statsSocket, ListenerSpecification.init)
    workers = try reader.required(Tag.workers)
    sharesSockets = try reader.flag(Tag.sharesSockets)
  }
}

/// The check before a reload, in a process of its own: the program on disk, which may be a newer
/// one, reads the files. If it refuses, or crashes, nothing has changed.
final class Trial {
  /// What it inherits, from 3.
  private enum Inherited {
    static let report: Int32 = 3
    static let state: Int32 = 4
    static let ledger: Int32 = 5
  }

  /// How long it may take, in nanoseconds: large pattern files are read in it.
  static let patience: Int64 = 60_000_000_000

  let pid: Int32
  let started = Clock.monotonic
  /// The programs that the next generation will run.
  let daemon: Descriptor
  let controller: Descriptor?
  private let report: Descriptor
  /// What it says.
  let output: Descriptor
  private(set) var text = ""
  private(set) var hasClosedOutput = false
  var status: ExitStatus?

  /// Starts the program at `path`; it is given the master's state, to see whether it understands it.
  init(
    path: String, arguments: [String], state: [UInt8], ledger: borrowing Descriptor
  ) throws(Errno) {
    let daemon = try File.open(path)
    let controller = ProgramFiles.openController(besides: path)
    let report = try Descriptor.emptyFile(name: "sluice-report")
    let state = try Descriptor.sealedFile(name: "sluice-state", state)
    let pipe = try Pipe(size: 65_536)
    try pipe.inlet.setBlocking()
    let inherited = [
      report.numberForSuccessor, state.numberForSuccessor, ledger.numberForSuccessor,
      daemon.numberForSuccessor,
    ]
    let outputEnd = pipe.inlet.numberForSuccessor
    pid = try Process.spawn { Self.become(inherited, output: outputEnd, arguments) }
    self.daemon = daemon
    self.controller = controller
    self.report = report
    output = pipe.outlet
  }

  private static func become(
    _ inherited: [Int32], output: Int32, _ arguments: [String]
  ) -> Never {
    ChildSignals.reset()
    Signal.interrupt.restoreDefault()
    do throws(Errno) {
      try Process.redirect(1, to: output)
      try Process.redirect(2, to: output)
      try Process.arrangeDescriptors(inherited)
    } catch {
      Process.exit(1)
    }
    Succession.trial.announce()
    guard let daemon = Descriptor.inherited(6) else { Process.exit(1) }
    let error = Process.execute(
      daemon, arguments: arguments, environment: Process.environment)
    StandardStream.error.write("cannot run the program: \(error)\n")
    Process.exit(1)
  }

  /// Takes in what it has said since.
  func listen() {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    for _ in 0..<16 {
      var span = buffer.mutableSpan
      guard let transfer = try? output.read(into: &span) else {
        hasClosedOutput = true
        return
      }
      switch transfer {
      case .moved(let count): append(buffer[..<count])
      case .blocked: return
      case .ended:
        hasClosedOutput = true
        return
      }
    }
  }

  /// Twice what can be told; the rest is read and forgotten, or the process would wait for ever.
  private static let longestText = 65_536

  private func append(_ bytes: ArraySlice<UInt8>) {
    let room = max(0, Self.longestText - text.utf8.count)
    text += String(decoding: bytes.prefix(room), as: UTF8.self)
  }

  /// Whether all is known.
  var isOver: Bool { status != nil && hasClosedOutput }

  /// What it found to be good; nil when it refused.
  func result() -> TrialReport? {
    guard status == .exited(0), let bytes = try? report.contents() else { return nil }
    return try? TrialReport(decoding: bytes)
  }

  /// How it ended, for people.
  var ending: String { status?.description ?? "no status" }

  func duplicateController() throws(Errno) -> Descriptor? {
    switch controller {
    case .some(let controller): try controller.duplicate()
    case .none: nil
    }
  }

  func abandon() { try? Process.send(.kill, to: pid) }
}

// MARK: - In the process of its own

extension Trial {
  /// Checks, reports, ends.
  static func run(_ arguments: Arguments) -> Never {
    let log = MasterLog(isQuiet: false)
    guard let report = Descriptor.inherited(Inherited.report),
      let state = Descriptor.inherited(Inherited.state),
      let ledger = Descriptor.inherited(Inherited.ledger)
    else { Process.exit(1) }
    let controller = Process.executablePath.flatMap { ProgramFiles.openController(besides: $0) }
    let loader = GenerationLoader(arguments: arguments, log: log, controller: controller)
    do throws(GenerationLoader.Refusal) {
      let generation = try loader.loadFiles()
      guard canSucceed(state, ledger, log), write(TrialReport(generation), to: report) else {
        Process.exit(1)
      }
      Process.exit(0)
    } catch {
      Process.exit(1)
    }
  }

  /// Whether this program can go on from where that master is.
  private static func canSucceed(
    _ state: borrowing Descriptor, _ ledger: consuming Descriptor, _ log: MasterLog
  ) -> Bool {
    guard let bytes = try? state.contents(), (try? MasterState(decoding: bytes)) != nil else {
      log.alert("this program cannot read the running master's state: it takes a restart")
      return false
    }
    do throws(Errno) {
      guard case .former(let former) = try LedgerFound(in: ledger) else { return true }
      return canCarryOver(former, log)
    } catch {
      log.alert(
        "this program cannot read the running one's counters and states: it takes a restart")
      return false
    }
  }

  /// Counters and states begin in a new ledger then; this one is made for the test alone.
  private static func canCarryOver(_ former: FormerLedger, _ log: MasterLog) -> Bool {
    guard let file = try? LedgerFile(), file.ledger.carryOver(former) else {
      log.alert("the running program has more counters than fit here: it takes a restart")
      return false
    }
    return true
  }

  private static func write(_ report: TrialReport, to file: borrowing Descriptor) -> Bool {
    let bytes = report.encoded
    var rest = bytes.span
    while !rest.isEmpty {
      guard case .moved(let count) = try? file.write(rest) else { return false }
      rest = rest.extracting(droppingFirst: count)
    }
    return true
  }
}
