import Configuration
import Linux
import Worker

/// All sockets that the master holds, and which line of the configuration each is for.
final class ListenerSet {
  /// By index into the plan's binds.
  private(set) var binds: [HeldListener]
  let plan: ListenerPlan
  /// The default control socket; nil where it could not be made.
  private(set) var control: HeldListener?
  /// By index into the configuration's stats sockets.
  private(set) var statsSockets: [HeldListener]
  /// What the generation before listened at and this one does not: open until that one has let go.
  private var retired: [HeldListener] = []
  private var retiredStats: [HeldListener] = []

  init(
    plan: ListenerPlan, binds: [HeldListener], control: HeldListener?,
    statsSockets: [HeldListener]
  ) {
    self.plan = plan
    self.binds = binds
    self.control = control
    self.statsSockets = statsSockets
  }

  /// All that a line of the configuration has, or had; those for binds, and those for operators.
  var heldForBinds: [HeldListener] { binds + retired }
  var heldForStats: [HeldListener] { statsSockets + retiredStats }

  private var all: [HeldListener] {
    heldForBinds + heldForStats + [control].compactMap(\.self)
  }

  /// The slot of the worker that polls ``HeldListener/spareSockets``: one more than a generation has.
  var spareSlot: Int { plan.workers }

  /// Whether a reload that failed has left sockets that no worker of this generation knows.
  var hasSpareSockets: Bool { binds.contains { !$0.spareSockets.isEmpty } }

  /// What a worker polls.
  func share(of slot: Int) -> (sockets: [Int32], roles: [ListenerRole]) {
    var sockets: [Int32] = []
    var roles: [ListenerRole] = []
    for (entry, listener) in zip(plan.binds, binds) {
      for index in indices(of: listener, slot) {
        sockets.append(listener.sockets[index].numberForSuccessor)
        roles.append(
          ListenerRole(
            frontend: entry.frontend, bind: entry.bind,
            isShared: !listener.spreads && plan.workers > 1))
      }
    }
    return (sockets, roles)
  }

  /// Of a listener's sockets, those that the worker of a slot polls.
  func indices(of listener: HeldListener, _ slot: Int) -> [Int] {
    if slot == spareSlot { return Array(listener.spareSockets) }
    guard listener.spreads else { return Array(0..<listener.sockets.count) }
    return SlotShare.sockets(of: slot, workers: plan.workers, sockets: listener.sockets.count)
  }

  /// What the controller serves: the control socket, then the configuration's.
  var controllerSockets: [Int32] {
    ([control].compactMap(\.self) + statsSockets).compactMap {
      $0.sockets.isEmpty ? nil : $0.sockets[0].numberForSuccessor
    }
  }

  /// The generation has come up: what it knows is what serves.
  func commit() {
    for listener in binds + statsSockets { listener.socketsInUse = listener.sockets.count }
  }

  /// Lets go of what nobody wants any more, and of the files of its unix sockets.
  ///
  /// To be called before the old generation is told to drain: its workers then hold the last copies
  /// and empty the queues before they close them.
  ///
  /// - Returns: whether there was anything.
  @discardableResult
  func closeRetired() -> Bool {
    let wasAny = !retired.isEmpty || !retiredStats.isEmpty
    for listener in retired + retiredStats { listener.removeFile() }
    retired = []
    retiredStats = []
    return wasAny
  }

  /// Lets go of what connections come from: a graceful stop.
  func closeBinds() {
    for listener in binds + retired { listener.removeFile() }
    binds = []
    retired = []
  }

  /// Removes what would be left in the file system.
  func removeFiles() {
    for listener in all { listener.removeFile() }
  }
}

// MARK: - Starting

extension ListenerSet {
  /// Binds or adopts all that a configuration asks for.
  ///
  /// That the default control socket, `control`, cannot be made is a warning. With `probes` it is
  /// made sure first that nobody else listens at any of the addresses. What is thrown says all that
  /// went wrong in one text.
  convenience init(
    binding plan: ListenerPlan, control: ControlSocket?, probes: Bool,
    _ inherited: consuming InheritedSockets, _ log: MasterLog
  ) throws(ListenFailure) {
    let binds = plan.binds.map(\.specification)
    let slots = plan.sharesSockets ? nil : plan.workers
    let left = LeftListeners(inherited.estate, wanted: binds)
    var binder = ListenerBinder(inherited: inherited, log: log)
    if probes { try binder.probe(left.missing + plan.statsSockets) }
    var failures: [String] = []
    let made = binder.listen(left.missing, slots: slots, &failures)
    let boundBinds = left.filled(with: made, slots: slots, log)
    let boundStats = binder.listen(plan.statsSockets, slots: nil, &failures)
    guard failures.isEmpty else {
      for listener in boundBinds + boundStats { listener.removeFile() }
      throw ListenFailure(message: failures.joined(separator: "\n"))
    }
    self.init(
      plan: plan, binds: boundBinds, control: control.flatMap { binder.listen($0, probes: probes) },
      statsSockets: boundStats)
    for socket in binder.inherited.leftOver {
      log.warning("\(socket) was passed in and no 'bind' wants it: closed")
    }
  }
}

