/// The encoding: a byte of format, a byte of kind, then fields (see `FieldWriter`). What connections
/// have read and not delivered comes last, in the order of the connections, as a stream that is cut
/// into fields without regard to whose it is: a field is too short for some of it.
///
/// To stay readable for older and newer releases: a number is never given a second meaning, a new
/// field is optional for readers. A change that a reader must not pass over raises the format. Every
/// release reads and writes all formats up to its own, so that two of them meet in the lower one; an
/// offer of a format that is not known is refused, and the connections stay where they are. Committed
/// examples under `Tests/Fixtures/handover` hold everyone to it.
extension HandOverPacket {
  #if NEXT_LAYOUT
    /// The release to come, for tests of upgrades. In its format something is said that a reader of
    /// format 1 would refuse, and in format 1 something that it has to pass over.
    public static let format: UInt8 = 2
  #else
    /// The newest format that this release reads and writes.
    public static let format: UInt8 = 1
  #endif

  /// The format of a packet that has been read.
  public static func format(of packet: ArraySlice<UInt8>) -> UInt8 { packet.first ?? 1 }

  private enum Kind: UInt8 {
    case offer = 1
    case taken = 2
    case refused = 3
  }

  private enum Tag {
    static let batch: UInt8 = 1
    static let frontend: UInt8 = 2
    static let listener: UInt8 = 3
    static let backend: UInt8 = 4
    static let server: UInt8 = 5
    static let connection: UInt8 = 6
    static let bytes: UInt8 = 7
    static let objection: UInt8 = 8
    #if NEXT_LAYOUT
      static let novelty: UInt8 = 250
    #endif
  }

  /// The packet to send, in a format that its reader knows. Throws `tooLong` when it would exceed
  /// ``maximumLength``.
  public func encoded(format: UInt8 = Self.format) throws(MessageError) -> [UInt8] {
    let format = min(max(format, 1), Self.format)
    var fields: FieldWriter
    switch self {
    case .offer(let offer):
      fields = FieldWriter([format, Kind.offer.rawValue], reserving: 16_384)
      Self.write(offer, to: &fields)
      #if NEXT_LAYOUT
        fields.write(Tag.novelty, "format \(format)")
      #endif
    case .taken(let batch):
      fields = FieldWriter([format, Kind.taken.rawValue])
      fields.write(Tag.batch, batch)
    case .refused(let batch, let objections):
      fields = FieldWriter([format, Kind.refused.rawValue])
      fields.write(Tag.batch, batch)
      for objection in objections { fields.write(Tag.objection, record: objection.write) }
    }
    guard !fields.hasOverflowed, fields.bytes.count <= Self.maximumLength else { throw .tooLong }
    return fields.bytes
  }

  private static func write(_ offer: HandOverOffer, to fields: inout FieldWriter) {
    fields.write(Tag.batch, offer.batch)
    for frontend in offer.frontends { fields.write(Tag.frontend, record: frontend.write) }
    for listener in offer.listeners { fields.write(Tag.listener, record: listener.write) }
    for backend in offer.backends { fields.write(Tag.backend, record: backend.write) }
    for server in offer.servers { fields.write(Tag.server, record: server.write) }
    var bytes: [UInt8] = []
    for connection in offer.connections {
      fields.write(Tag.connection, record: connection.write)
      bytes += connection.inspected ?? []
      bytes += connection.upload.held
      bytes += connection.download.held
    }
    var rest = bytes[...]
    while !rest.isEmpty {
      fields.write(Tag.bytes, rest.prefix(Int(UInt16.max)))
      rest = rest.dropFirst(Int(UInt16.max))
    }
  }

  /// Reads a packet.
  public init(decoding packet: ArraySlice<UInt8>) throws(MessageError) {
    guard packet.count >= 2 else { throw .tooShort }
    guard packet.count <= Self.maximumLength else { throw .tooLong }
    let format = packet[packet.startIndex]
    guard (1...Self.format).contains(format) else { throw .unknownFormat(format) }
    let number = packet[packet.startIndex + 1]
    guard let kind = Kind(rawValue: number) else { throw .unknownKind(number) }
    let fields = try FieldReader(packet.dropFirst(2))
    let batch: UInt64 = try fields.number(Tag.batch)
    #if NEXT_LAYOUT
      let isNovel = format > 1 && kind == .offer
      guard !isNovel || fields.text(ifSent: Tag.novelty) != nil else {
        throw .missingField(Tag.novelty)
      }
    #endif
    switch kind {
    case .offer: self = .offer(try Self.offer(batch, fields))
    case .taken: self = .taken(batch: batch)
    case .refused:
      self = .refused(batch: batch, try fields.records(Tag.objection, Objection.init))
    }
  }

