/// How `show stat` and `show info` are to be written.
struct DumpFormat: Equatable, Sendable {
  enum Encoding: Sendable {
    /// CSV for statistics, `Name: value` for information.
    case plain, typed, json
  }

  var encoding = Encoding.plain
  /// `desc`: say what each field is.
  var explains = false
  /// `float`: fractions where there are any.
  var fractions = false

  init(words: some Sequence<String>) {
    for word in words {
      switch word {
      case "typed": encoding = .typed
      case "json": encoding = .json
      case "desc": explains = true
      case "float": fractions = true
      default: break
      }
    }
  }
}

/// The four letters of `typed`, spelled out as `json` does.
struct FieldTags {
  let letters: String

  var json: String {
    let letters = Array(letters)
    return
      "{\"origin\":\"\(origin(letters[0]))\",\"nature\":\"\(nature(letters[1]))\","
      + "\"scope\":\"\(scope(letters[2]))\"}"
  }

  private func origin(_ letter: Character) -> String {
    switch letter {
    case "S": "Status"
    case "K": "Key"
    case "C": "Config"
    case "P": "Product"
    default: "Metric"
    }
  }

  private func nature(_ letter: Character) -> String {
    switch letter {
    case "A": "Age"
    case "a": "Avg"
    case "C": "Counter"
    case "D": "Duration"
    case "L": "Limit"
    case "M": "Max"
    case "N": "Name"
    case "O": "Output"
    case "R": "Rate"
    default: "Gauge"
    }
  }

  private func scope(_ letter: Character) -> String {
    switch letter {
    case "C": "Cluster"
    case "S": "Service"
    case "s": "System"
    default: "Process"
    }
  }
}

// MARK: - Statistics

extension DumpFormat {
  /// The whole answer to `show stat`.
  func statistics(_ rows: [StatRow]) -> String {
    switch encoding {
    case .plain: Self.csvHeader + rows.map(Self.csv).joined()
    case .typed: rows.map(typed).joined(separator: "\n")
    case .json: "[" + rows.map(json).joined(separator: ",") + "]\n"
    }
  }

  private static let reference = StatColumn.allCases.prefix(StatColumn.referenceCount)
  private static let own = StatColumn.allCases.dropFirst(StatColumn.referenceCount)

  /// `-` stands between the reference's columns and those of modules, as there.
  private static let csvHeader =
    "# " + reference.map { $0.rawValue + "," }.joined() + "-,"
    + own.map { $0.rawValue + "," }.joined() + "\n"

  private static func csv(_ row: StatRow) -> String {
    func field(_ column: StatColumn) -> String {
      (row[column]?.description.csvQuoted ?? "") + ","
    }
    return reference.map(field).joined() + "-," + own.map(field).joined() + "\n"
  }

  private func typed(_ row: StatRow) -> String {
    var text = ""
    for (place, column) in StatColumn.allCases.enumerated() {
      guard let value = row[column] else { continue }
      text +=
        "\(row.kind.letter).\(row.proxyID).\(row.serverID).\(place).\(column.rawValue).1:"
        + "\(column.tags(of: row.kind)):\(value.typeName):\(value.description)"
        + explanation(column.explanation) + "\n"
    }
    return text
  }

  private func json(_ row: StatRow) -> String {
    var fields: [String] = []
    for (place, column) in StatColumn.allCases.enumerated() {
      guard let value = row[column] else { continue }
      fields.append(
        "{\"objType\":\"\(row.kind.objectName)\",\"proxyId\":\(row.proxyID),\"id\":\(row.serverID),"
          + field(place, column.rawValue, column.tags(of: row.kind), value) + "}")
    }
    return "[" + fields.joined(separator: ",") + "]"
  }

  private func explanation(_ text: String) -> String { explains ? ":\"\(text)\"" : "" }

  private func field(_ place: Int, _ name: String, _ tags: String, _ value: FieldValue) -> String {
    "\"field\":{\"pos\":\(place),\"name\":\"\(name)\"},\"processNum\":1,"
      + "\"tags\":\(FieldTags(letters: tags).json),"
      + "\"value\":{\"type\":\"\(value.typeName)\",\"value\":\(value.json)}"
  }
}

// MARK: - Information

extension DumpFormat {
  /// The whole answer to `show info`.
  func information(_ fields: [InfoField]) -> String {
    switch encoding {
    case .plain:
      fields.map { "\($0.name): \($0.value.description)\(explanation($0.explanation))\n" }.joined()
    case .typed:
      fields.map {
        "\($0.place).\($0.name).1:\($0.tags):\($0.value.typeName):\($0.value.description)"
          + explanation($0.explanation) + "\n"
      }.joined()
    case .json:
      "["
        + fields.map { "{" + field($0.place, $0.name, $0.tags, $0.value) + "}" }
        .joined(separator: ",") + "]\n"
    }
  }
}
