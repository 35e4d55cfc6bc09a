/// Reads a ClientHello out of the raw bytes of a new connection, however they arrive.
///
/// The TCP stream may be cut anywhere, and so may the handshake message be over TLS records, down
/// to one byte each (RFC 8446 section 5.1 allows it, and some clients do it to dodge filters). The
/// parser is fed only what is new, looks at each byte at most once, keeps what it must remember
/// in itself, and passes over what it does not care about in one step.
///
///     raw bytes ─► records: header, fragment, header, fragment …
///                           └──────────┬─────────┘
///                              handshake message ─► fields ─► `hello`
///
/// Structure is checked strictly: a length that contradicts another is malformed, because a server
/// might read such a hello differently and serve somebody else's name. Values are not: which
/// version, cipher or name is acceptable is the server's business.
public struct ClientHelloParser: BitwiseCopyable, Sendable {
  /// The largest message body that is read, the same bound as OpenSSL's and BoringSSL's.
  public static let maximumBodyLength = 16_384

  /// The most raw bytes that can pass before a verdict: the largest message in records of one
  /// byte, each behind five bytes of header. Empty records are refused, so no bound is needed
  /// beside this one.
  public static let maximumRawLength = 6 * (4 + maximumBodyLength)

  /// What was read so far.
  public private(set) var hello = ClientHello()

  /// The verdict on everything that was read so far.
  public private(set) var verdict = HelloVerdict.needMore

  private var stage = Stage.opening
  private var recordHeaderCount = 0
  private var recordLength = 0
  private var recordRemaining = 0

  private(set) var field = Field.messageType
  private var fieldRemaining = 1
  private var value: UInt32 = 0

  /// Positions in the handshake message: how far it was read, and where what encloses the current
  /// field ends.
  private var offset = 0
  private var messageEnd = 1
  private var extensionEnd = 0

  private var extensionType: UInt16 = 0
  private var nameIsHost = false
  private var staged = 0
  private var lastByte: UInt8 = 0
  private var offeredVersions = TLSVersions()
  private var seen = Seen()

  public init() {}

  /// Reads the bytes that came since the last call, and says what is known now.
  ///
  /// Once there is a verdict other than `needMore` nothing more is read, and the verdict stands.
  #if !DEBUG
    @_noLocks
  #endif
  public mutating func consume(_ bytes: Span<UInt8>) -> HelloVerdict {
    var position = 0
    while position < bytes.count, verdict == .needMore {
      switch stage {
      case .opening:
        open(bytes)
      case .recordHeader:
        readRecordHeader(bytes[position])
        position += 1
      case .recordBody:
        let end = position + min(recordRemaining, bytes.count - position)
        let next = readMessage(bytes, from: position, to: end)
        recordRemaining -= next - position
        position = next
        if recordRemaining == 0 { stage = .recordHeader }
      case .ssl2:
        position = readMessage(bytes, from: position, to: bytes.count)
      }
    }
    hello.rawLength += position
    return verdict
  }
}

// MARK: - Records

extension ClientHelloParser {
  private enum Stage: UInt8 {
    case opening
    case recordHeader
    case recordBody
    case ssl2
  }

  /// Decides by the very first byte how to go on; consumes nothing.
  private mutating func open(_ bytes: Span<UInt8>) {
    switch bytes[0] {
    case ContentType.handshake:
      stage = .recordHeader
    case 0x80...0xff:
      stage = .ssl2
      hello.framing = .ssl2
      expect(.ssl2Length, 2, within: 2)
    default:
      verdict = .notTLS(NotTLSReason(opening: bytes))
    }
  }

  private mutating func readRecordHeader(_ byte: UInt8) {
    switch recordHeaderCount {
    case 0:
      guard byte == ContentType.handshake else { return refuse(.recordInterrupted) }
      hello.recordCount += 1
    case 1:
      guard byte == 3 else {
        verdict = hello.recordCount == 1 ? .notTLS(.unknown) : .malformed(.recordVersion)
        return
      }
    case 2:
      if hello.recordCount == 1 { hello.recordVersion = 0x0300 | UInt16(byte) }
    case 3:
      recordLength = Int(byte) << 8
    default:
      recordHeaderCount = 0
      return beginRecord(length: recordLength | Int(byte))
    }
    recordHeaderCount += 1
  }

  private mutating func beginRecord(length: Int) {
    guard length > 0 else { return refuse(.emptyRecord) }
    guard length <= 16_384 else { return refuse(.recordTooLong) }
    recordRemaining = length
    stage = .recordBody
  }

