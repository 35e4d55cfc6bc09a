import Configuration
import Linux

/// What one `bind` or `stats socket` line asks of the kernel.
struct ListenerSpecification: Equatable, Sendable {
  /// What makes two listeners the same over a reload: these cannot change once a socket is bound.
  struct Key: Hashable, Sendable {
    var address: BindAddress
    var interface: String?
    /// `v6only`: true, `v4v6`: false.
    var onlyIPv6: Bool?
    var isTransparent = false

    func hash(into hasher: inout Hasher) {
      switch address {
      case .socket(let address): hasher.combine(address)
      case .descriptor(let number): hasher.combine(number)
      case .descriptorName(let name): hasher.combine(name)
      }
    }
  }

  /// What can be set anew on a socket that is bound already.
  struct Options: Equatable, Sendable {
    /// Connections that may wait to be accepted; the kernel bounds it by `net.core.somaxconn`.
    var backlog = Self.defaultBacklog
    /// Nil on stats sockets, whose keepalive is left alone.
    var keepalive: Keepalive?
    /// Milliseconds.
    var userTimeout: Int?
    var deferAccept = false
    var fastOpen = false
    var maxSegmentSize: Int?
    /// Bytes.
    var receiveBuffer: Int?
    var sendBuffer: Int?
    var permissions = SocketPermissions()

    static let defaultBacklog = 4096
  }

  var key: Key
  var options = Options()
  /// As the file writes the address, for messages.
  var text: String

  /// The internet address that it listens at; nil for a unix socket or an inherited descriptor.
  var endpoint: Endpoint? {
    if case .socket(let address) = key.address { address.endpoint } else { nil }
  }
}

extension ListenerSpecification {
  init(_ bind: Bind, of frontend: Frontend, _ global: GlobalSettings) {
    key = Key(
      address: bind.address, interface: bind.interface, onlyIPv6: bind.dualStack.map { !$0 },
      isTransparent: bind.transparent)
    text = bind.text
    options.backlog =
      bind.backlog ?? frontend.backlog
      ?? max(frontend.maxConnections ?? 0, Options.defaultBacklog)
    options.keepalive = frontend.keepalive
    options.userTimeout = bind.userTimeout
    options.deferAccept = bind.deferAccept
    options.fastOpen = bind.fastOpen
    options.maxSegmentSize = bind.maxSegmentSize
    options.receiveBuffer = global.clientReceiveBuffer
    options.sendBuffer = global.clientSendBuffer
    options.permissions = bind.permissions
  }

  init(_ socket: StatsSocket) {
    key = Key(address: socket.address)
    text = socket.text
    options.permissions = socket.permissions
  }
}

/// All that one configuration listens at, in its order.
struct ListenerPlan: Equatable, Sendable {
  /// One bind line of one frontend.
  struct Entry: Equatable, Sendable {
    var specification: ListenerSpecification
    /// Indices into the configuration.
    var frontend: Int
    var bind: Int
  }

  var binds: [Entry] = []
  var statsSockets: [ListenerSpecification] = []
  /// How many sockets of one address there shall be, to spread connections over workers.
  var workers = 1
  /// `noreuseport`: all workers share one socket a line.
  var sharesSockets = false
}

extension ListenerPlan {
  init(_ configuration: ProxyConfiguration, workers: Int) {
    self.workers = workers
    sharesSockets = configuration.global.noReusePort
    for (index, frontend) in configuration.frontends.enumerated()
    where !frontend.identity.isDisabled {
      for (number, bind) in frontend.binds.enumerated() {
        let specification = ListenerSpecification(bind, of: frontend, configuration.global)
        binds.append(Entry(specification: specification, frontend: index, bind: number))
      }
    }
    statsSockets = configuration.global.statsSockets.map { ListenerSpecification($0) }
  }
}

/// Which held listener each wanted one is: the n-th of a key is the n-th held of it.
struct ListenerMatch: Equatable {
  /// By index of the wanted one: the index of the held one, or nil where one must be made.
  var held: [Int?]
  /// Indices of those held that nobody wants any more.
  var leftOver: [Int]

  init(
    wanted: [ListenerSpecification.Key], held keys: [ListenerSpecification.Key]
  ) {
    var available: [ListenerSpecification.Key: [Int]] = [:]
    for (index, key) in keys.enumerated().reversed() {
      available[key, default: []].append(index)
    }
    held = wanted.map { available[$0]?.popLast() }
    leftOver = Set(keys.indices).subtracting(held.compactMap(\.self)).sorted()
  }
}

/// Which of the sockets of one address a worker polls.
enum SlotShare {
  /// Every `workers`-th, beginning with its own: with fewer workers than sockets the spare ones are
  /// polled too, since a socket that nobody accepts from is a black hole for the connections that
  /// the kernel puts there.
  static func sockets(of worker: Int, workers: Int, sockets: Int) -> [Int] {
    guard sockets > 1 else { return sockets == 1 ? [0] : [] }
    return Array(stride(from: worker, to: sockets, by: workers))
  }
}
