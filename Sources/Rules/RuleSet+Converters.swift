import Configuration
import Linux

extension RuleSet {
  /// Runs one converter; nil where it gives nothing.
  func apply(_ operation: Operation, to sample: Sample, _ facts: borrowing Facts) -> Sample? {
    let count = sample.count
    switch operation {
    case .cast(let type): return cast(sample, to: type)
    case .fold(let folding):
      for index in sample.range { bench[sample.side, index] = folding(bench[sample.side, index]) }
      return sample
    case .length: return .number(count)
    case .hexadecimal: return chunks(sample, separator: nil, size: count, truncates: false)
    case .hexadecimalNumber: return hexadecimalNumber(sample)
    case .base64(let isForURLs): return encoded(sample, isForURLs)
    case .base64Decoded(let isForURLs): return decoded(sample, isForURLs)
    case .bytes(let offset, let length):
      guard offset <= count else { return nil }
      return part(of: sample, offset..<min(count, offset + min(length, count)), as: .binary)
    case .part(let index, let delimiters, let parts, let merges):
      return part(of: sample, index, delimiters, parts, merges)
    case .trimStart(let letters):
      var start = 0
      while start < count, holds(letters, bench[sample.side, start]) { start += 1 }
      return part(of: sample, start..<count, as: .string)
    case .trimEnd(let letters):
      var end = count
      while end > 0, holds(letters, bench[sample.side, end - 1]) { end -= 1 }
      return part(of: sample, 0..<end, as: .string)
    case .hostOnly: return part(of: sample, 0..<portColon(sample).host, as: .string)
    case .portOnly: return portOnly(sample)
    case .substitute(let expression, let replacement, let all):
      let end = expressions.substitute(
        expression, replacement: constants.span.extracting(replacement.range), all: all,
        in: sample, bench)
      return .bytes(end, on: sample.otherSide)
    case .concatenate(let before, let variable, let after):
      return concatenated(sample, before, variable, after, facts)
    case .mask(let ipv4, let ipv6): return masked(sample, ipv4, ipv6)
    case .arithmetic(let operation, let number):
      return .number(operation.result(sample.integer, number))
    case .arithmeticVariable(let operation, let variable):
      guard
        let loaded = variables.load(
          variable, of: facts.place.connection, on: sample.otherSide, bench),
        let number = cast(loaded, to: .integer)
      else { return nil }
      return .number(operation.result(sample.integer, number.integer))
    case .negative: return .number(0 &- sample.integer)
    case .complement: return .number(~sample.integer)
    case .boolean: return .flag(sample.integer != 0)
    case .not: return .flag(sample.integer == 0)
    case .even: return .flag(sample.integer & 1 == 0)
    case .odd: return .flag(sample.integer & 1 == 1)
    case .hash(let function, let argument):
      return .number(function.hash(bench.span(sample), argument: argument))
    case .hexadecimalChunks(let separator, let size, let truncates):
      return chunks(sample, separator: separator, size: size, truncates: truncates)
    case .decimalChunks(let separator, let size, let truncates, let isLittleEndian):
      return decimals(sample, separator, size, truncates, isLittleEndian)
    case .choose(let yes, let no):
      let text = constants.span.extracting((sample.integer != 0 ? yes : no).range)
      return .bytes(bench.put(text, on: sample.side), on: sample.side)
    case .compare(let variable): return compared(sample, variable, facts)
    case .setVariable(let variable):
      variables.store(sample, in: variable, of: facts.place.connection, bench)
      return sample
    case .unsetVariable(let variable):
      variables.unset(variable, of: facts.place.connection)
      return sample
    case .map(let map, let missing): return looked(up: sample, in: mapTables[map], missing)
    }
  }

  // MARK: Types

