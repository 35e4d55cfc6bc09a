/// A short run of bytes that lives where its owner lives, never on the heap.
///
/// Bytes are staged first and published when the run is whole, so that a reader never sees half
/// a name: `count` covers what was published, and nothing else can be read.
///
/// Inlinable, because otherwise other rooms get the generic code: measured, a call and a look-up of
/// type metadata for each byte that is read.
@frozen public struct InlineBytes<let capacity: Int>: BitwiseCopyable, Sendable {
  @usableFromInline var storage = InlineArray<capacity, UInt8>(repeating: 0)
  @usableFromInline var published: UInt16 = 0

  public init() {}

  /// How many bytes there are, at most `capacity`.
  @inlinable public var count: Int { Int(published) }

  @inlinable public var isEmpty: Bool { published == 0 }

  /// The bytes, for as long as their owner is borrowed.
  @inlinable public var span: Span<UInt8> {
    @_lifetime(borrow self)
    get { storage.span.extracting(0..<count) }
  }

  /// One byte. `@_noLocks` code must read this way: the compiler takes the end of a local `Span`
  /// for a possible deallocation.
  @inlinable public subscript(index: Int) -> UInt8 {
    precondition(index < count, "byte beyond the published ones")
    return storage[index]
  }

  /// Puts a byte at `index`, unseen until published.
  mutating func stage(_ byte: UInt8, at index: Int) {
    storage[index] = byte
  }

  /// Shows the first `count` staged bytes.
  mutating func publish(_ count: Int) {
    precondition(count <= capacity, "more bytes than there is room for")
    published = UInt16(truncatingIfNeeded: count)
  }
}

extension InlineBytes: Equatable {
  @inlinable public static func == (left: Self, right: Self) -> Bool {
    guard left.count == right.count else { return false }
    for index in 0..<left.count where left[index] != right[index] { return false }
    return true
  }
}
