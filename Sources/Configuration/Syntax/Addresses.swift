import Linux

/// The places where addresses stand: listeners, servers, and where connections come from.
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
