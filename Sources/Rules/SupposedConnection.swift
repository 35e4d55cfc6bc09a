public import Linux

/// A connection that nobody made: what `explain` is asked about.
public struct SupposedConnection: Equatable, Sendable {
  /// `--sni`
  public var serverName: String?
  /// `--alpn`, separated by commas.
  public var protocols: [String] = []
  /// `--payload`: the first bytes of a client that does not speak TLS.
  public var payload: String?
  /// `--src ADDRESS[:PORT]`; one from the addresses for documentation (RFC 5737) where it is not said.
  public var client = Endpoint(address: IPAddress(ipv4: 0xc000_0201), port: 50_000)
  /// `--dst ADDRESS[:PORT]`, `--dst-port PORT`; what the bind says where it is not said.
  public var destination: IPAddress?
  public var destinationPort: UInt16?
  /// `--frontend`: by name; all that would accept it otherwise.
  public var frontend: String?

  public init() {}

  /// Why words do not describe a connection.
  public struct Mistake: Error, Equatable, Sendable {
    public let message: String
  }

  public static let flags = [
    "--sni", "--alpn", "--payload", "--src", "--dst", "--dst-port", "--frontend",
  ]

  /// Reads words such as `--sni www.example.com --src 10.0.0.1`.
  public init(_ words: [String]) throws(Mistake) {
    var rest = words[...]
    while let flag = rest.popFirst() {
      guard Self.flags.contains(flag) else {
        throw Mistake(
          message: "unknown option '\(flag)'; there are \(Self.flags.joined(separator: ", "))")
      }
      guard let value = rest.popFirst() else {
        throw Mistake(message: "option '\(flag)' needs a value")
      }
      try take(flag, value)
    }
  }

  /// Takes one of ``flags`` and its value.
  public mutating func take(_ flag: String, _ value: String) throws(Mistake) {
    switch flag {
    case "--sni": serverName = try Self.name(value, flag)
    case "--alpn":
      protocols = try value.split(separator: ",").map { part throws(Mistake) in
        try Self.name(String(part), flag)
      }
    case "--payload": payload = value
    case "--src":
      let end = try Self.endpoint(value, flag)
      client.address = end.address
      if let port = end.port { client.port = port }
    case "--dst":
      let end = try Self.endpoint(value, flag)
      destination = end.address
      if let port = end.port { destinationPort = port }
    case "--dst-port": destinationPort = try Self.port(value, flag)
    case "--frontend": frontend = value
    default: throw Mistake(message: "unknown option '\(flag)'")
    }
  }

  /// What a hello has room for.
  private static func name(_ text: String, _ flag: String) throws(Mistake) -> String {
    guard (1...255).contains(text.utf8.count) else {
      throw Mistake(message: "option '\(flag)' needs a name of 1 to 255 bytes")
    }
    return text
  }

  private static func port(_ text: String, _ flag: String) throws(Mistake) -> UInt16 {
    guard let port = UInt16(text), port > 0 else {
      throw Mistake(message: "option '\(flag)' needs a port, not '\(text)'")
    }
    return port
  }

  /// `192.0.2.1`, `192.0.2.1:5000`, `2001:db8::1`, `[2001:db8::1]:5000`.
  private static func endpoint(
    _ text: String, _ flag: String
  ) throws(Mistake) -> (address: IPAddress, port: UInt16?) {
    if let address = IPAddress(text) { return (address, nil) }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let host = parts.dropLast().joined(separator: ":")
    let plain =
      host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    guard let last = parts.last, let address = IPAddress(plain) else {
      throw Mistake(message: "option '\(flag)' needs an address, not '\(text)'")
    }
    return (address, try port(String(last), flag))
  }

  /// What the client sends first.
  var bytes: [UInt8] {
    if let payload { return Array(payload.utf8) }
    return SupposedHello(serverName: serverName, protocols: protocols).bytes
  }
}

extension SupposedConnection: CustomStringConvertible {
  public var description: String {
    var parts: [String] = []
    if payload != nil {
      parts.append("no TLS")
    } else {
      parts.append("SNI " + (serverName ?? "none"))
      if !protocols.isEmpty { parts.append("ALPN " + protocols.joined(separator: ",")) }
    }
    parts.append("from \(client)")
    return parts.joined(separator: ", ")
  }
}

/// A ClientHello as today's clients send it, in one record (RFC 8446 section 4.1.2).
struct SupposedHello {
  var serverName: String?
  var protocols: [String]

  var bytes: [UInt8] {
    let random = [UInt8](repeating: 0x5c, count: 32)
    let ciphers: [UInt8] = [0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f]
    var body: [UInt8] = [0x03, 0x03] + random
    body += Self.vector(1, random) + Self.vector(2, ciphers) + [0x01, 0x00]
    body += Self.vector(2, extensions)
    return [0x16, 0x03, 0x01] + Self.vector(2, [0x01] + Self.vector(3, body))
  }

  private var extensions: [UInt8] {
    var all: [UInt8] = []
    if let serverName {
      let name = [0x00] + Self.vector(2, Array(serverName.utf8))
      all += Self.block(0, Self.vector(2, name))
    }
    all += Self.block(10, Self.vector(2, [0x00, 0x1d, 0x00, 0x17]))
    all += Self.block(13, Self.vector(2, [0x04, 0x03, 0x08, 0x04, 0x08, 0x05]))
    if !protocols.isEmpty {
      all += Self.block(16, Self.vector(2, protocols.flatMap { Self.vector(1, Array($0.utf8)) }))
    }
    all += Self.block(43, Self.vector(1, [0x03, 0x04, 0x03, 0x03]))
    let share = [0x00, 0x1d] + Self.vector(2, [UInt8](repeating: 9, count: 32))
    return all + Self.block(51, Self.vector(2, share))
  }

  private static func block(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
    [0x00, type] + vector(2, content)
  }

  /// Bytes behind their count, which takes so many bytes itself.
  private static func vector(_ width: Int, _ content: [UInt8]) -> [UInt8] {
    let count = (0..<width).reversed().map { UInt8(truncatingIfNeeded: content.count >> (8 * $0)) }
    return count + content
  }
}
