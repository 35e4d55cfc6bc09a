/// Pipes on a pile, owned by it: an `Array` cannot hold what cannot be copied.
@safe public struct PipeStack: ~Copyable {
  private var storage: UnsafeMutablePointer<Pipe>
  private let capacity: Int
  public private(set) var count = 0

  public init(capacity: Int) {
    self.capacity = capacity
    unsafe storage = .allocate(capacity: capacity)
  }

  deinit {
    unsafe storage.deinitialize(count: count)
    unsafe storage.deallocate()
  }

  public var isFull: Bool { count == capacity }

  public mutating func push(_ pipe: consuming Pipe) {
    precondition(count < capacity)
    unsafe (storage + count).initialize(to: pipe)
    count += 1
  }

  public mutating func pop() -> Pipe? {
    guard count > 0 else { return nil }
    count -= 1
    return unsafe (storage + count).move()
  }
}
