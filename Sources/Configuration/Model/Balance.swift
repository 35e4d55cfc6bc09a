public enum Balance: Equatable, Sendable {
  case roundRobin
  case staticRoundRobin
  case leastConnections
  case first
  case source
  /// Power of this many choices.
  case random(draws: Int)
}

/// `hash-type`.
public struct HashType: Equatable, Sendable {
  public enum Method: UInt8, Sendable { case mapBased, consistent }
  public var method = Method.mapBased

  public init() {}
}
