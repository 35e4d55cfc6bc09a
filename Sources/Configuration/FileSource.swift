import Linux

/// Where the text of a configuration comes from: the disk, or what an earlier parse read from it.
enum FileSource {
  case disk
  case snapshot(ConfigurationSnapshot)

  struct Failure: Error {
    let reason: String
  }

  var isDisk: Bool {
    if case .disk = self { true } else { false }
  }

  func patterns(_ path: String) throws(Failure) -> [UInt8] {
    switch self {
    case .disk: return try Self.read(path)
    case .snapshot(let snapshot):
      guard let file = snapshot.files.first(where: { $0.role == .patterns && $0.path == path })
      else { throw Failure(reason: "it is not in the snapshot") }
      return file.bytes
    }
  }

  /// What `-f` names: the file itself, or the non-hidden `*.cfg` of a directory in C order.
  static func configurationFiles(_ path: String) throws(Failure) -> [String] {
    do throws(Errno) {
      guard try File.status(path).isDirectory else { return [path] }
      // Names of a directory that cannot be read are none; opening it says why.
      _ = try File.open(path)
      let names = File.names(in: path)
      let base = path.hasSuffix("/") ? path : path + "/"
      let chosen = names.filter { $0.hasSuffix(".cfg") && !$0.hasPrefix(".") }
      let sorted = chosen.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      var files: [String] = []
      for name in sorted where try !File.status(base + name).isDirectory {
        files.append(base + name)
      }
      return files
    } catch {
      throw Failure(reason: error.description)
    }
  }

  static func read(_ path: String) throws(Failure) -> [UInt8] {
    do throws(Errno) {
      return try File.contents(of: path)
    } catch {
      throw Failure(reason: error.description)
    }
  }
}
