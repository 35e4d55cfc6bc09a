import SwiftASN1

/// What is wanted of a certificate (RFC 5280 section 4.1): whom it is for, and until when.
///
/// Nothing is verified: the certificate is the operator's own, and its names only tell which
/// connections are meant for whom.
struct Certificate: Equatable {
  /// DNS names and IP addresses of the subject alternative name; without those, the common name.
  var names: [String] = []
  /// Seconds since 1970.
  var notAfter: Int64 = 0
  /// Subject and issuer, encoded.
  var subject: [UInt8] = []
  var issuer: [UInt8] = []

  init(der: [UInt8]) throws {
    try DER.sequence(DER.parse(der), identifier: .sequence) { parts in
      guard let body = parts.next() else { throw malformed("it is empty") }
      try read(body)
      while parts.next() != nil {}
    }
  }

  private mutating func read(_ body: ASN1Node) throws {
    try DER.sequence(body, identifier: .sequence) { fields in
      // version [0] is missing in version 1; then serialNumber and signature.
      if try fields.required().identifier.tagClass == .contextSpecific { _ = try fields.required() }
      _ = try fields.required()
      issuer = Array(try fields.required().encodedBytes)
      notAfter = try Self.end(of: fields.required())
      let subjectNode = try fields.required()
      subject = Array(subjectNode.encodedBytes)
      _ = try fields.required()  // the key
      while let field = fields.next() {
        guard field.identifier.tagClass == .contextSpecific, field.identifier.tagNumber == 3 else {
          continue
        }
        names = try Self.alternativeNames(in: field)
      }
      if names.isEmpty { names = try Self.commonNames(in: subjectNode) }
    }
  }
}

// MARK: - Fields

extension Certificate {
  /// Validity ::= SEQUENCE { notBefore Time, notAfter Time }
  private static func end(of validity: ASN1Node) throws -> Int64 {
    try DER.sequence(validity, identifier: .sequence) { times in
      _ = try times.required()
      let end = try times.required()
      if end.identifier == .utcTime {
        let time = try UTCTime(derEncoded: end)
        return CivilTime.seconds(
          time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
      }
      let time = try GeneralizedTime(derEncoded: end)
      return CivilTime.seconds(
        time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
    }
  }

  /// Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING }
  private static func alternativeNames(in field: ASN1Node) throws -> [String] {
    guard case .constructed(let content) = field.content else {
      throw malformed("its extensions are no list")
    }
    var names: [String] = []
    for extensions in content {
      guard case .constructed(let list) = extensions.content else { continue }
      for entry in list {
        try DER.sequence(entry, identifier: .sequence) { parts in
          let type = try ASN1ObjectIdentifier(derEncoded: parts.required())
          var value: ASN1Node?
          while let part = parts.next() { value = part }
          guard type == [2, 5, 29, 17], let value else { return }
          names += try generalNames(ASN1OctetString(derEncoded: value).bytes)
        }
      }
    }
    return names
  }

  /// GeneralNames ::= SEQUENCE OF CHOICE { …, dNSName [2] IA5String, iPAddress [7] OCTET STRING, … }
  private static func generalNames(_ der: ArraySlice<UInt8>) throws -> [String] {
    guard case .constructed(let list) = try DER.parse(der).content else {
      throw malformed("its alternative names are no list")
    }
    var names: [String] = []
    for name in list where name.identifier.tagClass == .contextSpecific {
      guard case .primitive(let bytes) = name.content else { continue }
      switch name.identifier.tagNumber {
      case 2: names.append(String(decoding: bytes, as: UTF8.self))
      case 7: names += [IPAddressText.text(of: bytes)].compactMap { $0 }
      default: break
      }
    }
    return names
  }

  /// Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
  private static func commonNames(in subject: ASN1Node) throws -> [String] {
    guard case .constructed(let sets) = subject.content else { return [] }
    var names: [String] = []
    for set in sets {
      guard case .constructed(let attributes) = set.content else { continue }
      for attribute in attributes {
        try DER.sequence(attribute, identifier: .sequence) { parts in
          let type = try ASN1ObjectIdentifier(derEncoded: parts.required())
          let value = try parts.required()
          // All string types that are used here are ASCII for the names that matter.
          guard type == [2, 5, 4, 3], case .primitive(let bytes) = value.content else { return }
          names.append(String(decoding: bytes, as: UTF8.self))
        }
      }
    }
    return names
  }

  private func malformed(_ reason: String) -> ASN1Error { Self.malformed(reason) }

  private static func malformed(_ reason: String) -> ASN1Error {
    .invalidASN1Object(reason: reason)
  }
}

extension ASN1NodeCollection.Iterator {
  /// The next field, which must be there.
  fileprivate mutating func required() throws -> ASN1Node {
    guard let node = next() else { throw ASN1Error.invalidASN1Object(reason: "it ends too early") }
    return node
  }
}

/// The calendar of X.509, which knows no time zones.
enum CivilTime {
  /// Seconds from 1970 to a moment of UTC in the Gregorian calendar.
  static func seconds(
    _ year: Int, _ month: Int, _ day: Int, _ hours: Int, _ minutes: Int, _ seconds: Int
  ) -> Int64 {
    // Years that begin in March have their leap day at the end.
    let shifted = month > 2 ? year : year - 1
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    return Int64(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
  }
}
