/// Renders many diagnostics: finds their lines without going through the file for each.
public struct DiagnosticRenderer {
  private let snapshot: ConfigurationSnapshot
  /// By file: where its lines begin.
  private var lines: [Int: [ArraySlice<UInt8>]] = [:]

  /// Renders diagnostics whose positions point into `snapshot`.
  public init(_ snapshot: ConfigurationSnapshot) {
    self.snapshot = snapshot
  }

  /// The diagnostic as an operator reads it; see ``Diagnostic/rendered(in:)``.
  public mutating func render(_ diagnostic: Diagnostic) -> String {
    diagnostic.rendered(in: snapshot, line: diagnostic.position.flatMap { line(at: $0) })
  }

  private mutating func line(at position: SourcePosition) -> ArraySlice<UInt8>? {
    guard snapshot.files.indices.contains(position.file) else { return nil }
    let known = lines[position.file] ?? Array(SourceLines(snapshot.files[position.file].bytes))
    lines[position.file] = known
    return known.indices.contains(position.line - 1) ? known[position.line - 1] : nil
  }
}
