/// A file of keys and values that `map…(file)` looks samples up in.
///
/// Lines are `key value`; the key ends at the first blank, the value is the rest. The bytes of the
/// file are kept as they were read, and the entries point into them: a million of them take 16 MB
/// beside the file itself.
public struct PatternMap: Sendable {
  /// A key and its value, as stretches of the file's bytes.
  public struct Entry: Equatable, Sendable {
    public var keyStart: UInt32
    public var keyLength: UInt32
    public var valueStart: UInt32
    public var valueLength: UInt32

    public init(keyStart: UInt32, keyLength: UInt32, valueStart: UInt32, valueLength: UInt32) {
      self.keyStart = keyStart
      self.keyLength = keyLength
      self.valueStart = valueStart
      self.valueLength = valueLength
    }
  }

  public var path: String
  public var match: Match
  public var output: SampleType
  public var bytes: [UInt8]
  public var entries: [Entry]
  public var position: SourcePosition
  /// Index of the file in the snapshot, for what is found out about its lines later.
  public var file: Int

  public init(
    path: String, match: Match, output: SampleType, bytes: [UInt8], entries: [Entry],
    position: SourcePosition, file: Int
  ) {
    self.path = path
    self.match = match
    self.output = output
    self.bytes = bytes
    self.entries = entries
    self.position = position
    self.file = file
  }

  public func key(_ entry: Entry) -> ArraySlice<UInt8> {
    bytes[Int(entry.keyStart)..<Int(entry.keyStart + entry.keyLength)]
  }

  public func value(_ entry: Entry) -> ArraySlice<UInt8> {
    bytes[Int(entry.valueStart)..<Int(entry.valueStart + entry.valueLength)]
  }
}
