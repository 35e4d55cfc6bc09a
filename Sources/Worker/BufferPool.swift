import Linux

/// A buffer of the pool, by number.
struct Buffer: Equatable, BitwiseCopyable {
  let number: Int32

  /// What a fresh record holds: nothing.
  static let none = Buffer(number: -1)

  var isNone: Bool { number < 0 }
}

/// Memory for bytes that must wait: hellos until a server is connected, and what a peer would not
/// take yet. Idle connections hold none.
///
/// Two sizes: nearly every hello fits a small buffer; one that is cut into records of one byte
/// needs a large one. Room is reserved at the start and taken page by page as it is first used, and
/// the buffer given back last is handed out first, so its pages are warm.
struct BufferPool: ~Copyable {
  static let smallSize = 32 * 1024
  static let largeSize = 128 * 1024

  private static let smallCount = 16_384
  private static let largeCount = 512

  private var bytes: Region<UInt8>
  /// Numbers of free buffers, the small ones first.
  private var free: Region<Int32>
  private var freeSmall = 0
  private var freeLarge = 0
  /// Numbers below this were handed out at some time.
  private var freshSmall = 0
  private var freshLarge = 0

  /// - Throws: `ENOMEM`.
  init() throws(Errno) {
    let size = Self.smallCount * Self.smallSize + Self.largeCount * Self.largeSize
    let bytes = try Region<UInt8>(count: size)
    let free = try Region<Int32>(count: Self.smallCount + Self.largeCount)
    self.bytes = bytes
    self.free = free
  }

  /// Buffers that are out.
  var inUse: Int { freshSmall - freeSmall + freshLarge - freeLarge }

  /// A small buffer, or none when all are in use.
  mutating func take() -> Buffer {
    if freeSmall > 0 {
      freeSmall -= 1
      return Buffer(number: free[freeSmall])
    }
    guard freshSmall < Self.smallCount else { return .none }
    freshSmall += 1
    return Buffer(number: Int32(freshSmall - 1))
  }

  mutating func takeLarge() -> Buffer {
    if freeLarge > 0 {
      freeLarge -= 1
      return Buffer(number: free[Self.smallCount + freeLarge])
    }
    guard freshLarge < Self.largeCount else { return .none }
    freshLarge += 1
    return Buffer(number: Int32(Self.smallCount + freshLarge - 1))
  }

  mutating func release(_ buffer: Buffer) {
    if isLarge(buffer) {
      free[Self.smallCount + freeLarge] = buffer.number
      freeLarge += 1
    } else {
      free[freeSmall] = buffer.number
      freeSmall += 1
    }
  }

  func size(of buffer: Buffer) -> Int { isLarge(buffer) ? Self.largeSize : Self.smallSize }

  private func isLarge(_ buffer: Buffer) -> Bool { Int(buffer.number) >= Self.smallCount }

  private func start(of buffer: Buffer) -> Int {
    precondition(!buffer.isNone)
    let number = Int(buffer.number)
    return isLarge(buffer)
      ? Self.smallCount * Self.smallSize + (number - Self.smallCount) * Self.largeSize
      : number * Self.smallSize
  }

  /// The bytes of a buffer at `range`.
  @_lifetime(borrow self)
  borrowing func span(_ buffer: Buffer, _ range: Range<Int>) -> Span<UInt8> {
    precondition(range.upperBound <= size(of: buffer))
    let start = start(of: buffer)
    return bytes.span(start + range.lowerBound..<start + range.upperBound)
  }

  @_lifetime(&self)
  mutating func mutableSpan(_ buffer: Buffer, _ range: Range<Int>) -> MutableSpan<UInt8> {
    precondition(range.upperBound <= size(of: buffer))
    let start = start(of: buffer)
    return bytes.mutableSpan(start + range.lowerBound..<start + range.upperBound)
  }

  /// A buffer that has room for `count` bytes, or none.
  mutating func take(for count: Int) -> Buffer {
    count <= Self.smallSize ? take() : count <= Self.largeSize ? takeLarge() : .none
  }

  /// A copy of the bytes of a buffer at `range`.
  func bytes(_ buffer: Buffer, _ range: Range<Int>) -> [UInt8] {
    guard !range.isEmpty else { return [] }
    let span = span(buffer, range)
    var bytes = [UInt8](repeating: 0, count: range.count)
    for index in bytes.indices { bytes[index] = span[index] }
    return bytes
  }

  /// Puts bytes into a buffer.
  mutating func write(_ bytes: [UInt8], to buffer: Buffer, at offset: Int) {
    guard !bytes.isEmpty else { return }
    var span = mutableSpan(buffer, offset..<offset + bytes.count)
    for index in bytes.indices { span[index] = bytes[index] }
  }

  /// Copies bytes from one buffer into another.
  mutating func copy(_ source: Buffer, _ range: Range<Int>, to sink: Buffer, at offset: Int) {
    let from = start(of: source) + range.lowerBound
    let to = start(of: sink) + offset
    precondition(offset + range.count <= size(of: sink))
    for index in 0..<range.count { bytes[to + index] = bytes[from + index] }
  }
}
