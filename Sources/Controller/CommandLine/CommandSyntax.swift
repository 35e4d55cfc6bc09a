/// How a line of the runtime API is taken apart.
enum CommandSyntax {
  /// The commands of a line: separated by `;`, where a backslash takes the next character's meaning
  /// away. Escapes are still in them.
  static func commands(in line: String) -> [String] {
    var commands: [String] = []
    var command = ""
    var isEscaped = false
    for character in line {
      if character == ";", !isEscaped {
        commands.append(command)
        command = ""
      } else {
        command.append(character)
      }
      isEscaped = character == "\\" && !isEscaped
    }
    return commands + [command]
  }

  /// The words of a command, escapes resolved. Quotes mean nothing here.
  static func words(of command: String) -> [String] {
    var words: [String] = []
    var word: String?
    var isEscaped = false
    for character in command {
      if isEscaped {
        word = (word ?? "") + String(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
        word = word ?? ""
      } else if character == " " || character == "\t" {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    return word.map { words + [$0] } ?? words
  }

  /// The line without the mark of a payload, and the line that ends that: ` <<` announces one that
  /// ends with an empty line, ` <<END` one that ends with `END`.
  static func payloadMark(of line: String) -> (command: String, end: String)? {
    guard let mark = line.lastRange(of: " <<") else { return nil }
    let end = line[mark.upperBound...]
    guard end.count <= 64, !end.contains(" ") else { return nil }
    return (String(line[..<mark.lowerBound]), String(end))
  }
}

extension String {
  fileprivate func lastRange(of pattern: String) -> Range<Index>? {
    var end = endIndex
    while end > startIndex {
      let start = index(before: end)
      if self[start...].hasPrefix(pattern) {
        return start..<index(start, offsetBy: pattern.count)
      }
      end = start
    }
    return nil
  }
}