  private static func offer(
    _ batch: UInt64, _ fields: FieldReader
  ) throws(MessageError) -> HandOverOffer {
    var offer = HandOverOffer(batch: batch)
    offer.frontends = try fields.records(Tag.frontend, FrontendPortrait.init)
    offer.listeners = try fields.records(Tag.listener, ListenerPortrait.init)
    offer.backends = try fields.records(Tag.backend, BackendPortrait.init)
    offer.servers = try fields.records(Tag.server, ServerPortrait.init)
    var bytes = fields.joined(Tag.bytes)[...]
    for value in fields.all(Tag.connection) {
      let reader = try FieldReader(value)
      let connection = try ConnectionRecord(reader, &bytes)
      guard offer.knows(connection) else { throw .invalidField(Tag.connection) }
      offer.connections.append(connection)
    }
    guard offer.connections.count <= mostConnections else { throw .tooLong }
    return offer
  }

  /// Whether a packet that cannot be read is an offer, and of which batch: its sender waits for an
  /// answer. A release that raises the format leaves kind and batch where they are.
  public static func unreadableOffer(_ packet: ArraySlice<UInt8>) -> UInt64? {
    guard packet.count >= 2, packet[packet.startIndex + 1] == Kind.offer.rawValue else {
      return nil
    }
    // The batch is the first field.
    let rest = packet.dropFirst(2)
    guard rest.count >= 3, rest[rest.startIndex] == Tag.batch, rest[rest.startIndex + 1] == 0
    else { return nil }
    let width = Int(rest[rest.startIndex + 2])
    guard width <= 8, rest.count >= 3 + width else { return nil }
    return rest.dropFirst(3).prefix(width).reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension HandOverOffer {
  /// Whether all that the connection points to is in the lists, and all there that its phase needs.
  fileprivate func knows(_ connection: ConnectionRecord) -> Bool {
    func holds(_ index: Int?, _ count: Int, isNeeded: Bool) -> Bool {
      index.map { $0 < count } ?? !isNeeded
    }
    return connection.frontend < frontends.count && connection.listener < listeners.count
      && holds(connection.backend, backends.count, isNeeded: connection.needsBackend)
      && holds(connection.server, servers.count, isNeeded: connection.needsServer)
      && holds(connection.wanted, servers.count, isNeeded: false)
  }
}

extension HandOverPacket.Objection {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, UInt32(reason.rawValue))
    if let position { fields.write(2, UInt32(position)) }
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    let reason = HandOverPacket.Reason(rawValue: try fields.number(1)) ?? .other
    let position: UInt16? = try fields.number(ifSent: 2)
    self.init(position: position.map(Int.init), reason: reason)
  }
}

// MARK: - Portraits

extension FieldWriter {
  fileprivate mutating func write(_ tag: UInt8, slot: Int) { write(tag, UInt32(clamping: slot)) }

  /// A time, or nothing.
  fileprivate mutating func write(_ tag: UInt8, ifThere time: Int64?) {
    if let time { write(tag, UInt64(bitPattern: time)) }
  }

  /// A time that is 0 as a rule, where it is not.
  fileprivate mutating func write(_ tag: UInt8, unlessZero time: Int64) {
    if time != 0 { write(tag, UInt64(bitPattern: time)) }
  }

  fileprivate mutating func write(_ tag: UInt8, unlessZero number: UInt64) {
    if number != 0 { write(tag, number) }
  }

  fileprivate mutating func write(_ tag: UInt8, ifTrue flag: Bool) {
    if flag { write(tag, true) }
  }

  /// A byte of family, two of port, then the address.
  fileprivate mutating func write(_ tag: UInt8, _ address: WireAddress) {
    guard address.isInternet else { return }
    var bytes = [address.family.rawValue, UInt8(address.port >> 8), UInt8(address.port & 0xff)]
    func append(_ number: UInt64) {
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
      }
    }
    append(address.high)
    append(address.low)
    write(tag, bytes)
  }
}

extension FieldReader {
  fileprivate func slot(_ tag: UInt8) throws(MessageError) -> Int {
    let number: UInt32 = try number(tag)
    return Int(number)
  }

  fileprivate func time(ifSent tag: UInt8) throws(MessageError) -> Int64? {
    let bits: UInt64? = try number(ifSent: tag)
    return bits.map { Int64(bitPattern: $0) }
  }

  fileprivate func time(_ tag: UInt8) throws(MessageError) -> Int64 {
    try time(ifSent: tag) ?? 0
  }

  fileprivate func counter(_ tag: UInt8) throws(MessageError) -> UInt64 {
    try number(ifSent: tag) ?? 0
  }

  fileprivate func index(ifSent tag: UInt8) throws(MessageError) -> Int? {
    let number: UInt16? = try number(ifSent: tag)
    return number.map(Int.init)
  }

