import Linux

/// What is kept of the master, should it die, by the service manager or else by a ``KeeperProcess``: listeners, the ledger, sockets to
/// workers and controller, the configuration that runs, and the state that says what is what.
///
/// Each descriptor has a name of its own there, `sluice.KIND.KEY`: the order in which they come back
/// is not fixed. The state names descriptors by their keys. It is in two files of which the older one
/// is overwritten, so that a master that dies at it leaves the other whole; a store that was emptied
/// and filled anew at each change would keep the service manager busy.
///
/// A descriptor is added before the state that names it is written, and removed after one that does
/// not: what is not named is only closed by the successor.
///
/// - SeeAlso: `FDSTORE=1` in sd_notify(3), systemd's `docs/FILE_DESCRIPTOR_STORE.md`.
final class DescriptorStore {
  /// One descriptor in the store. Its number may be given to another file once it is closed: with
  /// device and inode it means the same one, since the store itself keeps those from being reused.
  /// Doorbells share an inode with all eventfds, but are never closed.
  private struct Entry: Equatable {
    var key: Int32
    var kind: MasterState.DescriptorKind
    var number: Int32
    var file: FileStatus?

    var name: String { DescriptorStore.name(kind, key) }
  }

  static let prefix = "sluice."

  static func name(_ kind: MasterState.DescriptorKind, _ key: Int32) -> String {
    "\(prefix)\(kind.rawValue).\(key)"
  }

  private let notifier: SystemdNotifier
  /// Nil where it is the service manager that keeps.
  let keeper: Keeper?
  private let log: MasterLog
  /// Most descriptors that the service manager keeps for this unit.
  private let limit: Int
  private var entries: [Entry]
  private var nextKey: Int32
  /// The files that the state is in, and how often it has been written.
  private let files: DescriptorTable
  private var sequence: UInt64
  /// Names of the files that the state of the master before is in.
  private var formerFiles: [String]
  /// What was written last.
  private var kept: MasterState?
  private var isTooSmall = false

  /// Begins with what a master before left in it, of which `numbers` are still open.
  ///
  /// - Returns: nil when nobody keeps anything for us.
  init?(
    _ estate: Estate, keeping numbers: [Int32], keeper: Keeper? = nil, _ log: MasterLog
  ) {
    guard let limit = keeper == nil ? Self.limitOfServiceManager : .max else { return nil }
    self.limit = limit
    self.keeper = keeper
    self.log = log
    notifier = SystemdNotifier()
    nextKey = estate.nextKey
    sequence = estate.sequence
    let numbers = Set(numbers)
    entries = estate.descriptors.filter { $0.kind != .state }.map { stored in
      let isOpen = numbers.contains(stored.number)
      return Entry(
        key: stored.key, kind: stored.kind, number: isOpen ? stored.number : -1,
        file: isOpen ? Descriptor.status(ofNumber: stored.number) : nil)
    }
    // New ones each time: what is in the old ones stands until these say more.
    guard let files = Self.makeFiles() else { return nil }
    self.files = files
    formerFiles = estate.descriptors.filter { $0.kind == .state }.map(\.name)
  }

  fileprivate init(
    _ state: MasterState.Store, _ files: consuming DescriptorTable, _ log: MasterLog
  ) {
    let keeper = state.keeper.flatMap { Keeper(inherited: $0) }
    limit = keeper == nil ? Self.limitOfServiceManager ?? 0 : .max
    self.keeper = keeper
    self.log = log
    notifier = SystemdNotifier()
    nextKey = state.nextKey
    sequence = state.sequence
    self.files = files
    formerFiles = []
    entries = state.entries.map {
      Entry(
        key: $0.key, kind: $0.kind, number: $0.number,
        file: Descriptor.status(ofNumber: $0.number))
    }
  }

  /// systemd sets `FDSTORE` from version 254 on; the unit does it for earlier ones.
  private static var limitOfServiceManager: Int? {
    guard Process.variable("NOTIFY_SOCKET") != nil,
      let limit = Process.variable("FDSTORE").flatMap({ Int($0) }), limit > 0
    else { return nil }
    return limit
  }

  private static func makeFiles() -> DescriptorTable? {
    var files = DescriptorTable()
    for _ in 0..<2 {
      guard let file = try? Descriptor.emptyFile(name: "sluice-state") else { return nil }
      files.append(file)
    }
    return files
  }

  // MARK: Keeping

