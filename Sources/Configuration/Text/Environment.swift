/// The variables that a configuration sees: those of the process, and what the file sets itself.
///
/// It remembers which variables of the process were asked for, so that a snapshot holds those and
/// no other: an environment often carries secrets.
struct Environment {
  private let inherited: [String: String]
  /// What the file set (a value) or removed (nil).
  private var changes: [String: String?] = [:]
  /// `resetenv` was given: of the process's variables only these remain.
  private var kept: Set<String>?
  /// Variables of the process that were found, with their values.
  private(set) var used: [String: String] = [:]

  init(_ variables: [String: String]) {
    inherited = variables
  }

  mutating func value(of name: String) -> String? {
    if let change = changes[name] { return change }
    if let kept, !kept.contains(name) { return Self.builtIn[name] }
    guard let value = inherited[name] else { return Self.builtIn[name] }
    used[name] = value
    return value
  }

  mutating func set(_ name: String, to value: String) { changes[name] = .some(value) }
  mutating func remove(_ name: String) { changes[name] = .some(nil) }

  /// Forgets every variable but `names`.
  mutating func reset(keeping names: Set<String>) {
    changes = changes.filter { names.contains($0.key) }
    kept = kept.map { $0.intersection(names) } ?? names
  }

  /// Formats that the language offers by name.
  private static let builtIn = [
    "HAPROXY_TCP_LOG_FMT":
      "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
    "HAPROXY_TCP_CLF_LOG_FMT": ConfigurationReader.commonFormat,
  ]

  /// Expands `$NAME` and `${NAME}` wherever they stand, as addresses allow outside quotes too.
  ///
  /// - Returns: the text, and the first name that is not set.
  mutating func expand(_ text: String) -> (text: String, missing: String?) {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return (text, nil) }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var missing: String?
    var index = 0
    while index < bytes.count {
      guard bytes[index] == UInt8(ascii: "$"), let reference = Reference(bytes, at: index) else {
        result.append(bytes[index])
        index += 1
        continue
      }
      if let value = value(of: reference.name) ?? reference.defaultText {
        result += value.utf8
      } else {
        missing = missing ?? reference.name
      }
      index = reference.end
    }
    return (String(decoding: result, as: UTF8.self), missing)
  }

  /// `$NAME`, `${NAME}` or `${NAME-default}` in an address.
  private struct Reference {
    let name: String
    let defaultText: String?
    /// Index of the byte after it.
    let end: Int

    init?(_ bytes: [UInt8], at dollar: Int) {
      var index = dollar + 1
      let isBraced = index < bytes.count && bytes[index] == UInt8(ascii: "{")
      if isBraced { index += 1 }
      let start = index
      while index < bytes.count, bytes[index].isVariableName { index += 1 }
      guard index > start, !bytes[start].isDigit else { return nil }
      name = String(decoding: bytes[start..<index], as: UTF8.self)
      guard isBraced else {
        defaultText = nil
        end = index
        return
      }
      guard let close = bytes[index...].firstIndex(of: UInt8(ascii: "}")) else { return nil }
      guard index == close || bytes[index] == UInt8(ascii: "-") else { return nil }
      defaultText =
        index == close ? nil : String(decoding: bytes[(index + 1)..<close], as: UTF8.self)
      end = close + 1
    }
  }
}
