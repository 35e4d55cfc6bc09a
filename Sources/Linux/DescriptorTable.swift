/// Descriptors in a row, owned together: an `Array` cannot hold what cannot be copied.
@safe public struct DescriptorTable: ~Copyable, @unchecked Sendable {
  private var storage: UnsafeMutablePointer<Descriptor>
  private var capacity: Int
  /// How many there are.
  public private(set) var count = 0

  public init() {
    capacity = 8
    unsafe storage = .allocate(capacity: 8)
  }

  deinit {
    unsafe storage.deinitialize(count: count)
    unsafe storage.deallocate()
  }

  public var isEmpty: Bool { count == 0 }

  public mutating func append(_ descriptor: consuming Descriptor) {
    if count == capacity { grow() }
    unsafe (storage + count).initialize(to: descriptor)
    count += 1
  }

  /// Takes out the one at `index`; the last one takes its place.
  public mutating func remove(at index: Int) -> Descriptor {
    precondition(index >= 0 && index < count)
    count -= 1
    let removed = unsafe (storage + index).move()
    if index < count { unsafe (storage + index).initialize(to: (storage + count).move()) }
    return removed
  }

  /// Gives up ownership of all without closing any, for owners to come that know the numbers.
  public consuming func release() {
    unsafe storage.deallocate()
    discard self
  }

  public subscript(index: Int) -> Descriptor {
    _read {
      precondition(index >= 0 && index < count)
      yield unsafe storage[index]
    }
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Descriptor>.allocate(capacity: capacity * 2)
    unsafe larger.moveInitialize(from: storage, count: count)
    unsafe storage.deallocate()
    unsafe storage = larger
    capacity *= 2
  }
}
