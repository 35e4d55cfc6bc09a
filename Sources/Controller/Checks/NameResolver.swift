import Configuration
import Linux
import NIOCore
import NIOPosix

/// Finds the addresses of servers that the file gives by name, and follows them.
///
/// The C library is asked (nsswitch.conf, /etc/hosts and all), which blocks: on threads of its own.
struct NameResolver: Sendable {
  static let interval = Duration.seconds(30)

  let deployment: Deployment
  let keeper: ServerKeeper
  let pool: NIOThreadPool

  /// Asks for every name once.
  func resolveAll() async {
    await withDiscardingTaskGroup { group in
      for (name, servers) in serversByName {
        group.addTask {
          let address = try? await Self.address(of: name, pool)
          for server in servers { await keeper.resolved(address, of: server) }
        }
      }
    }
  }

  /// Asks again and again, until cancelled.
  func run() async {
    while (try? await Task.sleep(for: Self.interval)) != nil { await resolveAll() }
  }

  /// One question a name, however many servers have it.
  private var serversByName: [String: [ServerID]] {
    var servers: [String: [ServerID]] = [:]
    for id in deployment.servers {
      guard case .name(let name) = deployment.server(id).settings.address.host else { continue }
      servers[name, default: []].append(id)
    }
    return servers
  }

  private static func address(of name: String, _ pool: NIOThreadPool) async throws -> IPAddress? {
    try await pool.runIfActive {
      let found = try NIOCore.SocketAddress.makeAddressResolvingHost(name, port: 0)
      return found.ipAddress.flatMap { IPAddress($0.prefix { $0 != "%" }) }
    }
  }
}