  /// Reads a sample as one of another type; nil where it has no such reading.
  func cast(_ sample: Sample, to type: SampleType) -> Sample? {
    var result = sample
    result.type = type
    switch (sample.type, type) {
    case (_, .any): return sample
    case (.boolean, .integer), (.integer, .boolean), (.string, .binary): return result
    case (.boolean, .string), (.integer, .string):
      let text = DecimalText(sample.integer)
      return .bytes(bench.put(text.span, on: sample.side), on: sample.side)
    case (.integer, .address), (.boolean, .address):
      return .address(IPAddress(ipv4: UInt32(truncatingIfNeeded: sample.integer)))
    case (.integer, .binary), (.boolean, .binary):
      for index in 0..<8 {
        bench[sample.side, index] = UInt8(truncatingIfNeeded: sample.integer >> (56 - 8 * index))
      }
      return .bytes(8, on: sample.side, as: .binary)
    case (.address, .integer):
      return sample.address.isIPv4 ? .number(Int(sample.address.ipv4)) : nil
    case (.address, .string):
      let text = AddressText(sample.address)
      return .bytes(bench.put(text.span, on: sample.side), on: sample.side)
    case (.address, .binary):
      let first = sample.address.isIPv4 ? 12 : 0
      for index in first..<16 { bench[sample.side, index - first] = sample.address[index] }
      return .bytes(16 - first, on: sample.side, as: .binary)
    case (.string, .integer), (.string, .boolean):
      guard let number = Text(bench.span(sample), folding: .none).integer else { return nil }
      return type == .integer ? .number(number) : .flag(number != 0)
    case (.string, .address):
      return AddressReader.address(in: bench.span(sample)).map { .address($0) }
    case (.binary, .string):
      for index in sample.range where bench[sample.side, index] == 0 {
        result.count = index
        break
      }
      return result
    default: return sample.type == type ? sample : nil
    }
  }

  // MARK: Parts

  private func part(of sample: Sample, _ range: Range<Int>, as type: SampleType) -> Sample {
    for index in range {
      bench[sample.side, index - range.lowerBound] = bench[sample.side, index]
    }
    return .bytes(range.count, on: sample.side, as: type)
  }

  private func holds(_ set: Constant, _ byte: UInt8) -> Bool {
    for index in set.range where constants[index] == byte { return true }
    return false
  }

  /// `field` and `word`.
  private func part(
    of sample: Sample, _ index: Int, _ delimiters: Constant, _ parts: Int, _ merges: Bool
  ) -> Sample? {
    var seeker = PartSeeker(count: sample.count, merges: merges, isBackwards: index < 0)
    let wanted = index < 0 ? -index : index
    var found: Range<Int>?
    var number = 0
    while let range = seeker.next({ holds(delimiters, bench[sample.side, $0]) }) {
      number += 1
      if number >= wanted {
        found =
          found.map {
            min($0.lowerBound, range.lowerBound)..<max($0.upperBound, range.upperBound)
          } ?? range
        if parts > 0, number - wanted + 1 >= parts { break }
      }
    }
    guard let found else { return nil }
    if found.isEmpty, merges { return nil }
    return part(of: sample, found, as: .string)
  }

  /// Where the host of `host:port` or `[v6]:port` ends, and the port begins.
  private func portColon(_ sample: Sample) -> (host: Int, port: Int) {
    var index = sample.count - 1
    while index >= 0, (0x30...0x39).contains(bench[sample.side, index]) { index -= 1 }
    guard index >= 0, bench[sample.side, index] == UInt8(ascii: ":") else {
      return (sample.count, sample.count)
    }
    return (index, index + 1)
  }

  private func portOnly(_ sample: Sample) -> Sample? {
    let start = portColon(sample).port
    let digits = bench.span(sample.side, start..<sample.count)
    return .number(Text(digits, folding: .none).integer ?? 0)
  }

  // MARK: Encodings

  private func hexadecimalNumber(_ sample: Sample) -> Sample? {
    var number = 0
    for index in sample.range {
      guard let digit = bench[sample.side, index].hexadecimalValue else { return nil }
      number = number << 4 | Int(digit)
    }
    return .number(number)
  }

