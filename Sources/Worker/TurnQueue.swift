import Linux

/// Connections whose turn was over before they were done, by the numbers of their places, in the
/// order in which they get their next one.
///
/// A place waits once, however often it is put in. The connection that has it may be another by the
/// time its turn comes: a turn too many does no harm.
struct TurnQueue: ~Copyable {
  private var places: Region<Int32>
  private var isWaiting: Region<Bool>
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) throws(Errno) {
    let places = try Region<Int32>(count: capacity)
    let isWaiting = try Region<Bool>(count: capacity)
    self.places = places
    self.isWaiting = isWaiting
  }

  mutating func append(_ place: Int) {
    guard !isWaiting[place] else { return }
    isWaiting[place] = true
    places[(head + count) % places.count] = Int32(place)
    count += 1
  }

  mutating func takeFirst() -> Int? {
    guard count > 0 else { return nil }
    let place = Int(places[head])
    head = (head + 1) % places.count
    count -= 1
    isWaiting[place] = false
    return place
  }
}
