import Configuration
import Foundation
import Testing

@Suite("Loader")
struct LoaderTests: ~Copyable {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: folder)
  }

  private borrowing func write(_ text: String, _ name: String) throws -> String {
    let file = folder.appending(path: name)
    try text.write(to: file, atomically: false, encoding: .utf8)
    return file.path()
  }

  private func load(_ paths: String..., environment: [String: String] = [:]) -> LoadResult {
    ConfigurationLoader.load(paths: paths, environment: environment)
  }

  @Test("reads files in the order given, and those of a directory in C order")
  func order() throws {
    for name in ["b.cfg", "a.cfg", "B.cfg", ".hidden.cfg", "c.conf", "d.cfg~"] {
      _ = try write("backend \(name.prefix(1))\n", name)
    }
    let first = try write("backend z\n", "z.other")
    let result = load(first, folder.path())
    #expect(result.configuration?.backends.map(\.identity.name) == ["z", "B", "a", "b"])
    #expect(
      result.snapshot.files.map { URL(filePath: $0.path).lastPathComponent }
        == ["z.other", "B.cfg", "a.cfg", "b.cfg"])
  }

  @Test("begins each file outside any section, and keeps the defaults")
  func sections() throws {
    let one = try write("defaults\n retries 9\n", "1.cfg")
    let two = try write("backend b\n", "2.cfg")
    let bad = try write(" retries 9\n", "3.cfg")
    #expect(load(one, two).configuration?.backends[0].retries == 9)
    #expect(load(one, bad).errors == ["'retries' stands in no section"])
  }

  @Test("says which file cannot be read, and why, and goes on with the others")
  func missing() throws {
    let bad = try write("bogus\n", "bad.cfg")
    let result = load(folder.path() + "/missing.cfg", bad)
    #expect(result.configuration == nil)
    #expect(result.errors.count == 2)
    #expect(result.errors[0].hasSuffix("missing.cfg': No such file or directory"))
    #expect(load().errors == ["no configuration file is named"])
  }

  @Test("records what it read, and of the environment what was asked for, for a second reading")
  func snapshot() throws {
    let patterns = try write("a.example\n", "names.lst")
    let file = try write(
      """
      frontend f
       bind 127.0.0.1:${PORT}
       acl a req.ssl_sni -f "\(patterns)"
       acl b req.ssl_sni -f "\(patterns)"

      """, "a.cfg")
    let result = load(file, environment: ["PORT": "8443", "SECRET": "x"])
    #expect(result.configuration != nil)
    #expect(result.snapshot.environment == ["PORT": "8443"])
    #expect(result.snapshot.files.map(\.role) == [.configuration, .patterns])

    try FileManager.default.removeItem(at: folder)
    let again = ConfigurationLoader.load(snapshot: result.snapshot)
    #expect(text(of: again.configuration) == text(of: result.configuration))
    #expect(again.configuration?.hash == result.snapshot.hash)
  }

  @Test("warns of a certificate that is missing, and refuses where its names are needed")
  func certificates() throws {
    let present = try write("no certificate, but a file\n", "present.pem")
    let cases = [
      ("crt \(present)", 0, 0), ("crt \(folder.path())", 0, 0), ("crt /missing", 1, 0),
      ("crt /missing strict-sni", 0, 1), ("crt \(present) strict-sni", 0, 0),
    ]
    for (options, warnings, errors) in cases {
      let file = try write(
        "defaults\n timeout client 1s\nfrontend f\n bind :1 ssl \(options)\n", "a.cfg")
      let result = load(file)
      #expect(result.count(.warning) == warnings, "\(result.report)")
      #expect(result.count(.error) == errors, "\(result.report)")
      #expect(result.count(.notice) == 1)
    }
    let rule = try write(
      "frontend f\n bind :1 ssl crt /missing\n tcp-request content reject unless { req.ssl_sni_crt }\n",
      "b.cfg")
    #expect(load(rule).errors == ["cannot read the certificate '/missing'"])
  }

  @Test("finds certificates with relative names under crt-base")
  func certificateBase() throws {
    let file = try write(
      "global\n crt-base /etc/ssl\nfrontend f\n bind :1 ssl crt a.pem crt /b.pem\n", "a.cfg")
    let tls = load(file).configuration?.frontends[0].binds[0].tls
    #expect(tls?.certificateFiles == ["/etc/ssl/a.pem", "/b.pem"])
  }
}
