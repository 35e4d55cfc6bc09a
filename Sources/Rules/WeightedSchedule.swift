/// The order in which weighted round robin serves: one turn of the wheel, written down.
///
/// A server of weight w gets w of every `sum` turns (both over their greatest common divisor),
/// spread as evenly as they go: its k-th turn is due at (k + ½) / w of the way round, and turns
/// are taken in the order in which they are due, ties in the order of the configuration. Equal
/// weights give 0, 1, 2, 0, 1, 2, …
///
/// The same weights give the same schedule on every node and in every worker.
public struct WeightedSchedule: Sendable {
  /// The longest schedule: 256 servers of weights up to 256 fit as they are. Above, weights are
  /// scaled down, at least to 1, so that shares are off by less than one turn each.
  public static let maximumLength = 65_536

  /// Indices of servers in the order of their turns; empty when no weight is above zero.
  public let turns: [UInt16]

  public var count: Int { turns.count }

  /// The server whose turn it is at `position`, below `count`.
  public subscript(position: Int) -> Int { Int(turns[position]) }

  /// - Parameter weights: By index of server, 0 for those that get no turn; at most 65,536.
  public init(weights: [Int]) {
    let scaled = Self.scaled(Self.reduced(weights))
    var due: [Turn] = []
    due.reserveCapacity(scaled.reduce(0, +))
    for (server, weight) in scaled.enumerated() {
      for round in 0..<weight {
        due.append(Turn(server: UInt16(server), numerator: 2 * round + 1, weight: weight))
      }
    }
    due.sort()
    turns = due.map(\.server)
  }

  private struct Turn: Comparable {
    var server: UInt16
    /// Due at numerator / (2 · weight).
    var numerator: Int
    var weight: Int

    static func < (left: Turn, right: Turn) -> Bool {
      let ours = left.numerator * right.weight
      let theirs = right.numerator * left.weight
      return ours != theirs ? ours < theirs : left.server < right.server
    }
  }

  private static func reduced(_ weights: [Int]) -> [Int] {
    let divisor = weights.reduce(0, greatestCommonDivisor)
    return divisor > 1 ? weights.map { $0 / divisor } : weights
  }

  private static func scaled(_ weights: [Int]) -> [Int] {
    let sum = weights.reduce(0, +)
    guard sum > maximumLength else { return weights }
    let spare = maximumLength - weights.count
    return weights.map { $0 == 0 ? 0 : max(1, $0 * spare / sum) }
  }

  private static func greatestCommonDivisor(_ first: Int, _ second: Int) -> Int {
    var (larger, smaller) = (first, second)
    while smaller != 0 { (larger, smaller) = (smaller, larger % smaller) }
    return larger
  }
}
