public import Linux

/// A ledger that a program of another release laid out otherwise, as far as this one knows what is in
/// it: by the description that it carries.
///
/// Nobody of this release counts in it. Workers of that one do, until they have handed over what they
/// carry or it has ended; until then their lanes are copied into this release's ledger
/// (``SharedLedger/mirror(lane:of:)``).
public final class FormerLedger {
  let description: LedgerDescription
  private let memory: SharedMemory

  /// - Throws: `EINVAL` when it is no ledger, or does not say how it is laid out.
  init(_ memory: consuming SharedMemory) throws(Errno) {
    guard Self.isLedger(memory),
      let text = SharedLedger(address: memory.address).description(limit: memory.size),
      let description = LedgerDescription(text, size: memory.size)
    else { throw .invalidArgument }
    self.description = description
    self.memory = memory
  }

  /// Whether it begins as every ledger does.
  static func isLedger(_ memory: borrowing SharedMemory) -> Bool {
    memory.size >= Layout.smallest
      && SharedLedger(address: memory.address).cell(at: Layout.header).value == Layout.magic
  }

  /// Maps one of any layout that says how it is laid out, this release's included.
  public convenience init(adopting descriptor: consuming Descriptor) throws(Errno) {
    try self.init(SharedMemory(adopting: descriptor))
  }

  public var descriptor: Descriptor { _read { yield memory.descriptor } }

  private var ledger: SharedLedger { SharedLedger(address: memory.address) }

  /// How many slots were ever given out, and lanes used.
  var slots: Int { bounded(Layout.slotsUsed, by: description.directory.count) }
  var lanes: Int { bounded(Layout.lanesUsed, by: description.lanes.count) }

  var hungWorkers: UInt64 { ledger.cell(at: Layout.hungWorkers).value }

  private func bounded(_ offset: Int, by limit: Int) -> Int {
    min(Int(clamping: ledger.cell(at: offset).value), limit)
  }

  /// What the directory knows a slot by.
  func fingerprint(of slot: Int) -> (UInt64, UInt64) {
    let entry = description.directory.block(slot)
    return (value(entry, 0), value(entry, 1))
  }

  /// Whether it has a cell of that name. Others count as zero.
  func number(of name: String) -> Int? { description.cells[name] }

  func gauge(_ number: Int, of slot: Int) -> UInt64 {
    value(description.gauges.block(slot), number)
  }

  func cell(_ number: Int, ofLane lane: Int) -> UInt64 {
    value(description.lanes.block(lane), number)
  }

  func counter(_ number: Int, of slot: Int, lane: Int) -> UInt64 {
    value(description.counters.block(lane * description.directory.count + slot), number)
  }

  private func value(_ block: Int, _ number: Int) -> UInt64 { cell(block, number).latest }

  private func cell(_ block: Int, _ number: Int) -> Cell {
    let offset = block + number * 8
    precondition(offset >= 0 && offset <= memory.size - 8)
    return Cell(at: memory.address + UInt(offset))
  }

  // MARK: Places of others

  /// Lets those who count here know what places a worker holds that counts in another ledger.
  ///
  /// - Returns: whether places have become free.
  public func hold(_ lane: Int, asIn other: some PlaceLedger) -> Bool {
    var hasFreed = false
    for slot in 0..<min(slots, other.slotsUsed) {
      if hold(other.places(ofLane: lane, slot: slot), lane: lane, slot: slot) { hasFreed = true }
    }
    return hasFreed
  }

  /// A worker has ended, wherever it counted: it holds no places any more.
  public func release(_ lane: Int) {
    for slot in 0..<slots { _ = hold(0, lane: lane, slot: slot) }
  }

  private func hold(_ count: UInt64, lane: Int, slot: Int) -> Bool {
    guard lane < description.lanes.count, let gauge = number(of: Gauge.current.name),
      let share = number(of: Counter.currentShare.name)
    else { return false }
    let block = description.counters.block(lane * description.directory.count + slot)
    let before = places(ofLane: lane, slot: slot)
    guard count != before else { return false }
    let current = cell(description.gauges.block(slot), gauge)
    if count > before {
      current.fetchAdd(count - before)
    } else {
      current.fetchSubtract(before - count)
    }
    cell(block, share).store(count)
    // What a dead one was giving away is in the sum.
    if let transit = number(of: Counter.currentInTransit.name) { cell(block, transit).store(0) }
    return count < before
  }
}

/// Where it can be seen what places of limits a worker holds.
public protocol PlaceLedger {
  var slotsUsed: Int { get }
  /// Those of a batch that it gives away included.
  func places(ofLane lane: Int, slot: Int) -> UInt64
}

extension FormerLedger: PlaceLedger {
  public var slotsUsed: Int { slots }

  public func places(ofLane lane: Int, slot: Int) -> UInt64 {
    guard lane < description.lanes.count, slot < slots else { return 0 }
    return Counter.places.reduce(0) { sum, counter in
      sum &+ (number(of: counter.name).map { self.counter($0, of: slot, lane: lane) } ?? 0)
    }
  }
}

extension SharedLedger: PlaceLedger {
  public var slotsUsed: Int {
    min(Int(clamping: cell(at: Layout.slotsUsed).value), Self.slotCapacity)
  }

  public func places(ofLane lane: Int, slot: Int) -> UInt64 {
    let block = counters(slot: slot, lane: lane)
    return Counter.places.reduce(0) { $0 &+ block[$1].latest }
  }
}

