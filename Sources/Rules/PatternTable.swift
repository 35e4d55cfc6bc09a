/// How the parts of a text that could equal a pattern are found.
enum Walk: UInt8, BitwiseCopyable, CaseIterable {
  /// The whole text: `str`, `bin`.
  case whole
  /// Its beginnings: `beg`.
  case prefixes
  /// Its ends: `end`.
  case suffixes
  /// What stands between delimiters `.` `:` `/` `?` or the text's ends: `dom`.
  case domainWords
  /// What stands between delimiters `/` `?` or the text's ends: `dir`.
  case pathWords
  /// All of its parts: `sub`.
  case substrings

  func isDelimiter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "/"), UInt8(ascii: "?"): self == .domainWords || self == .pathWords
    case UInt8(ascii: "."), UInt8(ascii: ":"): self == .domainWords
    default: false
    }
  }
}

/// One hash table among ``PatternTables``.
struct PatternTable: BitwiseCopyable {
  let walk: Walk
  /// How a text is read before it is looked up.
  let folding: CaseFolding
  /// A power of two of slots.
  let slots: Slice
  /// The different lengths of its patterns, ascending.
  let lengths: Slice

  fileprivate var mask: Int { slots.indices.count - 1 }
}

/// All patterns that are looked up by content, in hash tables that share their storage.
///
/// A pattern carries a label: the place of its rule in the list it came from. A lookup answers the
/// lowest label that matches, which is the rule that a reader of the list would have reached
/// first; so a hundred thousand rules cost what ten cost. How often a table is probed depends on
/// the text and on how many different lengths the patterns have, not on how many there are.
///
/// A pattern takes 20 bytes, its own text, and 8 to 16 bytes of slots.
struct PatternTables {
  static let noLabel = UInt32.max

  private struct Entry {
    var offset: UInt32
    var length: UInt32
    /// The upper half of the hash: tells most strangers apart without looking at their bytes.
    var tag: UInt32
    var label: UInt32
    /// The next entry of the same text, with a higher label; 0 for none, else its index plus 1.
    var next: UInt32
  }

  private var entries: [Entry] = []
  /// 0 for free, else the index of an entry plus 1.
  private var slots: [UInt32] = []
  private var lengths: [UInt32] = []
  private var bytes: [UInt8] = []

  // MARK: Building

  /// Where the chains of the table that is being built end, by their heads.
  private var tails: [Int: Int] = [:]

  /// A pattern on its way into a table.
  struct Pattern {
    var bytes: [UInt8]
    var label: UInt32

    init(_ bytes: some Sequence<UInt8>, label: UInt32) {
      self.bytes = Array(bytes)
      self.label = label
    }
  }

  /// Adds a table. Labels must ascend.
  mutating func insert(
    _ patterns: [Pattern], walk: Walk, folding: CaseFolding
  ) -> PatternTable {
    let start = slots.count
    var capacity = 2
    while capacity < patterns.count * 2 { capacity *= 2 }
    slots.append(contentsOf: repeatElement(0, count: capacity))
    let table = Slice(start..<slots.count)

    var seenLengths: Set<UInt32> = []
    for pattern in patterns {
      let text = Self.trimmed(pattern.bytes, for: walk)
      // Delimiters alone are no word.
      if text.isEmpty, walk == .domainWords || walk == .pathWords { continue }
      seenLengths.insert(UInt32(text.count))
      insert(text, label: pattern.label, walk: walk, into: table)
    }
    tails = [:]
    let firstLength = lengths.count
    lengths.append(contentsOf: seenLengths.sorted())
    return PatternTable(
      walk: walk, folding: folding, slots: table, lengths: Slice(firstLength..<lengths.count))
  }

  /// HAProxy ignores delimiters around the pattern: `.example.com` is `example.com` to `dom`.
  private static func trimmed(_ pattern: [UInt8], for walk: Walk) -> ArraySlice<UInt8> {
    var text = pattern[...]
    while let first = text.first, walk.isDelimiter(first) { text.removeFirst() }
    while let last = text.last, walk.isDelimiter(last) { text.removeLast() }
    return text
  }

  private mutating func insert(
    _ text: ArraySlice<UInt8>, label: UInt32, walk: Walk, into table: Slice
  ) {
    var hash = ByteHash()
    if walk == .suffixes {
      for byte in text.reversed() { hash.add(byte) }
    } else {
      for byte in text { hash.add(byte) }
    }
    let value = hash.value
    let mask = table.indices.count - 1
    var slot = Int(truncatingIfNeeded: value) & mask
    while slots[table.start + slot] != 0 {
      let head = Int(slots[table.start + slot]) - 1
      if holds(head, tag: Self.tag(value), text: text) {
        chain(label, behind: head)
        return
      }
      slot = (slot + 1) & mask
    }
    entries.append(
      Entry(
        offset: UInt32(bytes.count), length: UInt32(text.count), tag: Self.tag(value),
        label: label, next: 0))
    bytes.append(contentsOf: text)
    slots[table.start + slot] = UInt32(entries.count)
  }

  private func holds(_ index: Int, tag: UInt32, text: ArraySlice<UInt8>) -> Bool {
    let entry = entries[index]
    guard entry.tag == tag, Int(entry.length) == text.count else { return false }
    let start = Int(entry.offset)
    return bytes[start..<start + text.count].elementsEqual(text)
  }

  private mutating func chain(_ label: UInt32, behind head: Int) {
    let last = tails[head] ?? head
    precondition(entries[last].label <= label, "labels must ascend")
    guard entries[last].label != label else { return }
    var entry = entries[head]
    entry.label = label
    entry.next = 0
    entries.append(entry)
    entries[last].next = UInt32(entries.count)
    tails[head] = entries.count - 1
  }