  private mutating func refuse(_ defect: HelloDefect) {
    verdict = .malformed(defect)
  }
}

// MARK: - The message

extension ClientHelloParser {
  /// What is being read. Numbers of up to four bytes are gathered in `value`; the others are runs
  /// that are passed over, looked through or copied.
  enum Field: UInt8, CaseIterable {
    case messageType, messageLength, version, random
    case sessionIDLength, sessionID
    case cipherSuitesLength, cipherSuites
    case compressionLength, compressionMethods
    case extensionsLength, extensionType, extensionLength, extensionBody
    case serverNameListLength, nameType, nameLength, hostName, otherName
    case protocolListLength, protocolLength, protocolName, droppedProtocolName
    case versionListLength, supportedVersion
    case ssl2Length, ssl2Type, ssl2Version
    case ssl2CipherLength, ssl2SessionIDLength, ssl2ChallengeLength, ssl2Body
  }

  /// The extensions that must not come twice, since the second could say something else.
  private struct Seen: OptionSet {
    let rawValue: UInt8
    static let serverName = Seen(rawValue: 1)
    static let protocols = Seen(rawValue: 1 << 1)
    static let versions = Seen(rawValue: 1 << 2)
    static let hostName = Seen(rawValue: 1 << 3)
  }

  /// Reads on in the message and returns the position where it stopped: `end`, unless there is a
  /// verdict before.
  private mutating func readMessage(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    var position = start
    while verdict == .needMore {
      if field == .extensionType, fieldRemaining == 2 {
        position = passPlainExtensions(bytes, from: position, to: end)
        guard verdict == .needMore else { break }
      }
      let count = min(fieldRemaining, end - position)
      take(bytes, from: position, to: position + count)
      position += count
      offset += count
      fieldRemaining -= count
      guard fieldRemaining == 0 else { break }
      endField()
    }
    return position
  }

  private mutating func take(_ bytes: Span<UInt8>, from start: Int, to end: Int) {
    switch field {
    case .random, .sessionID, .compressionMethods, .extensionBody, .otherName,
      .droppedProtocolName, .ssl2Body:
      break
    case .cipherSuites:
      lookForGREASE(bytes, from: start, to: end)
    case .hostName:
      for index in start..<end {
        guard staged < ServerName.maximumLength else { break }
        hello.serverName.bytes.stage(bytes[index], at: staged)
        staged += 1
      }
    case .protocolName:
      for index in start..<end {
        hello.alpn.wire.stage(bytes[index], at: staged)
        staged += 1
      }
    default:
      for index in start..<end { value = value << 8 | UInt32(bytes[index]) }
    }
  }

  /// Cipher suites are two bytes each and may be cut in the middle.
  private mutating func lookForGREASE(_ bytes: Span<UInt8>, from start: Int, to end: Int) {
    var remaining = fieldRemaining
    for index in start..<end {
      let byte = bytes[index]
      if remaining & 1 != 0 { noteGREASE(UInt16(lastByte) << 8 | UInt16(byte)) }
      lastByte = byte
      remaining -= 1
    }
  }
}

// MARK: - Fields

extension ClientHelloParser {
  /// Goes on with `next`, if its `length` bytes end within what encloses it.
  private mutating func expect(_ next: Field, _ length: Int, within end: Int) {
    guard length <= end - offset else { return refuse(.overrun) }
    field = next
    fieldRemaining = length
    value = 0
  }

