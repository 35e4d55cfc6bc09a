import Linux

/// Empty pipes for reuse, and the right to make more.
///
/// A pipe that still holds bytes is never pooled: it would leak one client's bytes into another's
/// connection. Nor is one that the kernel made too small to be worth it.
///
/// Two sizes: what carries bulk without a pause gets the larger one, which halves the calls a byte.
/// Few can have it. Without CAP_SYS_RESOURCE a user has 16,384 pages for the pipes of all its
/// processes (`fs.pipe-user-pages-soft`), and half of them are left to the others.
struct PipePool: ~Copyable {
  /// Below this a pipe costs more calls than a copy.
  static let leastUsefulSize = 64 * 1024
  /// Pipes kept for reuse; more are closed.
  static let keptCount = 64
  static let longestAbstinence = 256
  /// Bytes that a pipe is asked to hold where the file is silent, and once it carries bulk.
  static let usualSize = 256 * 1024
  static let grownSize = 512 * 1024
  /// Most grown pipes of all workers: 8,192 pages.
  static let grownCount = 64

  private var kept = PipeStack(capacity: PipePool.keptCount)
  /// Pipes that are out.
  private(set) var lent = 0
  private let limit: Int
  private let size: Int
  /// Pipes that were grown, and the most that may be.
  private(set) var grown = 0
  private var mostGrown: Int
  /// How many more asks go without one since the kernel refused a useful pipe: it would refuse the
  /// next ones too, at the cost of four calls each.
  private var abstinence = 0

  var keptNow: Int { kept.count }

  /// - Parameters:
  ///   - limit: most pipes at a time; 0 never splices.
  ///   - size: bytes asked for.
  ///   - growing: most pipes that may grow to `grownSize`.
  init(limit: Int, size: Int, growing: Int = 0) {
    self.limit = limit
    self.size = size
    mostGrown = size < Self.grownSize ? growing : 0
  }

  /// The pool of one of `workers`, as the file wants it: whoever sets a size gets that size.
  init(limit: Int, configuredSize: Int?, workers: Int) {
    self.init(
      limit: limit, size: configuredSize ?? Self.usualSize,
      growing: configuredSize == nil ? max(1, Self.grownCount / workers) : 0)
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
  mutating func lend(_ pipe: borrowing Pipe) {
    lent += 1
    if isGrown(pipe) { grown += 1 }
  }

  /// Gives a pipe that carries bulk the larger size, if one may still have it.
  mutating func grow(_ pipe: inout Pipe) {
    guard grown < mostGrown, !isGrown(pipe) else { return }
    pipe.grow(to: Self.grownSize)
    if isGrown(pipe) {
      grown += 1
    } else {
      // The user's pages have run out: they are no more for the next one.
      mostGrown = grown
    }
  }

  private func isGrown(_ pipe: borrowing Pipe) -> Bool { pipe.nominalSize > size }

  /// Takes a pipe back; `isEmpty` says whether every byte that went in has come out.
  mutating func give(back pipe: consuming Pipe, isEmpty: Bool) {
    lent -= 1
    abstinence = 0
    guard isEmpty, !kept.isFull else {
      if isGrown(pipe) { grown -= 1 }
      return
    }
    assert(pipe.bytesInside() == 0, "a pooled pipe holds bytes")
    kept.push(pipe)
  }
}
