/// Writes bytes, numbers and addresses one behind the other.
///
/// It holds a position only and is handed the output with every call. Writing past its end stops
/// the process: every caller documents how much room it needs.
struct Pen: BitwiseCopyable {
  private(set) var count = 0

  mutating func write(_ byte: UInt8, into output: inout MutableSpan<UInt8>) {
    output[count] = byte
    count += 1
  }

  /// Writes the low `bytes` bytes of `number`, most significant first. Words of up to eight letters
  /// are numbers too.
  mutating func write(_ number: UInt64, bytes: Int, into output: inout MutableSpan<UInt8>) {
    for index in 0..<bytes {
      let shift = UInt64(8 * (bytes - 1 - index))
      write(UInt8(truncatingIfNeeded: number >> shift), into: &output)
    }
  }

  /// Writes the address and port of an internet address, as network protocols have them.
  mutating func write(rawAddress address: WireAddress, into output: inout MutableSpan<UInt8>) {
    if address.family == .inet {
      write(address.low, bytes: 4, into: &output)
    } else {
      write(address.high, bytes: 8, into: &output)
      write(address.low, bytes: 8, into: &output)
    }
  }

  mutating func write(decimal number: UInt16, into output: inout MutableSpan<UInt8>) {
    var divisor: UInt16 = 10_000
    while divisor > 1, number < divisor { divisor /= 10 }
    while divisor > 0 {
      let digit = UInt8(truncatingIfNeeded: number / divisor % 10)
      write(UInt8(ascii: "0") + digit, into: &output)
      divisor /= 10
    }
  }

  /// Writes the address as text; IPv6 in the one form of RFC 5952.
  mutating func write(address: WireAddress, into output: inout MutableSpan<UInt8>) {
    if address.family == .inet {
      write(dotted: address.inetNumber, into: &output)
    } else if address.high == 0, address.low >> 32 == 0xffff {
      write(0x3a3a_6666_6666_3a, bytes: 7, into: &output)  // ::ffff:
      write(dotted: UInt32(truncatingIfNeeded: address.low), into: &output)
    } else {
      write(groups: address, into: &output)
    }
  }

  private mutating func write(dotted number: UInt32, into output: inout MutableSpan<UInt8>) {
    for index in 0..<4 {
      if index > 0 { write(UInt8(ascii: "."), into: &output) }
      let byte = number >> UInt32(8 * (3 - index)) & 0xff
      write(decimal: UInt16(truncatingIfNeeded: byte), into: &output)
    }
  }

  private mutating func write(groups address: WireAddress, into output: inout MutableSpan<UInt8>) {
    let gap = ZeroRun(longestIn: address)
    var index = 0
    while index < 8 {
      if index == gap.start {
        write(0x3a3a, bytes: 2, into: &output)
        index += gap.count
        continue
      }
      let isAfterGap = gap.count > 0 && index == gap.start + gap.count
      if index > 0, !isAfterGap { write(UInt8(ascii: ":"), into: &output) }
      write(hexadecimal: address.group(index), into: &output)
      index += 1
    }
  }

  private mutating func write(hexadecimal group: UInt16, into output: inout MutableSpan<UInt8>) {
    var shift: UInt16 = 12
    while shift > 0, group >> shift == 0 { shift -= 4 }
    while true {
      let digit = UInt8(truncatingIfNeeded: group >> shift & 0xf)
      write(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10, into: &output)
      guard shift > 0 else { break }
      shift -= 4
    }
  }
}

/// The zero groups that `::` stands for: the longest run, the first of several equally long, and
/// never a single group (RFC 5952 section 4.2).
private struct ZeroRun {
  private(set) var start = -1
  private(set) var count = 0

  init(longestIn address: WireAddress) {
    var runStart = 0
    for index in 0..<8 {
      guard address.group(index) == 0 else {
        runStart = index + 1
        continue
      }
      let length = index + 1 - runStart
      if length > 1, length > count {
        start = runStart
        count = length
      }
    }
  }
}
