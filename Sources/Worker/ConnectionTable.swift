import Linux

/// The places for connections: a slab that never moves, with a generation for each place.
///
/// Pages are taken as places are first used, and the place given back last is handed out first.
@safe struct ConnectionTable: ~Copyable {
  private let places: UnsafeMutablePointer<Connection>
  private var generations: Region<UInt32>
  private var free: Region<Int32>
  private var freeCount = 0
  /// Places below this were used at some time.
  private(set) var used = 0
  private(set) var count = 0
  let capacity: Int

  init(capacity: Int) throws(Errno) {
    self.capacity = capacity
    let generations = try Region<UInt32>(count: capacity)
    let free = try Region<Int32>(count: capacity)
    self.generations = generations
    self.free = free
    // Lazily backed by the kernel: an allocation of this size is a mapping of its own.
    unsafe places = .allocate(capacity: capacity)
  }

  /// Takes a place, or none when all are taken. What is in it is a fresh connection.
  mutating func take() -> Int? {
    let index: Int
    if freeCount > 0 {
      freeCount -= 1
      index = Int(free[freeCount])
    } else {
      guard used < capacity else { return nil }
      index = used
      used += 1
      unsafe (places + index).initialize(to: Connection())
    }
    count += 1
    return index
  }

  /// Gives a place back: its descriptors are closed, and events that were meant for it go nowhere.
  mutating func release(_ index: Int) {
    unsafe (places + index).deinitialize(count: 1)
    // Ready for the next one, and to show that nobody is there.
    unsafe (places + index).initialize(to: Connection())
    generations[index] = (generations[index] &+ 1) & 0x0fff_ffff
    free[freeCount] = Int32(index)
    freeCount += 1
    count -= 1
  }

  func generation(_ index: Int) -> UInt32 { generations[index] }

  /// Whether the place is taken, and still by the connection of that generation.
  func holds(_ index: Int, generation: UInt32) -> Bool {
    index < used && generations[index] == generation && self[index].phase != .free
  }

  subscript(index: Int) -> Connection {
    unsafeAddress {
      precondition(index >= 0 && index < used)
      return unsafe UnsafePointer(places + index)
    }
    unsafeMutableAddress {
      precondition(index >= 0 && index < used)
      return unsafe places + index
    }
  }
}
