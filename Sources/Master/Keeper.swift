import Linux

/// A process that keeps copies of what the master holds, where no service manager does: it outlives a
/// master that dies, and gives them to the next one.
///
/// It is there where a `stats socket` says `expose-fd listeners`. That it is a process of its own has
/// a reason: workers and controller have fewer rights than the master, and whoever tells a master what
/// it has to go on with could make it do anything. This one is the master's user, reads nothing but
/// from its master and from processes of the same user, and forgets what it is asked to.
///
/// What is said, a packet each, over SOCK_SEQPACKET; lines as in sd_notify(3):
///
///     master  ► keeper  FDSTORE=1 FDNAME=…  (a descriptor beside)   FDSTOREREMOVE=1 FDNAME=…
///     master ◄► keeper  BARRIER=1     everything before has been done
///     heir    ► keeper  TAKE=1        it wants to go on with what runs
///     keeper  ► master  TAKE=1        ► YIELD=1: it stands still from now on, or YIELD=0
///     keeper  ► heir    FDNAMES=…:…   (the descriptors beside it), at last END=1
///     heir    ► keeper  DONE=1        it has taken over: from now on it is the master
///     keeper  ► master  DONE=1        it ends; RESUME=1: the heir has failed, it goes on
///
/// A master of another release may sit at the other end: these words stay what they are.
struct KeeperProcess: ~Copyable {
  private var epoll: Epoll
  /// Nil once it has died.
  private var master: Descriptor?
  private var heir: Descriptor?
  private let doors: DescriptorTable
  private let paths: [String]
  /// The doors as they were made: another keeper may have put its own in their place.
  private let doorFiles: [FileStatus]
  /// What is kept, and the names of it.
  private var kept = DescriptorTable()
  private var names: [String] = []

  /// Where heirs come to, beside each socket for operators.
  static func door(besides path: String) -> String { "\(path).keeper" }

  private enum Token {
    static let master: UInt64 = 0
    static let heir: UInt64 = 1
    static let door: UInt64 = 2
  }

  /// Milliseconds between looks whether anybody is left whose things are kept.
  private static let interval = 200
  /// Names in one packet.
  private static let batch = 32

  /// Never returns.
  static func run(master: consuming Descriptor, besides paths: [String]) -> Never {
    do throws(Errno) {
      var keeper = try make(master, paths.map(door(besides:)))
      while true { keeper.goOn() }
    } catch {
      MasterLog(isQuiet: false).warning("nobody can take over from this daemon: \(error)")
      Process.exit(1)
    }
  }

  private static func make(
    _ master: consuming Descriptor, _ paths: [String]
  ) throws(Errno) -> KeeperProcess {
    let epoll = try Epoll()
    var doors = DescriptorTable()
    var files: [FileStatus] = []
    for (index, path) in paths.enumerated() {
      let door = try open(path)
      try epoll.add(door, .readable, token: Token.door + UInt64(index))
      doors.append(door)
      files.append(try File.status(path))
    }
    try epoll.add(master, .readable, token: Token.master)
    return KeeperProcess(
      epoll: epoll, master: .some(master), doors: doors, paths: paths, doorFiles: files)
  }

  private init(
    epoll: consuming Epoll, master: consuming Descriptor?, doors: consuming DescriptorTable,
    paths: [String], doorFiles: [FileStatus]
  ) {
    self.epoll = epoll
    self.master = master
    self.doors = doors
    self.paths = paths
    self.doorFiles = doorFiles
  }

  /// In the place of one that was left behind, or of a keeper's before.
  private static func open(_ path: String) throws(Errno) -> Descriptor {
    let temporary = "\(path).\(Process.id)"
    let door = try Descriptor.socket(.sequencedPacket, for: .unix(path: path))
    let mask = File.setCreationMask(0o177)
    defer { File.setCreationMask(mask) }
    try door.bind(to: .unix(path: temporary))
    try door.listen(backlog: 8)
    try File.rename(temporary, to: path)
    return door
  }

  private mutating func goOn() {
    let isOrphan = !isThere(master)
    if isOrphan, !isThere(heir), !isNeeded { end() }
    let count = (try? epoll.wait(milliseconds: isOrphan ? Self.interval : -1)) ?? 0
    for index in 0..<count {
      switch epoll[index].token {
      case Token.master: hearMaster()
      case Token.heir: hearHeir()
      case let token: answerDoor(Int(token - Token.door))
      }
    }
  }

