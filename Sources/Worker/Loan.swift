import Linux
import Reactor
import Wire

/// Listening sockets of a worker that does not move: who waits there is taken in here, too.
///
/// They are of binds that this worker has a socket of, so that limits, rules and counters are those
/// of its own listener.
struct Loan: ~Copyable {
  private(set) var sockets = DescriptorTable()
  /// For each, the listener of this worker that has the same bind.
  private(set) var listeners: [Int] = []

  var count: Int { listeners.count }

  mutating func add(_ socket: consuming Descriptor, besides listener: Int) {
    sockets.append(socket)
    listeners.append(listener)
  }
}

extension WorkerProcess {
  /// Accepts also from sockets of another worker, until it is told that the loan is over.
  ///
  /// That one may come to life again while this one still accepts: both do then, and nobody is lost.
  mutating func borrow(_ roles: [SocketRole], isFirst: Bool, _ rights: consuming ArrivedRights) {
    if isFirst { endLoan() }
    for role in roles {
      guard let socket = rights.take() else { return }
      guard isAccepting, !isDraining, let listener = listener(for: role) else { continue }
      loan.add(socket, besides: listener)
      // One that rests takes this one up when it goes on.
      guard context.tables.listeners[listener].pause == .none else { continue }
      try? watch(borrowed: loan.count - 1)
    }
  }

  /// Lets the sockets go. Their owner, the master and whoever succeeds the owner have them.
  mutating func endLoan() {
    for index in 0..<loan.count { try? epoll.remove(loan.sockets[index]) }
    loan = Loan()
  }

  func watch(borrowed index: Int) throws(Errno) {
    try epoll.add(
      loan.sockets[index], .readable, token: Token(.borrowed, index: index).rawValue)
  }

  private func listener(for role: SocketRole) -> Int? {
    (0..<listeners.count).first {
      let entry = context.tables.listeners[$0]
      return entry.frontend == Int(role.frontend) && entry.bind == Int(role.bind)
    }
  }
}
