/// Ranges with labels, for maps of numbers and of addresses: which range holds a value, of several
/// the one that comes first.
///
/// Overlapping ranges are cut into disjoint ones when a set is added, so that a lookup is one binary
/// search: 20 steps among a million. A radix tree would take up to 128, and several times the
/// memory. At most two bounds and two labels for each range: 24 bytes for numbers, 40 for addresses.
struct LabelledRanges<Bound: SuccessorBound> {
  static var noLabel: UInt32 { UInt32.max }

  struct Item {
    var range: ClosedRange<Bound>
    /// The lower, the earlier it is chosen.
    var rank: UInt64
    var label: UInt32
  }

  /// Where each stretch begins; it ends before the next one.
  private var starts: [Bound] = []
  private var labels: [UInt32] = []

  /// Adds a set and returns where it is.
  mutating func insert(_ items: [Item]) -> Slice {
    let first = starts.count
    let sorted = items.sorted { $0.range.lowerBound < $1.range.lowerBound }
    var open = RankHeap<Bound>()
    var next = 0
    var cursor = sorted.first?.range.lowerBound
    while let position = cursor {
      while next < sorted.count, sorted[next].range.lowerBound <= position {
        open.push(sorted[next])
        next += 1
      }
      while let top = open.top, top.range.upperBound < position { open.pop() }
      let top = open.top
      append(position, top?.label ?? Self.noLabel, to: first)
      let end = top.flatMap(\.range.upperBound.successor)
      let beginning = next < sorted.count ? sorted[next].range.lowerBound : nil
      cursor = [end, beginning].compactMap(\.self).min()
    }
    return Slice(first..<starts.count)
  }

  private mutating func append(_ start: Bound, _ label: UInt32, to first: Int) {
    if labels.count > first, labels[labels.count - 1] == label { return }
    starts.append(start)
    labels.append(label)
  }

  /// The label of the range that holds `value`; `noLabel` if none does.
  func label(of value: Bound, in set: Slice) -> UInt32 {
    var below = set.start
    var above = set.end
    while below < above {
      let middle = below + (above - below) / 2
      if starts[middle] <= value { below = middle + 1 } else { above = middle }
    }
    return below > set.start ? labels[below - 1] : Self.noLabel
  }
}

/// A number that knows the next one.
protocol SuccessorBound: Comparable, BitwiseCopyable {
  /// Nil for the last one.
  var successor: Self? { get }
}

extension Int: SuccessorBound {
  var successor: Int? { self == .max ? nil : self + 1 }
}

extension AddressKey: SuccessorBound {
  var successor: AddressKey? {
    if low < .max { return AddressKey(high: high, low: low + 1) }
    return high < .max ? AddressKey(high: high + 1, low: 0) : nil
  }
}

/// The open ranges of a sweep, the one with the lowest rank on top: a binary heap.
private struct RankHeap<Bound: SuccessorBound> {
  private var items: [LabelledRanges<Bound>.Item] = []

  var top: LabelledRanges<Bound>.Item? { items.first }

  mutating func push(_ item: LabelledRanges<Bound>.Item) {
    items.append(item)
    var child = items.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard items[child].rank < items[parent].rank else { return }
      items.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() {
    items.swapAt(0, items.count - 1)
    items.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < items.count && items[child].rank < items[least].rank {
        least = child
      }
      if least == parent { return }
      items.swapAt(parent, least)
      parent = least
    }
  }
}
