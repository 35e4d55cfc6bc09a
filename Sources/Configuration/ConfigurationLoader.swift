/// What is wrong with a regular expression.
public struct RegularExpressionFault: Error, Equatable, Sendable {
  public var message: String
  /// Bytes into the pattern.
  public var offset: Int

  public init(message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }
}

/// Reads configurations: from files, or from the snapshot of an earlier reading.
public enum ConfigurationLoader {
  /// Tells what is wrong with a regular expression, if anything.
  ///
  /// This room links no library for them, yet an error in one belongs among the other errors of
  /// its file: who will compile the expressions lends his judgement.
  public typealias RegularExpressionJudge =
    (_ pattern: String, _ ignoresCase: Bool) -> RegularExpressionFault?

  /// Reads the files and directories that `-f` names, in this order.
  ///
  /// Needs no root and no network: names stay names. `environment` is what the files' variables
  /// expand to. Without a `judge` regular expressions are taken as they stand.
  public static func load(
    paths: [String], environment: [String: String], judge: RegularExpressionJudge? = nil
  ) -> LoadResult {
    var reader = ConfigurationReader(source: .disk, environment: environment, judge: judge)
    reader.readConfigurationFiles(paths)
    return reader.finish()
  }

  /// Repeats a reading, with the same outcome. Only whether certificates exist is not looked at
  /// again.
  public static func load(
    snapshot: ConfigurationSnapshot, judge: RegularExpressionJudge? = nil
  ) -> LoadResult {
    var reader = ConfigurationReader(
      source: .snapshot(snapshot), environment: snapshot.environment, judge: judge)
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
