public import Configuration
import Ledger
public import Linux
import NIOCore
import NIOPosix
import Wire

/// The controller: health checks, names, and operators' commands.
///
/// It is unprivileged, and nothing depends on its staying alive: workers go on with the last known
/// states, and the master starts another.
public struct ControllerProcess: Sendable {
  let services: CommandServices
  private let port: FabricPort
  private let keeper: ServerKeeper
  private let deployment: Deployment
  private let sockets: [ControlSocket]
  private let group: MultiThreadedEventLoopGroup

  /// How long clients may stay once another controller has taken over: what they have asked for is
  /// answered, and nothing of a generation is left a second after a reload.
  private static let farewell = Duration.milliseconds(800)
  /// How long the first answers for names may take until the controller counts as ready.
  private static let nameBound = Duration.seconds(5)

  /// A stats socket, inherited listening.
  public struct ControlSocket: Sendable {
    public var number: CInt
    public var address: String
    public var level: StatsSocket.Level
    public var severityOutput: StatsSocket.SeverityOutput

    public init(
      number: CInt, address: String, level: StatsSocket.Level,
      severityOutput: StatsSocket.SeverityOutput
    ) {
      self.number = number
      self.address = address
      self.level = level
      self.severityOutput = severityOutput
    }
  }

  public init(
    deployment: Deployment, master: consuming Descriptor, sockets: [ControlSocket]
  ) throws(Errno) {
    let port = try FabricPort(master: master)
    let desk = WorkerDesk(port: port)
    let board = CheckBoard()
    let log = EventLog(deployment.configuration.global)
    let keeper = ServerKeeper(deployment: deployment, board: board, log: log, workers: desk)
    services = CommandServices(
      deployment: deployment, keeper: keeper, desk: desk, board: board,
      baseline: CounterBaseline(), sockets: sockets.map { ($0.address, $0.level) })
    self.port = port
    self.keeper = keeper
    self.deployment = deployment
    self.sockets = sockets
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  /// Works until the master says stop, or is gone.
  public func run() async throws {
    await keeper.settle()
    let stopping = group.next().makePromise(of: Void.self)
    let threads = NIOThreadPool(numberOfThreads: 3)
    threads.start()
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await threads.runIfActive { try runFabric() } }
      tasks.addTask { await obey(stopping) }
      tasks.addTask { await checkHealth() }
      tasks.addTask { await followNames(threads) }
      await serve(until: stopping.futureResult)
      port.end()
      tasks.cancelAll()
    }
    try await threads.shutdownGracefully()
    try await group.shutdownGracefully()
  }

  private func runFabric() throws {
    var thread = try FabricThread(port)
    try thread.run()
  }

  private func checkHealth() async {
    await HealthChecker(
      deployment: deployment, keeper: keeper, board: services.board,
      probe: CheckProbe(
        group: group, patterns: CheckPatterns(deployment.configuration.backends.map(\.check)))
    ).run()
  }
}

// MARK: - Names

extension ControllerProcess {
  /// Asks for names, says that the controller is ready once they are known, and goes on asking.
  private func followNames(_ threads: NIOThreadPool) async {
    let resolver = NameResolver(deployment: deployment, keeper: keeper, pool: threads)
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await resolver.resolveAll() }
      tasks.addTask { try? await Task.sleep(for: Self.nameBound) }
      await tasks.next()
      port.sendToMaster(.controllerReady)
      // Who is still being asked for is not forgotten: the rest of the answers is waited for.
    }
    await resolver.run()
  }
}

// MARK: - The fabric

extension ControllerProcess {
  /// Hears what master and workers say, for as long as they do.
  private func obey(_ stopping: EventLoopPromise<Void>) async {
    let desk = services.desk
    for await event in port.events {
      switch event {
      case .worker(let lane, let message): await desk.heard(message, from: lane)
      case .workers(let lanes): await desk.heard(workers: lanes)
      case .master(.stop): stopping.succeed()
      case .master(let message): await desk.heardFromMaster(message)
      // Its successor will have a controller of its own, on the same sockets: two would both check
      // and both answer.
      case .masterGone: stopping.succeed()
      }
    }
    stopping.succeed()
  }
}

// MARK: - Sockets

extension ControllerProcess {
  /// Serves all sockets until told to stop; then lets clients finish, for a while.
  private func serve(until stopping: EventLoopFuture<Void>) async {
    await withTaskGroup(of: Ending.self) { tasks in
      for socket in sockets {
        tasks.addTask {
          await serve(socket, until: stopping)
          return .clientsGone
        }
      }
      try? await stopping.get()
      tasks.addTask {
        try? await Task.sleep(for: Self.farewell)
        return .timeIsUp
      }
      for _ in sockets where await tasks.next() == .timeIsUp { break }
      tasks.cancelAll()
    }
  }

  /// Why a part of serving ended.
  private enum Ending: Sendable {
    case clientsGone, timeIsUp
  }

  private func serve(_ socket: ControlSocket, until stopping: EventLoopFuture<Void>) async {
    let global = deployment.configuration.global
    let server = CommandServer(
      services: services, group: group,
      session: CommandSession(
        level: socket.level, severityOutput: socket.severityOutput,
        timeout: .milliseconds(global.statsTimeout)),
      clientLimit: max(1, global.statsMaxConnections))
    do {
      let listener = try await server.open(inherited: socket.number)
      stopping.whenComplete { _ in listener.channel.close(promise: nil) }
      await server.serve(listener)
    } catch {
      EventLog(global).tellOperator(
        .warning, "stats socket \(socket.address) is not served: \(error)")
    }
  }
}
