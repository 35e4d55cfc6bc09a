import Linux

/// The `global` sections as they are read.
struct GlobalDraft {
  var settings = GlobalSettings()
  /// `unix-bind prefix`.
  var unixPrefix: String?
  /// `unix-bind mode|user|group`: for sockets that do not say themselves.
  var unixPermissions = SocketPermissions()
  /// `crt-base`: where certificates with relative names are.
  var certificateBase: String?
  /// `nbthread` was given, which `nbproc` does not overrule.
  var hasThreads = false
}

extension ConfigurationReader {
  mutating func readGlobal(_ section: Section) {
    attempt { _ throws(Diagnostic) in try section.header.finish() }
    for line in section.statements where !line.isBroken {
      var statement = line
      attempt { reader throws(Diagnostic) in try reader.readGlobalLine(&statement) }
    }
  }

  private mutating func readGlobalLine(_ statement: inout Statement) throws(Diagnostic) {
    guard let word = statement.keyword else { return }
    guard let keyword = GlobalKeyword(rawValue: word.text) else {
      return try readForeignGlobal(word, statement)
    }
    switch keyword {
    case .user, .group, .uid, .gid, .chroot, .daemon, .pidFile, .hardStopAfter, .drainDelay,
      .zeroWarning,
      .reloadSessions:
      try readProcessLine(keyword, &statement)
    case .log, .logTag, .logHostname, .node, .description:
      try readIdentityLine(keyword, &statement)
    case .setVariable: try setProcessVariable(&statement)
    case .stats: try readStats(&statement)
    case .unixBind: try readUnixBind(&statement)
    case .certificateBase: global.certificateBase = try statement.require("a directory").text
    case .no: try readNegatedGlobal(&statement)
    case .ioEngine: try readEngine(&statement)
    case .nbproc, .nbthread: try readWorkers(keyword, &statement)
    default: try readLimit(keyword, &statement)
    }
    try statement.finish()
  }

  private mutating func readForeignGlobal(
    _ word: Word, _ statement: Statement
  ) throws(Diagnostic) {
    guard let meaning = ForeignKeywords.global(word.text) else {
      let known = GlobalKeyword.allCases.map(\.rawValue) + ForeignKeywords.globalNames
      throw unknownKeyword(word, "in 'global'", among: known, statement)
    }
    try apply(meaning, to: word.text, statement.span)
  }

  private mutating func readProcessLine(
    _ keyword: GlobalKeyword, _ statement: inout Statement
  ) throws(Diagnostic) {
    switch keyword {
    case .user: global.settings.user = .name(try statement.require("a user").text)
    case .group: global.settings.group = .name(try statement.require("a group").text)
    case .uid: global.settings.user = .number(try Self.identifier(&statement))
    case .gid: global.settings.group = .number(try Self.identifier(&statement))
    case .chroot: try readRoot(&statement)
    case .daemon: global.settings.daemonize = true
    case .pidFile: global.settings.pidFile = try statement.require("a path").text
    case .reloadSessions: try readReloadSessions(&statement)
    case .hardStopAfter: global.settings.hardStopAfter = try statement.time()
    case .drainDelay: global.settings.drainDelay = try statement.time()
    default: global.settings.warningsAreErrors = true
    }
  }

  private mutating func readRoot(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("a directory")
    guard word.text != "auto" else {
      log.warn(
        statement.span(of: word), "'chroot auto' is not supported in this version",
        hints: ["name an empty directory; the processes are not confined to one now"])
      return
    }
    global.settings.root = word.text
  }

  /// `io-engine`: how workers wait for the kernel. There is one way, so that nothing is kept of it.
  ///
  /// io_uring was tried: the least relay, with multishot accept and receive, registered files and
  /// buffers, needs as much processor time as the one on epoll; CONTRIBUTING.md has the figures.
  private func readEngine(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("auto or epoll")
    switch word.text {
    case "auto", "epoll": break
    case "io_uring":
      throw statement.span(of: word).error(
        "'io-engine io_uring' is not available: it was measured and is no faster than epoll",
        hint: "leave the line out, or write 'io-engine auto'")
    default:
      throw statement.span(of: word).error(
        "unknown engine '\(word.text)'", hint: "expected auto or epoll")
    }
  }

  private mutating func readReloadSessions(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("migrate or drain")
    guard let policy = ReloadSessions(rawValue: word.text) else {
      throw statement.span(of: word).error(
        "unknown policy '\(word.text)'", hint: "expected migrate or drain")
    }
    global.settings.reloadSessions = policy
  }

  static func identifier(_ statement: inout Statement) throws(Diagnostic) -> UInt32 {
    UInt32(try statement.integer("a numeric id", in: 0...Int(UInt32.max - 1)))
  }

