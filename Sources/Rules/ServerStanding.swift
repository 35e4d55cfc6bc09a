/// How a server stands with balancing, as `explain` tells it.
public struct ServerStanding: Equatable, Sendable {
  /// 0 takes no balanced connection.
  public var weight: Int
  /// Whether connections may go there at all.
  public var isUsable: Bool
  /// What stands against it, or worth knowing: "disabled", "DOWN"; empty if nothing.
  public var remark: String

  public init(weight: Int, isUsable: Bool, remark: String = "") {
    self.weight = weight
    self.isUsable = isUsable
    self.remark = remark
  }
}
