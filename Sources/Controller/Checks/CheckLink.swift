import Configuration
import Glibc
import Linux
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// One connection of a check: what happens on it comes as a stream, for one reader.
struct CheckLink: Sendable {
  enum Event: Sendable {
    case bytes([UInt8])
    /// The TLS handshake is done.
    case secured
    case failed(any Error)
    case ended
    /// The time that the check has is up.
    case expired
  }

  /// The longest answer that is looked at, in bytes: what comes after it is not read.
  static let longestAnswer = 16_384

  let channel: any Channel
  let events: AsyncStream<Event>
  private let sink: AsyncStream<Event>.Continuation

  /// - Throws: what NIO throws when it cannot connect.
  static func open(
    to address: NIOCore.SocketAddress, from source: Endpoint?, within milliseconds: Int,
    on group: any EventLoopGroup
  ) async throws -> CheckLink {
    // Bytes are bounded by the inbox, and so are their events.
    let (events, sink) = AsyncStream<Event>.makeStream()
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(milliseconds)))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(CheckInbox(sink))
        }
      }
    if let source { _ = bootstrap.bind(to: try NIOCore.SocketAddress(source)) }
    let channel = try await bootstrap.connect(to: address).get()
    return CheckLink(channel: channel, events: events, sink: sink)
  }

  func send(_ bytes: [UInt8]) async throws {
    try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
  }

  /// Begins TLS on what is connected already: a PROXY header goes before it, in the clear.
  func secure(_ context: NIOSSLContext, serverName: String?) async throws {
    let channel = channel
    try await channel.eventLoop.submit {
      let handler = try NIOSSLClientHandler(context: context, serverHostname: serverName)
      try channel.pipeline.syncOperations.addHandler(handler, position: .first)
    }.get()
  }

  /// Tells the reader when time is up.
  func expire(after milliseconds: Int) -> Scheduled<Void> {
    let sink = sink
    return channel.eventLoop.scheduleTask(in: .milliseconds(Int64(max(0, milliseconds)))) {
      sink.yield(.expired)
    }
  }

  /// Connections of checks come by the thousand, always from here: closed with a reset none of them
  /// stays behind in TIME_WAIT, here or there. Where something was sent, a reset might throw it
  /// away before the server has read it.
  func close(withReset: Bool) async {
    if withReset, let options = channel as? any SocketOptionProvider {
      try? await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
    }
    // TLS would wait for the server's goodbye.
    channel.close(promise: nil)
    sink.finish()
  }
}

/// Hands on what comes in, up to the longest answer.
private final class CheckInbox: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let sink: AsyncStream<CheckLink.Event>.Continuation
  private var room = CheckLink.longestAnswer

  init(_ sink: AsyncStream<CheckLink.Event>.Continuation) { self.sink = sink }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    let bytes = Array(buffer.readableBytesView.prefix(room))
    room -= bytes.count
    if !bytes.isEmpty { sink.yield(.bytes(bytes)) }
    if room == 0 {
      sink.yield(.ended)
      context.close(promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { sink.yield(.secured) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Many servers close without TLS's goodbye: no attack on a check.
    if case NIOSSLError.uncleanShutdown? = error as? NIOSSLError { return }
    sink.yield(.failed(error))
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    sink.yield(.ended)
    context.fireChannelInactive()
  }
}
