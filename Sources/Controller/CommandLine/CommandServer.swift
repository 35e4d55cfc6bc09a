import Configuration
import NIOCore
import NIOPosix

/// Serves one stats socket: a listening socket that the master made and that outlives us.
struct CommandServer: Sendable {
  typealias ClientChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  let services: CommandServices
  let group: any EventLoopGroup
  /// What a new client starts with.
  let session: CommandSession
  /// `stats maxconn`: clients at a time; more wait in the socket's queue.
  let clientLimit: Int

  /// Takes over a listening socket, whose descriptor nothing else in the process may own.
  func open(
    inherited number: CInt
  ) async throws -> NIOAsyncChannel<ClientChannel, Never> {
    try await ServerBootstrap(group: group)
      // Tools send their command, close their half, and then read.
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .bind(number, cleanupExistingSocketFile: false) { channel in
        channel.eventLoop.makeCompletedFuture {
          try ClientChannel(wrappingChannelSynchronously: channel)
        }
      }
  }

  /// Serves until the listening channel is closed and the last client has gone, or until cancelled.
  func serve(_ listener: NIOAsyncChannel<ClientChannel, Never>) async throws {
    try await listener.executeThenClose { clients in
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        var count = 0
        for try await client in clients {
          tasks.addTask { await serve(client) }
          count += 1
          if count >= clientLimit {
            _ = try await tasks.next()
            count -= 1
          }
        }
        try await tasks.waitForAll()
      }
    }
  }

  /// Serves one client, who may leave at any moment: that is no error.
  private func serve(_ client: ClientChannel) async {
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
