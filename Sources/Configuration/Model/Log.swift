public import Linux

/// How sessions of a frontend are logged.
public struct LogSettings: Sendable {
  public enum Format: Equatable, Sendable {
    /// HAProxy's default TCP line, `Connect from …`, written when a session begins.
    case connect
    /// `option tcplog`.
    case tcp
    /// `log-format`: compiled; see ``LogItem``.
    case custom([LogItem])
  }

  /// Where to: the proxy's own targets, those of `global` included where it says `log global`.
  public var targets: [LogTarget] = []
  public var format = Format.connect
  /// `error-log-format`: what is written of connections that are refused before they are sessions;
  /// nil for HAProxy's own line.
  public var errorFormat: [LogItem]?
  /// `log-format-sd`: the structured data of RFC 5424, at targets that have it; empty for none.
  public var structuredData: [LogItem] = []
  public var tag: String?
  /// `option dontlognull`.
  public var skipsNull = false
  /// `option dontlog-normal`.
  public var skipsNormal = false
  /// `option log-separate-errors`.
  public var separatesErrors = false
  /// `option logasap`.
  public var logsEarly = false

  public init() {}

  /// The items of all its formats, in the order in which their samples are numbered.
  public var items: [LogItem] {
    var items: [LogItem] = []
    if case .custom(let own) = format { items = own }
    return items + (errorFormat ?? []) + structuredData
  }
}

/// A piece of a `log-format` line.
public enum LogItem: Equatable, Sendable {
  case text(String)
  /// A variable by its HAProxy name without the per cent sign: `ci`, `Tw`, `ts`, …
  case variable(String, LogEncoding = [])
  /// `%[…]`.
  case sample(SampleExpression, LogEncoding = [])
}

/// `%{+Q,+X,+E}`: how a value is written.
public struct LogEncoding: OptionSet, BitwiseCopyable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Names, addresses and samples in double quotes.
  public static let quoted = LogEncoding(rawValue: 1)
  /// Addresses, ports and some numbers in hexadecimal.
  public static let hexadecimal = LogEncoding(rawValue: 2)
  /// `"`, `\` and `]` behind a backslash, for RFC 5424 structured data.
  public static let escaped = LogEncoding(rawValue: 4)
}

/// A `log` line.
public struct LogTarget: Equatable, Sendable {
  public enum Address: Equatable, Sendable {
    /// A UDP syslog server.
    case udp(SocketAddress)
    /// A unix datagram socket such as `/dev/log`.
    case unix(String)
    case standardOutput
    case standardError
    /// `fd@N`.
    case descriptor(Int)
  }

  public enum Format: UInt8, Sendable {
    /// RFC 3164 without the host name: HAProxy's default.
    case local
    case rfc3164
    case rfc5424
    /// `<PRI>` and the message.
    case priority
    /// `<LEVEL>` and the message, for journald.
    case short
    case timed
    case iso
    /// The message alone.
    case raw
  }

  /// `sample RANGES:SIZE`: of each so many lines, those whose places are in the ranges.
  public struct Sampling: Equatable, Sendable {
    public var size: Int
    /// Places from 1, in order and apart from each other.
    public var ranges: [ClosedRange<Int>]

    public init(size: Int, ranges: [ClosedRange<Int>]) {
      self.size = size
      self.ranges = ranges
    }
  }

  public var address: Address
  public var format = Format.local
  public var sampling: Sampling?
  /// Longest line in bytes; longer ones are cut. `len`, 1024 by default.
  public var maxLength = 1024
  /// syslog facility number, 0…23.
  public var facility: UInt8
  /// Least severe level that is sent, 0 (emerg) … 7 (debug).
  public var maxLevel: UInt8 = 7
  /// More severe levels are sent as this one.
  public var minLevel: UInt8 = 0

  public init(address: Address, facility: UInt8) {
    self.address = address
    self.facility = facility
  }
}
