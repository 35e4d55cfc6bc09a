/// A `tcp-request …` line.
public struct Rule: Sendable {
  public enum Action: Equatable, Sendable {
    case accept
    case reject
    case silentDrop
    /// `expect-proxy layer4`, in connection rules only.
    case expectProxyHeader
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
  /// Index into `backends`.
  public var backend: Int
  public var condition: Condition?
  public var position: SourcePosition

  public init(backend: Int, condition: Condition?, position: SourcePosition) {
    self.backend = backend
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
