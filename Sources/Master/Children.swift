import Ledger
import Linux
import Wire

/// A process that this master started or adopted, as the master sees it.
class Child {
  let pid: Int32
  let generation: UInt64
  /// Nanoseconds of the monotonic clock.
  let started: Int64
  var isReady = false
  /// When it is ended by force, in nanoseconds of the monotonic clock.
  var endBy = Int64.max
  /// The master's end of the pair with it.
  let socket: Descriptor
  /// Nil for a child of this process.
  let handle: ProcessHandle?

  fileprivate init(
    pid: Int32, generation: UInt64, started: Int64, socket: consuming Descriptor,
    handle: consuming ProcessHandle?
  ) {
    self.pid = pid
    self.generation = generation
    self.started = started
    self.socket = socket
    self.handle = handle
  }

  var isAdopted: Bool {
    switch handle {
    case .some: true
    case .none: false
    }
  }

  func kill() {
    switch handle {
    case .some(let handle): try? handle.send(.kill)
    case .none: try? Process.send(.kill, to: pid)
    }
  }

  /// Tells it something short. One whose queue is full does not listen: it is told again, or ended
  /// by force in time.
  ///
  /// - Returns: whether it was taken.
  @discardableResult
  func tell(_ message: Message, rights: [Int32] = []) -> Bool {
    guard let packet = try? message.encoded() else { return false }
    return (try? socket.sendPacket(packet.span, rights: rights)) ?? false
  }
}

/// A worker as its master sees it.
final class WorkerChild: Child {
  /// Its place in the ledger.
  let lane: Int
  /// Which of the sockets of each address it polls first.
  let slot: Int
  /// Accepts no more, and ends when its connections have.
  var isDraining = false
  /// Whether it has said that it accepts no more.
  var hasLeft = false
  /// Whether it has been told to hand its connections over and has not said yet that it has.
  var isHandingOver = false
  /// The end that each controller gets a copy of.
  let controllerEnd: Descriptor
  /// Counts in a ledger that cannot be read: its lane is none of ours.
  var isForeign = false
  /// The ledger that it counts in, where that is of another layout; its lane is copied from there.
  var formerLedger: FormerLedger?

  init(
    pid: Int32, lane: Int, generation: UInt64, slot: Int, started: Int64,
    socket: consuming Descriptor, controllerEnd: consuming Descriptor,
    handle: consuming ProcessHandle? = nil
  ) {
    self.lane = lane
    self.slot = slot
    self.controllerEnd = controllerEnd
    super.init(pid: pid, generation: generation, started: started, socket: socket, handle: handle)
  }
}

/// A controller as its master sees it.
final class ControllerChild: Child {
  var isStopping = false
  /// Has not been told of the workers that there are now, since its queue was full.
  var isOutdated = true

  override init(
    pid: Int32, generation: UInt64, started: Int64, socket: consuming Descriptor,
    handle: consuming ProcessHandle? = nil
  ) {
    super.init(pid: pid, generation: generation, started: started, socket: socket, handle: handle)
  }
}

// MARK: - Over an exec, or the death of a master

extension ProcessHandle {
  /// Gets hold of the process at the other end of a socket.
  ///
  /// The number alone might be another process's by now. But whoever holds the other end now has
  /// lived all the while, so the number was its own in the moment in which the handle was opened.
  ///
  /// - Throws: `ESRCH` when it has ended.
  fileprivate static func of(
    _ process: Int32, holding socket: borrowing Descriptor
  ) throws(Errno) -> ProcessHandle {
    let handle = try ProcessHandle(of: process)
    if socket.hasHungUp { throw .noSuchProcess }
    return handle
  }
}

extension WorkerChild {
  /// - Returns: nil when its sockets are not there, or it is no child and has ended.
  convenience init?(_ state: MasterState.Worker) {
    guard let socket = Descriptor.inherited(state.socket),
      let controllerEnd = Descriptor.inherited(state.controllerEnd)
    else { return nil }
    var handle: ProcessHandle?
    do throws(Errno) {
      if state.isAdopted { handle = try .of(state.pid, holding: socket) }
    } catch {
      return nil
    }
    self.init(
      pid: state.pid, lane: state.lane, generation: state.generation, slot: state.slot,
      started: state.started, socket: socket, controllerEnd: controllerEnd, handle: handle)
    isForeign = state.isForeign
    isReady = state.isReady
    isDraining = state.isDraining
    hasLeft = state.isDraining
    endBy = state.endBy
  }

  var state: MasterState.Worker {
    MasterState.Worker(
      pid: pid, lane: lane, generation: generation, slot: slot, started: started,
      isReady: isReady, isDraining: isDraining, endBy: endBy, socket: socket.numberForSuccessor,
      controllerEnd: controllerEnd.numberForSuccessor, isAdopted: isAdopted, isForeign: isForeign,
      ledger: formerLedger?.descriptor.numberForSuccessor)
  }
}

extension ControllerChild {
  convenience init?(_ state: MasterState.Controller) {
    guard let socket = Descriptor.inherited(state.socket) else { return nil }
    var handle: ProcessHandle?
    do throws(Errno) {
      if state.isAdopted { handle = try .of(state.pid, holding: socket) }
    } catch {
      return nil
    }
    self.init(
      pid: state.pid, generation: state.generation, started: state.started, socket: socket,
      handle: handle)
    isReady = state.isReady
    isStopping = state.isStopping
    endBy = state.endBy
  }

  var state: MasterState.Controller {
    MasterState.Controller(
      pid: pid, generation: generation, started: started, isReady: isReady,
      isStopping: isStopping, endBy: endBy, socket: socket.numberForSuccessor,
      isAdopted: isAdopted)
  }
}
