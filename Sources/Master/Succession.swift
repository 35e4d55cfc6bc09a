import Linux

/// Why this process image runs, told by the one before it through the environment.
enum Succession: Equatable {
  /// Started by a user or a service manager.
  case none
  /// Check the configuration for a running master, and report to these descriptors.
  case trial
  /// Go on as the master whose state is in this descriptor.
  case master(state: Int32)

  private static let variable = "SLUICE_SUCCESSION"

  /// Reads it, and takes it out of the environment.
  static func fromEnvironment() -> Succession {
    guard let text = Process.variable(variable) else { return .none }
    Process.setVariable(variable, to: nil)
    if text == "trial" { return .trial }
    return Int32(text).map { .master(state: $0) } ?? .none
  }

  /// Puts it into the environment of the image to come; `.none` takes it out.
  func announce() {
    switch self {
    case .none: Process.setVariable(Self.variable, to: nil)
    case .trial: Process.setVariable(Self.variable, to: "trial")
    case .master(let state): Process.setVariable(Self.variable, to: "\(state)")
    }
  }
}