  private func chunks(
    _ sample: Sample, separator: Constant?, size: Int, truncates: Bool
  ) -> Sample {
    let side = sample.otherSide
    var end = 0
    var start = 0
    while start < sample.count {
      let stop = min(sample.count, start + size)
      if truncates, stop - start < size { break }
      if start > 0, let separator {
        end = bench.put(constants.span.extracting(separator.range), on: side, at: end)
      }
      for index in start..<stop {
        let byte = bench[sample.side, index]
        end = bench.put(Self.digit(byte >> 4), on: side, at: end)
        end = bench.put(Self.digit(byte & 15), on: side, at: end)
      }
      start = stop
    }
    return .bytes(end, on: side)
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

  private func decimals(
    _ sample: Sample, _ separator: Constant, _ size: Int, _ truncates: Bool,
    _ isLittleEndian: Bool
  ) -> Sample {
    let side = sample.otherSide
    var end = 0
    var start = 0
    while start < sample.count {
      let stop = min(sample.count, start + size)
      if truncates, stop - start < size { break }
      if start > 0 {
        end = bench.put(constants.span.extracting(separator.range), on: side, at: end)
      }
      var number: UInt64 = 0
      for index in start..<stop {
        let byte = UInt64(bench[sample.side, index])
        number = isLittleEndian ? number | byte << UInt64(8 * (index - start)) : number << 8 | byte
      }
      let text = DecimalText(unsigned: number)
      end = bench.put(text.span, on: side, at: end)
      start = stop
    }
    return .bytes(end, on: side)
  }

  private func encoded(_ sample: Sample, _ isForURLs: Bool) -> Sample {
    let side = sample.otherSide
    var end = 0
    var index = 0
    while index < sample.count {
      let left = min(3, sample.count - index)
      var group: UInt32 = 0
      for offset in 0..<3 {
        group = group << 8 | (offset < left ? UInt32(bench[sample.side, index + offset]) : 0)
      }
      for place in 0..<4 {
        if place > left {
          if !isForURLs { end = bench.put(UInt8(ascii: "="), on: side, at: end) }
        } else {
          let value = UInt8(truncatingIfNeeded: group >> UInt32(18 - 6 * place) & 63)
          end = bench.put(Base64.letter(value, isForURLs), on: side, at: end)
        }
      }
      index += 3
    }
    return .bytes(end, on: side)
  }

  private func decoded(_ sample: Sample, _ isForURLs: Bool) -> Sample? {
    let side = sample.otherSide
    var end = 0
    var bits: UInt32 = 0
    var count = 0
    var length = sample.count
    while length > 0, bench[sample.side, length - 1] == UInt8(ascii: "=") { length -= 1 }
    guard isForURLs || sample.count % 4 == 0, sample.count - length <= 2 else { return nil }
    for index in 0..<length {
      guard let value = Base64.value(bench[sample.side, index], isForURLs) else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        end = bench.put(UInt8(truncatingIfNeeded: bits >> UInt32(count)), on: side, at: end)
      }
    }
    return .bytes(end, on: side, as: .binary)
  }

  // MARK: Others

  private func concatenated(
    _ sample: Sample, _ before: Constant, _ variable: Int, _ after: Constant,
    _ facts: borrowing Facts
  ) -> Sample {
    var end = bench.put(
      constants.span.extracting(before.range), on: sample.side, at: sample.count)
    if variable >= 0,
      let loaded = variables.load(
        variable, of: facts.place.connection, on: sample.otherSide, bench),
      let text = cast(loaded, to: .string)
    {
      end = bench.put(bench.span(text), on: sample.side, at: end)
    }
    end = bench.put(constants.span.extracting(after.range), on: sample.side, at: end)
    return .bytes(end, on: sample.side)
  }

  private func masked(_ sample: Sample, _ ipv4: Int, _ ipv6: Int) -> Sample {
    .address(sample.address.masked(to: sample.address.isIPv4 ? ipv4 : ipv6))
  }

  private func compared(
    _ sample: Sample, _ variable: Int, _ facts: borrowing Facts
  ) -> Sample? {
    guard
      let loaded = variables.load(
        variable, of: facts.place.connection, on: sample.otherSide, bench),
      let other = cast(loaded, to: .string)
    else { return nil }
    for index in 0..<min(sample.count, other.count) {
      let difference = Int(bench[sample.side, index]) - Int(bench[other.side, index])
      if difference != 0 { return .number(difference) }
    }
    return .number((sample.count - other.count).signum())
  }

  // MARK: Maps

  private func looked(
    up sample: Sample, in map: CompiledMap, _ missing: ConstantSample?
  ) -> Sample? {
    let label = label(of: sample, in: map)
    guard label != PatternTables.noLabel else {
      return missing.map { value($0, on: sample.side) }
    }
    let place = map.values.start + Int(label)
    switch map.output {
    case .integer: return .number(mapNumbers[place])
    case .address:
      return .address(
        IPAddress(high: mapAddresses[place].high, low: mapAddresses[place].low))
    default:
      let bytes = constants.span.extracting(mapTexts[place].range)
      return .bytes(bench.put(bytes, on: sample.side), on: sample.side)
    }
  }

