import Configuration
import Linux

/// Where operators reach the daemon when the file says nothing.
struct ControlSocket: Equatable {
  var specification: ListenerSpecification

  private init(_ address: SocketAddress, text: String) {
    specification = ListenerSpecification(key: .init(address: .socket(address)), text: text)
    specification.options.permissions.mode = 0o600
  }

  /// `/run/sluice/sluice.sock`, or for others than root a socket in `$XDG_RUNTIME_DIR`; nil where
  /// that is not set.
  static var standard: ControlSocket? {
    if Credentials.current.isSuperuser {
      return ControlSocket(.unix(path: "/run/sluice/sluice.sock"), text: "/run/sluice/sluice.sock")
    }
    guard let directory = Process.variable("XDG_RUNTIME_DIR"), !directory.isEmpty else {
      return nil
    }
    let path = "\(directory)/sluice.sock"
    return ControlSocket(.unix(path: path), text: path)
  }

  /// Reads the value of `-S`: an address, and options of `bind` behind commas.
  ///
  /// - Throws: what is wrong with it.
  init(_ text: String) throws(Arguments.Failure) {
    var words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let address = words.removeFirst()
    guard let address = Self.address(address) else {
      throw Arguments.Failure(
        message: "'-S \(text)': expected a path, 'unix@PATH', 'abns@NAME' or 'ADDRESS:PORT'")
    }
    self.init(address, text: text)
    while !words.isEmpty {
      let option = words.removeFirst()
      guard !words.isEmpty else {
        throw Arguments.Failure(message: "'-S \(text)': '\(option)' needs a value")
      }
      guard take(option, words.removeFirst()) else {
        throw Arguments.Failure(
          message: "'-S \(text)': expected mode, user, group, uid, gid or level with a value")
      }
    }
  }

  private mutating func take(_ option: String, _ value: String) -> Bool {
    switch option {
    case "mode":
      guard let mode = UInt32(value, radix: 8), mode <= 0o777 else { return false }
      specification.options.permissions.mode = mode
    case "user": specification.options.permissions.user = .name(value)
    case "group": specification.options.permissions.group = .name(value)
    case "uid":
      guard let number = UInt32(value) else { return false }
      specification.options.permissions.user = .number(number)
    case "gid":
      guard let number = UInt32(value) else { return false }
      specification.options.permissions.group = .number(number)
    // Whoever may connect may do everything: there is nothing to choose.
    case "level": return ["user", "operator", "admin"].contains(value)
    default: return false
    }
    return true
  }

  private static func address(_ text: String) -> SocketAddress? {
    if text.hasPrefix("unix@") { return .unix(path: String(text.dropFirst(5))) }
    if text.hasPrefix("abns@") { return .abstract(name: String(text.dropFirst(5))) }
    if text.hasPrefix("/") || text.hasPrefix("./") { return .unix(path: text) }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return IPAddress(host).map { .ip($0, port: port) }
  }

  /// The directory that its file is in, where it is one.
  var directory: String? {
    guard case .socket(.unix(let path)) = specification.key.address,
      let slash = path.lastIndex(of: "/"), slash != path.startIndex
    else { return nil }
    return String(path[..<slash])
  }
}
