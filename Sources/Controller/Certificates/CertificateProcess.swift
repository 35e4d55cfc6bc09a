import Linux
import SwiftASN1
import Wire

/// The short-lived process that reads certificates, so that the master need not: X.509 is parsed
/// where nothing can be lost.
///
/// It is given the certificates of one file, without keys, on descriptor 3, and answers with
/// ``Wire/Message/certificateNames(_:hasMore:)`` on descriptor 4.
public enum CertificateProcess {
  /// The longest input, in bytes, and the most certificates and names in it.
  static let longestInput = 4 << 20
  static let mostCertificates = 1000
  static let mostNames = 20_000
  /// So many names, each of up to 253 bytes, always fit in a packet.
  static let namesEachMessage = 200

  public static func run() throws {
    guard let input = Descriptor.inherited(3), let output = Descriptor.inherited(4) else {
      throw ControllerStartError(
        description: "descriptors 3 and 4 are not open: it is sluice that starts this program")
    }
    for message in answer(to: try input.contents()) {
      try send(message.encoded(), to: output)
    }
  }

  /// What is said of the certificates in `bytes`.
  static func answer(to bytes: [UInt8]) -> [Message] {
    do {
      return messages(for: try names(in: bytes))
    } catch {
      return [.certificateFailure(explain(error))]
    }
  }

  /// The names of all certificates but those that only vouch for an earlier one.
  static func names(in bytes: [UInt8]) throws -> [CertificateName] {
    guard bytes.count <= longestInput else { throw Failure.tooLong }
    let encoded = try PEM.certificates(in: bytes)
    guard encoded.count <= mostCertificates else { throw Failure.tooMany }
    var issuers: Set<[UInt8]> = []
    var names: [CertificateName] = []
    for (place, der) in encoded.enumerated() {
      let certificate: Certificate
      do { certificate = try Certificate(der: der) } catch {
        throw Failure.malformed(place + 1, "\(error)")
      }
      let isIssuer = issuers.contains(certificate.subject)
      issuers.insert(certificate.issuer)
      if isIssuer { continue }
      names += certificate.names.filter(isSensible).map {
        CertificateName(name: $0, notAfter: certificate.notAfter)
      }
    }
    guard names.count <= mostNames else { throw Failure.tooMany }
    return names
  }

  private enum Failure: Error {
    case tooLong, tooMany
    case malformed(Int, String)
  }

  /// Names that a client can ask for: visible ASCII, and no longer than DNS allows.
  private static func isSensible(_ name: String) -> Bool {
    (1...253).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case PEM.Failure.noCertificate: "there is no certificate in it"
    case PEM.Failure.unfinished: "a certificate begins and does not end"
    case PEM.Failure.notBase64(let place): "certificate \(place) is not base64"
    case Failure.tooLong: "it is longer than \(longestInput) bytes"
    case Failure.tooMany: "it holds too many certificates or names"
    case Failure.malformed(let place, let reason): "certificate \(place) is malformed: \(reason)"
    default: "\(error)"
    }
  }

  private static func messages(for names: [CertificateName]) -> [Message] {
    guard names.count > namesEachMessage else { return [.certificateNames(names, hasMore: false)] }
    return stride(from: 0, to: names.count, by: namesEachMessage).map { start in
      let end = min(start + namesEachMessage, names.count)
      return .certificateNames(Array(names[start..<end]), hasMore: end < names.count)
    }
  }

  /// Sends a packet, waiting for room.
  private static func send(_ packet: [UInt8], to output: borrowing Descriptor) throws(Errno) {
    while try !output.sendPacket(packet.span) {
      var epoll = try Epoll()
      try epoll.add(output, .writable, token: 0)
      _ = try epoll.wait(milliseconds: 1000)
    }
  }
}

/// Addresses in certificates are four or sixteen bytes.
enum IPAddressText {
  static func text(of bytes: ArraySlice<UInt8>) -> String? {
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    switch bytes.count {
    case 4: return IPAddress(ipv4: UInt32(number(bytes))).description
    case 16:
      return IPAddress(high: number(bytes.prefix(8)), low: number(bytes.suffix(8))).description
    default: return nil
    }
  }
}
