/// What a ledger says of itself: where its areas lie, and which cell of a block is which.
///
/// A release may lay a ledger out as it likes, and then raises ``Layout/version``. What it must not
/// change is what a cell of some name means, the beginning of the header (``Layout/header``), and the
/// way in which keys are hashed: by these a program of another release finds what it has to carry
/// over (``FormerLedger``). It is a text, so that a newer one can say more: lines that begin with
/// another word are passed over.
///
///     area gauges 8458240 512 65536
///     cell gauge.current 0
struct LedgerDescription: Equatable {
  /// A row of equal blocks: bytes from the beginning, bytes from one to the next, and how many.
  struct Area: Equatable {
    var offset: Int
    var stride: Int
    var count: Int

    /// The cells of one block.
    var cells: Int { stride / 8 }

    func block(_ index: Int) -> Int { offset + index * stride }

    /// Whether all of it lies within so many bytes, and each cell where one can be.
    func fits(in size: Int) -> Bool {
      guard offset >= 0, stride > 0, count > 0, offset % 8 == 0, stride % 8 == 0 else {
        return false
      }
      let (length, overflow) = stride.multipliedReportingOverflow(by: count)
      return !overflow && offset <= size && length <= size - offset
    }
  }

  var lanes: Area
  var directory: Area
  var gauges: Area
  /// A lane's counters, of all slots; then the next lane's.
  var counters: Area
  /// Numbers of cells in their blocks, by names such as `gauge.current`.
  var cells: [String: Int]

  static let own = LedgerDescription(
    lanes: Area(
      offset: Layout.lanes, stride: Layout.laneSize, count: SharedLedger.laneCapacity),
    directory: Area(
      offset: Layout.directory, stride: Layout.directoryEntrySize,
      count: SharedLedger.slotCapacity),
    gauges: Area(
      offset: Layout.gauges, stride: Layout.gaugesSize, count: SharedLedger.slotCapacity),
    counters: Area(
      offset: Layout.counters, stride: Layout.countersSize,
      count: SharedLedger.laneCapacity * SharedLedger.slotCapacity),
    cells: Dictionary(
      uniqueKeysWithValues: LaneCell.allCases.map { ($0.name, $0.rawValue) }
        + Gauge.allCases.map { ($0.name, $0.rawValue) }
        + Counter.allCases.map { ($0.name, $0.rawValue) }))

  // MARK: As text

  private var areas: [(name: String, Area)] {
    [("lanes", lanes), ("directory", directory), ("gauges", gauges), ("counters", counters)]
  }

  var text: String {
    var lines = areas.map { "area \($0) \($1.offset) \($1.stride) \($1.count)\n" }
    lines += cells.sorted { $0.key < $1.key }.map { "cell \($0.key) \($0.value)\n" }
    return lines.joined()
  }

  private init(lanes: Area, directory: Area, gauges: Area, counters: Area, cells: [String: Int]) {
    self.lanes = lanes
    self.directory = directory
    self.gauges = gauges
    self.counters = counters
    self.cells = cells
  }

  /// Reads the text of a ledger of `size` bytes.
  ///
  /// - Returns: nil when an area is missing, or anything would lie outside.
  init?(_ text: String, size: Int) {
    var areas: [String: Area] = [:]
    var cells: [String: Int] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let numbers = words.dropFirst(2).compactMap { Int($0) }
      switch (words.first, numbers.count) {
      case ("area", 3):
        areas[String(words[1])] = Area(offset: numbers[0], stride: numbers[1], count: numbers[2])
      case ("cell", 1): cells[String(words[1])] = numbers[0]
      default: break
      }
    }
    guard let lanes = areas["lanes"], let directory = areas["directory"],
      let gauges = areas["gauges"], let counters = areas["counters"],
      [lanes, directory, gauges, counters].allSatisfy({ $0.fits(in: size) }),
      directory.cells >= 2, gauges.count >= directory.count,
      counters.count / directory.count >= lanes.count
    else { return nil }
    self.init(
      lanes: lanes, directory: directory, gauges: gauges, counters: counters, cells: cells)
    guard cells.allSatisfy({ $0.value >= 0 && $0.value < cellCount(of: $0.key) }) else {
      return nil
    }
  }

  /// How many cells the block has that a cell of this name is in.
  private func cellCount(of name: String) -> Int {
    if name.hasPrefix("lane.") { return lanes.cells }
    if name.hasPrefix("gauge.") { return gauges.cells }
    return counters.cells
  }
}

extension LaneCell {
  /// What descriptions call it, in every release.
  var name: String { "lane.\(self)" }
}

extension Gauge {
  var name: String { "gauge.\(self)" }
}

extension Counter {
  var name: String { "counter.\(self)" }
}
