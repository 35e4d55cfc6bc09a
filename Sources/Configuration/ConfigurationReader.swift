/// Reads one configuration: lines, sections, proxies, and at the end the whole.
///
/// Statements throw their diagnostic; the reader logs it and goes on with the next line, so that
/// one run tells all errors and none of them twice.
struct ConfigurationReader {
  let source: FileSource
  let judge: ConfigurationLoader.RegularExpressionJudge?
  var environment: Environment
  var log = DiagnosticLog()
  /// What has been read so far.
  var snapshot = ConfigurationSnapshot()

  var global = GlobalDraft()
  /// The `defaults` section that sections below it inherit from.
  var currentDefaults = ProxySettings()
  var namedDefaults: [String: ProxySettings] = [:]
  var proxies: [ProxyDraft] = []
  /// `mode http` sections: not served, but a tcp frontend may route to one.
  var httpSections: [HTTPSection] = []
  /// Names that are taken, to tell of doubles: by kind.
  var frontendNames: [String: SourcePosition] = [:]
  var backendNames: [String: SourcePosition] = [:]
  /// Of sections whose header could not be read.
  var brokenBackends = BrokenNames()
  var brokenDefaults = BrokenNames()
  /// Sections so far; the next `iid` follows from it.
  var proxyCount = 0
  var usedProxyIDs: Set<Int> = []

  /// What expressions speak of: variables by their names, the slots of captures by their numbers,
  /// `proc.` variables by what `global` sets them to, and maps.
  var variables: [Variable] = []
  var variableIndices: [String: Int] = [:]
  var captures: [Int] = []
  var processVariables: [String: SampleExpression] = [:]
  var maps: [PatternMap] = []
  var gaugeReferences: [GaugeReference] = []
  /// The name of the proxy whose lines are being read.
  var presentProxy = ""

  /// Pattern files that were read, to read each once: path to index in the snapshot.
  private var patternFiles: [String: Int] = [:]
  /// How many more times to look for the nearest of many words. Each look costs a comparison with
  /// all of them, and a broken file of 100,000 lines would ask 100,000 times.
  private var searchesLeft = 200

  init(
    source: FileSource, environment: [String: String],
    judge: ConfigurationLoader.RegularExpressionJudge?
  ) {
    self.source = source
    self.judge = judge
    self.environment = Environment(environment)
  }

  // MARK: Files

  mutating func readConfigurationFiles(_ paths: [String]) {
    for path in paths {
      do throws(FileSource.Failure) {
        let files = try FileSource.configurationFiles(path)
        if files.isEmpty {
          log.report(Diagnostic(.warning, at: nil, "no *.cfg file in the directory '\(path)'"))
        }
        for file in files {
          let bytes = try FileSource.read(file)
          snapshot.files.append(.init(path: file, role: .configuration, bytes: bytes))
        }
      } catch {
        log.report(Diagnostic(.error, at: nil, "cannot read '\(path)': \(error.reason)"))
      }
    }
    if paths.isEmpty { log.report(Diagnostic(.error, at: nil, "no configuration file is named")) }
  }

  mutating func adoptConfigurationFiles(of earlier: ConfigurationSnapshot) {
    snapshot.files = earlier.files.filter { $0.role == .configuration }
  }

  /// Reads a pattern file, once, into the snapshot.
  ///
  /// - Returns: Its index there.
  mutating func readPatternFile(_ path: String) -> Result<Int, FileSource.Failure> {
    if let index = patternFiles[path] { return .success(index) }
    do throws(FileSource.Failure) {
      let bytes = try source.patterns(path)
      snapshot.files.append(.init(path: path, role: .patterns, bytes: bytes))
    } catch {
      return .failure(error)
    }
    patternFiles[path] = snapshot.files.count - 1
    return .success(snapshot.files.count - 1)
  }

  // MARK: The whole

  mutating func finish() -> LoadResult {
    for index in snapshot.files.indices { readLines(ofFile: index) }
    let configuration = assemble()
    snapshot.environment = environment.used
    return LoadResult(
      configuration: log.hasErrors ? nil : configuration, diagnostics: log.sorted(),
      snapshot: snapshot)
  }

  /// Runs a part that may fail; what it throws is logged.
  mutating func attempt(
    _ body: (inout ConfigurationReader) throws(Diagnostic) -> Void
  ) {
    do throws(Diagnostic) {
      try body(&self)
    } catch {
      log.report(error)
    }
  }

  /// The nearest of words that may be many.
  mutating func nearest(to word: String, among names: some Sequence<String>) -> String? {
    guard searchesLeft > 0 else { return nil }
    searchesLeft -= 1
    return Suggestion.nearest(to: word, among: names)
  }
}