  private mutating func readIdentityLine(
    _ keyword: GlobalKeyword, _ statement: inout Statement
  ) throws(Diagnostic) {
    switch keyword {
    case .log:
      if let target = try logTarget(&statement) { global.settings.log.append(target) }
    case .logTag: global.settings.logTag = try statement.require("a tag").text
    case .logHostname: global.settings.logHostname = statement.next()?.text ?? ""
    case .node: global.settings.node = try statement.require("a name").text
    default: global.settings.description = statement.rest(or: "")
    }
  }

  /// `nbthread`, or `nbproc` of older releases: both are a number of workers here.
  private mutating func readWorkers(
    _ keyword: GlobalKeyword, _ statement: inout Statement
  ) throws(Diagnostic) {
    let count = try statement.integer("a number of workers", in: 1...128)
    if keyword == .nbthread {
      global.settings.workers = count
      global.hasThreads = true
      return
    }
    log.warn(
      statement.span, "'nbproc' was removed from the language",
      hints: ["it is taken as the number of workers; write 'nbthread'"])
    if !global.hasThreads { global.settings.workers = count }
  }

  private mutating func readLimit(
    _ keyword: GlobalKeyword, _ statement: inout Statement
  ) throws(Diagnostic) {
    let count = 1...Int(Int32.max)
    let buffer = 1024...(1 << 30)
    switch keyword {
    case .maxConnections:
      global.settings.maxConnections = try statement.integer("a number of connections", in: count)
    case .ulimitN:
      global.settings.descriptorLimit = try statement.integer("a number of descriptors", in: count)
    case .maxPipes: global.settings.maxPipes = try statement.integer("a number", in: 0...(1 << 30))
    case .pipeSize: global.settings.pipeSize = try statement.size("a size", in: 4096...(1 << 30))
    case .bufferSize:
      global.settings.bufferSize = try statement.size("a size", in: 1024...(1 << 28))
    case .maxAccept:
      let number = try statement.integer("a number", in: -1...(1 << 20))
      global.settings.maxAccept = number > 0 ? number : nil
    case .spreadChecks: global.settings.spreadChecks = try statement.integer("0 to 50", in: 0...50)
    case .maxSpreadChecks: global.settings.maxSpreadChecks = try statement.time()
    case .clientReceiveBuffer:
      global.settings.clientReceiveBuffer = try statement.size("a size", in: buffer)
    case .clientSendBuffer:
      global.settings.clientSendBuffer = try statement.size("a size", in: buffer)
    case .serverReceiveBuffer:
      global.settings.serverReceiveBuffer = try statement.size("a size", in: buffer)
    case .serverSendBuffer:
      global.settings.serverSendBuffer = try statement.size("a size", in: buffer)
    case .noSplice: global.settings.noSplice = true
    case .noReusePort: global.settings.noReusePort = true
    default: preconditionFailure("'\(keyword.rawValue)' is no limit")
    }
  }

  /// `no …` in `global`: of what is acted on, only flags of little consequence can be negated.
  private mutating func readNegatedGlobal(_ statement: inout Statement) throws(Diagnostic) {
    let word = try statement.require("what to negate")
    statement.skipAll()
    guard ForeignKeywords.global(word.text) != nil else {
      throw unknownKeyword(
        word, "after 'no' in 'global'", among: ForeignKeywords.globalNames, statement)
    }
  }

  private mutating func readUnixBind(_ statement: inout Statement) throws(Diagnostic) {
    guard !statement.isAtEnd else {
      throw statement.end.error(
        "'unix-bind' ends too early", hint: "expected prefix, mode, user, uid, group or gid")
    }
    while let word = statement.next() {
      if word.text == "prefix" {
        global.unixPrefix = try statement.require("a prefix of paths").text
      } else if try !readPermission(word, &statement, &global.unixPermissions) {
        throw statement.span(of: word).error(
          "unknown option '\(word.text)' of 'unix-bind'",
          hint: "expected prefix, mode, user, uid, group or gid")
      }
    }
  }

  /// `mode`, `user`, `uid`, `group` or `gid` of a unix socket.
  ///
  /// - Returns: whether it was one of them.
  func readPermission(
    _ word: Word, _ statement: inout Statement, _ permissions: inout SocketPermissions
  ) throws(Diagnostic) -> Bool {
    switch word.text {
    case "mode": permissions.mode = try Self.fileMode(&statement)
    case "user": permissions.user = .name(try statement.require("a user").text)
    case "group": permissions.group = .name(try statement.require("a group").text)
    case "uid": permissions.user = .number(try Self.identifier(&statement))
    case "gid": permissions.group = .number(try Self.identifier(&statement))
    default: return false
    }
    return true
  }

  private static func fileMode(_ statement: inout Statement) throws(Diagnostic) -> UInt32 {
    let word = try statement.require("an octal mode, such as 660")
    guard let mode = UInt32(word.text, radix: 8), mode <= 0o7777 else {
      throw statement.span(of: word).error(
        "'\(word.text)' is not a mode", hint: "expected octal digits, such as 660")
    }
    return mode
  }
}
