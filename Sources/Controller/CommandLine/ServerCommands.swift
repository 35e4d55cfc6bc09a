import Configuration
import Linux

/// Commands that show and change servers.
enum ServerCommands {
  static let all: [Command] = [
    Command("disable health", "", "disable health checks", .admin) { services, words, _ in
      withServer(words.first, services) { server in
        services.board.disable(server.id)
        return .nothing
      }
    },
    Command(
      "disable server", "(DEPRECATED)",
      "disable a server for maintenance (use 'set server' instead)", .admin
    ) { services, words, _ in await setState(.maintenance, words, services) },
    Command("enable health", "", "enable health checks", .admin) { services, words, _ in
      withServer(words.first, services) { server in
        guard server.settings.check != nil else {
          return .failure("Health check was not configured on this server, cannot enable.")
        }
        services.board.enable(server.id)
        return .nothing
      }
    },
    Command(
      "enable server", " (DEPRECATED)", "enable a disabled server (use 'set server' instead)",
      .admin
    ) { services, words, _ in await setState(.ready, words, services) },
    Command("get weight", "<bk>/<srv>", "report a server's current weight") { services, words, _ in
      withServer(words.first, services) { server in
        .dump("\(server.weight) (initial \(server.settings.weight))\n")
      }
    },
    Command(
      "set maxconn server", "<bk>/<srv>", "change a server's maxconn setting", .admin
    ) { services, words, _ in await setLimit(words, services) },
    Command(
      "set server", "<bk>/<srv> [opts]", "change a server's state, weight or address", .admin
    ) { services, words, _ in await set(words, services) },
    Command(
      "set weight", "<bk>/<srv>  (DEPRECATED)",
      "change a server's weight (use 'set server' instead)", .admin
    ) { services, words, _ in await setWeight(words.first, words.dropFirst().first, services) },
    Command(
      "show servers conn", "[<backend>]",
      "dump server connections status (all or for a single backend)"
    ) { services, words, _ in dump(words, services, ServerDump.connections) },
    Command(
      "show servers state", "[<backend>]",
      "dump volatile server information (all or for a single backend)"
    ) { services, words, _ in dump(words, services, ServerDump.states) },
  ]

  // MARK: - Finding

  /// Finds `backend/server`.
  static func withServer(
    _ name: String?, _ services: CommandServices, _ body: (ServerView) -> Answer
  ) -> Answer {
    switch find(name, services.deployment) {
    case .success(let server): body(server)
    case .failure(let missing): .failure(missing.text)
    }
  }

  /// What is wrong with a server's name.
  private struct Missing: Error {
    let text: String
  }

  private static func find(
    _ name: String?, _ deployment: Deployment
  ) -> Result<ServerView, Missing> {
    guard let name, let slash = name.firstIndex(of: "/") else {
      return .failure(Missing(text: "Require 'backend/server'."))
    }
    guard let backend = deployment.backend(named: String(name[..<slash])) else {
      return .failure(Missing(text: "No such backend."))
    }
    let wanted = name[name.index(after: slash)...]
    guard let server = deployment.servers(of: backend).first(where: { $0.settings.name == wanted })
    else { return .failure(Missing(text: "No such server.")) }
    return .success(server)
  }

  private static func dump(
    _ words: [String], _ services: CommandServices,
    _ text: (Deployment, [Int]) -> String
  ) -> Answer {
    let deployment = services.deployment
    guard let name = words.first else {
      return .dump(text(deployment, deployment.proxies.compactMap(\.backend)))
    }
    guard let backend = deployment.backend(named: name) else {
      return .failure("Can't find backend.")
    }
    return .dump(text(deployment, [backend]))
  }
}

// MARK: - Changing

extension ServerCommands {
  private static func setState(
    _ wish: ServerKeeper.Wish, _ words: [String], _ services: CommandServices
  ) async -> Answer {
    switch find(words.first, services.deployment) {
    case .success(let server):
      await services.keeper.set(wish, of: server.id)
      return .nothing
    case .failure(let missing): return .failure(missing.text)
    }
  }