  /// Acts on the field that was just read, and says what comes next.
  private mutating func endField() {
    let number = Int(value)
    switch field {
    case .messageType:
      hello.helloType = UInt8(truncatingIfNeeded: number)
      guard hello.helloType == HandshakeType.clientHello else { return refuse(.notClientHello) }
      expect(.messageLength, 3, within: 4)
    case .messageLength:
      guard number <= Self.maximumBodyLength else { return verdict = .tooLarge }
      messageEnd = offset + number
      hello.helloLength = messageEnd
      expect(.version, 2, within: messageEnd)
    case .version:
      hello.legacyVersion = UInt16(truncatingIfNeeded: number)
      expect(.random, 32, within: messageEnd)
    case .random:
      expect(.sessionIDLength, 1, within: messageEnd)
    case .sessionIDLength:
      guard number <= 32 else { return refuse(.sessionID) }
      hello.sessionIDLength = UInt8(truncatingIfNeeded: number)
      expect(.sessionID, number, within: messageEnd)
    case .sessionID:
      expect(.cipherSuitesLength, 2, within: messageEnd)
    case .cipherSuitesLength:
      guard number > 0, number & 1 == 0 else { return refuse(.cipherSuites) }
      hello.cipherSuiteCount = UInt16(truncatingIfNeeded: number / 2)
      expect(.cipherSuites, number, within: messageEnd)
    case .cipherSuites:
      expect(.compressionLength, 1, within: messageEnd)
    case .compressionLength:
      guard number > 0 else { return refuse(.compression) }
      expect(.compressionMethods, number, within: messageEnd)
    case .compressionMethods:
      // Before extensions were invented, the message ended here, and it still may.
      guard offset < messageEnd else { return verdict = .complete }
      expect(.extensionsLength, 2, within: messageEnd)
    case .extensionsLength:
      guard number <= messageEnd - offset else { return refuse(.overrun) }
      guard number == messageEnd - offset else { return refuse(.trailingBytes) }
      beginExtension()
    case .extensionType:
      beginExtension(type: UInt16(truncatingIfNeeded: number))
    case .extensionLength:
      beginExtensionBody(length: number)
    case .extensionBody:
      beginExtension()

    case .serverNameListLength:
      expectList(.nameType, length: number)
    case .nameType:
      // Only `host_name` (0) was ever defined, and only the first one counts.
      nameIsHost = number == 0 && !seen.contains(.hostName)
      expect(.nameLength, 2, within: extensionEnd)
    case .nameLength:
      beginName(length: number)
    case .hostName:
      hello.serverName.bytes.publish(staged)
      endListItem(next: .nameType)
    case .otherName:
      endListItem(next: .nameType)

    case .protocolListLength:
      expectList(.protocolLength, length: number)
    case .protocolLength:
      beginProtocolName(length: number)
    case .protocolName, .droppedProtocolName:
      if offset == extensionEnd { hello.alpn.wire.publish(staged) }
      endListItem(next: .protocolLength)

    case .versionListLength:
      guard number > 0, number & 1 == 0 else { return refuse(.versions) }
      expectList(.supportedVersion, length: number)
    case .supportedVersion:
      noteGREASE(UInt16(truncatingIfNeeded: number))
      offeredVersions.formUnion(
        TLSVersions(wireVersion: UInt16(truncatingIfNeeded: number)))
      if offset == extensionEnd { hello.supportedVersions = offeredVersions }
      endListItem(next: .supportedVersion)

    case .ssl2Length, .ssl2Type, .ssl2Version, .ssl2CipherLength, .ssl2SessionIDLength,
      .ssl2ChallengeLength, .ssl2Body:
      endSSL2Field(number)
    }
  }

  private mutating func noteGREASE(_ value: UInt16) {
    if value & 0x0f0f == 0x0a0a, value >> 8 == value & 0xff { hello.hasGREASE = true }
  }
}

// MARK: - Extensions

extension ClientHelloParser {
  /// Goes on with the next extension, or ends the message behind the last one.
  private mutating func beginExtension() {
    guard offset < messageEnd else { return verdict = .complete }
    expect(.extensionType, 2, within: messageEnd)
  }

  private mutating func beginExtension(type: UInt16) {
    noteGREASE(type)
    extensionType = type
    expect(.extensionLength, 2, within: messageEnd)
  }

  private mutating func beginExtensionBody(length: Int) {
    guard length <= messageEnd - offset else { return refuse(.overrun) }
    extensionEnd = offset + length
    hello.list(extensionType: extensionType)
    switch extensionType {
    case ExtensionType.serverName:
      expectOnce(.serverNameListLength, 2, .serverName)
    case ExtensionType.protocols:
      expectOnce(.protocolListLength, 2, .protocols)
    case ExtensionType.supportedVersions:
      expectOnce(.versionListLength, 1, .versions)
    default:
      note(extension: extensionType, length: length)
      expect(.extensionBody, length, within: extensionEnd)
    }
  }

  /// Passes over extensions of which only the type matters, as long as they are here whole. Most of
  /// a hello is made of these: taking them field by field was half of the work on it.
  ///
  /// - Returns: where the first one begins that must be taken field by field.
  private mutating func passPlainExtensions(
    _ bytes: Span<UInt8>, from start: Int, to end: Int
  ) -> Int {
    var position = start
    // What is here of the message.
    let limit = min(end, start + messageEnd - offset)
    while limit - position >= 4 {
      let type = UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
      let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
      guard !Self.isRead(type), length <= limit - position - 4 else { break }
      noteGREASE(type)
      hello.list(extensionType: type)
      note(extension: type, length: length)
      position += 4 + length
    }
    offset += position - start
    // The end of the message, or too little of it for another extension, shows here.
    if position > start { beginExtension() }
    return position
  }

