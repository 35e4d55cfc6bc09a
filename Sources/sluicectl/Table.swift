import Glibc

/// Rows of text, in columns as wide as their widest cell.
struct Table {
  struct Cell {
    var text: String
    var colour = Colour.none
    var isRight = false
  }

  enum Colour: String {
    case none = ""
    case green = "32"
    case yellow = "33"
    case red = "31"
    case bold = "1"
  }

  private var rows: [[Cell]] = []

  mutating func add(_ row: [Cell]) { rows.append(row) }

  mutating func addHeader(_ names: [String], rightFrom: Int = .max) {
    add(
      names.enumerated().map {
        Cell(text: $1, colour: .bold, isRight: $0 >= rightFrom)
      })
  }

  /// Colours are for people: only where standard output is a terminal.
  func text(coloured: Bool = isatty(STDOUT_FILENO) == 1 && !Self.isPlain) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { $0.count > column ? $0[column].text.count : 0 }.max() ?? 0
    }
    return rows.map { row in
      var line = row.enumerated().map { place, cell in
        self.padded(cell, place == row.count - 1 && !cell.isRight ? 0 : widths[place], coloured)
      }.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line + "\n"
    }.joined()
  }

  private func padded(_ cell: Cell, _ width: Int, _ coloured: Bool) -> String {
    let gap = String(repeating: " ", count: max(0, width - cell.text.count))
    let text =
      coloured && cell.colour != .none && !cell.text.isEmpty
      ? "\u{1b}[\(cell.colour.rawValue)m\(cell.text)\u{1b}[0m" : cell.text
    return cell.isRight ? gap + text : text + gap
  }

  /// <https://no-color.org>
  private static var isPlain: Bool { unsafe getenv("NO_COLOR") != nil }
}

/// Numbers as people read them.
enum Quantity {
  /// `1.5 MiB`.
  static func bytes(_ text: String) -> String {
    guard let count = UInt64(text) else { return text }
    guard count >= 1024 else { return "\(count) B" }
    var tenths = count * 10 / 1024
    if count > UInt64.max / 10 { tenths = count / 1024 * 10 }
    var unit = 0
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while tenths >= 10_240, unit < units.count - 1 {
      tenths /= 1024
      unit += 1
    }
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  /// `2h5m`.
  static func duration(_ text: String) -> String {
    guard let seconds = UInt64(text) else { return "" }
    switch seconds {
    case 0..<60: return "\(seconds)s"
    case 60..<3600: return "\(seconds / 60)m\(seconds % 60)s"
    case 3600..<86_400: return "\(seconds / 3600)h\(seconds / 60 % 60)m"
    default: return "\(seconds / 86_400)d\(seconds / 3600 % 24)h"
    }
  }
}
