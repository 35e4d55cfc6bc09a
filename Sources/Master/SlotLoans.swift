import Ledger
import Linux
import Wire
import Worker

/// The sockets of workers that do not move, and which neighbours accept from them meanwhile: whoever
/// waits in the queue of one is not to wait until that is given up and replaced.
///
/// A loan ends when the slot's worker makes laps: the one that stood still, or its successor. A
/// reload ends all, since the next generation polls every socket.
struct SlotLoans {
  /// By worker slot: the process id of who accepts there.
  fileprivate var borrowers: [Int: Int32] = [:]

  /// A borrower has ended, and its loans with it.
  mutating func forget(borrower pid: Int32) {
    borrowers = borrowers.filter { $0.value != pid }
  }
}

extension Supervisor {
  /// Descriptors that travel beside one packet.
  private static let mostLent = 64

  func lendSockets(of worker: WorkerChild) {
    guard worker.generation == release.generation, !worker.isDraining,
      loans.borrowers[worker.slot] == nil, let neighbour = neighbour(of: worker)
    else { return }
    let (sockets, roles) = listeners.share(of: worker.slot)
    // Shared ones are polled by all.
    let lent = zip(sockets, roles).filter { !$0.1.isShared }
    guard !lent.isEmpty else { return }
    var rest = lent[...]
    while !rest.isEmpty {
      let part = rest.prefix(Self.mostLent)
      let isFirst = rest.startIndex == lent.startIndex
      rest = rest.dropFirst(Self.mostLent)
      let isTold = neighbour.tell(
        .borrow(part.map { SocketRole($0.1) }, isFirst: isFirst), rights: part.map(\.0))
      guard isTold else { return }
    }
    loans.borrowers[worker.slot] = neighbour.pid
    log.warning(
      "worker \(worker.slot) (\(worker.pid)) does not move: worker \(neighbour.slot) accepts in its "
        + "place")
  }

  /// The next one by slot that makes laps, and has borrowed nothing.
  private func neighbour(of worker: WorkerChild) -> WorkerChild? {
    let able = servingWorkers.filter {
      $0.isReady && $0 !== worker && !hangWatch.isSuspected($0.pid)
        && !loans.borrowers.values.contains($0.pid)
    }
    return able.filter { $0.slot > worker.slot }.min { $0.slot < $1.slot }
      ?? able.min { $0.slot < $1.slot }
  }

  func endLoan(of worker: WorkerChild) {
    guard worker.generation == release.generation,
      let pid = loans.borrowers.removeValue(forKey: worker.slot)
    else { return }
    workers.first { $0.pid == pid }?.tell(.borrow([], isFirst: true))
  }
}

extension SocketRole {
  fileprivate init(_ role: ListenerRole) {
    self.init(frontend: UInt32(clamping: role.frontend), bind: UInt32(clamping: role.bind))
  }
}