/// What a descriptor of a ledger turned out to be.
public enum LedgerFound: ~Copyable {
  /// One of this release's layout.
  case own(LedgerFile)
  case former(FormerLedger)

  /// - Throws: `EINVAL` when it is no ledger, or of another layout and does not say of which.
  public init(in descriptor: consuming Descriptor) throws(Errno) {
    let memory = try SharedMemory(adopting: descriptor)
    guard FormerLedger.isLedger(memory) else { throw .invalidArgument }
    if LedgerFile.hasThisLayout(memory) {
      self = .own(LedgerFile(memory))
    } else {
      self = .former(try FormerLedger(memory))
    }
  }
}

// MARK: - Carrying over

extension SharedLedger {
  /// Takes over all that a ledger of another layout has counted, and the states in it, by the names of
  /// cells; slots keep their numbers. To be called while this one is empty, by the master.
  ///
  /// What limits obey (places, queues) is left out: ``mirror(lane:of:)`` adds what the living hold.
  ///
  /// - Returns: false when there is more than fits.
  public func carryOver(_ former: FormerLedger) -> Bool {
    guard former.slots <= Self.slotCapacity, former.lanes <= Self.laneCapacity else { return false }
    let gauges = Self.pairs(Gauge.carriedOver, \.name, in: former)
    for slot in 0..<former.slots {
      let fingerprint = former.fingerprint(of: slot)
      cell(at: Layout.directoryEntry(slot: slot)).store(fingerprint.0)
      cell(at: Layout.directoryEntry(slot: slot) + 8).store(fingerprint.1)
      for (own, number) in gauges {
        copy(former.gauge(number, of: slot), to: self.gauges(of: slot)[own])
      }
    }
    cell(at: Layout.slotsUsed).store(UInt64(former.slots))
    for lane in 0..<former.lanes { copyCounts(ofLane: lane, of: former) }
    hungWorkers.store(former.hungWorkers)
    return true
  }

  /// Makes a lane here what the same lane is there: what its worker has counted, and the places that
  /// it holds. Until it is called again limits see what it held when it was called last.
  ///
  /// Those of its sessions that wait are left out: whose turn it is they settle among themselves, in
  /// their own ledger, until they have come over.
  ///
  /// - Returns: whether places have become free.
  @discardableResult
  public func mirror(lane: Int, of former: FormerLedger) -> Bool {
    guard lane < former.description.lanes.count, lane < Self.laneCapacity else { return false }
    for (own, number) in Self.pairs(LaneCell.identity, \.name, in: former) {
      self.lane(lane)[own].store(former.cell(number, ofLane: lane))
    }
    copyCounts(ofLane: lane, of: former)
    var hasFreed = false
    for slot in 0..<min(former.slots, Self.slotCapacity) {
      let held = former.places(ofLane: lane, slot: slot)
      if hold(held, of: slot, lane: lane) { hasFreed = true }
    }
    return hasFreed
  }

  /// - Returns: whether that is less than before.
  private func hold(_ count: UInt64, of slot: Int, lane: Int) -> Bool {
    let share = counters(slot: slot, lane: lane)[.currentShare]
    let before = share.value
    guard count != before else { return false }
    intent(of: lane).begin(UInt64(slot))
    let gauge = gauges(of: slot)[.current]
    if count > before {
      gauge.fetchAdd(count - before)
    } else {
      gauge.fetchSubtract(before - count)
    }
    share.store(count)
    intent(of: lane).end()
    return count < before
  }

  private func copyCounts(ofLane lane: Int, of former: FormerLedger) {
    for (own, number) in Self.pairs(LaneCell.counts, \.name, in: former) {
      copy(former.cell(number, ofLane: lane), to: self.lane(lane)[own])
    }
    let counters = Self.pairs(Counter.carriedOver, \.name, in: former)
    for slot in 0..<min(former.slots, Self.slotCapacity) {
      let block = self.counters(slot: slot, lane: lane)
      for (own, number) in counters {
        copy(former.counter(number, of: slot, lane: lane), to: block[own])
      }
    }
    cell(at: Layout.lanesUsed).raise(to: UInt64(lane + 1))
  }

  /// Cells that are zero on both sides are left alone: their pages may not be there yet.
  private func copy(_ value: UInt64, to cell: Cell) {
    if value != 0 || cell.value != 0 { cell.store(value) }
  }

  private static func pairs<Own>(
    _ cells: [Own], _ name: (Own) -> String, in former: FormerLedger
  ) -> [(own: Own, number: Int)] {
    cells.compactMap { own in former.number(of: name(own)).map { (own, $0) } }
  }
}

extension Gauge {
  fileprivate static let carriedOver = allCases.filter { ![.current, .queued].contains($0) }
}

extension Counter {
  /// Places that a worker holds, those of a batch that it gives away included.
  fileprivate static let places: [Counter] = [.currentShare, .currentInTransit]

  fileprivate static let carriedOver = allCases.filter {
    ![.currentShare, .queuedShare, .oldestTicket, .currentInTransit, .queuedInTransit].contains($0)
  }
}

extension LaneCell {
  /// Whose lane it is.
  fileprivate static let identity: [LaneCell] = [.state, .pid, .generation, .workerSlot, .started]
  /// What it has counted.
  fileprivate static let counts: [LaneCell] = [
    .laps, .pipesUsed, .pipesFree, .acceptPauses, .droppedLogs, .bytesRelayed, .handedOver,
    .takenOver, .serial,
  ]
}
