/// Sets of ranges: numbers or addresses, one lookup by binary search for any number of them.
///
/// Each set is sorted and its overlaps are merged, since all that is asked is whether a value lies
/// in any. Two bounds a range: 16 bytes for numbers, 32 for addresses.
struct OrderedRanges<Bound: Comparable & BitwiseCopyable> {
  private var lower: [Bound] = []
  private var upper: [Bound] = []

  /// Adds a set and returns where it is.
  mutating func insert(_ ranges: [ClosedRange<Bound>]) -> Slice {
    let start = lower.count
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if upper.count > start, let last = upper.last, range.lowerBound <= last {
        upper[upper.count - 1] = max(last, range.upperBound)
      } else {
        lower.append(range.lowerBound)
        upper.append(range.upperBound)
      }
    }
    return Slice(start..<lower.count)
  }

  /// Whether `value` is in the set.
  func contains(_ value: Bound, in set: Slice) -> Bool {
    var below = set.start
    var above = set.end
    while below < above {
      let middle = below + (above - below) / 2
      if lower[middle] <= value { below = middle + 1 } else { above = middle }
    }
    return below > set.start && value <= upper[below - 1]
  }
}

/// A part of one of the rule set's arrays.
struct Slice: BitwiseCopyable {
  private let first: UInt32
  private let count: UInt32

  static let empty = Slice(0..<0)

  init(_ range: Range<Int>) {
    first = UInt32(range.lowerBound)
    count = UInt32(range.count)
  }

  var start: Int { Int(first) }
  var end: Int { Int(first) + Int(count) }
  var indices: Range<Int> { start..<end }
}

/// An address as a number, for ranges of them.
struct AddressKey: Comparable, BitwiseCopyable {
  var high: UInt64
  var low: UInt64

  static func < (left: AddressKey, right: AddressKey) -> Bool {
    left.high != right.high ? left.high < right.high : left.low < right.low
  }
}
