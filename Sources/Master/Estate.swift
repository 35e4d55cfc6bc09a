import Linux

/// What a master that is gone left with the service manager: descriptors, and the state that says
/// what they are. Nobody owns the descriptors until somebody takes them over by their numbers.
struct Estate {
  struct Stored: Equatable {
    var kind: MasterState.DescriptorKind
    var key: Int32
    var number: Int32

    var name: String { DescriptorStore.name(kind, key) }

    /// - Returns: nil when the name is none that ``DescriptorStore`` gives.
    init?(_ name: String, number: Int32) {
      guard name.hasPrefix(DescriptorStore.prefix) else { return nil }
      let parts = name.dropFirst(DescriptorStore.prefix.count).split(separator: ".")
      guard parts.count == 2, let kind = MasterState.DescriptorKind(rawValue: String(parts[0])),
        let key = Int32(parts[1]), key > 0
      else { return nil }
      self.kind = kind
      self.key = key
      self.number = number
    }
  }

  private(set) var descriptors: [Stored] = []
  /// Nil where there is none that can be read.
  private(set) var state: MasterState?
  /// How often it had been written.
  private(set) var sequence: UInt64 = 0

  /// - Returns: whether it is a part of the estate.
  mutating func add(_ name: String, number: Int32) -> Bool {
    guard let stored = Stored(name, number: number) else { return false }
    // systemd hands them over without.
    try? Process.setKept([number], acrossExec: false)
    descriptors.append(stored)
    return true
  }

  /// Reads the newest state that was written to its end.
  mutating func read() {
    for stored in descriptors where stored.kind == .state {
      guard let file = try? Descriptor.duplicate(ofNumber: stored.number),
        let bytes = try? file.contents(), let found = try? StateFile(decoding: bytes),
        found.sequence >= sequence, let state = try? MasterState(decoding: found.state)
      else { continue }
      sequence = found.sequence
      self.state = resolved(state)
    }
  }

  /// Keys become numbers; what is not there, -1. Children whose sockets were not kept are left out:
  /// nobody can talk to them.
  private func resolved(_ state: MasterState) -> MasterState {
    let numbers = Dictionary(
      descriptors.map { ($0.key, $0.number) }, uniquingKeysWith: { first, _ in first })
    var state = state
    state.renumber { _, key in numbers[key] ?? -1 }
    state.workers.removeAll { $0.socket < 0 || $0.controllerEnd < 0 }
    state.controllers.removeAll { $0.socket < 0 }
    return state
  }

  /// The same, of which an attempt to take it over has left nothing but copies.
  func moved(to numbers: [Int32: Int32]) -> Estate {
    var estate = self
    estate.state = state?.moved(to: numbers)
    // The files that the state is in are nobody's but the estate's.
    for index in descriptors.indices where descriptors[index].kind != .state {
      estate.descriptors[index].number = numbers[descriptors[index].number] ?? -1
    }
    return estate
  }

  /// What a start from the files has use for: listeners, for the connections that wait in them, and
  /// whom to tell that they are replaced.
  var reusableDescriptors: [Int32] {
    state?.reusableDescriptors ?? numbers(of: .listener) + numbers(of: .worker)
      + numbers(of: .controller)
  }

  func numbers(of kind: MasterState.DescriptorKind) -> [Int32] {
    descriptors.filter { $0.kind == kind && $0.number > 2 }.map(\.number)
  }

  var nextKey: Int32 { (descriptors.map(\.key).max() ?? 0) + 1 }

  /// Closes what nobody has taken over: all that `taken` does not name.
  func closeRest(but taken: [Int32]) {
    let taken = Set(taken)
    for stored in descriptors where !taken.contains(stored.number) {
      Descriptor.inherited(stored.number)?.close()
    }
  }
}
