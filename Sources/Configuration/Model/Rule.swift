/// A `tcp-request …` line.
public struct Rule: Sendable {
  public enum Action: Equatable, Sendable {
    case accept
    case reject
    case silentDrop
    /// `expect-proxy layer4`, in connection rules only.
    case expectProxyHeader
    /// `set-var(name) EXPRESSION` and `capture EXPRESSION len N`: index into the configuration's
    /// variables, and at how many bytes a captured text is cut; nil for `set-var`, which stores all
    /// of it or nothing.
    case setVariable(Int, SampleExpression, longest: Int?)
    /// `set-var-fmt(name) FORMAT`
    case setVariableFormat(Int, [TextPiece])
    /// `unset-var(name)`
    case unsetVariable(Int)
  }

  public var action: Action
  public var condition: Condition?
  public var position: SourcePosition

  public init(action: Action, condition: Condition?, position: SourcePosition) {
    self.action = action
    self.condition = condition
    self.position = position
  }
}

/// `use_backend NAME [if|unless …]`.
public struct BackendRule: Sendable {
  public enum Target: Equatable, Sendable {
    /// Index into `backends`.
    case backend(Int)
    /// The backend of this name; the default one if there is none.
    case named([TextPiece])
  }

  public var target: Target
  public var condition: Condition?
  public var position: SourcePosition

  /// The backend, where it is known from the start.
  public var backend: Int? {
    if case .backend(let index) = target { index } else { nil }
  }

  public init(backend: Int, condition: Condition?, position: SourcePosition) {
    self.init(target: .backend(backend), condition: condition, position: position)
  }

  public init(target: Target, condition: Condition?, position: SourcePosition) {
    self.target = target
    self.condition = condition
    self.position = position
  }
}

/// `use-server NAME if|unless …`.
public struct ServerRule: Sendable {
  /// Index into the backend's `servers`.
  public var server: Int
  public var condition: Condition?
  public var position: SourcePosition

  public init(server: Int, condition: Condition?, position: SourcePosition) {
    self.server = server
    self.condition = condition
    self.position = position
  }
}
