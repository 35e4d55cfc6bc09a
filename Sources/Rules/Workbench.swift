import Configuration
import Linux

/// Where expressions are evaluated: memory that is taken once, so that evaluating takes none.
///
/// Two sides hold the bytes of the sample that is worked on and of the one that comes of it, by
/// turns; a third one holds a text that is put together of several. Each worker has its own after
/// the fork.
struct Workbench: ~Copyable {
  /// The side on which texts are put together.
  static let textSide = 2

  /// Bytes of one side: what is longer is cut.
  let size: Int
  private let bytes: Region<UInt8>

  init(size: Int) {
    self.size = size
    bytes = .reserving(3 * size)
  }

  subscript(side: Int, index: Int) -> UInt8 {
    get { bytes[side * size + index] }
    nonmutating set { bytes[side * size + index] = newValue }
  }

  @_lifetime(borrow self)
  borrowing func span(_ side: Int, _ range: Range<Int>) -> Span<UInt8> {
    bytes.span(side * size + range.lowerBound..<side * size + range.upperBound)
  }

  @_lifetime(borrow self)
  borrowing func span(_ sample: Sample) -> Span<UInt8> { span(sample.side, sample.range) }

  /// Puts bytes on a side, as many as there is room for, and returns where they end.
  func put(_ source: Span<UInt8>, on side: Int, at start: Int = 0) -> Int {
    let count = min(source.count, size - start)
    for index in 0..<count { self[side, start + index] = source[index] }
    return start + count
  }

  /// Puts one byte, if there is room for it.
  func put(_ byte: UInt8, on side: Int, at index: Int) -> Int {
    guard index < size else { return index }
    self[side, index] = byte
    return index + 1
  }
}

/// One variable of one connection.
struct StoredVariable: BitwiseCopyable {
  /// 0 while it is not set, else the raw value of its type.
  var type: UInt8
  var count: UInt8
  var integer: Int
  var address: IPAddress
  var text: InlineArray<255, UInt8>
}

/// The variables of all connections of a worker: `var()`, `set-var()`, captures.
///
/// A place for each variable in each connection, in memory that the kernel gives when it is first
/// written to: 288 bytes for one that is used, none for one that is not.
struct VariableStore: ~Copyable {
  /// Variables of one connection.
  let count: Int
  private let values: Region<StoredVariable>

  init(count: Int, connections: Int) {
    self.count = count
    values = .reserving(max(1, count * connections))
  }

  private func place(_ variable: Int, of connection: Int) -> Int { connection * count + variable }

  /// Forgets what a connection's predecessor in its place has set.
  func forget(_ connection: Int) {
    // Untouched pages stay untouched: only what was set is written to.
    for variable in 0..<count where values[place(variable, of: connection)].type != 0 {
      values[place(variable, of: connection)].type = 0
    }
  }

  func unset(_ variable: Int, of connection: Int) {
    values[place(variable, of: connection)].type = 0
  }

  /// The variable as a sample, its bytes on `side`; nil if it is not set.
  func load(
    _ variable: Int, of connection: Int, on side: Int, _ bench: borrowing Workbench
  ) -> Sample? {
    let index = place(variable, of: connection)
    guard let type = SampleType(rawValue: values[index].type), type != .any else { return nil }
    var sample = Sample(
      type: type, integer: values[index].integer, address: values[index].address, side: side)
    for position in 0..<Int(values[index].count) {
      sample.count = bench.put(values[index].text[position], on: side, at: position)
    }
    return sample
  }

  /// Sets it. A text is cut at so many bytes, if any are said; else one that is too long leaves the
  /// variable unset.
  func store(
    _ sample: Sample, in variable: Int, of connection: Int, cutAt limit: Int? = nil,
    _ bench: borrowing Workbench
  ) {
    let index = place(variable, of: connection)
    let hasText = sample.type == .string || sample.type == .binary
    let longest = min(limit ?? Variable.longestText, Variable.longestText)
    guard !hasText || limit != nil || sample.count <= longest else {
      values[index].type = 0
      return
    }
    values[index].type = sample.type.rawValue
    values[index].integer = sample.integer
    values[index].address = sample.address
    values[index].count = hasText ? UInt8(min(sample.count, longest)) : 0
    for position in 0..<Int(values[index].count) {
      values[index].text[position] = bench[sample.side, position]
    }
  }
}

extension Region {
  /// Room for `count` values, at start, when there is nothing to be done without memory.
  static func reserving(_ count: Int) -> Region {
    do throws(Errno) {
      return try Region(count: count)
    } catch {
      fatalError("no memory for rules: \(error)")
    }
  }
}
