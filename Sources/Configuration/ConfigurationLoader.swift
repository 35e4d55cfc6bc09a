/// Reads configurations: from files, or from the snapshot of an earlier reading.
public enum ConfigurationLoader {
  /// Reads the files and directories that `-f` names, in this order.
  ///
  /// Needs no root and no network: names stay names. `environment` is what the files' variables
  /// expand to.
  public static func load(paths: [String], environment: [String: String]) -> LoadResult {
    var reader = ConfigurationReader(source: .disk, environment: environment)
    reader.readConfigurationFiles(paths)
    return reader.finish()
  }

  /// Repeats a reading, with the same outcome. Only whether certificates exist is not looked at
  /// again.
  public static func load(snapshot: ConfigurationSnapshot) -> LoadResult {
    var reader = ConfigurationReader(
      source: .snapshot(snapshot), environment: snapshot.environment)
    reader.adoptConfigurationFiles(of: snapshot)
    return reader.finish()
  }
}

/// What came of reading a configuration.
public struct LoadResult: Sendable {
  /// Nil when anything is wrong.
  public let configuration: ProxyConfiguration?
  /// In the order of the files. All errors are here, not only the first.
  public let diagnostics: [Diagnostic]
  /// What was read, as far as it could be.
  public let snapshot: ConfigurationSnapshot

  /// How many diagnostics of a severity there are.
  public func count(_ severity: Diagnostic.Severity) -> Int {
    diagnostics.count { $0.severity == severity }
  }

  /// All diagnostics as an operator reads them, one or more lines each.
  public var report: String {
    var renderer = DiagnosticRenderer(snapshot)
    return diagnostics.map { renderer.render($0) + "\n" }.joined()
  }
}
