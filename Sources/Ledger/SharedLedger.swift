/// What the processes of sluice share: counters, gauges and states, in memory that outlives each of
/// them and every reload.
///
/// A *slot* is one thing that is counted (the process, a frontend, a listener, a backend, a
/// server), found by its key, whose meaning stays over reloads. A *lane* is one worker's own
/// cells: while the worker lives nobody else writes them. When it dies another may take the lane
/// and go on counting where it stopped, so no count of an ended session is ever lost.
///
/// The file is sparse: 2 GiB are reserved, and a page is taken when it is first touched. Sizes are
/// therefore fixed, and nothing ever moves.
///
/// Nothing in it holds a reference, and no index, length or address is taken from it unchecked.
///
/// This is a view of it, trivially copyable: the mapping stays for the life of the process, and
/// whoever made or adopted it keeps the descriptor (``LedgerFile``).
@frozen public struct SharedLedger: Sendable {
  /// Most slots: frontends, listeners, backends and servers together.
  public static let slotCapacity = 65_536
  /// Most workers at a time, those that drain included.
  public static let laneCapacity = 128

  let address: UInt

  func cell(at offset: Int) -> Cell {
    precondition(offset >= 0 && offset < Layout.size)
    return Cell(at: address + UInt(offset))
  }

  /// One slot as one worker sees it.
  public func slot(_ index: Int, lane: Int) -> Slot {
    precondition(lane >= 0 && lane < Self.laneCapacity)
    return Slot(
      shared: gauges(of: index),
      own: CounterBlock(base: cell(at: Layout.counters(slot: index, lane: lane))),
      intent: intent(of: lane), index: UInt64(index))
  }

  /// What all share of one slot.
  public func gauges(of slot: Int) -> GaugeBlock {
    precondition(slot >= 0 && slot < Self.slotCapacity)
    return GaugeBlock(base: cell(at: Layout.gauges(slot: slot)))
  }

  /// One worker's counts of one slot.
  public func counters(slot: Int, lane: Int) -> CounterBlock {
    precondition(slot >= 0 && slot < Self.slotCapacity)
    precondition(lane >= 0 && lane < Self.laneCapacity)
    return CounterBlock(base: cell(at: Layout.counters(slot: slot, lane: lane)))
  }

  /// What one worker says of itself.
  public func lane(_ index: Int) -> LaneBlock {
    precondition(index >= 0 && index < Self.laneCapacity)
    return LaneBlock(base: cell(at: Layout.lane(index)))
  }

  /// The sum of all workers' counts, those of dead ones included.
  public func total(_ counter: Counter, slot: Int) -> UInt64 {
    (0..<lanesEverUsed).reduce(0) { $0 &+ counters(slot: slot, lane: $1)[counter].latest }
  }

  /// Lanes above this were never touched.
  public var lanesEverUsed: Int {
    min(Int(clamping: cell(at: Layout.lanesUsed).value), Self.laneCapacity)
  }

  /// How many workers the master has ended since they hung.
  public var hungWorkers: Cell { cell(at: Layout.hungWorkers) }

  /// 1 while the node is being taken out: whoever asks is told that it is not ready.
  public var isLeaving: Cell { cell(at: Layout.header + 56) }

  /// Takes a free lane for a worker to be, or none when all are taken. Only the master calls it.
  public func takeLane(generation: UInt64, workerSlot: Int, now: UInt64) -> Int? {
    for index in 0..<Self.laneCapacity {
      let lane = lane(index)
      guard lane[.state].value == LaneState.free.rawValue else { continue }
      lane[.generation].store(generation)
      lane[.workerSlot].store(UInt64(workerSlot))
      lane[.started].store(now)
      lane[.pid].store(0)
      lane[.isAsleep].store(0)
      intent(of: index).end()
      lane[.state].store(LaneState.starting.rawValue)
      cell(at: Layout.lanesUsed).raise(to: UInt64(index + 1))
      return index
    }
    return nil
  }
}

/// Where things are, in bytes from the beginning.
enum Layout {
  static let magic: UInt64 = 0x736c_7569_6365_6c67

  #if NEXT_LAYOUT
    /// The release to come, for tests of upgrades: everything lies elsewhere.
    static let version: UInt64 = 2
    static let headerSize = 8192
  #else
    static let version: UInt64 = 1
    static let headerSize = 4096
  #endif

  // The header begins in the same way in every release: magic, version, size, and these.
  static let header = 0
  static let lanesUsed = header + 24
  static let slotsUsed = header + 32
  static let hungWorkers = header + 40
  static let descriptionLength = header + 48
  /// See ``LedgerDescription``.
  static let description = header + 512
  /// What another release may have made of the header; and so the least that a ledger has of bytes.
  static let longestDescription = 65_536
  static let smallest = longestDescription

  static let lanes = headerSize
  static let laneSize = LaneCell.stride * 8
  static let directory = lanes + SharedLedger.laneCapacity * laneSize
  static let directoryEntrySize = 128
  static let gauges = directory + SharedLedger.slotCapacity * directoryEntrySize
  static let gaugesSize = Gauge.stride * 8
  static let counters = gauges + SharedLedger.slotCapacity * gaugesSize
  static let countersSize = Counter.stride * 8
  static let size = counters + SharedLedger.laneCapacity * SharedLedger.slotCapacity * countersSize

  static func lane(_ index: Int) -> Int { lanes + index * laneSize }

  static func directoryEntry(slot: Int) -> Int { directory + slot * directoryEntrySize }

  static func gauges(slot: Int) -> Int { gauges + slot * gaugesSize }

  /// A worker's counters lie together, so that no two workers write to one cache line.
  static func counters(slot: Int, lane: Int) -> Int {
    counters + (lane * SharedLedger.slotCapacity + slot) * countersSize
  }
}

/// A worker's counters of a slot.
@frozen @safe public struct CounterBlock: Sendable {
  @usableFromInline let base: Cell

  @inlinable
  init(base: Cell) { self.base = base }

  @inlinable
  public subscript(counter: Counter) -> Cell {
    unsafe Cell(base.pointer + counter.rawValue)
  }
}

/// The shared cells of a slot.
@frozen @safe public struct GaugeBlock: Sendable {
  @usableFromInline let base: Cell

  @inlinable
  init(base: Cell) { self.base = base }

  @inlinable
  public subscript(gauge: Gauge) -> Cell {
    unsafe Cell(base.pointer + gauge.rawValue)
  }
}

/// A worker's cells about itself.
@frozen @safe public struct LaneBlock: Sendable {
  @usableFromInline let base: Cell

  @inlinable
  init(base: Cell) { self.base = base }

  @inlinable
  public subscript(cell: LaneCell) -> Cell {
    unsafe Cell(base.pointer + cell.rawValue)
  }
}
