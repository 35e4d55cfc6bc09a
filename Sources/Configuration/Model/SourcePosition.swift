/// Where in the files something stands. Lines and columns count from 1, columns in bytes.
public struct SourcePosition: Equatable, Hashable, Sendable {
  /// Index into the snapshot's files.
  public var file: Int
  public var line: Int
  public var column: Int

  public init(file: Int, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }
}
