/// Renders many diagnostics: finds their lines without going through the file for each.
public struct DiagnosticRenderer {
  private let snapshot: ConfigurationSnapshot
  private var text: SourceText

  /// Renders diagnostics whose positions point into `snapshot`.
  public init(_ snapshot: ConfigurationSnapshot) {
    self.snapshot = snapshot
    text = SourceText(snapshot)
  }

  /// The diagnostic as an operator reads it; see ``Diagnostic/rendered(in:)``.
  public mutating func render(_ diagnostic: Diagnostic) -> String {
    diagnostic.rendered(in: snapshot, line: diagnostic.position.flatMap { text.line(at: $0) })
  }
}