  private func value(_ constant: ConstantSample, on side: Int) -> Sample {
    switch constant {
    case .boolean(let value): .flag(value)
    case .integer(let value): .number(value)
    case .address(let key): .address(IPAddress(high: key.high, low: key.low))
    case .string(let text), .binary(let text):
      .bytes(bench.put(constants.span.extracting(text.range), on: side), on: side)
    }
  }

  private func label(of sample: Sample, in map: CompiledMap) -> UInt32 {
    switch map.index {
    case .table(let table):
      return patterns.mapLabel(of: bench.span(sample), in: tables[Int(table)])
    case .integers(let set): return integerLabels.label(of: sample.integer, in: set)
    case .addresses(let set):
      return addressLabels.label(of: AddressKey(sample.address), in: set)
    case .expressions(let set):
      return expressions.firstMatch(bench.span(sample), in: set) ?? PatternTables.noLabel
    }
  }
}

extension SampleExpression.Arithmetic {
  /// As the reference has it: what does not fit stays at the end of the range, and nothing traps.
  func result(_ left: Int, _ right: Int) -> Int {
    switch self {
    case .add:
      let (sum, overflows) = left.addingReportingOverflow(right)
      return overflows ? (left < 0 ? .min : .max) : sum
    case .subtract:
      let (difference, overflows) = left.subtractingReportingOverflow(right)
      return overflows ? (left < 0 ? .min : .max) : difference
    case .multiply:
      let (product, overflows) = left.multipliedReportingOverflow(by: right)
      return overflows ? ((left < 0) == (right < 0) ? .max : .min) : product
    case .divide:
      return right == 0 || (left == .min && right == -1) ? .max : left / right
    case .remainder:
      return right == 0 || (left == .min && right == -1) ? 0 : left % right
    case .and: return left & right
    case .or: return left | right
    case .exclusiveOr: return left ^ right
    }
  }
}

/// Finds the parts of a text between delimiters, from either end.
private struct PartSeeker {
  private let merges: Bool
  private let isBackwards: Bool
  private let count: Int
  private var position: Int
  private var isOver = false

  init(count: Int, merges: Bool, isBackwards: Bool) {
    self.count = count
    self.merges = merges
    self.isBackwards = isBackwards
    position = isBackwards ? count : 0
  }

  mutating func next(_ isDelimiter: (Int) -> Bool) -> Range<Int>? {
    isBackwards ? previous(isDelimiter) : following(isDelimiter)
  }

  private mutating func following(_ isDelimiter: (Int) -> Bool) -> Range<Int>? {
    if merges { while position < count, isDelimiter(position) { position += 1 } }
    if isOver || merges && position == count { return nil }
    let start = position
    while position < count, !isDelimiter(position) { position += 1 }
    let end = position
    isOver = position == count
    position += 1
    return start..<end
  }

  private mutating func previous(_ isDelimiter: (Int) -> Bool) -> Range<Int>? {
    if merges { while position > 0, isDelimiter(position - 1) { position -= 1 } }
    if isOver || merges && position == 0 { return nil }
    let end = position
    while position > 0, !isDelimiter(position - 1) { position -= 1 }
    let start = position
    isOver = position == 0
    position -= 1
    return start..<end
  }
}

/// RFC 4648, with the letters of section 4 or of section 5.
private enum Base64 {
  static func letter(_ value: UInt8, _ isForURLs: Bool) -> UInt8 {
    switch value {
    case 0..<26: 0x41 + value
    case 26..<52: 0x61 + value - 26
    case 52..<62: 0x30 + value - 52
    case 62: UInt8(ascii: isForURLs ? "-" : "+")
    default: UInt8(ascii: isForURLs ? "_" : "/")
    }
  }

  static func value(_ letter: UInt8, _ isForURLs: Bool) -> UInt8? {
    switch letter {
    case 0x41...0x5a: letter - 0x41
    case 0x61...0x7a: letter - 0x61 + 26
    case 0x30...0x39: letter - 0x30 + 52
    case UInt8(ascii: isForURLs ? "-" : "+"): 62
    case UInt8(ascii: isForURLs ? "_" : "/"): 63
    default: nil
    }
  }
}
