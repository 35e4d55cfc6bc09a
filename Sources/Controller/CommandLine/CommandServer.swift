import Configuration
import NIOCore
import NIOPosix
import Synchronization

/// Serves one stats socket: a listening socket that the master made and that outlives us.
struct CommandServer: Sendable {
  typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  let services: CommandServices
  let group: any EventLoopGroup
  /// What a new client starts with.
  let session: CommandSession
  /// `stats maxconn`: clients at a time; more wait in the socket's queue.
  let clientLimit: Int

  /// A listening socket, and those whom it has accepted.
  struct Listener: Sendable {
    let channel: any Channel
    let clients: AsyncStream<Client>
  }

  /// Takes over a listening socket, whose descriptor nothing else in the process may own.
  ///
  /// Clients are handed on through a stream of our own: NIO's async server channel drops whom it
  /// has accepted in the moment in which it closes, and an async channel that is dropped before it
  /// was served ends the process.
  func open(inherited number: CInt) async throws -> Listener {
    let (clients, arrivals) = AsyncStream<Client>.makeStream()
    let channel = try await ServerBootstrap(group: group)
      // Tools send their command, close their half, and then read.
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let client = try Client(wrappingChannelSynchronously: channel)
          if case .terminated = arrivals.yield(client) { Self.turnAway(client) }
        }
      }
      .withBoundSocket(number).get()
    channel.closeFuture.whenComplete { _ in arrivals.finish() }
    return Listener(channel: channel, clients: clients)
  }

  /// Closes on who came in the moment in which the listener closed.
  private static func turnAway(_ client: Client) {
    Task { try? await client.executeThenClose { _, _ in } }
  }

  /// Serves until the listener is closed and the last client has gone, or until cancelled.
  func serve(_ listener: Listener) async {
    let count = ClientCount()
    await withDiscardingTaskGroup { tasks in
      for await client in listener.clients {
        await change(count, by: 1, listener)
        tasks.addTask {
          await serve(client)
          await change(count, by: -1, listener)
        }
      }
    }
  }

  /// Counts clients. When there are enough, who comes next waits in the socket's queue; those whom
  /// the listener has accepted by then are served all the same.
  private func change(_ count: ClientCount, by step: Int, _ listener: Listener) async {
    let now = count.add(step)
    let isFull = now >= clientLimit
    guard isFull != (now - step >= clientLimit) else { return }
    try? await listener.channel.setOption(.autoRead, value: !isFull).get()
  }

  /// Serves one client, who may leave at any moment: that is no error.
  private func serve(_ client: Client) async {
    let watch = IdleWatch(session.timeout)
    try? await client.executeThenClose { input, output in
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await watch.expire() }
        tasks.addTask {
          try await CommandClient(services: services, idle: watch).serve(session, input, output)
        }
        defer { tasks.cancelAll() }
        try await tasks.next()
      }
    }
  }
}

/// How many clients a socket has.
private final class ClientCount: Sendable {
  private let count = Mutex(0)

  /// Adds, and returns how many there are then.
  func add(_ step: Int) -> Int {
    count.withLock { count in
      count += step
      return count
    }
  }
}
