public import Linux

/// A fetch and the converters that follow it: `req.ssl_sni,lower`.
public struct SampleExpression: Equatable, Sendable {
  public enum Fetch: Equatable, Sendable {
    case source, sourcePort, destination, destinationPort
    /// `req.ssl_sni`
    case serverName
    /// `req.ssl_sni_crt`: whether the name in the hello is one of the bind's certificates'.
    case serverNameInCertificate
    /// `req.ssl_hello_type`
    case helloType
    /// `req.ssl_ver`: major × 65536 + minor.
    case helloVersion
    /// `req.ssl_alpn`: comma-separated.
    case applicationProtocols
    /// `req.ssl_st_ext`: 0 without the extension, 1 for an empty one, 2 with a ticket.
    case helloTicket
    /// `req.ssl_ec_ext`
    case helloHasGroups
    /// `req.ssl_cipherlist` and its like: the list as sent.
    case helloList(HelloList)
    /// `req.len`
    case requestLength
    /// `payload(offset,length)`; length 0 is all there is.
    case payload(offset: Int, length: Int)
    /// `payload_lv(offset,size[,second])`: a length of `size` bytes stands at `offset`, and what it
    /// measures directly behind, or at `second`; `+n` and `-n` count from behind the length.
    case payloadByLength(offset: Int, size: Int, second: Second)
    /// `wait_end`
    case waitEnd
    case always(Bool)
    /// `req.proto_http`: whether the bytes begin like an HTTP request; decided once the first line
    /// is there, or cannot be one.
    case protocolHTTP
    /// `str()`, `int()`, `bool()`, `bin()`, `ipv4()`, `ipv6()`, `env()`.
    case constant(SampleValue)
    /// `var(name[,default])`: index into the configuration's variables.
    case variable(Int, default: [UInt8]?)
    /// `rand[(n)]`: 0…n-1.
    case random(below: Int)
    /// `date[(offset[,unit])]`: the time of day since 1970 plus so many of its units.
    case date(offset: Int, unit: TimeUnit)
    case process(ProcessFact)
    case identity(Identity)
    case gauge(Gauge)
  }

  public enum Second: Equatable, Sendable {
    case behind(Int)
    case at(Int)
  }

  /// Lists of a hello that are compared as bytes, or hashed to fingerprints.
  public enum HelloList: UInt8, BitwiseCopyable, Sendable {
    case cipherSuites, signatureAlgorithms, supportedGroups, keyShareGroups
  }

  public enum TimeUnit: UInt8, BitwiseCopyable, Sendable {
    case seconds, milliseconds, microseconds
  }

  /// What is the same for all connections of a worker.
  public enum ProcessFact: UInt8, BitwiseCopyable, Sendable {
    case pid, hostname
  }

  /// What the parts of the configuration that serve a connection are called.
  public enum Identity: UInt8, BitwiseCopyable, Sendable {
    case frontendName, frontendID, frontendDefault
    case backendName, backendID
    case serverName, serverID
    case bindName, bindID
  }

