import CLinux

/// A row of values in memory of its own, which never moves and whose pages are taken when they are
/// first touched: room for many costs nothing until they come.
///
/// A value must mean something when all its bytes are zero, for that is what it is at first.
@safe public struct Region<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline let base: UnsafeMutablePointer<Element>
  public let count: Int

  /// Reserves room for `count` values.
  ///
  /// - Throws: `ENOMEM`.
  /// - SeeAlso: mmap(2), `MAP_NORESERVE`.
  public init(count: Int) throws(Errno) {
    var error: CInt = 0
    let size = Swift.max(1, count) * MemoryLayout<Element>.stride
    guard let address = unsafe clinux_map_private(size, &error) else { throw Errno(error) }
    unsafe base = address.bindMemory(to: Element.self, capacity: Swift.max(1, count))
    self.count = count
  }

  deinit {
    _ = unsafe clinux_unmap(base, Swift.max(1, count) * MemoryLayout<Element>.stride)
  }

  /// A value in its place: reading a field of it copies that field and not the whole.
  @inlinable
  public subscript(index: Int) -> Element {
    unsafeAddress {
      precondition(index >= 0 && index < count)
      return unsafe UnsafePointer(base + index)
    }
    nonmutating unsafeMutableAddress {
      precondition(index >= 0 && index < count)
      return unsafe base + index
    }
  }

  /// The values of `range`, to be read.
  @inlinable
  @_lifetime(borrow self)
  public borrowing func span(_ range: Range<Int>) -> Span<Element> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe Span(_unsafeStart: base + range.lowerBound, count: range.count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// The values of `range`, to be written.
  @inlinable
  @_lifetime(&self)
  public mutating func mutableSpan(_ range: Range<Int>) -> MutableSpan<Element> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
    return unsafe _overrideLifetime(span, mutating: &self)
  }
}
