public import Linux

/// `if` or `unless` and what follows: a disjunction of conjunctions.
public struct Condition: Sendable {
  public struct Term: Sendable {
    public var isNegated: Bool
    /// Index into the proxy's `acls`; anonymous ones have entries there too.
    public var acl: Int

    public init(isNegated: Bool, acl: Int) {
      self.isNegated = isNegated
      self.acl = acl
    }
  }

  /// `unless`.
  public var isNegated: Bool
  /// Any of these; within each, all.
  public var alternatives: [[Term]]

  public init(isNegated: Bool, alternatives: [[Term]]) {
    self.isNegated = isNegated
    self.alternatives = alternatives
  }
}

/// An ACL: any of its lines. Predefined ones (`TRUE`, `LOCALHOST`, `WAIT_END`, …) are made where
/// they are used.
public struct ACL: Sendable {
  /// nil for an anonymous one.
  public var name: String?
  public var lines: [Criterion]

  public init(name: String?, lines: [Criterion]) {
    self.name = name
    self.lines = lines
  }
}

/// One test of one sample against patterns.
public struct Criterion: Sendable {
  public var sample: SampleExpression
  public var match: Match
  /// `-i`.
  public var ignoresCase: Bool
  /// Patterns of the line and of its `-f` files, in order.
  public var patterns: Patterns
  public var position: SourcePosition

  public init(
    sample: SampleExpression, match: Match, ignoresCase: Bool, patterns: Patterns,
    position: SourcePosition
  ) {
    self.sample = sample
    self.match = match
    self.ignoresCase = ignoresCase
    self.patterns = patterns
    self.position = position
  }
}

/// `-m`, or what the sample's type implies.
public enum Match: UInt8, Sendable {
  case found, boolean, integer, address, string, begin, end, substring, domain, directory
  case regularExpression, length, binary
}

/// Patterns, parsed for their match method.
public enum Patterns: Equatable, Sendable {
  case none
  case strings([String])
  case binaries([[UInt8]])
  /// Closed ranges: `5` is 5…5, `10:` is 10…Int.max, `gt 3` is 4…Int.max.
  case integers([ClosedRange<Int>])
  case networks([Network])
}

/// An address with a prefix length.
public struct Network: Hashable, Sendable {
  /// IPv4 addresses are here as IPv4-mapped IPv6; the prefix counts within their own family.
  public var address: IPAddress
  public var prefixLength: Int

  public init(address: IPAddress, prefixLength: Int) {
    self.address = address
    self.prefixLength = prefixLength
  }
}
