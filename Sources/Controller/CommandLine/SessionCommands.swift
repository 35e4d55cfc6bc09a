import Configuration
import Wire

/// Commands about connections. They are in the workers: those are asked.
enum SessionCommands {
  static let all: [Command] = [
    Command(
      "show sess", "[help|<id>|all] [opts...]",
      "report the list of current streams or dump this exact stream", .operator
    ) { services, words, _ in await show(words, services) },
    Command("shutdown session", "[id]", "kill a specific session", .admin) { services, words, _ in
      await shutdown(words.first, services)
    },
    Command(
      "shutdown sessions server", "<bk>/<srv>", "kill sessions on a server", .admin
    ) { services, words, _ in await shutdownAll(words.first, services) },
  ]

  private static let help = """
    Usage: show sess [<id> | all | help] [<options>*]
       <id>         this session only (0x...)
       all          all sessions
       help         this text
    Options:
       older <age>  only sessions older than <age> seconds
       server <b/s> only sessions on this server
       backend <b>  only sessions of this backend
       frontend <f> only sessions of this frontend

    """

  private static func show(_ words: [String], _ services: CommandServices) async -> Answer {
    var filter = SessionFilter()
    var oldest: UInt64 = 0
    var words = words[...]
    while let word = words.popFirst() {
      switch word {
      case "help": return .dump(help)
      case "all": continue
      case "older": oldest = UInt64(words.popFirst() ?? "") ?? 0
      case "backend": filter.backend = words.popFirst()
      case "frontend": filter.frontend = words.popFirst()
      case "server":
        let names = (words.popFirst() ?? "").split(separator: "/", maxSplits: 1)
        guard names.count == 2 else { return .failure("Require 'backend/server'.") }
        filter.backend = String(names[0])
        filter.server = String(names[1])
      default:
        guard let id = SessionID.number(word) else {
          return .failure("Unsupported option '\(word)', try 'help' for more info.")
        }
        filter.id = id
      }
    }
    let sessions = await services.desk.sessions(filter)
      .filter { $0.ageMilliseconds >= oldest * 1000 }
    if filter.id != nil, sessions.isEmpty { return .failure("Session not found.") }
    return .dump(sessions.map(\.line).joined())
  }

  private static func shutdown(_ word: String?, _ services: CommandServices) async -> Answer {
    guard let word, let id = SessionID.number(word) else {
      return .failure("Session pointer expected (use 'show sess').")
    }
    return await services.desk.shutdownSession(id)
      ? .nothing : .failure("No such session (use 'show sess').")
  }

  private static func shutdownAll(_ word: String?, _ services: CommandServices) async -> Answer {
    var found: ServerView?
    let answer = ServerCommands.withServer(word, services) { server in
      found = server
      return .nothing
    }
    if let found {
      await services.desk.shutdownSessions(
        backend: found.backendName, server: found.settings.name)
    }
    return answer
  }
}

/// Sessions are named by hexadecimal numbers, since the reference prints addresses of memory.
enum SessionID {
  static func number(_ text: String) -> UInt64? {
    guard text.hasPrefix("0x") else { return nil }
    return UInt64(text.dropFirst(2), radix: 16)
  }

  static func text(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
}

extension SessionRecord {
  /// The reference's fields by its names; those of its inner life are zero. Then ours.
  fileprivate var line: String {
    let family =
      clientAddress.hasPrefix("[") ? "tcpv6" : clientAddress.isEmpty ? "unix_stream" : "tcpv4"
    let client = clientTimeoutMilliseconds == 0 ? "" : Self.time(clientTimeoutMilliseconds)
    let server = serverTimeoutMilliseconds == 0 ? "" : Self.time(serverTimeoutMilliseconds)
    let expiry = expiresInMilliseconds == 0 ? "" : Self.time(expiresInMilliseconds)
    return "\(SessionID.text(id)): proto=\(family) src=\(clientAddress) fe=\(frontend) "
      + "be=\(backend.isEmpty ? "<NONE>" : backend) srv=\(self.server.isEmpty ? "<none>" : self.server) "
      + "ts=00 epoch=0 age=\(Self.time(ageMilliseconds)) calls=0 rate=0 cpu=0 lat=0 "
      + "rq[f=0h,i=0,an=00h,ax=] rp[f=0h,i=0,an=00h,ax=] "
      + "scf=[0,0h,fd=-1,rex=\(client),wex=] scb=[0,0h,fd=-1,rex=\(server),wex=] "
      + "exp=\(expiry) rc=0 c_exp= phase=\(phase) dst=\(destinationAddress) "
      + "to=\(serverAddress) sni=\(Self.word(serverName)) bin=\(bytesUp) bout=\(bytesDown) "
      + "idle=\(Self.time(idleMilliseconds)) "
      + "splice=\(isUploadSpliced ? "up" : "")\(isDownloadSpliced ? "down" : "")"
      + (isOrphan ? " orphan=1\n" : "\n")
  }

  /// A client's word as one word of a line, whatever is in it: `#` and two digits stand for a byte, as
  /// in the lines of the log.
  private static func word(_ text: String) -> String {
    text.utf8.reduce(into: "") { word, byte in
      switch byte {
      case 0x21...0x7e where byte != UInt8(ascii: "#"):
        word.unicodeScalars.append(Unicode.Scalar(byte))
      default: word += "#" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
  }

  /// The two largest units that are not zero, as the reference shortens times: `1h5m`.
  private static func time(_ milliseconds: UInt64) -> String {
    let seconds = milliseconds / 1000
    switch seconds {
    case 0..<60: return "\(seconds)s"
    case 60..<3600: return "\(seconds / 60)m\(seconds % 60 == 0 ? "" : "\(seconds % 60)s")"
    case 3600..<86_400:
      return "\(seconds / 3600)h\(seconds / 60 % 60 == 0 ? "" : "\(seconds / 60 % 60)m")"
    default:
      return "\(seconds / 86_400)d\(seconds / 3600 % 24 == 0 ? "" : "\(seconds / 3600 % 24)h")"
    }
  }
}
