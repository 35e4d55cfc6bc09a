public import Configuration

/// Why a rule cannot be compiled.
public struct RuleDiagnostic: Equatable, Sendable {
  public var message: String
  public var position: SourcePosition

  public init(message: String, position: SourcePosition) {
    self.message = message
    self.position = position
  }
}

/// All that is wrong with the rules of a configuration, in the order of the file.
public struct RuleErrors: Error, Equatable, Sendable {
  public var diagnostics: [RuleDiagnostic]
}
