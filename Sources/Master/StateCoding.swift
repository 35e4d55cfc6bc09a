import Configuration
import Linux

/// The encoding: eight bytes of magic, then records; see ``RecordWriter``.
extension MasterState {
  /// "sluice", then the version: only a change that no reader can pass over raises it.
  private static let magic = Array("sluice".utf8) + [1, 1]

  private enum Tag {
    static let purpose: UInt16 = 1
    static let lastGeneration: UInt16 = 2
    static let started: UInt16 = 3
    static let reloads: UInt16 = 4
    static let failedReloads: UInt16 = 5
    static let argument: UInt16 = 6
    static let path: UInt16 = 7
    static let ledger: UInt16 = 8
    static let doorbell: UInt16 = 9
    static let bind: UInt16 = 10
    static let statsSocket: UInt16 = 11
    static let worker: UInt16 = 12
    static let controller: UInt16 = 13
    static let current: UInt16 = 14
    static let previous: UInt16 = 15
    static let waiter: UInt16 = 16
    static let laterWaiter: UInt16 = 17
    static let wantsAnotherReload: UInt16 = 18
    static let text: UInt16 = 19
    static let control: UInt16 = 20
    static let isStopping: UInt16 = 21
    static let store: UInt16 = 22
    static let previousLedger: UInt16 = 23
    #if NEXT_LAYOUT
      static let novelty: UInt16 = 999
    #endif
    static let lastReload: UInt16 = 30
    static let leaveDue: UInt16 = 31
  }

  var encoded: [UInt8] {
    var writer = RecordWriter()
    writer.write(Tag.purpose, purpose.rawValue)
    writer.write(Tag.lastGeneration, lastGeneration)
    writer.write(Tag.started, Int(started))
    writer.write(Tag.reloads, reloads)
    writer.write(Tag.failedReloads, failedReloads)
    for argument in arguments { writer.write(Tag.argument, argument) }
    writer.write(Tag.path, path)
    writer.write(Tag.ledger, Int(ledger))
    writer.write(Tag.previousLedger, previousLedger.map { Int($0) })
    #if NEXT_LAYOUT
      // What a release to come may add, and this one has to pass over.
      writer.write(Tag.novelty, "something new")
    #endif
    for doorbell in doorbells { writer.write(Tag.doorbell, Int(doorbell)) }
    for listener in binds { writer.write(Tag.bind, record: listener.write) }
    if let control { writer.write(Tag.control, record: control.write) }
    for listener in statsSockets { writer.write(Tag.statsSocket, record: listener.write) }
    for worker in workers { writer.write(Tag.worker, record: worker.write) }
    for controller in controllers { writer.write(Tag.controller, record: controller.write) }
    writer.write(Tag.current, record: current.write)
    if let previous { writer.write(Tag.previous, record: previous.write) }
    for waiter in waiters { writer.write(Tag.waiter, record: waiter.write) }
    for waiter in laterWaiters { writer.write(Tag.laterWaiter, record: waiter.write) }
    writer.write(Tag.wantsAnotherReload, wantsAnotherReload)
    writer.write(Tag.text, text)
    writer.write(Tag.isStopping, isStopping)
    if let store { writer.write(Tag.store, record: store.write) }
    writer.write(Tag.lastReload, record: lastReload.write)
    writer.write(Tag.leaveDue, Int(leaveDue))
    return Self.magic + writer.bytes
  }

  init(decoding bytes: [UInt8]) throws(RecordError) {
    guard bytes.starts(with: Self.magic) else { throw .invalid(0) }
    let reader = try RecordReader(bytes.dropFirst(Self.magic.count))
    guard let purpose = Purpose(rawValue: try reader.required(Tag.purpose)) else {
      throw .invalid(Tag.purpose)
    }
    guard let current = try reader.records(Tag.current, Release.init).first else {
      throw .missing(Tag.current)
    }
    self.purpose = purpose
    self.current = current
    previous = try reader.records(Tag.previous, Release.init).first
    lastGeneration = try reader.required(Tag.lastGeneration, as: UInt64.self)
    started = try reader.required(Tag.started, as: Int64.self)
    reloads = try reader.number(Tag.reloads) ?? 0
    failedReloads = try reader.number(Tag.failedReloads) ?? 0
    arguments = reader.texts(Tag.argument)
    path = reader.text(Tag.path) ?? ""
    ledger = try reader.required(Tag.ledger, as: Int32.self)
    previousLedger = try reader.number(Tag.previousLedger).map { Int32(truncatingIfNeeded: $0) }
    doorbells = try reader.numbers(Tag.doorbell).map { Int32(truncatingIfNeeded: $0) }
    binds = try reader.records(Tag.bind, Listener.init)
    control = try reader.records(Tag.control, Listener.init).first
    statsSockets = try reader.records(Tag.statsSocket, Listener.init)
    workers = try reader.records(Tag.worker, Worker.init)
    controllers = try reader.records(Tag.controller, Controller.init)
    waiters = try reader.records(Tag.waiter, Waiter.init)
    laterWaiters = try reader.records(Tag.laterWaiter, Waiter.init)
    wantsAnotherReload = try reader.flag(Tag.wantsAnotherReload)
    text = reader.text(Tag.text) ?? ""
    isStopping = try reader.flag(Tag.isStopping)
    store = try reader.records(Tag.store, Store.init).first
    lastReload = try reader.records(Tag.lastReload, ReloadOutcome.init).first ?? ReloadOutcome()
    leaveDue = Int64(try reader.number(Tag.leaveDue) ?? .max)
  }
}

