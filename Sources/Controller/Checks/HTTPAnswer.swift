/// What a server answered to a check over HTTP/1 (RFC 9112), as far as it has come.
///
/// Servers are strangers too: whoever collects the bytes bounds them, and nothing here looks
/// beyond them.
struct HTTPAnswer: Equatable {
  var status: Int
  var reason: String
  var headers: [(name: String, value: String)]
  /// Without the framing of chunks.
  var body: [UInt8]
  /// Whether no more of it can come.
  var isComplete: Bool

  enum Parsing: Equatable {
    case incomplete
    case invalid
    case answer(HTTPAnswer)
  }

  static func == (one: HTTPAnswer, other: HTTPAnswer) -> Bool {
    one.status == other.status && one.reason == other.reason && one.body == other.body
      && one.isComplete == other.isComplete
      && one.headers.elementsEqual(other.headers) { $0 == $1 }
  }

  /// Reads what came. Interim answers (1xx) are passed over. `isOver` says that the server has
  /// closed, or that the buffer is full.
  static func parse(_ bytes: [UInt8], isOver: Bool) -> Parsing {
    var rest = bytes[...]
    while true {
      guard let end = endOfHead(rest) else {
        return isPlausible(rest) && !isOver ? .incomplete : .invalid
      }
      guard var answer = head(rest[..<end.start]) else { return .invalid }
      rest = rest[end.next...]
      if (100..<200).contains(answer.status), answer.status != 101 { continue }
      guard answer.takeBody(Array(rest), isOver: isOver) else { return .invalid }
      return .answer(answer)
    }
  }

  /// Whether it may still become an answer: nobody waits for the end of what is no HTTP.
  private static func isPlausible(_ bytes: ArraySlice<UInt8>) -> Bool {
    zip(bytes, Array("HTTP/1.".utf8)).allSatisfy { $0 == $1 }
  }

  /// Where the empty line begins, and where what follows it does.
  private static func endOfHead(_ bytes: ArraySlice<UInt8>) -> (start: Int, next: Int)? {
    var index = bytes.startIndex
    while let feed = bytes[index...].firstIndex(of: 0x0a) {
      let next = feed + 1
      if next < bytes.endIndex, bytes[next] == 0x0a { return (feed, next + 1) }
      if next + 1 < bytes.endIndex, bytes[next] == 0x0d, bytes[next + 1] == 0x0a {
        return (feed, next + 2)
      }
      index = next
    }
    return nil
  }

  private static func head(_ bytes: ArraySlice<UInt8>) -> HTTPAnswer? {
    let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false).map { line in
      String(decoding: line.last == 0x0d ? line.dropLast() : line, as: UTF8.self)
    }
    guard let first = lines.first, first.hasPrefix("HTTP/1.") else { return nil }
    let words = first.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count >= 2, words[1].utf8.count == 3, let status = Int(words[1]),
      (100...999).contains(status)
    else { return nil }
    var answer = HTTPAnswer(
      status: status, reason: words.count > 2 ? String(words[2]) : "", headers: [], body: [],
      isComplete: false)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].trimmingBlanks
      answer.headers.append((line[..<colon].lowercased(), value))
    }
    return answer
  }

  func values(of name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

  // MARK: The body

  private mutating func takeBody(_ bytes: [UInt8], isOver: Bool) -> Bool {
    if status == 204 || status == 304 {
      isComplete = true
    } else if values(of: "transfer-encoding").last?.lowercased().hasSuffix("chunked") == true {
      guard takeChunks(bytes) else { return false }
    } else if let length = values(of: "content-length").first {
      guard let count = Int(length), count >= 0 else { return false }
      body = Array(bytes.prefix(count))
      isComplete = bytes.count >= count
    } else {
      body = bytes
    }
    if isOver { isComplete = true }
    return true
  }

  /// - Returns: false when it is no sequence of chunks.
  private mutating func takeChunks(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while let feed = rest.firstIndex(of: 0x0a) {
      let line = String(decoding: rest[..<feed], as: UTF8.self)
      let digits = line.prefix { $0.isHexDigit }
      guard digits.utf8.count <= 8, let size = Int(digits, radix: 16) else { return false }
      rest = rest[(feed + 1)...]
      if size == 0 {
        isComplete = true
        return true
      }
      body += rest.prefix(size)
      guard rest.count > size else { return true }
      rest = rest.dropFirst(size)
      // The line's end behind the chunk.
      if rest.first == 0x0d { rest = rest.dropFirst() }
      guard let end = rest.first else { return true }
      guard end == 0x0a else { return false }
      rest = rest.dropFirst()
    }
    return true
  }
}

extension Substring {
  var trimmingBlanks: String {
    var text = drop { $0 == " " || $0 == "\t" }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return String(text)
  }
}
