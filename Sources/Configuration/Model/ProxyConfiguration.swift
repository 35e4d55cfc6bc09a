/// What a set of configuration files says, checked and complete: names are resolved to indices,
/// inherited values are filled in, and nothing in it is left to look up.
///
/// Immutable once built. The master makes it before it forks, workers inherit it, and the
/// controller builds the same one from the same snapshot of the files, so an index means the same
/// thing in every process of a generation.
public struct ProxyConfiguration: Sendable {
  public var global = GlobalSettings()
  public var frontends: [Frontend] = []
  public var backends: [Backend] = []
  /// What `var()` and `set-var()` speak of, by index.
  public var variables: [Variable] = []
  /// What `map…()` looks into, by index: each file once for each way to match it.
  public var maps: [PatternMap] = []

  /// FNV-1a over the bytes of every file that was read, in order: equal on all nodes that run the
  /// same files.
  public var hash: UInt64 = 0

  public init() {}
}
