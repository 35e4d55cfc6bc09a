import Configuration
import Testing

@Suite("Snapshot")
struct SnapshotTests {
  private let snapshot = ConfigurationSnapshot(
    files: [
      .init(path: "a.cfg", role: .configuration, bytes: Array("b\n".utf8)),
      .init(path: "p", role: .patterns, bytes: []),
    ], environment: ["X": "y"])

  /// What releases before this one may have written. It must be read for ever.
  private let golden: [UInt8] =
    Array("sluice".utf8) + [0, 1]
    + [1, 0, 0, 0, 23]
    + [1, 0, 0, 0, 5] + Array("a.cfg".utf8) + [2, 0, 0, 0, 1, 1] + [3, 0, 0, 0, 2, 0x62, 0x0a]
    + [1, 0, 0, 0, 17]
    + [1, 0, 0, 0, 1, 0x70] + [2, 0, 0, 0, 1, 2] + [3, 0, 0, 0, 0]
    + [2, 0, 0, 0, 12] + [4, 0, 0, 0, 1, 0x58] + [5, 0, 0, 0, 1, 0x79]

  @Test("its bytes are those of the golden example")
  func encodes() {
    #expect(snapshot.encoded == golden)
  }

  @Test("the golden example is read")
  func decodes() throws {
    #expect(try ConfigurationSnapshot(decoding: golden) == snapshot)
  }

  @Test("records and fields of newer releases are skipped")
  func newer() throws {
    var bytes = golden
    bytes += [9, 0, 0, 0, 2, 1, 2]
    #expect(try ConfigurationSnapshot(decoding: bytes) == snapshot)
  }

  @Test("whatever is cut off is refused, at a record's end excepted")
  func cut() {
    let ends = [8, 8 + 28, 8 + 28 + 22, golden.count]
    for length in 0..<golden.count where !ends.contains(length) {
      #expect(throws: ConfigurationSnapshot.DecodingError.self) {
        try ConfigurationSnapshot(decoding: Array(golden.prefix(length)))
      }
    }
  }

  @Test("other versions and other files are refused")
  func foreign() {
    for bytes in [[], Array("sluice".utf8) + [0, 2], Array("not a snapshot".utf8)] {
      #expect(throws: ConfigurationSnapshot.DecodingError.self) {
        try ConfigurationSnapshot(decoding: bytes)
      }
    }
  }

  @Test("the hash is FNV-1a over the bytes of the files")
  func hash() {
    // Published test vectors: the empty string, and "foobar".
    #expect(ConfigurationSnapshot().hash == 0xcbf2_9ce4_8422_2325)
    let foobar = ConfigurationSnapshot(files: [
      .init(path: "1", role: .configuration, bytes: Array("foo".utf8)),
      .init(path: "2", role: .configuration, bytes: Array("bar".utf8)),
    ])
    #expect(foobar.hash == 0x8594_4171_f739_67e8)
  }

  @Test("a parse repeated from it comes to the same", arguments: Fixtures.names(in: "valid"))
  func repeats(name: String) throws {
    let first = try Fixtures.load("valid", name)
    let bytes = first.snapshot.encoded
    let second = ConfigurationLoader.load(snapshot: try ConfigurationSnapshot(decoding: bytes))
    #expect(second.diagnostics == first.diagnostics)
    #expect(second.snapshot == first.snapshot)
    #expect(text(of: second.configuration) == text(of: first.configuration))
  }
}

/// Every field of a configuration, to compare two of them.
func text(of configuration: ProxyConfiguration?) -> String {
  var text = ""
  dump(configuration, to: &text)
  return text
}