  /// Whether the parser reads what such an extension holds.
  private static func isRead(_ type: UInt16) -> Bool {
    type == ExtensionType.serverName || type == ExtensionType.protocols
      || type == ExtensionType.supportedVersions
  }

  private mutating func note(extension type: UInt16, length: Int) {
    switch type {
    case ExtensionType.supportedGroups: hello.hasSupportedGroups = true
    case ExtensionType.sessionTicket: hello.sessionTicket = length == 0 ? .empty : .present
    case ExtensionType.encryptedClientHello: hello.hasECH = true
    default: break
    }
  }

  private mutating func expectOnce(_ next: Field, _ length: Int, _ mark: Seen) {
    guard !seen.contains(mark) else { return refuse(.repeatedExtension) }
    seen.insert(mark)
    staged = 0
    expect(next, length, within: extensionEnd)
  }

  /// Goes on with the first item of a list that must fill the rest of the extension. The lists
  /// read here cannot be empty.
  private mutating func expectList(_ first: Field, length: Int) {
    guard length <= extensionEnd - offset else { return refuse(.overrun) }
    guard length == extensionEnd - offset else { return refuse(.trailingBytes) }
    endListItem(next: first)
  }

  private mutating func endListItem(next: Field) {
    guard offset < extensionEnd else { return beginExtension() }
    expect(next, next == .supportedVersion ? 2 : 1, within: extensionEnd)
  }

  private mutating func beginName(length: Int) {
    guard nameIsHost else { return expect(.otherName, length, within: extensionEnd) }
    guard length > 0 else { return refuse(.emptyServerName) }
    seen.insert(.hostName)
    expect(.hostName, length, within: extensionEnd)
    hello.serverName.isTruncated = length > ServerName.maximumLength
  }

  private mutating func beginProtocolName(length: Int) {
    guard length > 0 else { return refuse(.emptyProtocolName) }
    // Once one name had to be dropped, so are all behind it: what is kept is the client's first
    // choices without a gap.
    guard !hello.alpn.isTruncated, staged + 1 + length <= ProtocolNames.maximumLength else {
      hello.alpn.isTruncated = true
      return expect(.droppedProtocolName, length, within: extensionEnd)
    }
    hello.alpn.wire.stage(UInt8(truncatingIfNeeded: length), at: staged)
    staged += 1
    expect(.protocolName, length, within: extensionEnd)
  }
}

// MARK: - SSLv2

extension ClientHelloParser {
  /// The SSLv2 format: length with its top bit set, type, version, three lengths, three bodies.
  private mutating func endSSL2Field(_ number: Int) {
    switch field {
    case .ssl2Length:
      // Three lengths, one cipher and the shortest challenge are the least there can be.
      messageEnd = 2 + (number & 0x7fff)
      guard messageEnd >= 2 + 9 + 3 + 16 else { return verdict = .notTLS(.unknown) }
      expect(.ssl2Type, 1, within: messageEnd)
    case .ssl2Type:
      guard number == Int(HandshakeType.clientHello) else { return verdict = .notTLS(.unknown) }
      expect(.ssl2Version, 2, within: messageEnd)
    case .ssl2Version:
      guard number >> 8 == 3 || number == 2 else { return verdict = .notTLS(.unknown) }
      guard messageEnd <= Self.maximumBodyLength else { return verdict = .tooLarge }
      hello.helloType = HandshakeType.clientHello
      hello.legacyVersion = UInt16(truncatingIfNeeded: number)
      hello.helloLength = messageEnd
      expect(.ssl2CipherLength, 2, within: messageEnd)
    case .ssl2CipherLength:
      guard number > 0, number % 3 == 0 else { return refuse(.cipherSuites) }
      hello.cipherSuiteCount = UInt16(truncatingIfNeeded: number / 3)
      expect(.ssl2SessionIDLength, 2, within: messageEnd)
    case .ssl2SessionIDLength:
      guard number <= 32 else { return refuse(.sessionID) }
      hello.sessionIDLength = UInt8(truncatingIfNeeded: number)
      expect(.ssl2ChallengeLength, 2, within: messageEnd)
    case .ssl2ChallengeLength:
      let bodies = 3 * Int(hello.cipherSuiteCount) + Int(hello.sessionIDLength) + number
      guard (16...32).contains(number), bodies == messageEnd - offset else {
        return refuse(.ssl2Lengths)
      }
      expect(.ssl2Body, bodies, within: messageEnd)
    default:
      verdict = .complete
    }
  }
}