// MARK: - Records

extension MasterState.Release {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, generation)
    writer.write(2, Int(daemon))
    writer.write(3, controller.map { Int($0) })
    writer.write(4, Int(snapshot))
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init(
      generation: try reader.required(1, as: UInt64.self),
      daemon: try reader.required(2, as: Int32.self),
      controller: try reader.number(3).map { Int32(truncatingIfNeeded: $0) },
      snapshot: try reader.required(4, as: Int32.self))
  }
}

extension MasterState.Listener {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, record: specification.write)
    for socket in sockets { writer.write(2, Int(socket)) }
    writer.write(3, isAdopted)
    writer.write(4, device.map { Int(bitPattern: UInt($0)) })
    writer.write(5, inode.map { Int(bitPattern: UInt($0)) })
    writer.write(6, spreads)
    writer.write(7, socketsInUse)
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    guard let specification = try reader.records(1, ListenerSpecification.init).first else {
      throw .missing(1)
    }
    self.init(
      specification: specification,
      sockets: try reader.numbers(2).map { Int32(truncatingIfNeeded: $0) },
      spreads: try reader.flag(6), socketsInUse: try reader.number(7) ?? 0,
      isAdopted: try reader.flag(3),
      device: try reader.number(4).map { UInt64(UInt(bitPattern: $0)) },
      inode: try reader.number(5).map { UInt64(UInt(bitPattern: $0)) })
  }
}

extension MasterState.Worker {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, Int(pid))
    writer.write(2, lane)
    writer.write(3, generation)
    writer.write(4, slot)
    writer.write(5, Int(started))
    writer.write(6, isReady)
    writer.write(7, isDraining)
    writer.write(8, Int(socket))
    writer.write(9, Int(controllerEnd))
    writer.write(10, Int(endBy))
    writer.write(11, isAdopted)
    writer.write(12, isForeign)
    writer.write(13, ledger.map { Int($0) })
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init(
      pid: try reader.required(1, as: Int32.self), lane: try reader.required(2),
      generation: try reader.required(3, as: UInt64.self), slot: try reader.required(4),
      started: try reader.required(5, as: Int64.self), isReady: try reader.flag(6),
      isDraining: try reader.flag(7),
      endBy: Int64(try reader.number(10) ?? .max), socket: try reader.required(8, as: Int32.self),
      controllerEnd: try reader.required(9, as: Int32.self),
      isAdopted: try reader.flag(11), isForeign: try reader.flag(12),
      ledger: try reader.number(13).map { Int32(truncatingIfNeeded: $0) })
  }
}

extension MasterState.Controller {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, Int(pid))
    writer.write(2, generation)
    writer.write(3, Int(started))
    writer.write(4, isReady)
    writer.write(5, isStopping)
    writer.write(6, Int(socket))
    writer.write(7, Int(endBy))
    writer.write(8, isAdopted)
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init(
      pid: try reader.required(1, as: Int32.self),
      generation: try reader.required(2, as: UInt64.self),
      started: try reader.required(3, as: Int64.self), isReady: try reader.flag(4),
      isStopping: try reader.flag(5), endBy: Int64(try reader.number(7) ?? .max),
      socket: try reader.required(6, as: Int32.self), isAdopted: try reader.flag(8))
  }
}

extension MasterState.Store {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, Int(nextKey))
    writer.write(2, sequence)
    for file in files { writer.write(3, Int(file)) }
    for entry in entries { writer.write(4, record: entry.write) }
    writer.write(5, keeper.map { Int($0) })
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init(
      nextKey: try reader.required(1, as: Int32.self),
      sequence: UInt64(UInt(bitPattern: try reader.required(2))),
      files: try reader.numbers(3).map { Int32(truncatingIfNeeded: $0) },
      keeper: try reader.number(5).map { Int32(truncatingIfNeeded: $0) },
      // One of a kind that only a newer release knows is left in the store, which is no harm.
      entries: try reader.records(4, MasterState.StoredDescriptor.read).compactMap(\.self))
  }
}

extension MasterState.StoredDescriptor {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, Int(key))
    writer.write(2, kind.rawValue)
    writer.write(3, Int(number))
  }

  /// - Returns: nil when it is of a kind that is not known.
  fileprivate static func read(_ reader: RecordReader) throws(RecordError) -> Self? {
    guard let kind = reader.text(2).flatMap({ MasterState.DescriptorKind(rawValue: $0) }) else {
      return nil
    }
    return Self(
      key: try reader.required(1, as: Int32.self), kind: kind,
      number: try reader.required(3, as: Int32.self))
  }
}

