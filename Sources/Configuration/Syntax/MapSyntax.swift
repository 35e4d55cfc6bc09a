import Linux

extension PatternMap {
  /// What stands behind `map_`.
  static let matches: KeyValuePairs<String, Match> = [
    "str": .string, "beg": .begin, "end": .end, "sub": .substring, "dom": .domain,
    "dir": .directory, "reg": .regularExpression, "ip": .address, "int": .integer,
  ]

  static let outputs: KeyValuePairs<String, SampleType> = [
    "str": .string, "int": .integer, "ip": .address,
  ]
}

/// `map(file[,default])`, `map_dom(…)`, `map_ip_int(…)` and so on.
extension ConfigurationReader {
  mutating func map(_ call: Call) throws(Diagnostic) -> SampleExpression.Converter {
    let (match, output) = try Self.mapKind(call)
    try call.require(1...2, "file,default")
    let value = call.count == 2 ? try Self.value(call.text(1), output, call) : nil
    return .map(try map(call, match, output), default: value)
  }

  private static func mapKind(_ call: Call) throws(Diagnostic) -> (Match, SampleType) {
    let parts = call.name.split(separator: "_").dropFirst().map(String.init)
    guard let first = parts.first else { return (.string, .string) }
    guard parts.count <= 2, let match = PatternMap.matches.first(where: { $0.key == first }),
      let output = PatternMap.outputs.first(where: { $0.key == parts.dropFirst().first ?? "str" })
    else {
      throw call.error(
        ForeignWords.converters.contains(call.name)
          ? "the converter '\(call.name)' is not supported in this version"
          : "unknown converter '\(call.name)'",
        hint: "expected map_ and one of \(Statement.list(PatternMap.matches.map(\.key)))"
          + ", then nothing, _int or _ip")
    }
    return (match.value, output.value)
  }

  /// A value that a map gives, or its default.
  private static func value(
    _ text: String, _ type: SampleType, _ call: Call
  ) throws(Diagnostic) -> SampleValue {
    switch type {
    case .integer:
      guard let number = Int(text) else {
        throw call.error("the default of '\(call.name)' is no number: '\(text)'")
      }
      return .integer(number)
    case .address:
      guard let address = IPAddress(text) else {
        throw call.error("the default of '\(call.name)' is no address: '\(text)'")
      }
      return .address(address)
    default: return .string(Array(text.utf8))
    }
  }

  /// The index of the map of a file, which is read once for each way to match it.
  private mutating func map(
    _ call: Call, _ match: Match, _ output: SampleType
  ) throws(Diagnostic) -> Int {
    let name = call.text(0)
    if name.hasPrefix("virt@") {
      throw call.error("virtual maps are not supported in this version")
    }
    let isOptional = name.hasPrefix("opt@")
    let path = name.dropping(prefix: "opt@") ?? name.dropping(prefix: "file@") ?? name
    let known = maps.firstIndex { $0.path == path && $0.match == match && $0.output == output }
    if let known { return known }
    var map = PatternMap(
      path: path, match: match, output: output, bytes: [], entries: [],
      position: call.span.position, file: 0)
    switch readPatternFile(path) {
    case .success(let file):
      map.file = file
      map.bytes = snapshot.files[file].bytes
      readEntries(of: &map)
    case .failure(let error):
      guard isOptional else { throw call.error("cannot read '\(path)': \(error.reason)") }
    }
    maps.append(map)
    return maps.count - 1
  }

  private mutating func readEntries(of map: inout PatternMap) {
    var lines = SourceLines(map.bytes)
    var number = 0
    while let line = lines.next() {
      number += 1
      guard let entry = PatternMap.Entry(line) else { continue }
      if let message = map.defect(of: entry) ?? fault(of: entry, in: map) {
        let column = Int(entry.keyStart) - line.startIndex + 1
        let position = SourcePosition(file: map.file, line: number, column: column)
        log.error(
          SourceSpan(position: position, length: max(1, Int(entry.keyLength))), message)
      }
      map.entries.append(entry)
    }
  }
}

extension ConfigurationReader {
  /// Why the key of a `map_reg` cannot be used.
  private func fault(of entry: PatternMap.Entry, in map: PatternMap) -> String? {
    guard map.match == .regularExpression else { return nil }
    let pattern = String(decoding: map.key(entry), as: UTF8.self)
    return judge?(pattern, false).map { "bad regular expression '\(pattern)': \($0.message)" }
  }
}

extension PatternMap.Entry {
  /// What a line says: a key, blanks, and a value without the blanks around it. Nil for comments and
  /// blank lines.
  fileprivate init?(_ line: ArraySlice<UInt8>) {
    var text = line.drop(while: \.isBlank)
    guard let first = text.first, first != UInt8(ascii: "#") else { return nil }
    while let last = text.last, last.isBlank || last == 0x0d { text.removeLast() }
    guard !text.isEmpty else { return nil }
    let key = text.prefix { !$0.isBlank }
    let value = text[key.endIndex...].drop(while: \.isBlank)
    keyStart = UInt32(key.startIndex)
    keyLength = UInt32(key.count)
    valueStart = UInt32(value.startIndex)
    valueLength = UInt32(value.count)
  }
}

extension PatternMap {
  /// Why an entry cannot be used; nil if it can.
  fileprivate func defect(of entry: Entry) -> String? {
    switch match {
    case .integer, .address:
      let text = String(decoding: key(entry), as: UTF8.self)
      do throws(PatternList.Failure) {
        var patterns = PatternList(match: match, isVersion: false)
        try patterns.add(text)
      } catch {
        return "bad key '\(text)': \(error.message)"
      }
    default: break
    }
    switch output {
    case .integer where Int(String(decoding: value(entry), as: UTF8.self)) == nil:
      return "the value is no number: '\(String(decoding: value(entry), as: UTF8.self))'"
    case .address where IPAddress(String(decoding: value(entry), as: UTF8.self)) == nil:
      return "the value is no address: '\(String(decoding: value(entry), as: UTF8.self))'"
    default: return nil
    }
  }

  /// The range of numbers that a key of a `map_int` stands for.
  public static func range(ofKey text: String) -> ClosedRange<Int>? {
    var patterns = PatternList(match: .integer, isVersion: false)
    guard (try? patterns.add(text)) != nil, case .integers(let ranges) = patterns.patterns else {
      return nil
    }
    return ranges.first
  }

  /// The network that a key of a `map_ip` stands for.
  public static func network(ofKey text: String) -> Network? {
    var patterns = PatternList(match: .address, isVersion: false)
    guard (try? patterns.add(text)) != nil, case .networks(let networks) = patterns.patterns else {
      return nil
    }
    return networks.first
  }
}
