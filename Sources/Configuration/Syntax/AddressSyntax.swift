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

  /// Whether the host may be a name to resolve (RFC 1123 letters, and the underscore of service
  /// names).
  var isName: Bool {
    guard !host.isEmpty, host.utf8.count <= 253 else { return false }
    return host.utf8.allSatisfy {
      $0.isVariableName || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
    } && host.utf8.contains(where: \.isLetter)
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

// MARK: - The three places where addresses stand

extension ConfigurationReader {
  /// Expands variables in an address, which the language does outside quotes too.
  mutating func expandAddress(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> String {
    let (text, missing) = environment.expand(word.text)
    if text.isEmpty, let missing {
      throw statement.span(of: word).error(
        "environment variable '\(missing)' is not set, which leaves an empty address")
    }
    return text
  }

  /// The addresses of a `bind` line: a list, with ranges of ports, one each.
  mutating func bindAddresses(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> [(address: BindAddress, text: String)] {
    let text = try expandAddress(word, of: statement)
    let prefix = global.unixPrefix ?? ""
    var addresses: [(address: BindAddress, text: String)] = []
    do throws(AddressSyntax.Failure) {
      for item in text.split(separator: ",", omittingEmptySubsequences: false) {
        addresses += try Self.bindAddresses(String(item), unixPrefix: prefix)
      }
    } catch {
      throw statement.span(of: word).error(
        "bad address '\(word.text)': \(error.message)", hint: Self.bindHint(error))
    }
    return addresses
  }

  private static func bindHint(_ failure: AddressSyntax.Failure) -> String? {
    if case .unsupported = failure { return nil }
    return "expected ADDRESS:PORT, *:PORT, [IPV6]:PORT, :LOW-HIGH, /path, abns@NAME or fd@N"
  }

  private static func bindAddresses(
    _ text: String, unixPrefix: String
  ) throws(AddressSyntax.Failure) -> [(address: BindAddress, text: String)] {
    let syntax = try AddressSyntax(text)
    switch syntax.family {
    case .unix:
      return [(.socket(.unix(path: unixPrefix + syntax.host)), text)]
    case .abstract:
      return [(.socket(.abstract(name: syntax.host)), text)]
    case .descriptor:
      guard syntax.host.isDecimal else { return [(.descriptorName(syntax.host), text)] }
      guard let number = Int(syntax.host), number <= Int(Int32.max) else {
        throw .invalid("'\(syntax.host)' is no descriptor")
      }
      return [(.descriptor(number), text)]
    case .any, .ipv4, .ipv6:
      return try portAddresses(syntax, text)
    }
  }

  private static func portAddresses(
    _ syntax: AddressSyntax, _ text: String
  ) throws(AddressSyntax.Failure) -> [(address: BindAddress, text: String)] {
    guard let port = syntax.port, !port.isEmpty else { throw .invalid("the port is missing") }
    let ports = try AddressSyntax.portRange(port)
    let address = syntax.host == "localhost" ? IPAddress("127.0.0.1") : try syntax.ipAddress()
    guard let address else {
      throw .invalid("'\(syntax.host)' is no IP address, and names are not resolved here")
    }
    return ports.map { port in
      let shown = ports.count == 1 ? text : "\(syntax.host):\(port)"
      return (.socket(.ip(address, port: port)), shown)
    }
  }

  /// Where a server is: an address, a name, or where the client was going.
  mutating func serverAddress(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> ServerAddress {
    let text = try expandAddress(word, of: statement)
    do throws(AddressSyntax.Failure) {
      return try Self.serverAddress(text)
    } catch {
      throw statement.span(of: word).error(
        "bad server address '\(word.text)': \(error.message)",
        hint: "expected an IP address or a name, and :PORT, :+OFFSET, :-OFFSET or nothing")
    }
  }

  private static func serverAddress(
    _ text: String
  ) throws(AddressSyntax.Failure) -> ServerAddress {
    let syntax = try AddressSyntax(text)
    switch syntax.family {
    case .unix: return ServerAddress(host: .address(.unix(path: syntax.host)), port: .fixed(0))
    case .abstract:
      return ServerAddress(host: .address(.abstract(name: syntax.host)), port: .fixed(0))
    case .descriptor: throw .unsupported("a server cannot be a descriptor")
    case .any, .ipv4, .ipv6: break
    }
    let port = try serverPort(syntax.port)
    if syntax.isWildcard { return ServerAddress(host: .original, port: port) }
    if let address = try syntax.ipAddress() {
      var number: UInt16 = 0
      if case .fixed(let fixed) = port { number = fixed }
      return ServerAddress(host: .address(.ip(address, port: number)), port: port)
    }
    guard syntax.isName else { throw .invalid("'\(syntax.host)' is neither an address nor a name") }
    return ServerAddress(host: .name(syntax.host), port: port)
  }

  private static func serverPort(
    _ text: String?
  ) throws(AddressSyntax.Failure) -> ServerAddress.Port {
    guard let text, !text.isEmpty else { return .relative(0) }
    if let sign = text.first, sign == "+" || sign == "-" {
      let digits = String(text.dropFirst())
      let offset = Int(try AddressSyntax.portNumber(digits))
      return .relative(sign == "-" ? -offset : offset)
    }
    let port = try AddressSyntax.portNumber(text)
    return port == 0 ? .relative(0) : .fixed(port)
  }

  /// An IP address with or without a port: `source`, `addr`. Names are not resolved.
  mutating func ipAddress(
    _ word: Word, of statement: Statement
  ) throws(Diagnostic) -> (address: IPAddress, port: UInt16) {
    let text = try expandAddress(word, of: statement)
    do throws(AddressSyntax.Failure) {
      // Without brackets or a port, an IPv6 address has colons of its own.
      if let address = IPAddress(text), !address.isIPv4 { return (address, 0) }
      let syntax = try AddressSyntax(text)
      guard [.any, .ipv4, .ipv6].contains(syntax.family), let address = try syntax.ipAddress()
      else { throw .invalid("not an IP address") }
      let port = try syntax.port.map { text throws(AddressSyntax.Failure) in
        try AddressSyntax.portNumber(text)
      }
      return (address, port ?? 0)
    } catch {
      throw statement.span(of: word).error(
        "bad address '\(word.text)': \(error.message)",
        hint: "expected an IPv4 or IPv6 address, with or without :PORT")
    }
  }
}
