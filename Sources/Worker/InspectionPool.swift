import Linux
import Wire

/// What is being read of a connection before its server is known.
struct Inspection: BitwiseCopyable {
  var parser = ClientHelloParser()
  /// Holds what was read, behind room for a PROXY header.
  var buffer = Buffer.none
  /// Where what was read begins and ends in the buffer.
  var start = 0
  var end = 0
  /// How many of the bytes the parser has been given.
  var parsed = 0
  /// Set once the waiting is over: what is missing is not there.
  var isFinal = false

  /// Room in front of what is read, for the PROXY header that a server may want.
  static let headroom = ProxyHeader.maximumEncodedLength + 8

  var count: Int { end - start }
}

/// Records for connections that are being inspected; relaying ones hold none.
struct InspectionPool: ~Copyable {
  private var records: Region<Inspection>
  private var free: Region<Int32>
  private var freeCount = 0
  private var used = 0

  init(capacity: Int) throws(Errno) {
    let records = try Region<Inspection>(count: capacity)
    let free = try Region<Int32>(count: capacity)
    self.records = records
    self.free = free
  }

  mutating func take() -> Int32? {
    let index: Int
    if freeCount > 0 {
      freeCount -= 1
      index = Int(free[freeCount])
    } else {
      guard used < records.count else { return nil }
      index = used
      used += 1
    }
    records[index] = Inspection()
    return Int32(index)
  }

  mutating func release(_ index: Int32) {
    free[freeCount] = index
    freeCount += 1
  }

  /// Gives the parser of a record the bytes that it has not seen, where it is: it is a kilobyte.
  ///
  /// - Returns: whether there were any that it wants to see.
  mutating func parse(_ index: Int32, in buffers: borrowing BufferPool) -> Bool {
    let record = Int(index)
    let from = records[record].start + records[record].parsed
    let end = records[record].end
    guard from < end, records[record].parser.verdict == .needMore else { return false }
    _ = records[record].parser.consume(buffers.span(records[record].buffer, from..<end))
    records[record].parsed += end - from
    return true
  }

  subscript(index: Int32) -> Inspection {
    _read { yield records[Int(index)] }
    _modify { yield &records[Int(index)] }
  }
}