extension MasterState.Waiter {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, Int(controller))
    writer.write(2, requestID)
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init(
      controller: try reader.required(1, as: Int32.self),
      requestID: UInt64(UInt(bitPattern: try reader.required(2))))
  }
}

// MARK: - Listeners

extension ListenerSpecification {
  func write(to writer: inout RecordWriter) {
    writer.write(1, record: key.write)
    writer.write(2, record: options.write)
    writer.write(3, text)
  }

  init(_ reader: RecordReader) throws(RecordError) {
    guard let key = try reader.records(1, Key.init).first else { throw .missing(1) }
    self.init(
      key: key, options: try reader.records(2, Options.init).first ?? Options(),
      text: reader.text(3) ?? "")
  }
}

extension ListenerSpecification.Key {
  fileprivate func write(to writer: inout RecordWriter) {
    switch address {
    case .socket(let address): writer.write(1, record: address.write)
    case .descriptor(let number): writer.write(2, number)
    case .descriptorName(let name): writer.write(3, name)
    }
    writer.write(4, interface)
    writer.write(5, onlyIPv6.map { $0 ? 1 : 0 })
    writer.write(6, isTransparent)
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    if let address = try reader.records(1, SocketAddress.init).first {
      self.init(address: .socket(address))
    } else if let number = try reader.number(2) {
      self.init(address: .descriptor(number))
    } else if let name = reader.text(3) {
      self.init(address: .descriptorName(name))
    } else {
      throw .missing(1)
    }
    interface = reader.text(4)
    onlyIPv6 = try reader.number(5).map { $0 != 0 }
    isTransparent = try reader.flag(6)
  }
}

extension SocketAddress {
  fileprivate func write(to writer: inout RecordWriter) {
    switch self {
    case .internet(let endpoint):
      writer.write(1, endpoint.address.high)
      writer.write(2, endpoint.address.low)
      writer.write(3, Int(endpoint.port))
      writer.write(4, Int(endpoint.scope))
    case .unix(let path): writer.write(5, path)
    case .abstract(let name): writer.write(6, name)
    }
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    if let path = reader.text(5) {
      self = .unix(path: path)
    } else if let name = reader.text(6) {
      self = .abstract(name: name)
    } else {
      let address = IPAddress(
        high: UInt64(UInt(bitPattern: try reader.required(1))),
        low: UInt64(UInt(bitPattern: try reader.required(2))))
      self = .internet(
        Endpoint(
          address: address, port: try reader.required(3, as: UInt16.self),
          scope: try reader.required(4, as: UInt32.self)))
    }
  }
}

extension ListenerSpecification.Options {
  fileprivate func write(to writer: inout RecordWriter) {
    writer.write(1, backlog)
    if let keepalive {
      writer.write(2, keepalive.isEnabled ? 1 : 0)
      writer.write(3, keepalive.idle)
      writer.write(4, keepalive.interval)
      writer.write(5, keepalive.count)
    }
    writer.write(6, userTimeout)
    writer.write(7, deferAccept)
    writer.write(8, fastOpen)
    writer.write(9, maxSegmentSize)
    writer.write(10, receiveBuffer)
    writer.write(11, sendBuffer)
    writer.write(12, permissions.mode.map { Int($0) })
    permissions.user.map { user in writer.write(13, record: user.write) }
    permissions.group.map { group in writer.write(14, record: group.write) }
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    self.init()
    backlog = try reader.number(1) ?? Self.defaultBacklog
    if let isEnabled = try reader.number(2) {
      var keepalive = Keepalive()
      keepalive.isEnabled = isEnabled != 0
      keepalive.idle = try reader.required(3)
      keepalive.interval = try reader.required(4)
      keepalive.count = try reader.required(5)
      self.keepalive = keepalive
    }
    userTimeout = try reader.number(6)
    deferAccept = try reader.flag(7)
    fastOpen = try reader.flag(8)
    maxSegmentSize = try reader.number(9)
    receiveBuffer = try reader.number(10)
    sendBuffer = try reader.number(11)
    permissions.mode = try reader.number(12).map { UInt32(truncatingIfNeeded: $0) }
    permissions.user = try reader.records(13, Identity.init).first
    permissions.group = try reader.records(14, Identity.init).first
  }
}

extension Identity {
  fileprivate func write(to writer: inout RecordWriter) {
    switch self {
    case .name(let name): writer.write(1, name)
    case .number(let number): writer.write(2, Int(number))
    }
  }

  fileprivate init(_ reader: RecordReader) throws(RecordError) {
    if let name = reader.text(1) {
      self = .name(name)
    } else {
      self = .number(try reader.required(2, as: UInt32.self))
    }
  }
}