  /// Without workers what is kept is of no use; sockets that nobody polls would swallow connections.
  private var isNeeded: Bool {
    let prefix = "\(DescriptorStore.prefix)\(MasterState.DescriptorKind.worker.rawValue)."
    return names.indices.contains { names[$0].hasPrefix(prefix) && !kept[$0].hasHungUp }
  }

  private func end() -> Never {
    for (path, made) in zip(paths, doorFiles) where made.isSameFile(as: try? File.status(path)) {
      try? File.remove(path)
    }
    Process.exit(0)
  }

  // MARK: The master

  private mutating func hearMaster() {
    for _ in 0..<64 {
      var rights = DescriptorTable()
      let packet = receive(from: master, &rights)
      guard case .lines(let lines) = packet else {
        if case .gone = packet { masterIsGone() }
        return
      }
      if lines["FDSTORE"] == "1", let name = lines["FDNAME"], !rights.isEmpty {
        keep(rights.remove(at: 0), name)
      }
      if lines["FDSTOREREMOVE"] == "1", let name = lines["FDNAME"] { forget(name) }
      if lines["BARRIER"] == "1" { tell(master, "BARRIER=1") }
      if lines["YIELD"] == "1" { giveAllOrGoOn() }
      if lines["YIELD"] == "0" { dismissHeir() }
    }
  }

  private mutating func masterIsGone() {
    switch master.take() {
    case .some(let gone): try? epoll.remove(gone)
    case .none: break
    }
    // Who waits for its answer need not wait any more.
    if isThere(heir) { giveAll() }
  }

  private mutating func keep(_ descriptor: consuming Descriptor, _ name: String) {
    forget(name)
    names.append(name)
    kept.append(descriptor)
  }

  private mutating func forget(_ name: String) {
    guard let index = names.firstIndex(of: name) else { return }
    names.swapAt(index, names.count - 1)
    names.removeLast()
    kept.remove(at: index).close()
  }

  // MARK: Heirs

  private mutating func answerDoor(_ index: Int) {
    var peer = Endpoint.none
    guard let visitor = try? doors[index].accept(peer: &peer) else { return }
    // One at a time. That it has the right to, its way through the door's mode has shown.
    guard !isThere(heir), (try? epoll.add(visitor, .readable, token: Token.heir)) != nil else {
      return
    }
    heir = .some(visitor)
  }

  private mutating func hearHeir() {
    var rights = DescriptorTable()
    let packet = receive(from: heir, &rights)
    guard case .lines(let lines) = packet else {
      guard case .gone = packet else { return }
      dismissHeir()
      return tell(master, "RESUME=1")
    }
    if lines["TAKE"] == "1" {
      if isThere(master) { tell(master, "TAKE=1") } else { giveAll() }
    }
    if lines["DONE"] == "1" { becomeServantOfHeir() }
  }

  private mutating func dismissHeir() {
    switch heir.take() {
    case .some(let gone): try? epoll.remove(gone)
    case .none: break
    }
  }

  /// Whoever asked may be gone by the time that the master stands still.
  private mutating func giveAllOrGoOn() {
    if isThere(heir) { giveAll() } else { tell(master, "RESUME=1") }
  }

  private mutating func giveAll() {
    for start in stride(from: 0, to: names.count, by: Self.batch) {
      let part = start..<min(start + Self.batch, names.count)
      let text = names[part].joined(separator: ":")
      tell(heir, "FDNAMES=\(text)", rights: part.map { kept[$0].numberForSuccessor })
    }
    tell(heir, "END=1")
  }

  private mutating func becomeServantOfHeir() {
    tell(master, "DONE=1")
    switch master.take() {
    case .some(let former): try? epoll.remove(former)
    case .none: break
    }
    guard let next = heir.take() else { return }
    try? epoll.modify(next, .readable, token: Token.master)
    master = .some(next)
  }

  private func isThere(_ peer: borrowing Descriptor?) -> Bool {
    switch peer {
    case .some: true
    case .none: false
    }
  }

  // MARK: Packets

  private func tell(
    _ peer: borrowing Descriptor?, _ text: String, rights: [Int32] = []
  ) {
    switch peer {
    case .some(let peer): _ = try? peer.sendPacket(Array(text.utf8).span, rights: rights)
    case .none: break
    }
  }

  private func receive(
    from peer: borrowing Descriptor?, _ rights: inout DescriptorTable
  ) -> KeeperPacket {
    switch peer {
    case .none: .nothing
    case .some(let peer): KeeperPacket(from: peer, &rights)
    }
  }
}

