/// A stretch of one line.
struct SourceSpan: Equatable {
  var position: SourcePosition
  /// In bytes, at least one.
  var length: Int

  func diagnostic(
    _ severity: Diagnostic.Severity, _ message: String, hints: [String] = [],
    suggestion: String? = nil
  ) -> Diagnostic {
    Diagnostic(
      severity, at: position, length: length, message, hints: hints, suggestion: suggestion)
  }

  func error(
    _ message: String, hint: String? = nil, suggestion: String? = nil
  ) -> Diagnostic {
    diagnostic(.error, message, hints: hint.map { [$0] } ?? [], suggestion: suggestion)
  }
}
