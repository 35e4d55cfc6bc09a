import Linux

/// Patterns of one criterion, collected and parsed for its match.
struct PatternList {
  struct Failure: Error {
    let message: String
    var hint: String?

    init(_ message: String, hint: String? = nil) {
      self.message = message
      self.hint = hint
    }
  }

  private enum Comparison: String {
    case eq, ge, gt, le, lt
  }

  private let match: Match
  /// Numbers are written `3.3` and mean major × 65536 + minor.
  private let isVersion: Bool
  private var strings: [String] = []
  private var binaries: [[UInt8]] = []
  private var integers: [ClosedRange<Int>] = []
  private var networks: [Network] = []
  private var comparison = Comparison.eq

  init(match: Match, isVersion: Bool) {
    self.match = match
    self.isVersion = isVersion
  }

  var isEmpty: Bool {
    strings.isEmpty && binaries.isEmpty && integers.isEmpty && networks.isEmpty
  }

  var needsPatterns: Bool { match != .found && match != .boolean }

  var patterns: Patterns {
    switch match {
    case .found, .boolean: .none
    case .integer, .length: .integers(integers)
    case .address: .networks(networks)
    case .binary: .binaries(binaries)
    case .string, .begin, .end, .substring, .domain, .directory, .regularExpression:
      .strings(strings)
    }
  }

  mutating func add(_ text: String) throws(Failure) {
    switch match {
    case .found, .boolean: break
    case .integer, .length: try addInteger(text)
    case .address: networks.append(try Self.network(text))
    case .binary: binaries.append(try Self.binary(text))
    case .string, .begin, .end, .substring, .domain, .directory, .regularExpression:
      strings.append(text)
    }
  }

  // MARK: Integers

  private mutating func addInteger(_ text: String) throws(Failure) {
    if let comparison = Comparison(rawValue: text) {
      self.comparison = comparison
      return
    }
    integers.append(try range(text))
  }

  private func range(_ text: String) throws(Failure) -> ClosedRange<Int> {
    guard text.contains(":") else { return try compared(try number(text)) }
    guard comparison == .eq else {
      throw Failure("a range cannot follow '\(comparison.rawValue)'")
    }
    let (low, high) = text.split(atFirst: ":")
    let first = low.isEmpty ? Int.min : try number(low)
    let tail = high ?? ""
    let last = tail.isEmpty ? Int.max : try number(tail)
    guard first <= last else { throw Failure("the range runs backwards") }
    return first...last
  }

  private func compared(_ number: Int) throws(Failure) -> ClosedRange<Int> {
    switch comparison {
    case .eq: return number...number
    case .ge: return number...Int.max
    case .le: return Int.min...number
    case .gt where number < Int.max: return (number + 1)...Int.max
    case .lt where number > Int.min: return Int.min...(number - 1)
    case .gt, .lt: throw Failure("no number satisfies it")
    }
  }

  private func number(_ text: String) throws(Failure) -> Int {
    if isVersion, text.contains(".") {
      let (major, minor) = text.split(atFirst: ".")
      guard let high = UInt16(major), let low = UInt16(minor ?? "") else {
        throw Failure("not a version", hint: "expected MAJOR.MINOR, such as 3.3 for TLS 1.2")
      }
      return Int(high) << 16 | Int(low)
    }
    guard let number = Int(text), text.utf8.first != UInt8(ascii: "+") else {
      throw Failure(
        "not a number", hint: "expected an integer, LOW:HIGH, or eq, ge, gt, le, lt before one")
    }
    return number
  }

  // MARK: Bytes and addresses

  private static func binary(_ text: String) throws(Failure) -> [UInt8] {
    guard text.utf8.count % 2 == 0 else { throw Failure("an odd number of hexadecimal digits") }
    guard let bytes = text.hexadecimalBytes else {
      throw Failure("not hexadecimal", hint: "expected pairs of digits, such as 485454502f")
    }
    return bytes
  }

  /// `10.0.0.0/8`, `10/8`, `192.168.0.0/255.255.0.0`, `2001:db8::/32`, or a plain address.
  private static func network(_ text: String) throws(Failure) -> Network {
    let (host, mask) = text.split(atFirst: "/")
    guard let address = IPAddress(host) ?? abbreviated(host) else {
      throw Failure(
        "not an address",
        hint: "expected IPv4 or IPv6, with or without /PREFIX; names are not resolved")
    }
    let isMapped = address.isIPv4 && host.contains(":")
    let width = address.isIPv4 && !isMapped ? 32 : 128
    let length = try mask.map { text throws(Failure) in try prefixLength(text, width) } ?? width
    guard !isMapped || length >= 96 else { throw Failure("the prefix spans both families") }
    let ownLength = isMapped ? length - 96 : length
    return Network(address: address.masked(to: ownLength), prefixLength: ownLength)
  }

  /// `10` or `10.12`: the missing parts are zero.
  private static func abbreviated(_ text: String) -> IPAddress? {
    let dots = text.utf8.count { $0 == UInt8(ascii: ".") }
    guard dots < 3, !text.isEmpty else { return nil }
    return IPAddress(text + String(repeating: ".0", count: 3 - dots))
  }

  private static func prefixLength(_ text: String, _ width: Int) throws(Failure) -> Int {
    if text.isDecimal, let length = Int(text), length <= width { return length }
    guard width == 32, let mask = IPAddress(text), mask.isIPv4 else {
      throw Failure("'\(text)' is not a prefix length", hint: "expected 0 to \(width)")
    }
    guard let length = prefixLength(ofMask: text) else {
      throw Failure("'\(text)' is not contiguous")
    }
    return length
  }

  /// `255.255.255.0` is 24; nil for what is no mask.
  static func prefixLength(ofMask text: String) -> Int? {
    guard let mask = IPAddress(text), mask.isIPv4 else { return nil }
    let length = (~mask.ipv4).leadingZeroBitCount
    let isContiguous = length + mask.ipv4.trailingZeroBitCount == 32 || mask.ipv4 == 0
    return isContiguous ? length : nil
  }
}