/// The listeners of a master that is gone, for the connections that wait in them.
private struct LeftListeners {
  /// By index of what is wanted: nil where there is none.
  private let found: [HeldListener?]
  private let wanted: [ListenerSpecification]

  init(_ estate: Estate, wanted: [ListenerSpecification]) {
    self.wanted = wanted
    guard let state = estate.state else {
      found = Self.listeners(estate, wanted)
      return
    }
    let held = state.binds.map { HeldListener($0) }
      .filter { !$0.sockets.isEmpty && $0.isReachable }
    let match = ListenerMatch(
      wanted: wanted.map(\.key), held: held.map(\.specification.key))
    found = match.held.map { $0.map { held[$0] } }
  }

  /// Without a state that says what they are, sockets are told apart by their addresses: all of one
  /// address are for the line that wants it.
  private static func listeners(
    _ estate: Estate, _ wanted: [ListenerSpecification]
  ) -> [HeldListener?] {
    var sockets = DescriptorTable()
    for number in estate.numbers(of: .listener) {
      if let socket = Descriptor.inherited(number), socket.isListening() { sockets.append(socket) }
    }
    return wanted.map { specification in
      guard specification.key.interface == nil, let endpoint = specification.endpoint else {
        return nil
      }
      var own = DescriptorTable()
      for index in (0..<sockets.count).reversed()
      where sockets[index].isListening(at: .internet(endpoint)) {
        own.append(sockets.remove(at: index))
      }
      return own.isEmpty
        ? nil : HeldListener(specification, sockets: own, spreads: own.count > 1)
    }
  }

  /// What has to be made.
  var missing: [ListenerSpecification] {
    zip(wanted, found).filter { $0.1 == nil }.map(\.0)
  }

  /// All that is wanted, with `made` in the place of what was missing. Where some could not be made
  /// there are fewer.
  func filled(with made: [HeldListener], slots: Int?, _ log: MasterLog) -> [HeldListener] {
    var made = made[...]
    return zip(wanted, found).compactMap { specification, listener in
      guard let listener else { return made.popFirst() }
      listener.adopt(specification, log)
      if let slots { ListenerBinder.addSiblings(to: listener, upTo: slots, log) }
      return listener
    }
  }
}

extension Descriptor {
  fileprivate func isListening(at wanted: SocketAddress) -> Bool {
    localAddress().map { InheritedSockets.satisfies($0, wanted: wanted) } ?? false
  }
}

extension HeldListener {
  /// Whether clients can still find it: a unix socket whose file is gone is lost.
  fileprivate var isReachable: Bool {
    guard case .socket(.unix(let path)) = specification.key.address else { return true }
    return file?.isSameFile(as: try? File.status(path)) ?? false
  }
}

extension ListenerBinder {
  /// Probes all before any is bound, so that they do not meet each other. An inherited one that
  /// satisfies a line is in use by right.
  fileprivate func probe(_ specifications: [ListenerSpecification]) throws(ListenFailure) {
    var failures: [String] = []
    for specification in specifications where !inherited.satisfies(specification) {
      do throws(ListenFailure) {
        try Self.probe(specification)
      } catch {
        failures.append(error.message)
      }
    }
    guard failures.isEmpty else {
      throw ListenFailure(message: failures.joined(separator: "\n"))
    }
  }

  fileprivate mutating func listen(
    _ specifications: [ListenerSpecification], slots: Int?, _ failures: inout [String]
  ) -> [HeldListener] {
    var made: [HeldListener] = []
    for specification in specifications {
      do throws(ListenFailure) {
        made.append(try listen(specification, slots: slots))
      } catch {
        failures.append(error.message)
      }
    }
    return made
  }

  fileprivate mutating func listen(_ control: ControlSocket, probes: Bool) -> HeldListener? {
    do throws(ListenFailure) {
      if let directory = control.directory, (try? File.status(directory)) == nil {
        try? File.makeDirectories(directory, mode: 0o755)
      }
      if probes { try Self.probe(control.specification) }
      return try listen(control.specification, slots: nil)
    } catch {
      log.warning("no control socket: \(error.message); '-S' names another place")
      return nil
    }
  }
}