  private static func set(_ words: [String], _ services: CommandServices) async -> Answer {
    switch find(words.first, services.deployment) {
    case .failure(let missing): return .failure(missing.text)
    case .success(let server):
      let values = Array(words.dropFirst(2))
      switch words.dropFirst().first {
      case "state": return await setState(values.first, of: server, services)
      case "health": return await setHealth(values.first, of: server, services)
      case "weight": return await setWeight(words[0], values.first, services)
      case "addr": return await setAddress(values, of: server, services)
      case "agent": return .failure("agent checks are not enabled on this server.")
      case "fqdn":
        return .failure(
          "set server <b>/<s> fqdn failed because no resolution is configured.")
      default:
        return .failure("usage: set server <backend>/<server> addr | health | state | weight")
      }
    }
  }

  private static func setState(
    _ word: String?, of server: ServerView, _ services: CommandServices
  ) async -> Answer {
    let wish: ServerKeeper.Wish
    switch word {
    case "ready": wish = .ready
    case "drain": wish = .drain
    case "maint": wish = .maintenance
    default:
      return .failure("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
    }
    await services.keeper.set(wish, of: server.id)
    return .nothing
  }

  private static func setHealth(
    _ word: String?, of server: ServerView, _ services: CommandServices
  ) async -> Answer {
    let wish: ServerKeeper.HealthWish
    switch word {
    case "up": wish = .up
    case "stopping": wish = .stopping
    case "down": wish = .down
    default:
      return .failure("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
    }
    await services.keeper.set(wish, of: server.id)
    return .nothing
  }

  private static func setWeight(
    _ name: String?, _ text: String?, _ services: CommandServices
  ) async -> Answer {
    switch find(name, services.deployment) {
    case .failure(let missing): return .failure(missing.text)
    case .success(let server):
      guard let text else { return .failure("Require <weight> or <weight%>.") }
      let isRelative = text.hasSuffix("%")
      guard let number = Int(isRelative ? String(text.dropLast()) : text) else {
        return .failure("Empty weight string empty or preceded by garbage")
      }
      guard !isRelative || number >= 0 else {
        return .failure("Relative weight must be positive.")
      }
      let weight =
        isRelative ? min(256, server.settings.weight * min(number, 25_600) / 100) : number
      guard (0...256).contains(weight) else {
        return .failure("Absolute weight can only be between 0 and 256 inclusive.")
      }
      await services.keeper.setWeight(UInt64(weight), of: server.id)
      return .nothing
    }
  }

  private static func setLimit(_ words: [String], _ services: CommandServices) async -> Answer {
    switch find(words.first, services.deployment) {
    case .failure(let missing): return .failure(missing.text)
    case .success(let server):
      guard words.count > 1 else { return .failure("Require <maxconn>.") }
      guard let limit = UInt32(words[1]) else {
        return .failure("maxconn string empty or preceded by garbage")
      }
      await services.keeper.setLimit(Int(limit), of: server.id)
      return .nothing
    }
  }

  private static func setAddress(
    _ words: [String], of server: ServerView, _ services: CommandServices
  ) async -> Answer {
    guard let text = words.first else {
      return .failure("set server <b>/<s> addr requires an address and optionally a port.")
    }
    guard let address = IPAddress(text) else { return .failure("Invalid addr '\(text)'") }
    let oldPort = server.port
    var port = oldPort
    if words.count > 2, words[1] == "port" {
      guard let number = UInt16(words[2]), number > 0 else {
        return .failure("Invalid port '\(words[2])'")
      }
      port = number
    }
    var changes: [String] = []
    let old = server.address?.endpoint?.address
    if old != address {
      changes.append("IP changed from '\(old.map { "\($0)" } ?? "(none)")' to '\(address)'")
    }
    if port != oldPort { changes.append("port changed from '\(oldPort)' to '\(port)'") }
    guard !changes.isEmpty else { return .message(.warning, "nothing changed") }
    await services.keeper.setAddress(Endpoint(address: address, port: port), of: server.id)
    return .message(.warning, changes.joined(separator: ", ") + " by 'stats socket command'")
  }
}
