/// Stops with `message` unless `condition` holds. The fuzzer takes that for a finding.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  guard !condition else { return }
  fatalError(message())
}

/// The bytes that libFuzzer hands over, as an array of our own.
func bytes(_ data: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
  guard let data else { return [] }
  return Array(UnsafeBufferPointer(start: data, count: count))
}

/// Chance drawn from the input itself, so that the fuzzer steers it and a finding repeats.
struct InputChance: RandomNumberGenerator {
  private var state: UInt64

  init(_ input: [UInt8]) {
    state = input.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    let mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
    return mixed ^ mixed >> 27
  }

  /// Some positions in `0...count`, ascending.
  mutating func cuts(of count: Int) -> [Int] {
    (0..<Int.random(in: 1...6, using: &self))
      .map { _ in Int.random(in: 0...count, using: &self) }.sorted()
  }
}