// MARK: - Reloading

extension ListenerSet {
  /// What a reload needs and nobody held.
  struct Made {
    var binds: [HeldListener] = []
    var statsSockets: [HeldListener] = []
  }

  /// Makes what a configuration to come needs beyond what there is.
  func extend(to report: TrialReport, _ log: MasterLog) throws(ListenFailure) -> Made {
    var binder = ListenerBinder(log: log)
    let slots = report.sharesSockets ? nil : report.workers
    var made = Made()
    do throws(ListenFailure) {
      made.binds = try missing(report.binds, heldForBinds, slots: slots, &binder)
      made.statsSockets = try missing(report.statsSockets, heldForStats, slots: nil, &binder)
    } catch {
      shrink(dropping: made)
      throw error
    }
    if let slots {
      let match = ListenerMatch(
        wanted: report.binds.map(\.key), held: heldForBinds.map(\.specification.key))
      for index in match.held.compactMap(\.self) {
        ListenerBinder.addSiblings(to: heldForBinds[index], upTo: slots, log)
      }
    }
    return made
  }

  private func missing(
    _ wanted: [ListenerSpecification], _ held: [HeldListener], slots: Int?,
    _ binder: inout ListenerBinder
  ) throws(ListenFailure) -> [HeldListener] {
    let match = ListenerMatch(wanted: wanted.map(\.key), held: held.map(\.specification.key))
    let ownPorts = Set(held.compactMap { $0.specification.endpoint?.port })
    var made: [HeldListener] = []
    for (specification, index) in zip(wanted, match.held) where index == nil {
      do throws(ListenFailure) {
        // Beside a socket of our own on the same port a probe would only find that.
        let isOurs = specification.endpoint.map { ownPorts.contains($0.port) } ?? false
        if !isOurs { try ListenerBinder.probe(specification) }
        made.append(try binder.listen(specification, slots: slots))
      } catch {
        for listener in made { listener.removeFile() }
        throw error
      }
    }
    return made
  }

  /// Undoes it, but for further sockets of addresses that are listened at: those are spare now.
  func shrink(dropping made: Made) {
    for listener in made.binds + made.statsSockets { listener.removeFile() }
  }
}

// MARK: - Over an exec

extension ListenerSet {
  /// Finds what a plan asks for among what the master before held.
  ///
  /// - Throws: when something is missing, which a reload's check should have made.
  convenience init(
    plan: ListenerPlan, restoring state: MasterState, _ log: MasterLog
  ) throws(ListenFailure) {
    let binds = try Restored(plan.binds.map(\.specification), state.binds, log)
    let stats = try Restored(plan.statsSockets, state.statsSockets, log)
    self.init(
      plan: plan, binds: binds.wanted, control: state.control.map { HeldListener($0) },
      statsSockets: stats.wanted)
    retired = binds.leftOver
    retiredStats = stats.leftOver
    guard !plan.sharesSockets else { return }
    for listener in binds.wanted {
      ListenerBinder.addSiblings(to: listener, upTo: plan.workers, log)
    }
  }

  private struct Restored {
    var wanted: [HeldListener] = []
    var leftOver: [HeldListener] = []

    init(
      _ specifications: [ListenerSpecification], _ states: [MasterState.Listener], _ log: MasterLog
    ) throws(ListenFailure) {
      let held = states.map { HeldListener($0) }
      let match = ListenerMatch(
        wanted: specifications.map(\.key), held: held.map(\.specification.key))
      for (specification, index) in zip(specifications, match.held) {
        guard let index, !held[index].sockets.isEmpty else {
          throw ListenFailure(message: "the socket for '\(specification.text)' is missing")
        }
        held[index].adopt(specification, log)
        wanted.append(held[index])
      }
      leftOver = match.leftOver.map { held[$0] }
    }
  }
}

extension HeldListener {
  /// Sets what a new configuration says of a socket that listens already.
  fileprivate func adopt(_ specification: ListenerSpecification, _ log: MasterLog) {
    let options = specification.options
    if self.specification.options != options {
      for index in 0..<sockets.count {
        let isInternet = sockets[index].localAddress()?.endpoint != nil
        ListenerBinder.apply(options, to: sockets[index], isInternet: isInternet)
        try? sockets[index].listen(backlog: options.backlog)
      }
      if file != nil, case .socket(.unix(let path)) = specification.key.address {
        try? UnixListener.give(path, options.permissions, log)
      }
    }
    self.specification = specification
  }
}
