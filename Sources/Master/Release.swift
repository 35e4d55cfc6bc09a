import Linux

/// The files that make up a generation, kept open: so that a half-installed upgrade never mixes
/// versions, and so that a generation can be gone back to.
final class Release {
  /// Counts reloads, from 1.
  let generation: UInt64
  let daemon: Descriptor
  /// Nil where none was found: there are no checks, and no operator gets an answer.
  let controller: Descriptor?
  /// The configuration that runs, as `ConfigurationSnapshot` encodes it.
  let snapshot: Descriptor

  init(
    generation: UInt64, daemon: consuming Descriptor, controller: consuming Descriptor?,
    snapshot: consuming Descriptor
  ) {
    self.generation = generation
    self.daemon = daemon
    self.controller = controller
    self.snapshot = snapshot
  }

  var hasController: Bool { controllerNumber != nil }

  private var controllerNumber: Int32? {
    switch controller {
    case .some(let controller): controller.numberForSuccessor
    case .none: nil
    }
  }
}

// MARK: - Over an exec

extension Release {
  /// - Returns: nil when a descriptor is not there.
  convenience init?(_ state: MasterState.Release) {
    guard let daemon = Descriptor.inherited(state.daemon),
      let snapshot = Descriptor.inherited(state.snapshot)
    else { return nil }
    let controller = state.controller.map { Descriptor.inherited($0) } ?? nil
    self.init(
      generation: state.generation, daemon: daemon, controller: controller, snapshot: snapshot)
  }

  var state: MasterState.Release {
    MasterState.Release(
      generation: generation, daemon: daemon.numberForSuccessor, controller: controllerNumber,
      snapshot: snapshot.numberForSuccessor)
  }
}

/// Where the programs are.
enum ProgramFiles {
  /// The controller's program that belongs to the daemon at `path`: beside it, in `../libexec`, or
  /// along `PATH`. `SLUICE_CONTROLLER` names another.
  static func openController(besides path: String) -> Descriptor? {
    for candidate in controllerPaths(besides: path) {
      if let status = try? File.status(candidate), status.isRegular,
        let program = try? File.open(candidate)
      {
        return program
      }
    }
    return nil
  }

  static let controllerName = "sluice-controller"

  private static func controllerPaths(besides path: String) -> [String] {
    if let named = Process.variable("SLUICE_CONTROLLER") { return [named] }
    let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let search = (Process.variable("PATH") ?? "").split(separator: ":").map(String.init)
    return (["\(directory)", "\(directory)/../libexec/sluice"] + search).map {
      "\($0)/\(controllerName)"
    }
  }
}
