import Configuration
import Foundation

/// Configurations in files, and what is expected of them beside each.
enum Fixtures {
  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/config")

  /// Names of the files in a folder, without their extension.
  static func names(in folder: String) -> [String] {
    let folder = root.appending(path: folder)
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
    return files.filter { $0.hasSuffix(".cfg") }.map { String($0.dropLast(4)) }.sorted()
  }

  /// Reads a fixture as if its folder were the working directory.
  static func load(_ folder: String, _ name: String) throws -> LoadResult {
    var patterns: [String: String] = [:]
    let path = root.appending(path: folder).path()
    for file in try FileManager.default.contentsOfDirectory(atPath: path)
    where file.hasSuffix(".lst") {
      patterns[file] = String(decoding: try bytes(folder, file), as: UTF8.self)
    }
    return ConfigurationTests.load(
      bytes: try bytes(folder, name + ".cfg"), named: name + ".cfg", patterns: patterns)
  }

  static func bytes(_ folder: String, _ file: String) throws -> [UInt8] {
    Array(try Data(contentsOf: root.appending(path: "\(folder)/\(file)")))
  }

  static func path(_ folder: String, _ file: String) -> String {
    root.appending(path: "\(folder)/\(file)").path()
  }

  /// What the diagnostics of a fixture are expected to say, recorded anew where the environment
  /// variable `RECORD` is set.
  static func expectation(_ folder: String, _ name: String, actual: String) throws -> String {
    let url = root.appending(path: "\(folder)/\(name).expected")
    if ProcessInfo.processInfo.environment["RECORD"] != nil, !actual.isEmpty {
      try Data(actual.utf8).write(to: url)
    }
    // A file about which there is nothing to say has no expectation beside it.
    guard FileManager.default.fileExists(atPath: url.path()) else { return "" }
    return String(decoding: try Data(contentsOf: url), as: UTF8.self)
  }
}

/// Reads a configuration from text.
func load(
  _ text: String, patterns: [String: String] = [:], environment: [String: String] = [:]
) -> LoadResult {
  load(bytes: Array(text.utf8), patterns: patterns, environment: environment)
}

func load(
  bytes: [UInt8], named path: String = "test.cfg", patterns: [String: String] = [:],
  environment: [String: String] = [:], judge: ConfigurationLoader.RegularExpressionJudge? = nil
) -> LoadResult {
  var snapshot = ConfigurationSnapshot(environment: environment)
  snapshot.files = [.init(path: path, role: .configuration, bytes: bytes)]
  for (path, text) in patterns {
    snapshot.files.append(.init(path: path, role: .patterns, bytes: Array(text.utf8)))
  }
  return ConfigurationLoader.load(snapshot: snapshot, judge: judge)
}

extension LoadResult {
  var errors: [String] { messages(.error) }
  var warnings: [String] { messages(.warning) }
  var notices: [String] { messages(.notice) }

  private func messages(_ severity: Diagnostic.Severity) -> [String] {
    diagnostics.filter { $0.severity == severity }.map(\.message)
  }
}
