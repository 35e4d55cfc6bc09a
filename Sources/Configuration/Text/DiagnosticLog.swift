/// The diagnostics of one run, in the order in which they were found.
struct DiagnosticLog {
  private(set) var entries: [Diagnostic] = []
  private var seen: Set<Key> = []

  /// One line of `defaults` speaks for all proxies that inherit it: saying it once is enough.
  private struct Key: Hashable {
    let position: SourcePosition?
    let message: String
  }

  private(set) var hasErrors = false

  mutating func report(_ diagnostic: Diagnostic) {
    let key = Key(position: diagnostic.position, message: diagnostic.message)
    guard seen.insert(key).inserted else { return }
    entries.append(diagnostic)
    if diagnostic.severity == .error { hasErrors = true }
  }

  mutating func notice(_ span: SourceSpan, _ message: String, hints: [String] = []) {
    report(span.diagnostic(.notice, message, hints: hints))
  }

  mutating func warn(_ span: SourceSpan, _ message: String, hints: [String] = []) {
    report(span.diagnostic(.warning, message, hints: hints))
  }

  mutating func error(_ span: SourceSpan, _ message: String, hints: [String] = []) {
    report(span.diagnostic(.error, message, hints: hints))
  }

  /// Files in order, lines in order: what an editor wants.
  func sorted() -> [Diagnostic] {
    let keyed = entries.enumerated().map { (order: $0.offset, entry: $0.element) }
    return keyed.sorted { left, right in
      let first = left.entry.position.map { ($0.file, $0.line, $0.column) } ?? (-1, 0, 0)
      let second = right.entry.position.map { ($0.file, $0.line, $0.column) } ?? (-1, 0, 0)
      return first == second ? left.order < right.order : first < second
    }.map(\.entry)
  }
}
