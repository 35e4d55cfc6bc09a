public import Linux

/// What is due when: one deadline for each of a fixed number of things, known by their numbers.
///
/// A wheel of four levels of 64 places each, as in Varghese and Lauck's scheme 7: a deadline waits at
/// the level that its distance needs, and comes down a level when its place is reached. Setting,
/// moving and cancelling take the same few instructions however many there are.
///
/// Moving a deadline *later* only writes it down; the wheel finds out when the old one comes. A
/// connection whose every byte puts its deadline off therefore costs a store, not a relinking.
///
/// Times are milliseconds of one clock that never goes back. Resolution is 8 ms, and a deadline is
/// never reported early.
public struct Timers: ~Copyable {
  @frozen public struct Entry: BitwiseCopyable {
    /// When it is due; 0 for never.
    var deadline: Int64
    /// Neighbours in the place's list, plus one; 0 for none.
    var next: Int32
    var previous: Int32
    /// The place it is linked in, plus one; 0 for none.
    var place: Int32
    /// When its place comes up.
    var tick: Int64
  }

  /// Milliseconds a tick, and a place of the lowest level.
  static let resolution: Int64 = 8
  static let levels = 4
  static let places = 64

  private var entries: Region<Entry>
  /// The first of each place, plus one. Not an `InlineArray`: to read an element of one copies it all.
  private var heads: Region<Int32>
  /// Which places of each level hold anything.
  private var occupied: Region<UInt64>
  /// Ticks up to here have been dealt with.
  private var now: Int64

  /// - Throws: `ENOMEM`.
  public init(capacity: Int, at milliseconds: Int64) throws(Errno) {
    let entries = try Region<Entry>(count: capacity)
    let heads = try Region<Int32>(count: Self.levels * Self.places)
    let occupied = try Region<UInt64>(count: Self.levels)
    self.entries = entries
    self.heads = heads
    self.occupied = occupied
    now = milliseconds / Self.resolution
  }

  /// When `id` is due; nil for never.
  public func deadline(of id: Int) -> Int64? {
    let deadline = entries[id].deadline
    return deadline == 0 ? nil : deadline
  }

  /// Makes `id` due at `milliseconds`, whatever it was before.
  public mutating func set(_ id: Int, to milliseconds: Int64) {
    entries[id].deadline = max(1, milliseconds)
    let tick = Self.tick(milliseconds)
    if entries[id].place != 0 {
      if entries[id].tick <= tick { return }
      unlink(id)
    }
    link(id, at: tick)
  }

  public mutating func cancel(_ id: Int) {
    entries[id].deadline = 0
    if entries[id].place != 0 { unlink(id) }
  }

  /// Milliseconds from `milliseconds` until something may be due; nil when nothing waits.
  public func wait(at milliseconds: Int64) -> Int? {
    guard let tick = nextTick() else { return nil }
    return Int(max(0, tick * Self.resolution - milliseconds))
  }

  /// Takes out one thing that is due at `milliseconds`; call again until there is none.
  public mutating func next(at milliseconds: Int64) -> Int? {
    let target = milliseconds / Self.resolution
    while let tick = nextTick(), tick <= target {
      now = max(now, tick)
      guard let id = takeFirst(at: tick) else { continue }
      let deadline = entries[id].deadline
      if deadline == 0 { continue }
      if deadline <= milliseconds {
        entries[id].deadline = 0
        return id
      }
      link(id, at: Self.tick(deadline))
    }
    now = max(now, target)
    return nil
  }

  // MARK: The wheel

  /// The first tick at which everything that is due by `milliseconds` is past.
  private static func tick(_ milliseconds: Int64) -> Int64 {
    (milliseconds + resolution - 1) / resolution
  }

  /// A level's place covers `64^level` ticks.
  private static func span(_ level: Int) -> Int64 { 1 << Int64(level * 6) }

  /// The earliest tick at which a place comes up.
  private func nextTick() -> Int64? {
    var earliest: Int64?
    for level in 0..<Self.levels where occupied[level] != 0 {
      let unit = Self.span(level)
      let position = now / unit
      // Rotated so that the bit of the current place is the lowest.
      let shift = UInt64(position & 63)
      let bits = occupied[level]
      let rotated = shift == 0 ? bits : bits >> shift | bits << (64 - shift)
      let tick = max((position + Int64(rotated.trailingZeroBitCount)) * unit, now)
      earliest = min(earliest ?? tick, tick)
    }
    return earliest
  }

  /// Takes the first entry out of a place that comes up at `tick`.
  private mutating func takeFirst(at tick: Int64) -> Int? {
    for level in 0..<Self.levels {
      let unit = Self.span(level)
      let place = level * Self.places + Int(tick / unit & 63)
      guard tick % unit == 0 || level == 0 || tick == now else { continue }
      if heads[place] != 0 {
        let id = Int(heads[place] - 1)
        unlink(id)
        return id
      }
    }
    return nil
  }

  private mutating func link(_ id: Int, at wanted: Int64) {
    let tick = max(wanted, now)
    let distance = tick - now
    var level = 0
    while level < Self.levels - 1, distance >= Self.span(level + 1) { level += 1 }
    let unit = Self.span(level)
    // Beyond the wheel's reach it waits in the farthest place and is looked at again there.
    let reachable = min(tick / unit, now / unit + 63)
    let place = level * Self.places + Int(reachable & 63)
    entries[id].tick = reachable * unit
    entries[id].place = Int32(place + 1)
    entries[id].previous = 0
    entries[id].next = heads[place]
    if heads[place] != 0 { entries[Int(heads[place] - 1)].previous = Int32(id + 1) }
    heads[place] = Int32(id + 1)
    occupied[level] |= 1 << UInt64(reachable & 63)
  }

  private mutating func unlink(_ id: Int) {
    let entry = entries[id]
    let place = Int(entry.place - 1)
    if entry.previous == 0 {
      heads[place] = entry.next
    } else {
      entries[Int(entry.previous - 1)].next = entry.next
    }
    if entry.next != 0 { entries[Int(entry.next - 1)].previous = entry.previous }
    if heads[place] == 0 { occupied[place / Self.places] &= ~(1 << UInt64(place % Self.places)) }
    entries[id].place = 0
    entries[id].next = 0
    entries[id].previous = 0
  }
}
