import Linux

/// Empty pipes for reuse, and the right to make more.
///
/// A pipe that still holds bytes is never pooled: it would leak one client's bytes into another's
/// connection. Nor is one that the kernel made too small to be worth it.
struct PipePool: ~Copyable {
  /// Below this a pipe costs more calls than a copy.
  static let leastUsefulSize = 64 * 1024
  /// Pipes kept for reuse; more are closed.
  static let keptCount = 64
  static let longestAbstinence = 256

  private var kept = PipeStack(capacity: PipePool.keptCount)
  /// Pipes that are out.
  private(set) var lent = 0
  private let limit: Int
  private let size: Int
  /// How many more asks go without one since the kernel refused a useful pipe: it would refuse the
  /// next ones too, at the cost of four calls each.
  private var abstinence = 0

  var keptNow: Int { kept.count }

  /// - Parameters:
  ///   - limit: most pipes at a time; 0 never splices.
  ///   - size: bytes asked for.
  init(limit: Int, size: Int) {
    self.limit = limit
    self.size = size
  }

  /// An empty pipe, or none: then the caller copies.
  mutating func take() -> Pipe? {
    guard lent < limit else { return nil }
    if let pipe = kept.pop() {
      lent += 1
      return pipe
    }
    guard abstinence == 0 else {
      abstinence -= 1
      return nil
    }
    do throws(Errno) {
      let pipe = try Pipe(size: size)
      if pipe.nominalSize >= min(Self.leastUsefulSize, size) {
        lent += 1
        return pipe
      }
    } catch {
      // Descriptors have run out, as room in pipes has otherwise.
    }
    abstinence = Self.longestAbstinence
    return nil
  }

  /// Counts a pipe that came from another worker, with bytes in it: limits must not lose those.
  mutating func lend() { lent += 1 }

  /// Takes a pipe back; `isEmpty` says whether every byte that went in has come out.
  mutating func give(back pipe: consuming Pipe, isEmpty: Bool) {
    lent -= 1
    abstinence = 0
    guard isEmpty, !kept.isFull else { return }
    assert(pipe.bytesInside() == 0, "a pooled pipe holds bytes")
    kept.push(pipe)
  }
}
