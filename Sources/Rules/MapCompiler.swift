import Configuration
import Linux

/// Maps on their way into a rule set: each gets an index that its match asks for.
struct MapCompiler {
  private(set) var tables: [CompiledMap] = []
  private(set) var texts: [Constant] = []
  private(set) var numbers: [Int] = []
  private(set) var addresses: [AddressKey] = []
  private(set) var integerLabels = LabelledRanges<Int>()
  private(set) var addressLabels = LabelledRanges<AddressKey>()

  /// - Throws: the first key of a `map_reg` that PCRE2 refuses.
  mutating func add(
    _ map: PatternMap, _ patterns: inout PatternTables, _ all: inout [PatternTable],
    _ expressions: inout RegularExpressions, _ constants: inout ConstantStore
  ) throws(RuleErrors) {
    let values = values(of: map, &constants)
    let index: CompiledMap.Index
    if let walk = map.match.walk {
      let keys = map.entries.enumerated().map { label, entry in
        PatternTables.Pattern(map.key(entry), label: UInt32(label))
      }
      all.append(patterns.insert(keys, walk: walk, folding: .none))
      index = .table(UInt32(all.count - 1))
    } else {
      switch map.match {
      case .integer: index = .integers(integerLabels.insert(integers(of: map)))
      case .address: index = .addresses(addressLabels.insert(networks(of: map)))
      default: index = .expressions(try compile(map, &expressions))
      }
    }
    tables.append(CompiledMap(index: index, output: map.output, values: values))
  }

  private mutating func values(
    of map: PatternMap, _ constants: inout ConstantStore
  ) -> Slice {
    func text(_ entry: PatternMap.Entry) -> String {
      String(decoding: map.value(entry), as: UTF8.self)
    }
    switch map.output {
    case .integer:
      let start = numbers.count
      numbers += map.entries.map { Int(text($0)) ?? 0 }
      return Slice(start..<numbers.count)
    case .address:
      let start = addresses.count
      addresses += map.entries.map { AddressKey(IPAddress(text($0)) ?? .anyIPv6) }
      return Slice(start..<addresses.count)
    default:
      let start = texts.count
      for entry in map.entries { texts.append(constants.insert(map.value(entry))) }
      return Slice(start..<texts.count)
    }
  }

  /// Of several ranges that hold a number, the first one in the file counts.
  private func integers(of map: PatternMap) -> [LabelledRanges<Int>.Item] {
    map.entries.enumerated().compactMap { label, entry in
      let key = String(decoding: map.key(entry), as: UTF8.self)
      return PatternMap.range(ofKey: key).map {
        .init(range: $0, rank: UInt64(label), label: UInt32(label))
      }
    }
  }

  /// Of several networks that hold an address, the smallest one counts.
  private func networks(of map: PatternMap) -> [LabelledRanges<AddressKey>.Item] {
    map.entries.enumerated().compactMap { label, entry in
      let key = String(decoding: map.key(entry), as: UTF8.self)
      return PatternMap.network(ofKey: key).map { network in
        let bits = network.address.isIPv4 ? network.prefixLength + 96 : network.prefixLength
        return .init(
          range: network.range, rank: UInt64(128 - bits) << 32 | UInt64(label),
          label: UInt32(label))
      }
    }
  }

  private func compile(
    _ map: PatternMap, _ expressions: inout RegularExpressions
  ) throws(RuleErrors) -> Slice {
    let start = expressions.count
    for entry in map.entries {
      let pattern = String(decoding: map.key(entry), as: UTF8.self)
      do throws(RegularExpressionFault) {
        try expressions.compile(pattern, ignoresCase: false)
      } catch {
        // Whoever read the file has judged its expressions; only one who did not comes here.
        let message = "bad regular expression '\(pattern)' in \(map.path): \(error.message)"
        throw RuleErrors(diagnostics: [RuleDiagnostic(message: message, position: map.position)])
      }
    }
    return Slice(start..<expressions.count)
  }
}
