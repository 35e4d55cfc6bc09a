/// What a list of `tcp-request` rules decides.
public enum Verdict: UInt8, Sendable {
  /// A rule needs data that may still come. Evaluate again when there is more, or when the
  /// waiting is over.
  case wait
  /// An accepting rule matched, or none did.
  case accept
  case reject
  case silentDrop
  /// Accepted, and a PROXY header must come first. Connection rules only.
  case expectProxyHeader
}

/// Where `use_backend` or `use-server` rules lead.
public enum Route: Equatable, Sendable {
  /// A rule needs data that may still come.
  case wait
  /// No rule matched.
  case none
  /// The first rule that matched: its place in the list, and the index of its backend or server.
  case target(Int, rule: Int)
}

/// What a list of rules looks at, known when it is compiled.
public struct Needs: OptionSet, BitwiseCopyable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Facts of the ClientHello: the reader must parse it, and wait for it.
  public static let hello = Needs(rawValue: 1)
  /// Bytes of the request, how many there are, or the end of the inspection delay.
  public static let request = Needs(rawValue: 2)
}
