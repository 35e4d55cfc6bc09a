import Configuration
import Ledger
import Linux

/// Why a controller cannot begin.
public struct ControllerStartError: Error, CustomStringConvertible, Sendable {
  public let description: String
}

extension ControllerProcess {
  /// What the master says on the command line.
  public struct Order: Sendable {
    public var generation: UInt64
    /// Whether the default control socket could be made.
    public var hasControlSocket: Bool
    /// Stats sockets, the default control socket not counted.
    public var statsSockets: Int
    public var workers: Int
    /// Connections that all workers together may carry; 0 when the master does not say.
    public var maxConnections: Int
    /// When the daemon began, in seconds since 1970; nil when the master does not say.
    public var started: UInt64?

    public init(
      generation: UInt64, hasControlSocket: Bool = true, statsSockets: Int, workers: Int,
      maxConnections: Int, started: UInt64? = nil
    ) {
      self.generation = generation
      self.hasControlSocket = hasControlSocket
      self.statsSockets = statsSockets
      self.workers = workers
      self.maxConnections = maxConnections
      self.started = started
    }
  }

  /// The numbers of the descriptors that the master leaves open, the first of a row in the last case.
  private enum Inherited {
    static let master: CInt = 3
    static let ledger: CInt = 4
    static let snapshot: CInt = 5
    static let sockets: CInt = 6
  }

  /// Takes up what the master left open: the fabric, the ledger, the configuration, and listening
  /// sockets, the default control socket first.
  public static func inherited(_ order: Order) throws -> ControllerProcess {
    guard let master = Descriptor.inherited(Inherited.master),
      let memory = Descriptor.inherited(Inherited.ledger),
      let snapshot = Descriptor.inherited(Inherited.snapshot)
    else {
      throw ControllerStartError(
        description: "descriptors 3, 4 and 5 are not open: it is sluice that starts this program")
    }
    let files = try ConfigurationSnapshot(decoding: snapshot.contents())
    let configuration = try configuration(of: files)
    let ledger = try LedgerFile(adopting: memory).ledger
    let slots = SlotMap.finding(for: configuration, in: SlotDirectory(ledger))
    guard let slots else {
      throw ControllerStartError(description: "the ledger was made for another configuration")
    }
    var deployment = Deployment(
      configuration: configuration, slots: slots, ledger: ledger, generation: order.generation,
      workerCount: order.workers, maxConnections: order.maxConnections,
      daemonStart: order.started)
    deployment.snapshot = files
    return try ControllerProcess(
      deployment: deployment, master: master, sockets: sockets(configuration, order))
  }

  private static func configuration(
    of snapshot: ConfigurationSnapshot
  ) throws -> ProxyConfiguration {
    let result = ConfigurationLoader.load(snapshot: snapshot)
    guard let configuration = result.configuration else {
      // The master has loaded the very same bytes.
      throw ControllerStartError(description: "the configuration cannot be used:\n" + result.report)
    }
    return configuration
  }

  private static func sockets(
    _ configuration: ProxyConfiguration, _ order: Order
  ) -> [ControlSocket] {
    let configured = configuration.global.statsSockets.prefix(order.statsSockets)
    var served = configured.map { ($0.level, $0.severityOutput) }
    if order.hasControlSocket { served.insert((.admin, .none), at: 0) }
    return served.enumerated().map { place, socket in
      let number = Inherited.sockets + CInt(place)
      return ControlSocket(
        number: number, address: address(of: number), level: socket.0, severityOutput: socket.1)
    }
  }

  /// As `show cli sockets` shows it.
  private static func address(of number: CInt) -> String {
    let address = (try? Descriptor.duplicate(ofNumber: number))?.localAddress()
    return switch address {
    case .internet(let endpoint)?: (endpoint.address.isIPv4 ? "ipv4@" : "ipv6@") + "\(endpoint)"
    case .unix(let path)?: "unix@" + path.withoutTemporaryEnding
    case .abstract(let name)?: "abns@" + name
    case nil: "unknown"
    }
  }
}

extension String {
  /// The path without `.PID.tmp`. The kernel remembers the name that a socket was bound to, which
  /// is a temporary one: it is renamed over the socket of a predecessor.
  fileprivate var withoutTemporaryEnding: String {
    let parts = split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count > 2, parts.last == "tmp", Int(parts[parts.count - 2]) != nil else {
      return self
    }
    return parts.dropLast(2).joined(separator: ".")
  }
}