/// The keeper as its master sees it.
final class Keeper {
  let socket: Descriptor
  /// An heir waits for the master to stand still.
  private(set) var hasBeenAsked = false

  /// How long the keeper may take to do what it was told, in milliseconds.
  private static let patience = 5_000

  init(_ socket: consuming Descriptor) { self.socket = socket }

  /// - Returns: nil when the descriptor is not open.
  convenience init?(inherited number: Int32) {
    guard let socket = Descriptor.inherited(number) else { return nil }
    self.init(socket)
  }

  /// Starts a keeper, which heirs find beside these sockets for operators.
  static func start(besides paths: [String]) throws(Errno) -> Keeper {
    let pair = try Descriptor.packetPair()
    let number = pair.second.numberForSuccessor
    _ = try Process.spawn {
      ChildSignals.reset()
      Process.rename(to: "sluice-keeper")
      try? Process.closeDescriptors(except: [number])
      guard let master = Descriptor.inherited(number) else { Process.exit(1) }
      KeeperProcess.run(master: master, besides: paths)
    }
    return Keeper(pair.first)
  }

  func store(_ number: Int32, name: String) { tell("FDSTORE=1\nFDNAME=\(name)", rights: [number]) }

  func forget(_ name: String) { tell("FDSTOREREMOVE=1\nFDNAME=\(name)") }

  /// Waits until it has done all that it was told before.
  func waitUntilHeard() {
    tell("BARRIER=1")
    let end = Clock.monotonic / 1_000_000 + Int64(Self.patience)
    while Clock.monotonic / 1_000_000 < end {
      switch read() {
      case .lines(let lines):
        if lines["BARRIER"] != nil { return }
      case .nothing: wait(for: .readable, milliseconds: Self.patience)
      case .gone: return
      }
    }
  }

  /// Reads a packet, and notes what it says of an heir, whatever else was waited for.
  func read() -> KeeperPacket {
    var rights = DescriptorTable()
    let packet = KeeperPacket(from: socket, &rights)
    if case .lines(let lines) = packet {
      if lines["TAKE"] != nil { hasBeenAsked = true }
      if lines["RESUME"] != nil { hasBeenAsked = false }
    }
    return packet
  }

  /// Says that the master stands still, and does so until it is known what becomes of it.
  ///
  /// - Returns: whether it is to end.
  func yield() -> Bool {
    hasBeenAsked = false
    tell("YIELD=1")
    while true {
      switch read() {
      case .lines(let lines):
        if lines["DONE"] != nil { return true }
        if lines["RESUME"] != nil { return false }
      case .nothing: wait(for: .readable, milliseconds: Self.patience)
      case .gone: return false
      }
    }
  }

  /// Says that the master is on its way out already.
  func refuse() {
    hasBeenAsked = false
    tell("YIELD=0")
  }

  private func tell(_ text: String, rights: [Int32] = []) {
    let bytes = Array(text.utf8)
    let end = Clock.monotonic / 1_000_000 + Int64(Self.patience)
    do throws(Errno) {
      while try !socket.sendPacket(bytes.span, rights: rights) {
        guard Clock.monotonic / 1_000_000 < end else { return }
        wait(for: .writable, milliseconds: 100)
      }
    } catch {
      // It is gone, which is read from its socket.
    }
  }

  private func wait(for readiness: Readiness, milliseconds: Int) {
    guard var epoll = try? Epoll(), (try? epoll.add(socket, readiness, token: 0)) != nil else {
      return
    }
    _ = try? epoll.wait(milliseconds: milliseconds)
  }
}

/// A packet between a keeper and a master.
enum KeeperPacket {
  /// `NAME=VALUE` lines; of one that is there several times, the last.
  case lines([String: String])
  /// There is nothing to read now.
  case nothing
  /// Whoever could send something is gone.
  case gone

  /// Reads one; the descriptors beside it are appended.
  init(from peer: borrowing Descriptor, _ rights: inout DescriptorTable) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    var numbers: [Int32] = []
    let transfer = try? peer.receivePacket(into: &buffer, rights: &numbers)
    for number in numbers { rights.append(Descriptor.received(number)) }
    switch transfer {
    case .moved(let count): self = .lines(Self.lines(in: buffer[..<count]))
    case .blocked: self = .nothing
    case .ended, nil: self = .gone
    }
  }

  private static func lines(in bytes: ArraySlice<UInt8>) -> [String: String] {
    var lines: [String: String] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      guard let equals = line.firstIndex(of: "=") else { continue }
      lines[String(line[..<equals])] = String(line[line.index(after: equals)...])
    }
    return lines
  }
}
