/// How long to wait before a child is started again: not at all the first time, then 100 ms,
/// doubling to 5 s, and anew once one has lived for ten seconds.
struct Backoff: Equatable {
  private var failures = 0

  /// All in nanoseconds.
  static let first: Int64 = 100_000_000
  static let longest: Int64 = 5_000_000_000
  static let healthyLife: Int64 = 10_000_000_000

  /// The wait after a child that lived for `life` nanoseconds.
  mutating func delay(afterLifeOf life: Int64) -> Int64 {
    if life >= Self.healthyLife { failures = 0 }
    defer { failures += 1 }
    guard failures > 0 else { return 0 }
    return min(Self.longest, Self.first << Int64(min(failures - 1, 10)))
  }
}
