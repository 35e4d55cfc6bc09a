import Configuration
import Linux

/// Listening sockets that are files.
enum UnixListener {
  /// Listens at `path`, in place of whatever socket is there.
  ///
  /// The socket is made under another name and renamed, so that a client finds either the old one
  /// or the new one, with its final owner and mode, and a failure leaves the old one alone.
  static func listen(
    at path: String, _ specification: ListenerSpecification, _ log: MasterLog
  ) throws(ListenFailure) -> HeldListener {
    let temporary = "\(path).\(Process.id).tmp"
    if let there = try? File.status(path), !there.isSocket {
      throw ListenFailure(message: "cannot listen at \(path): there is a file that is no socket")
    }
    do throws(Errno) {
      try? File.remove(temporary)
      let socket = try bind(to: temporary, specification)
      do throws(Errno) {
        try give(temporary, specification.options.permissions, log, calling: path)
        try File.rename(temporary, to: path)
      } catch {
        try? File.remove(temporary)
        throw error
      }
      let file = try? File.status(path)
      return HeldListener(specification, sockets: DescriptorTable(of: socket), file: file)
    } catch {
      throw ListenFailure(message: "cannot listen at \(path): \(error)")
    }
  }

  private static func bind(
    to path: String, _ specification: ListenerSpecification
  ) throws(Errno) -> Descriptor {
    let socket = try Descriptor.socket(.stream, for: .unix(path: path))
    // From the first moment nobody gets in whom the final mode would keep out.
    let before = File.setCreationMask(0o177)
    defer { File.setCreationMask(before) }
    try socket.bind(to: .unix(path: path))
    ListenerBinder.apply(specification.options, to: socket, isInternet: false)
    try socket.listen(backlog: specification.options.backlog)
    return socket
  }

  /// Sets owner and mode of a socket's file, which messages call `name` if that is another one.
  static func give(
    _ path: String, _ permissions: SocketPermissions, _ log: MasterLog, calling name: String? = nil
  ) throws(Errno) {
    let name = name ?? path
    let user = number(of: permissions.user, "user", name, log) { Credentials.ofUser($0)?.user }
    let group = number(of: permissions.group, "group", name, log) { Credentials.groupNumber($0) }
    if user != nil || group != nil { try File.setOwner(path, user: user, group: group) }
    try File.setMode(path, permissions.mode ?? defaultMode)
  }

  /// What the usual umask leaves of a socket's mode.
  private static let defaultMode: UInt32 = 0o755

  private static func number(
    of identity: Identity?, _ kind: String, _ path: String, _ log: MasterLog,
    _ find: (String) -> UInt32?
  ) -> UInt32? {
    switch identity {
    case nil: return nil
    case .number(let number): return number
    case .name(let name):
      let number = find(name)
      if number == nil { log.warning("there is no \(kind) '\(name)': \(path) keeps its own") }
      return number
    }
  }

  /// Makes sure that nobody answers at `path`: a file that was left behind is no one's.
  static func probe(_ path: String) throws(ListenFailure) {
    guard let there = try? File.status(path), there.isSocket,
      let socket = try? Descriptor.socket(.stream, for: .unix(path: path))
    else { return }
    do throws(Errno) {
      _ = try socket.connect(to: .unix(path: path))
    } catch {
      // A full backlog is somebody's too.
      guard error == .again else { return }
    }
    throw ListenFailure(message: "cannot listen at \(path): another process answers there")
  }
}
