/// A value as the dumps of the runtime API type it.
enum FieldValue: Equatable, Sendable {
  case text(String)
  /// Shown as 32 bits wide.
  case number(UInt64)
  case wide(UInt64)
  case signed(Int64)

  /// As CSV and plain text have it.
  var description: String {
    switch self {
    case .text(let text): text
    case .number(let number), .wide(let number): String(number)
    case .signed(let number): String(number)
    }
  }

  /// As `typed` and `json` call its type.
  var typeName: String {
    switch self {
    case .text: "str"
    case .number: "u32"
    case .wide: "u64"
    case .signed: "s32"
    }
  }

  var json: String {
    if case .text(let text) = self { text.jsonQuoted } else { description }
  }
}

/// One line of `show stat`: the columns that have a meaning for it.
struct StatRow: Sendable {
  /// Numbers are the column "type".
  enum Kind: Int, Sendable {
    case frontend = 0
    case backend = 1
    case server = 2
    case listener = 3

    var letter: String {
      switch self {
      case .frontend: "F"
      case .backend: "B"
      case .server: "S"
      case .listener: "L"
      }
    }

    var objectName: String {
      switch self {
      case .frontend: "Frontend"
      case .backend: "Backend"
      case .server: "Server"
      case .listener: "Listener"
      }
    }
  }

  let kind: Kind
  let proxyID: Int
  let serverID: Int
  private var values: [StatColumn: FieldValue] = [:]

  init(_ kind: Kind, proxy: ProxyIdentityText, name: String, serverID: Int = 0) {
    self.kind = kind
    self.proxyID = proxy.id
    self.serverID = serverID
    self[.proxyName] = .text(proxy.name)
    self[.name] = .text(name)
    self[.processNumber] = .number(1)
    self[.proxyID] = .number(UInt64(proxy.id))
    self[.serverID] = .number(UInt64(serverID))
    self[.type] = .number(UInt64(kind.rawValue))
    self[.mode] = .text("tcp")
  }

  subscript(column: StatColumn) -> FieldValue? {
    get { values[column] }
    set { values[column] = newValue }
  }

  /// Says of many columns that they are zero, since TCP never counts there.
  mutating func zero(_ columns: StatColumn...) {
    for column in columns { self[column] = .wide(0) }
  }
}

/// What a row needs of its proxy.
struct ProxyIdentityText: Sendable {
  var name: String
  var id: Int
}

extension String {
  /// A JSON string (RFC 8259 section 7).
  var jsonQuoted: String {
    var quoted = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20:
        quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// A CSV field, quoted where it must be (RFC 4180 section 2).
  var csvQuoted: String {
    guard utf8.contains(where: { [0x22, 0x2c, 0x0a, 0x0d].contains($0) }) else { return self }
    return "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }
}
