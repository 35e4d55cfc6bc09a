import Foundation

/// The files under `Tests/Fixtures` and `Tests/Fuzz/Corpus`.
enum Fixtures {
  static let tests = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()

  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: tests.appendingPathComponent(path)))
  }

  /// The names of the files in a folder, in order.
  static func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      atPath: tests.appendingPathComponent(folder).path
    ).sorted()
  }

  /// Bytes written as hexadecimal digits; blanks and what follows `#` do not count.
  static func hexBytes(_ path: String) throws -> [UInt8] {
    let text = String(decoding: try bytes(path), as: UTF8.self)
    let digits = text.split(separator: "\n").map { $0.prefix { $0 != "#" } }
      .joined().compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
  }
}

/// A repeatable source of chance (SplitMix64). Set `WIRE_SEED` to run a test again as it ran.
struct Chance: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init() {
    let given = ProcessInfo.processInfo.environment["WIRE_SEED"].flatMap { UInt64($0) }
    seed = given ?? .random(in: 0 ... .max)
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  /// Up to `most` positions in `0...count`, ascending.
  mutating func cuts(of count: Int, most: Int) -> [Int] {
    (0..<Int.random(in: 0...most, using: &self))
      .map { _ in Int.random(in: 0...count, using: &self) }.sorted()
  }

  /// `message` in records of random lengths up to `longest`.
  mutating func records(_ message: [UInt8], longest: Int) -> [UInt8] {
    var raw: [UInt8] = []
    var start = 0
    while start < message.count {
      let end = min(message.count, start + .random(in: 1...longest, using: &self))
      raw += inRecords(of: longest, Array(message[start..<end]))
      start = end
    }
    return raw
  }
}