  /// A number that the ledger knows, of a proxy or a server.
  public struct Gauge: Equatable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
      case processConnections
      case frontendConnections, frontendSessionRate
      case backendConnections, backendSessionRate, backendQueue, averageQueue
      case usableServers, freeSlots
      case serverConnections, freeServerConnections, serverQueue, serverIsUp
      case serverWeight, serverInitialWeight, serverSessionRate
    }

    public var kind: Kind
    public var target: Target

    public init(kind: Kind, target: Target) {
      self.kind = kind
      self.target = target
    }
  }

  /// Whose number.
  public enum Target: Equatable, Sendable {
    case process
    /// The connection's own frontend or backend.
    case current
    /// By name, which has been found to exist.
    case named(proxy: String, server: String?)
  }

  public enum Converter: Equatable, Sendable {
    case lower, upper
    case length
    /// `hex`, `hex2i`
    case hexadecimal, hexadecimalNumber
    case base64, base64Decoded
    /// `ub64enc`, `ub64dec`: with the letters of URLs, and without padding.
    case base64URL, base64URLDecoded
    /// `bytes(offset[,length])`
    case bytes(offset: Int, length: Int?)
    /// `field(index,delimiters[,count])`: each delimiter ends one. Indices count from 1, negative
    /// ones from the end; a count of 0 takes all that follow.
    case field(index: Int, delimiters: [UInt8], count: Int)
    /// `word(…)`: the same, but several delimiters in a row end one.
    case word(index: Int, delimiters: [UInt8], count: Int)
    case trimStart([UInt8]), trimEnd([UInt8])
    case hostOnly, portOnly
    /// `regsub(pattern,replacement[,flags])`: `g` all of them, `i` in any case.
    case substitute(pattern: String, replacement: [UInt8], all: Bool, ignoresCase: Bool)
    /// `concat([before][,variable][,after])`
    case concatenate(before: [UInt8], variable: Int?, after: [UInt8])
    /// `ipmask(4[,6])`: prefix lengths.
    case mask(ipv4: Int, ipv6: Int)
    case arithmetic(Arithmetic, Operand)
    case negative, complement, boolean, not, even, odd
    /// `crc32`, …: with the final mixing of the bits, or with a seed.
    case hash(HashFunction, argument: Int)
    /// `be2hex([separator[,chunk[,truncate]]])`
    case hexadecimalChunks(separator: [UInt8], size: Int, truncates: Bool)
    /// `be2dec(separator,chunk[,truncate])` and `le2dec`
    case decimalChunks(separator: [UInt8], size: Int, truncates: Bool, isLittleEndian: Bool)
    /// `iif(true,false)`
    case choose([UInt8], [UInt8])
    /// `strcmp(variable)`
    case compare(variable: Int)
    case setVariable(Int), unsetVariable(Int)
    /// `map…(file[,default])`: index into the configuration's maps.
    case map(Int, default: SampleValue?)
  }

  public enum Arithmetic: UInt8, BitwiseCopyable, Sendable {
    case add, subtract, multiply, divide, remainder, and, or, exclusiveOr
  }

  /// What a number is combined with.
  public enum Operand: Equatable, Sendable {
    case number(Int)
    case variable(Int)
  }

  public enum HashFunction: UInt8, BitwiseCopyable, Sendable {
    case crc32, crc32c, djb2, sdbm, xxh32, xxh64
  }

  public var fetch: Fetch
  public var converters: [Converter]

  public init(fetch: Fetch, converters: [Converter] = []) {
    self.fetch = fetch
    self.converters = converters
  }
}

/// What a sample is, and so what it can be compared with.
public enum SampleType: UInt8, BitwiseCopyable, Sendable {
  /// What is known only when it is read: a variable.
  case any
  case boolean, integer, address, string, binary
}

/// A sample that is known when the file is read.
public enum SampleValue: Equatable, Sendable {
  case boolean(Bool)
  case integer(Int)
  case address(IPAddress)
  case string([UInt8])
  case binary([UInt8])

  public var type: SampleType {
    switch self {
    case .boolean: .boolean
    case .integer: .integer
    case .address: .address
    case .string: .string
    case .binary: .binary
    }
  }
}

/// A piece of a text that is put together for a connection: `bk-%[req.ssl_sni,lower]-https`.
public enum TextPiece: Equatable, Sendable {
  case text(String)
  case sample(SampleExpression)
}

/// A variable that rules set and samples read: `sess.name`, `txn.name`, `req.name`.
///
/// All live as long as the connection. A slot of `tcp-request content capture` is one without a
/// name.
public struct Variable: Equatable, Sendable {
  /// With its scope; empty for a slot of a capture.
  public var name: String

  public init(name: String) { self.name = name }

  /// The longest text that one holds; a longer one is not stored, and a captured one is cut.
  public static let longestText = 255
}