  fileprivate func address(_ tag: UInt8) throws(MessageError) -> WireAddress {
    guard let bytes = value(ifSent: tag).map(Array.init) else { return .none }
    guard bytes.count == 19 else { throw .invalidField(tag) }
    let port = UInt16(bytes[1]) << 8 | UInt16(bytes[2])
    let high = bytes[3..<11].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let low = bytes[11..<19].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    switch WireAddress.Family(rawValue: bytes[0]) {
    case .inet:
      guard high == 0, let number = UInt32(exactly: low) else { throw .invalidField(tag) }
      return .inet(number, port: port)
    case .inet6: return .inet6(high: high, low: low, port: port)
    default: throw .invalidField(tag)
    }
  }
}

extension FrontendPortrait {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, name)
    fields.write(2, slot: slot)
    fields.write(3, ifThere: clientTimeout)
    fields.write(4, ifThere: clientFinTimeout)
    fields.write(5, ifTrue: noLinger)
    fields.write(6, ifTrue: isLogged)
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    self.init(name: try fields.text(1), slot: try fields.slot(2))
    clientTimeout = try fields.time(ifSent: 3)
    clientFinTimeout = try fields.time(ifSent: 4)
    noLinger = try fields.flag(5)
    isLogged = try fields.flag(6)
  }
}

extension ListenerPortrait {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, slot: slot)
    fields.write(2, name)
    fields.write(3, UInt32(clamping: number))
    fields.write(4, ifTrue: carriesTLS)
    fields.write(5, ifTrue: checksNames)
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      slot: try fields.slot(1), name: fields.text(ifSent: 2) ?? "",
      number: Int(try fields.number(ifSent: 3) ?? 0 as UInt32))
    carriesTLS = try fields.flag(4)
    checksNames = try fields.flag(5)
  }
}

extension BackendPortrait {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, name)
    fields.write(2, slot: slot)
    fields.write(3, ifThere: connectTimeout)
    fields.write(4, ifThere: serverTimeout)
    fields.write(5, ifThere: serverFinTimeout)
    fields.write(6, ifThere: tunnelTimeout)
    fields.write(7, ifTrue: noLinger)
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    self.init(name: try fields.text(1), slot: try fields.slot(2))
    connectTimeout = try fields.time(ifSent: 3)
    serverTimeout = try fields.time(ifSent: 4)
    serverFinTimeout = try fields.time(ifSent: 5)
    tunnelTimeout = try fields.time(ifSent: 6)
    noLinger = try fields.flag(7)
  }
}

extension ServerPortrait {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, name)
    fields.write(2, slot: slot)
    fields.write(3, text)
    fields.write(4, address)
    fields.write(5, unlessZero: UInt64(proxyHeader))
  }

  fileprivate init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      name: try fields.text(1), slot: try fields.slot(2), text: fields.text(ifSent: 3) ?? "")
    address = try fields.address(4)
    proxyHeader = try fields.number(ifSent: 5) ?? 0
  }
}

// MARK: - Connections

