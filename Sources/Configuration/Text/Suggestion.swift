/// Finds the known word that was probably meant.
enum Suggestion {
  /// The nearest of `candidates`, if it is near enough: a third of the letters, rounded up, may be wrong. Of
  /// several that are equally near it is the first in C order, whatever order they come in.
  static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let typed = Array(word.utf8)
    guard !typed.isEmpty, typed.count <= 64 else { return nil }
    var best: (distance: Int, word: String)?
    for candidate in candidates {
      let known = Array(candidate.utf8)
      let limit = min((max(typed.count, known.count) + 2) / 3, best?.distance ?? 64)
      guard abs(typed.count - known.count) <= limit else { continue }
      let distance = distance(typed, known, limit: limit)
      guard distance <= limit, distance < max(known.count, 2) else { continue }
      if let best, distance == best.distance, best.word <= candidate { continue }
      best = (distance, candidate)
    }
    return best?.word
  }

  /// Insertions, deletions, replacements and swaps of neighbours that turn one into the other
  /// (Damerau and Levenshtein, restricted).
  ///
  /// - Returns: that number, or any greater than `limit` as soon as it is clear that it is greater.
  static func distance(_ left: [UInt8], _ right: [UInt8], limit: Int = .max) -> Int {
    // Three rows of the table are alive at a time; they take turns.
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    var current = beforeLast
    for row in left.indices {
      current[0] = row + 1
      var least = row + 1
      for column in right.indices {
        var cost = min(last[column + 1], current[column]) + 1
        cost = min(cost, last[column] + (left[row] == right[column] ? 0 : 1))
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          cost = min(cost, beforeLast[column - 1] + 1)
        }
        current[column + 1] = cost
        least = min(least, cost)
      }
      // A swap can still undo one step of the row before.
      if least - 1 > limit { return least }
      swap(&beforeLast, &last)
      swap(&last, &current)
    }
    return last[right.count]
  }
}
