import Ledger
import Linux

extension MasterState {
  /// What a descriptor is for: a part of its name in the service manager's store.
  enum DescriptorKind: String, CaseIterable, Sendable {
    case ledger, doorbell, listener, control, stats, worker, controller, program, snapshot, state,
      keeper
  }

  /// Puts another number in the place of each descriptor's.
  mutating func renumber(_ number: (DescriptorKind, Int32) -> Int32) {
    ledger = number(.ledger, ledger)
    previousLedger = previousLedger.map { number(.ledger, $0) }
    doorbells = doorbells.map { number(.doorbell, $0) }
    for index in binds.indices { binds[index].renumber { number(.listener, $0) } }
    control?.renumber { number(.control, $0) }
    for index in statsSockets.indices { statsSockets[index].renumber { number(.stats, $0) } }
    for index in workers.indices {
      workers[index].socket = number(.worker, workers[index].socket)
      workers[index].controllerEnd = number(.worker, workers[index].controllerEnd)
      workers[index].ledger = workers[index].ledger.map { number(.ledger, $0) }
    }
    for index in controllers.indices {
      controllers[index].socket = number(.controller, controllers[index].socket)
    }
    current.renumber(number)
    previous?.renumber(number)
    if let files = store?.files { store?.files = files.map { number(.state, $0) } }
    if let keeper = store?.keeper { store?.keeper = number(.keeper, keeper) }
  }

  /// All descriptors that it names, and what each is for.
  var namedDescriptors: [(kind: DescriptorKind, number: Int32)] {
    var found: [(DescriptorKind, Int32)] = []
    var seen: Set<Int32> = []
    var visited = self
    visited.renumber { kind, number in
      // A ledger is named by each worker that counts in it. What is not there has no number.
      if number < 0 || seen.insert(number).inserted { found.append((kind, number)) }
      return number
    }
    return found
  }

  /// What must survive an exec.
  var descriptors: [Int32] { namedDescriptors.map(\.number) }
}

extension MasterState.Listener {
  fileprivate mutating func renumber(_ number: (Int32) -> Int32) { sockets = sockets.map(number) }
}

extension MasterState.Release {
  fileprivate mutating func renumber(_ number: (MasterState.DescriptorKind, Int32) -> Int32) {
    daemon = number(.program, daemon)
    controller = controller.map { number(.program, $0) }
    snapshot = number(.snapshot, snapshot)
  }
}

extension MasterState {
  /// Whether everything is there that going on from it takes, and nothing in it points astray.
  ///
  /// A state from the service manager's store may have been written by a release with faults, and
  /// what it names may not all have been kept.
  var isWhole: Bool {
    let lanes = workers.filter { !$0.isForeign }.map(\.lane)
    let processes = workers.map(\.pid) + controllers.map(\.pid)
    return descriptors.allSatisfy { $0 > 2 } && doorbells.count == SharedLedger.laneCapacity
      && workers.allSatisfy { (0..<SharedLedger.laneCapacity).contains($0.lane) }
      && workers.allSatisfy { (0..<SharedLedger.laneCapacity).contains($0.slot) }
      && Set(lanes).count == lanes.count && Set(processes).count == processes.count
      && processes.allSatisfy { $0 > 1 && $0 != Process.id }
      && binds.allSatisfy {
        !$0.sockets.isEmpty && (0...$0.sockets.count).contains($0.socketsInUse)
      }
  }
}