  private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }

  // MARK: Looking up

  /// The lowest label, `least` or higher, of the patterns that match; `noLabel` if none does.
  func label(of bytes: Span<UInt8>, in table: PatternTable, from least: UInt32 = 0) -> UInt32 {
    let text = Text(bytes, folding: table.folding)
    switch table.walk {
    case .whole: return wholeLabel(of: text, in: table, from: least)
    case .prefixes: return partLabel(of: text, at: 0, in: table, from: least)
    case .suffixes: return suffixLabel(of: text, in: table, from: least)
    case .domainWords, .pathWords: return wordLabel(of: text, in: table, from: least)
    case .substrings: return substringLabel(of: text, in: table, from: least)
    }
  }

  /// The label of the entry that a map gives: of beginnings the longest one, as the reference's
  /// trees have it; of everything else the first one in the file.
  func mapLabel(of bytes: Span<UInt8>, in table: PatternTable) -> UInt32 {
    guard table.walk == .prefixes else { return label(of: bytes, in: table) }
    let text = Text(bytes, folding: table.folding)
    return partLabel(of: text, at: 0, in: table, from: 0, prefersLongest: true)
  }

  private func wholeLabel(of text: borrowing Text, in table: PatternTable, from least: UInt32)
    -> UInt32
  {
    guard text.count <= longest(in: table) else { return Self.noLabel }
    var hash = ByteHash()
    for index in 0..<text.count { hash.add(text[index]) }
    return probe(hash, text, 0..<text.count, in: table, from: least)
  }

  /// Patterns that begin at `start`: one pass, with a probe at each length that a pattern has. Of
  /// several the one with the lowest label, or the longest.
  private func partLabel(
    of text: borrowing Text, at start: Int, in table: PatternTable, from least: UInt32,
    prefersLongest: Bool = false
  ) -> UInt32 {
    var hash = ByteHash()
    var end = start
    var best = Self.noLabel
    for index in table.lengths.indices {
      let wanted = start + Int(lengths[index])
      guard wanted <= text.count else { break }
      while end < wanted {
        hash.add(text[end])
        end += 1
      }
      let found = probe(hash, text, start..<end, in: table, from: least)
      best = prefersLongest && found != Self.noLabel ? found : min(best, found)
    }
    return best
  }

  private func suffixLabel(of text: borrowing Text, in table: PatternTable, from least: UInt32)
    -> UInt32
  {
    var hash = ByteHash()
    var start = text.count
    var lowest = Self.noLabel
    for index in table.lengths.indices {
      let wanted = text.count - Int(lengths[index])
      guard wanted >= 0 else { break }
      while start > wanted {
        start -= 1
        hash.add(text[start])
      }
      lowest = min(lowest, probe(hash, text, start..<text.count, in: table, from: least))
    }
    return lowest
  }

  private func substringLabel(of text: borrowing Text, in table: PatternTable, from least: UInt32)
    -> UInt32
  {
    var lowest = Self.noLabel
    for start in 0...text.count {
      lowest = min(lowest, partLabel(of: text, at: start, in: table, from: least))
    }
    return lowest
  }

  /// Words begin after a delimiter and end before one, and may hold some: `a.b.c` holds `b.c`.
  private func wordLabel(of text: borrowing Text, in table: PatternTable, from least: UInt32)
    -> UInt32
  {
    var lowest = Self.noLabel
    var afterDelimiter = true
    for start in 0..<text.count {
      let isDelimiter = table.walk.isDelimiter(text[start])
      if afterDelimiter, !isDelimiter {
        lowest = min(lowest, wordLabel(of: text, at: start, in: table, from: least))
      }
      afterDelimiter = isDelimiter
    }
    return lowest
  }

  private func wordLabel(
    of text: borrowing Text, at start: Int, in table: PatternTable, from least: UInt32
  ) -> UInt32 {
    let limit = min(text.count, start + longest(in: table))
    var hash = ByteHash()
    var end = start
    var lowest = Self.noLabel
    while end < limit {
      hash.add(text[end])
      end += 1
      if end == text.count || table.walk.isDelimiter(text[end]) {
        lowest = min(lowest, probe(hash, text, start..<end, in: table, from: least))
      }
    }
    return lowest
  }

  private func longest(in table: PatternTable) -> Int {
    table.lengths.indices.isEmpty ? -1 : Int(lengths[table.lengths.end - 1])
  }

  private func probe(
    _ hash: ByteHash, _ text: borrowing Text, _ range: Range<Int>, in table: PatternTable,
    from least: UInt32
  ) -> UInt32 {
    let value = hash.value
    var slot = Int(truncatingIfNeeded: value) & table.mask
    while true {
      let occupant = slots[table.slots.start + slot]
      if occupant == 0 { return Self.noLabel }
      if isEqual(Int(occupant) - 1, tag: Self.tag(value), text, range) {
        return label(chainedTo: occupant, from: least)
      }
      slot = (slot + 1) & table.mask
    }
  }

  private func isEqual(
    _ index: Int, tag: UInt32, _ text: borrowing Text, _ range: Range<Int>
  ) -> Bool {
    guard entries[index].tag == tag, Int(entries[index].length) == range.count else { return false }
    let offset = Int(entries[index].offset) - range.lowerBound
    for position in range where bytes[offset + position] != text[position] { return false }
    return true
  }

  private func label(chainedTo head: UInt32, from least: UInt32) -> UInt32 {
    var link = head
    while link != 0 {
      let entry = entries[Int(link) - 1]
      if entry.label >= least { return entry.label }
      link = entry.next
    }
    return Self.noLabel
  }
}
