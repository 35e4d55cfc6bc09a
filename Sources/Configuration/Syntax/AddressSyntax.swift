import Linux

/// An address as the language writes it, taken apart: family prefix, host, port.
///
/// `ipv4@127.0.0.1:80`, `*:443`, `:::443`, `[2001:db8::1]:443`, `web:80`, `/run/x.sock`,
/// `abns@name`, `fd@3`. The last colon separates the port, so a bare IPv6 address takes one too.
struct AddressSyntax {
  enum Family {
    case any, ipv4, ipv6, unix, abstract, descriptor
  }

  enum Failure: Error {
    /// Known, and not offered here.
    case unsupported(String)
    case invalid(String)
  }

  let family: Family
  /// Without brackets; for `unix`, `abns@` and `fd@` all of what follows the prefix.
  let host: String
  /// What follows the last colon; nil without one.
  let port: String?

  private static let prefixes: [(String, Family)] = [
    ("ipv4@", .ipv4), ("tcp4@", .ipv4), ("stream+ipv4@", .ipv4),
    ("ipv6@", .ipv6), ("tcp6@", .ipv6), ("stream+ipv6@", .ipv6),
    ("tcp@", .any), ("unix@", .unix), ("uxst@", .unix), ("stream+unix@", .unix),
    ("abns@", .abstract), ("abnsz@", .abstract), ("stream+abns@", .abstract), ("fd@", .descriptor),
  ]

  private static let refusedPrefixes = [
    "quic4@": "QUIC", "quic6@": "QUIC", "udp@": "UDP", "udp4@": "UDP", "udp6@": "UDP",
    "uxdg@": "datagram sockets", "sockpair@": "socket pairs", "mptcp@": "multipath TCP",
    "mptcp4@": "multipath TCP", "mptcp6@": "multipath TCP", "rhttp@": "reverse HTTP",
    "ring@": "rings", "backend@": "log backends", "rev@": "reverse HTTP",
  ]

  init(_ text: String) throws(Failure) {
    if let (prefix, family) = Self.prefixes.first(where: { text.hasPrefix($0.0) }) {
      try self.init(String(text.dropFirst(prefix.count)), as: family)
    } else if let at = text.firstIndex(of: "@"), !text.hasPrefix("/") {
      let prefix = String(text[...at])
      if let what = Self.refusedPrefixes[prefix] ?? Self.datagram(prefix) {
        throw .unsupported("'\(prefix)' (\(what)) is not supported in this version")
      }
      throw .invalid("unknown address prefix '\(prefix)'")
    } else {
      try self.init(text, as: text.hasPrefix("/") ? .unix : .any)
    }
  }

  private static func datagram(_ prefix: String) -> String? {
    prefix.hasPrefix("dgram+") || prefix.hasPrefix("quic+") ? "datagrams" : nil
  }

  private init(_ text: String, as family: Family) throws(Failure) {
    self.family = family
    switch family {
    case .unix, .abstract, .descriptor:
      guard !text.isEmpty else { throw .invalid("a name or path is missing") }
      if family != .descriptor, text.utf8.count > SocketAddress.longestPath {
        throw .invalid("longer than \(SocketAddress.longestPath) bytes")
      }
      host = text
      port = nil
    case .any, .ipv4, .ipv6:
      guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") else {
        host = Self.withoutBrackets(text)
        port = nil
        return
      }
      host = Self.withoutBrackets(String(text[..<colon]))
      port = String(text[text.index(after: colon)...])
    }
  }

  private static func withoutBrackets(_ text: String) -> String {
    text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
  }

  /// `*`, nothing at all, or an unspecified address.
  var isWildcard: Bool {
    host.isEmpty || host == "*" || IPAddress(host)?.isUnspecified == true
  }

  /// The host as an IP address; the wildcard is IPv4 unless the prefix says otherwise.
  func ipAddress() throws(Failure) -> IPAddress? {
    if host.isEmpty || host == "*" { return family == .ipv6 ? .anyIPv6 : .anyIPv4 }
    guard let address = IPAddress(host) else { return nil }
    if family == .ipv4, !address.isIPv4 { throw .invalid("'\(host)' is no IPv4 address") }
    if family == .ipv6, address.isIPv4 { throw .invalid("'\(host)' is no IPv6 address") }
    return address
  }

  /// Whether the host may be a name to resolve (RFC 1123 section 2.1, and the underscore of service
  /// names): labels of 1 to 63 letters, digits and inner hyphens, the last one no number.
  var isName: Bool {
    let hyphen = UInt8(ascii: "-")
    let name = host.hasSuffix(".") ? String(host.dropLast()) : host
    guard !name.isEmpty, name.utf8.count <= 253 else { return false }
    let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let areLabels = labels.allSatisfy { label in
      (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
        && label.allSatisfy { $0.isVariableName || $0 == hyphen }
    }
    return areLabels && labels.last?.allSatisfy(\.isDigit) == false
  }

  /// A port number, 0…65535.
  static func portNumber(_ text: String) throws(Failure) -> UInt16 {
    guard text.isDecimal, let number = UInt16(text) else {
      throw .invalid("'\(text)' is not a port (0 to 65535)")
    }
    return number
  }

  /// `443` or `10000-10010`.
  static func portRange(_ text: String) throws(Failure) -> ClosedRange<UInt16> {
    let (low, high) = text.split(atFirst: "-")
    let first = try portNumber(low)
    let last = try high.map { text throws(Failure) in try portNumber(text) } ?? first
    guard first > 0 else { throw .invalid("port 0 cannot be bound") }
    guard first <= last else { throw .invalid("the range '\(text)' runs backwards") }
    return first...last
  }
}

extension AddressSyntax.Failure {
  var message: String {
    switch self {
    case .unsupported(let message), .invalid(let message): message
    }
  }
}
