import Linux

/// Writes a line into a buffer of fixed size. What does not fit is cut.
struct LineWriter: ~Copyable, ~Escapable {
  private var bytes: MutableSpan<UInt8>
  /// Where the next byte goes.
  private(set) var end: Int
  private let start: Int
  private let limit: Int

  /// Writes to `bytes` from `start` on, and nothing at `limit` or behind.
  @_lifetime(copy bytes)
  init(_ bytes: consuming MutableSpan<UInt8>, at start: Int = 0, limit: Int) {
    self.bytes = bytes
    self.start = start
    self.limit = limit
    end = start
  }

  @_lifetime(self: copy self)
  mutating func append(_ byte: UInt8) {
    guard end < limit else { return }
    bytes[end] = byte
    end += 1
  }

  @_lifetime(self: copy self)
  mutating func append(_ text: Span<UInt8>) {
    for index in text.indices { append(text[index]) }
  }

  @_lifetime(self: copy self)
  mutating func append(_ text: StaticString) { append(text.bytes) }

  @_lifetime(self: copy self)
  mutating func append(decimal value: UInt64, digits: Int = 1) {
    var divisor: UInt64 = 1
    for _ in 1..<max(digits, 1) { divisor *= 10 }
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
      divisor /= 10
    }
  }

  @_lifetime(self: copy self)
  mutating func append(decimal value: Int) {
    if value < 0 { append(UInt8(ascii: "-")) }
    append(decimal: UInt64(value.magnitude))
  }

  /// Upper case, as log formats want it.
  @_lifetime(self: copy self)
  mutating func append(hexadecimal value: UInt64, digits: Int) {
    var shift = 60
    while shift >= 0 {
      let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift) & 15)
      if value >> UInt64(shift) != 0 || shift < digits * 4 {
        append(digit < 10 ? 0x30 + digit : 0x37 + digit)
      }
      shift -= 4
    }
  }

  @_lifetime(self: copy self)
  mutating func append(_ address: IPAddress) {
    let text = AddressText(address)
    append(text.span)
  }

  /// A blank, unless the line is empty or ends with one: empty fields leave no gaps.
  @_lifetime(self: copy self)
  mutating func separate() {
    if end > start, bytes[end - 1] != UInt8(ascii: " ") { append(UInt8(ascii: " ")) }
  }
}

/// The buffer in which one line after the other is put together: room for a header, then the
/// message. The message is written once, and each target's header in front of it.
struct LineBuffer: ~Copyable {
  private var bytes: Region<UInt8>
  private let headroom: Int

  init(headroom: Int, capacity: Int) {
    self.headroom = headroom
    // One byte more, for a newline behind the longest message.
    bytes = .reserving(headroom + capacity + 1)
  }

  /// A writer on the empty message.
  @_lifetime(&self)
  mutating func message() -> LineWriter {
    let count = bytes.count
    return LineWriter(bytes.mutableSpan(0..<count), at: headroom, limit: count - 1)
  }

  /// A writer on the empty header.
  @_lifetime(&self)
  mutating func header() -> LineWriter {
    LineWriter(bytes.mutableSpan(0..<headroom), limit: headroom)
  }

  /// Moves a header of `count` bytes to the message's front, and returns where it begins.
  mutating func moveHeader(of count: Int) -> Int {
    let start = headroom - count
    for index in stride(from: count - 1, through: 0, by: -1) {
      bytes[start + index] = bytes[index]
    }
    return start
  }

  /// Puts `byte` in another's place, and returns that.
  mutating func replace(at index: Int, by byte: UInt8) -> UInt8 {
    let replaced = bytes[index]
    bytes[index] = byte
    return replaced
  }

  @_lifetime(borrow self)
  borrowing func span(_ part: Range<Int>) -> Span<UInt8> { bytes.span(part) }
}

extension Region {
  /// Room for `count` values, at start, when there is nothing to be done without memory.
  static func reserving(_ count: Int) -> Region {
    do throws(Errno) {
      return try Region(count: count)
    } catch {
      fatalError("no memory for the log: \(error)")
    }
  }
}

/// Bytes that were written down at start, so that nothing has to be looked up or converted later.
struct ByteStore {
  private var bytes: [UInt8] = []

  /// Where a text is.
  struct Part: BitwiseCopyable {
    fileprivate var start: UInt32
    fileprivate var count: UInt32
  }

  mutating func insert(_ text: some Sequence<UInt8>) -> Part {
    let start = bytes.count
    bytes.append(contentsOf: text)
    return Part(start: UInt32(start), count: UInt32(bytes.count - start))
  }

  @_lifetime(borrow self)
  func span(_ part: Part) -> Span<UInt8> {
    bytes.span.extracting(Int(part.start)..<Int(part.start + part.count))
  }
}
