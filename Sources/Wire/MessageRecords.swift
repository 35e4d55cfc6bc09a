extension ProcessRow {
  func write(to fields: inout FieldWriter) {
    fields.write(1, UInt32(bitPattern: pid))
    fields.write(2, UInt32(kind.rawValue))
    fields.write(3, slot)
    fields.write(4, generation)
    fields.write(5, uptimeSeconds)
    fields.write(6, reloads)
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      pid: Int32(bitPattern: try fields.number(1)),
      kind: Kind(rawValue: try fields.number(2)) ?? .other,
      slot: try fields.number(ifSent: 3) ?? 0,
      generation: try fields.number(ifSent: 4) ?? 0,
      uptimeSeconds: try fields.number(ifSent: 5) ?? 0,
      reloads: try fields.number(ifSent: 6) ?? 0)
  }
}

extension WorkerLane {
  func write(to fields: inout FieldWriter) {
    fields.write(1, UInt32(bitPattern: pid))
    fields.write(2, generation)
    fields.write(3, slot)
    fields.write(4, lane)
    fields.write(5, isDraining)
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      pid: Int32(bitPattern: try fields.number(1)), generation: try fields.number(2),
      slot: try fields.number(3), lane: try fields.number(4), isDraining: try fields.flag(5))
  }
}

extension SessionRecord {
  func write(to fields: inout FieldWriter) {
    fields.write(1, id)
    fields.write(2, UInt32(phase.rawValue))
    fields.write(3, frontend)
    fields.write(4, backend)
    fields.write(5, server)
    fields.write(6, clientAddress)
    fields.write(7, destinationAddress)
    fields.write(8, serverAddress)
    fields.write(9, serverName)
    fields.write(10, ageMilliseconds)
    fields.write(11, idleMilliseconds)
    fields.write(12, expiresInMilliseconds)
    fields.write(13, clientTimeoutMilliseconds)
    fields.write(14, serverTimeoutMilliseconds)
    fields.write(15, bytesUp)
    fields.write(16, bytesDown)
    fields.write(17, isUploadSpliced)
    fields.write(18, isDownloadSpliced)
    if isOrphan { fields.write(19, isOrphan) }
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init()
    id = try fields.number(1)
    phase = Phase(rawValue: try fields.number(2)) ?? .other
    frontend = fields.text(ifSent: 3) ?? ""
    backend = fields.text(ifSent: 4) ?? ""
    server = fields.text(ifSent: 5) ?? ""
    clientAddress = fields.text(ifSent: 6) ?? ""
    destinationAddress = fields.text(ifSent: 7) ?? ""
    serverAddress = fields.text(ifSent: 8) ?? ""
    serverName = fields.text(ifSent: 9) ?? ""
    ageMilliseconds = try fields.number(ifSent: 10) ?? 0
    idleMilliseconds = try fields.number(ifSent: 11) ?? 0
    expiresInMilliseconds = try fields.number(ifSent: 12) ?? 0
    clientTimeoutMilliseconds = try fields.number(ifSent: 13) ?? 0
    serverTimeoutMilliseconds = try fields.number(ifSent: 14) ?? 0
    bytesUp = try fields.number(ifSent: 15) ?? 0
    bytesDown = try fields.number(ifSent: 16) ?? 0
    isUploadSpliced = try fields.flag(17)
    isDownloadSpliced = try fields.flag(18)
    isOrphan = try fields.flag(19)
  }
}

extension ReloadStatus {
  func write(to fields: inout FieldWriter) {
    fields.write(1, generation)
    fields.write(2, reloads)
    fields.write(3, failedReloads)
    fields.write(4, lastEnd)
    fields.write(5, lastSucceeded)
    fields.write(6, lastMilliseconds)
    fields.write(7, handedOver)
    fields.write(8, handOverMilliseconds)
    fields.write(9, kept)
    fields.write(10, text)
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init()
    generation = try fields.number(1)
    reloads = try fields.number(ifSent: 2) ?? 0
    failedReloads = try fields.number(ifSent: 3) ?? 0
    lastEnd = try fields.number(ifSent: 4) ?? 0
    lastSucceeded = try fields.flag(5)
    lastMilliseconds = try fields.number(ifSent: 6) ?? 0
    handedOver = try fields.number(ifSent: 7) ?? 0
    handOverMilliseconds = try fields.number(ifSent: 8) ?? 0
    kept = try fields.number(ifSent: 9) ?? 0
    text = fields.text(ifSent: 10) ?? ""
  }
}

extension SocketRole {
  func write(to fields: inout FieldWriter) {
    fields.write(1, frontend)
    fields.write(2, bind)
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init(frontend: try fields.number(1), bind: try fields.number(2))
  }
}

extension HandOverReport {
  func write(to fields: inout FieldWriter) {
    fields.write(1, moved)
    fields.write(2, milliseconds)
    fields.write(3, kept)
    fields.write(4, reason)
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init(
      moved: try fields.number(1), milliseconds: try fields.number(ifSent: 2) ?? 0,
      kept: try fields.number(ifSent: 3) ?? 0, reason: fields.text(ifSent: 4) ?? "")
  }
}

extension CertificateName {
  func write(to fields: inout FieldWriter) {
    fields.write(1, name)
    fields.write(2, UInt64(bitPattern: notAfter))
  }

  init(_ fields: FieldReader) throws(MessageError) {
    self.init(name: try fields.text(1), notAfter: Int64(bitPattern: try fields.number(2)))
  }
}