extension ConnectionRecord {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, id)
    fields.write(2, UInt32(phase.rawValue))
    fields.write(3, marks.rawValue)
    fields.write(4, UInt32(frontend))
    fields.write(5, UInt32(listener))
    if let backend { fields.write(6, UInt32(backend)) }
    if let server { fields.write(7, UInt32(server)) }
    if let wanted { fields.write(8, UInt32(wanted)) }
    fields.write(9, source)
    fields.write(10, unlessZero: UInt64(sourceScope))
    fields.write(11, destination)
    fields.write(12, unlessZero: UInt64(destinationScope))
    writeTimes(to: &fields)
    fields.write(30, unlessZero: UInt64(attemptsLeft))
    fields.write(31, unlessZero: UInt64(retries))
    fields.write(32, unlessZero: ticket)
    fields.write(33, unlessZero: UInt64(aheadInServer))
    fields.write(34, unlessZero: UInt64(aheadInBackend))
    fields.write(35, unlessZero: settled)
    fields.write(36, unlessZero: countedSpliced)
    fields.write(37, unlessZero: UInt64(helloVersion))
    fields.write(38, unlessZero: UInt64(helloType))
    if !serverName.isEmpty { fields.write(39, serverName) }
    if !protocolNames.isEmpty { fields.write(40, protocolNames) }
    if let inspected { fields.write(41, UInt64(inspected.count)) }
    fields.write(42, record: upload.write)
    fields.write(43, record: download.write)
  }

  private func writeTimes(to fields: inout FieldWriter) {
    fields.write(20, unlessZero: accepted)
    fields.write(21, unlessZero: acceptedWall)
    fields.write(22, unlessZero: inspectionStart)
    fields.write(23, unlessZero: queued)
    fields.write(24, unlessZero: dialed)
    fields.write(25, unlessZero: connected)
    fields.write(26, ifThere: waitTime)
    fields.write(27, unlessZero: clientActive)
    fields.write(28, unlessZero: serverActive)
    fields.write(29, unlessZero: deadline)
  }

  /// What it has read and not delivered is taken from the front of `bytes`.
  fileprivate init(
    _ fields: FieldReader, _ bytes: inout ArraySlice<UInt8>
  ) throws(MessageError) {
    self.init()
    id = try fields.number(1)
    // What a phase means must be known to go on with it.
    guard let phase = Phase(rawValue: try fields.number(2)) else { throw .invalidField(2) }
    self.phase = phase
    marks = Marks(rawValue: try fields.number(3))
    frontend = Int(try fields.number(4) as UInt16)
    listener = Int(try fields.number(5) as UInt16)
    backend = try fields.index(ifSent: 6)
    server = try fields.index(ifSent: 7)
    wanted = try fields.index(ifSent: 8)
    source = try fields.address(9)
    sourceScope = try fields.number(ifSent: 10) ?? 0
    destination = try fields.address(11)
    destinationScope = try fields.number(ifSent: 12) ?? 0
    try readTimes(fields)
    attemptsLeft = Int(try fields.number(ifSent: 30) ?? 0 as UInt16)
    retries = Int(try fields.number(ifSent: 31) ?? 0 as UInt16)
    ticket = try fields.counter(32)
    aheadInServer = try fields.number(ifSent: 33) ?? 0
    aheadInBackend = try fields.number(ifSent: 34) ?? 0
    settled = try fields.counter(35)
    countedSpliced = try fields.counter(36)
    helloVersion = try fields.number(ifSent: 37) ?? 0
    helloType = try fields.number(ifSent: 38) ?? 0
    serverName = try fields.bytes(39, atMost: ServerName.maximumLength)
    protocolNames = try fields.bytes(40, atMost: ProtocolNames.maximumLength)
    if let count: UInt32 = try fields.number(ifSent: 41) {
      inspected = try bytes.take(Int(count), for: 41)
    }
    upload = try fields.direction(42, &bytes)
    download = try fields.direction(43, &bytes)
  }

  private mutating func readTimes(_ fields: FieldReader) throws(MessageError) {
    accepted = try fields.time(20)
    acceptedWall = try fields.time(21)
    inspectionStart = try fields.time(22)
    queued = try fields.time(23)
    dialed = try fields.time(24)
    connected = try fields.time(25)
    waitTime = try fields.time(ifSent: 26)
    clientActive = try fields.time(27)
    serverActive = try fields.time(28)
    deadline = try fields.time(29)
  }
}

extension ConnectionRecord.Direction {
  fileprivate func write(to fields: inout FieldWriter) {
    fields.write(1, unlessZero: received)
    fields.write(2, unlessZero: spliced)
    fields.write(3, unlessZero: counted)
    fields.write(4, unlessZero: inPipe)
    fields.write(5, unlessZero: UInt64(held.count))
    fields.write(6, unlessZero: UInt64(end.rawValue))
    fields.write(7, ifTrue: isBulk)
    fields.write(8, ifTrue: mustCopy)
  }
}

extension FieldReader {
  fileprivate func bytes(_ tag: UInt8, atMost count: Int) throws(MessageError) -> [UInt8] {
    let bytes = value(ifSent: tag).map(Array.init) ?? []
    guard bytes.count <= count else { throw .invalidField(tag) }
    return bytes
  }

  fileprivate func direction(
    _ tag: UInt8, _ bytes: inout ArraySlice<UInt8>
  ) throws(MessageError) -> ConnectionRecord.Direction {
    guard let value = value(ifSent: tag) else { throw .missingField(tag) }
    let fields = try FieldReader(value)
    var direction = ConnectionRecord.Direction()
    direction.received = try fields.counter(1)
    direction.spliced = try fields.counter(2)
    direction.counted = try fields.counter(3)
    direction.inPipe = UInt64(try fields.number(ifSent: 4) ?? 0 as UInt32)
    direction.held = try bytes.take(Int(try fields.number(ifSent: 5) ?? 0 as UInt32), for: 5)
    guard let end = ConnectionRecord.End(rawValue: try fields.number(ifSent: 6) ?? 0) else {
      throw .invalidField(6)
    }
    direction.end = end
    direction.isBulk = try fields.flag(7)
    direction.mustCopy = try fields.flag(8)
    return direction
  }
}

extension ArraySlice<UInt8> {
  fileprivate mutating func take(_ count: Int, for tag: UInt8) throws(MessageError) -> [UInt8] {
    guard count <= self.count else { throw .invalidField(tag) }
    defer { self = dropFirst(count) }
    return Array(prefix(count))
  }
}
