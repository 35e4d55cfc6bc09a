/// Finds the known word that was probably meant.
enum Suggestion {
  /// The nearest of `candidates`, if it is near enough: a third of the letters may be wrong.
  static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let typed = Array(word.utf8)
    guard !typed.isEmpty, typed.count <= 64 else { return nil }
    var best: (distance: Int, word: String)?
    for candidate in candidates {
      let known = Array(candidate.utf8)
      let limit = min(max(typed.count, known.count) / 3 + 1, best.map { $0.distance - 1 } ?? 64)
      guard limit > 0, abs(typed.count - known.count) <= limit else { continue }
      let distance = distance(typed, known)
      if distance <= limit, distance < max(known.count, 2) { best = (distance, candidate) }
    }
    return best?.word
  }

  /// Insertions, deletions, replacements and swaps of neighbours that turn one into the other
  /// (Damerau and Levenshtein, restricted).
  static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, byte) in left.enumerated() {
      var current = [row + 1]
      current.reserveCapacity(right.count + 1)
      for (column, other) in right.enumerated() {
        var cost = min(last[column + 1], current[column]) + 1
        cost = min(cost, last[column] + (byte == other ? 0 : 1))
        if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
          cost = min(cost, beforeLast[column - 1] + 1)
        }
        current.append(cost)
      }
      beforeLast = last
      last = current
    }
    return last[right.count]
  }
}