  /// Makes the store hold what `state` names, and the state itself. Costs little when it is the one
  /// that was kept last.
  func keep(_ state: MasterState) {
    var state = state
    state.store = nil
    guard state != kept else { return }
    kept = state
    let wanted = state.namedDescriptors
    guard fits(wanted.count + files.count) else { return }
    var keys: [Int32: Int32] = [:]
    var current: [Entry] = []
    for (kind, number) in fileNumbers + wanted {
      let entry = known(number) ?? add(kind, number)
      keys[number] = entry.key
      current.append(entry)
    }
    state.renumber { _, number in keys[number] ?? -1 }
    write(state)
    for name in formerFiles { forget(name) }
    formerFiles = []
    let stale = entries.filter { entry in !current.contains { $0.key == entry.key } }
    for entry in stale { forget(entry.name) }
    entries = current
  }

  /// Waits until the service manager has let go of what it was told to: a socket that it holds still
  /// takes connections in.
  func settle() {
    if let keeper { keeper.waitUntilHeard() } else { notifier.waitUntilHeard() }
  }

  private func store(_ number: Int32, name: String) {
    if let keeper { keeper.store(number, name: name) } else { notifier.store(number, name: name) }
  }

  private func forget(_ name: String) {
    if let keeper { keeper.forget(name) } else { notifier.forget(name) }
  }

  /// Whether the service manager keeps descriptors of this unit.
  static var isOfServiceManager: Bool { limitOfServiceManager != nil }

  private var fileNumbers: [(kind: MasterState.DescriptorKind, number: Int32)] {
    (0..<files.count).map { (.state, files[$0].numberForSuccessor) }
  }

  private func known(_ number: Int32) -> Entry? {
    let file = Descriptor.status(ofNumber: number)
    return entries.first { $0.number == number && $0.file?.isSameFile(as: file) == true }
  }

  private func add(_ kind: MasterState.DescriptorKind, _ number: Int32) -> Entry {
    let entry = Entry(
      key: nextKey, kind: kind, number: number, file: Descriptor.status(ofNumber: number))
    nextKey += 1
    store(number, name: entry.name)
    return entry
  }

  private func write(_ state: MasterState) {
    sequence += 1
    let older = Int(sequence % UInt64(files.count))
    let bytes = StateFile(sequence: sequence, state: state.encoded).encoded
    do throws(Errno) {
      try files[older].replaceContents(with: bytes)
    } catch {
      log.warning("cannot write down what runs, for the case of a crash: \(error)")
    }
  }

  /// All or nothing: with a part of what is needed nobody could go on.
  private func fits(_ count: Int) -> Bool {
    guard count > limit else {
      isTooSmall = false
      return true
    }
    if !isTooSmall {
      log.warning(
        "\(count) descriptors are to be kept by the service manager and FileDescriptorStoreMax= "
          + "allows \(limit): after a crash of the master connections would be lost")
    }
    isTooSmall = true
    for name in entries.map(\.name) + formerFiles { notifier.forget(name) }
    entries = []
    formerFiles = []
    return false
  }
}

// MARK: - Over an exec

extension DescriptorStore {
  convenience init?(_ state: MasterState.Store?, _ log: MasterLog) {
    guard let state, state.files.count == 2 else { return nil }
    var files = DescriptorTable()
    for number in state.files {
      guard let file = Descriptor.inherited(number) else { return nil }
      files.append(file)
    }
    self.init(state, files, log)
  }

  var state: MasterState.Store {
    MasterState.Store(
      nextKey: nextKey, sequence: sequence, files: fileNumbers.map(\.number),
      keeper: keeper?.socket.numberForSuccessor,
      entries: entries.map {
        MasterState.StoredDescriptor(key: $0.key, kind: $0.kind, number: $0.number)
      })
  }
}

/// A state as it lies in the store: its age, and a sum that tells a half-written one.
struct StateFile: Equatable {
  /// How often the state has been written before.
  var sequence: UInt64
  var state: [UInt8]

  private enum Tag {
    static let sequence: UInt16 = 1
    static let state: UInt16 = 2
    static let checksum: UInt16 = 3
  }

  init(sequence: UInt64, state: [UInt8]) {
    self.sequence = sequence
    self.state = state
  }

  var encoded: [UInt8] {
    var writer = RecordWriter()
    writer.write(Tag.sequence, sequence)
    writer.write(Tag.state, state)
    writer.write(Tag.checksum, checksum)
    return writer.bytes
  }

  /// - Throws: when it was not written to its end.
  init(decoding bytes: [UInt8]) throws(RecordError) {
    let reader = try RecordReader(bytes)
    sequence = UInt64(UInt(bitPattern: try reader.required(Tag.sequence)))
    guard let state = reader.bytes(Tag.state) else { throw .missing(Tag.state) }
    self.state = state
    guard UInt64(UInt(bitPattern: try reader.required(Tag.checksum))) == checksum else {
      throw .invalid(Tag.checksum)
    }
  }

  /// FNV-1a over the sequence and the state.
  private var checksum: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ sequence
    for byte in state { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}
