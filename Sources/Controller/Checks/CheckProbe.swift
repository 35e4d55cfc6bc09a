import Configuration
import Glibc
import Linux
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Wire

/// What a check tries to reach, and how.
struct CheckTarget: Sendable {
  var address: Linux.SocketAddress
  /// `source`: the address to connect from.
  var source: Linux.SocketAddress?
  var proxyHeader = SendProxy.none
  /// How long connecting may take; without `timeout check` the whole check.
  var timeoutMilliseconds: Int
  /// `timeout check`: how long what follows may take.
  var answerMilliseconds: Int?
  var tls: CheckTLS?
  /// Whether the server is up: `disable-on-404` is about those who are.
  var isUp = true
  /// As `http-check send-state` sends it.
  var state = ""
}

/// Checks servers.
struct CheckProbe: Sendable {
  let group: any EventLoopGroup
  var patterns = CheckPatterns([])
  let contexts = TLSContexts()

  /// Most checks are plain connections, and those are made as cheaply as possible.
  func check(_ target: CheckTarget, _ script: CheckScript = CheckScript()) async -> CheckResult {
    guard script.isPlainConnection, target.tls == nil else {
      var conversation = CheckConversation(script, target, self)
      return await conversation.run()
    }
    let start = Clock.monotonic
    let (status, error) = await connect(to: target)
    return CheckResult(
      status: status, error: error,
      milliseconds: UInt64(max(0, Clock.monotonic - start)) / 1_000_000)
  }

  private func connect(to target: CheckTarget) async -> (CheckStatus, Errno?) {
    switch target.address {
    case .internet(let endpoint):
      do {
        return try await connect(to: endpoint, target)
      } catch let error as IOError {
        return Self.outcome(Errno(error.errnoCode))
      } catch ChannelError.connectTimeout {
        return (.layer4Timeout, nil)
      } catch {
        return (.socketError, nil)
      }
    case .unix, .abstract:
      return connect(toLocal: target.address)
    }
  }

  private func connect(
    to endpoint: Endpoint, _ target: CheckTarget
  ) async throws -> (CheckStatus, Errno?) {
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(target.timeoutMilliseconds)))
    if let source = target.source?.endpoint {
      _ = bootstrap.bind(to: try NIOCore.SocketAddress(source))
    }
    let channel = try await bootstrap.connect(to: NIOCore.SocketAddress(endpoint)).get()
    if target.proxyHeader == .none {
      try await Self.resetOnClose(channel)
    } else {
      // A reset would throw away a header that the server has not read yet, and the server would
      // complain: this check ends in order, at the price of one port in TIME_WAIT.
      try await channel.writeAndFlush(Self.header(target.proxyHeader)).get()
    }
    try? await channel.close().get()
    return (.layer4OK, nil)
  }

  /// Connections of checks come by the thousand, always from here: closed with a reset none of them
  /// stays behind in TIME_WAIT, here or there.
  private static func resetOnClose(_ channel: any Channel) async throws {
    guard let options = channel as? any SocketOptionProvider else { return }
    try await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
  }

  /// Unix sockets accept or refuse at once.
  private func connect(toLocal address: Linux.SocketAddress) -> (CheckStatus, Errno?) {
    do throws(Errno) {
      _ = try Descriptor.socket(.stream, for: address).connect(to: address)
      return (.layer4OK, nil)
    } catch {
      return Self.outcome(error)
    }
  }

  static func outcome(_ error: Errno) -> (CheckStatus, Errno?) {
    if error == .timedOut { return (.layer4Timeout, nil) }
    let isOurs = error.isExhaustion || error == .addressNotAvailable
    return (isOurs ? .socketError : .layer4Connection, error)
  }

  /// A check speaks for nobody: version 2 has a word for it, version 1 says that it does not know.
  static func header(_ version: SendProxy) -> ByteBuffer {
    var bytes = [UInt8](repeating: 0, count: ProxyHeader.maximumEncodedLength)
    var span = bytes.mutableSpan
    let count =
      switch version {
      case .none: 0
      case .version1: ProxyHeader.encodeV1(source: .none, destination: .none, into: &span)
      case .version2: ProxyHeader.encodeLocal(into: &span)
      }
    return ByteBuffer(bytes: bytes[..<count])
  }
}

/// TLS as checks speak it, made once for each way.
final class TLSContexts: Sendable {
  private let made = Mutex<[(settings: CheckTLS, context: NIOSSLContext)]>([])

  /// - Throws: what NIOSSL throws when the file with authorities is none.
  func context(for settings: CheckTLS) throws -> NIOSSLContext {
    try made.withLock { made in
      if let known = made.first(where: { $0.settings == settings }) { return known.context }
      var configuration = TLSConfiguration.makeClientConfiguration()
      // Servers of long ago are to be checked too; nothing secret is told to them.
      configuration.minimumTLSVersion = .tlsv1
      configuration.applicationProtocols = settings.protocols
      if settings.trustsAnyone {
        configuration.certificateVerification = .none
      } else {
        configuration.certificateVerification =
          settings.serverName == nil ? .noHostnameVerification : .fullVerification
        if let file = settings.authorities { configuration.trustRoots = .file(file) }
      }
      let context = try NIOSSLContext(configuration: configuration)
      made.append((settings, context))
      return context
    }
  }
}

extension NIOCore.SocketAddress {
  init(_ endpoint: Endpoint) throws {
    let address = endpoint.address
    let bytes = (address.isIPv4 ? 12..<16 : 0..<16).map { address[$0] }
    try self.init(packedIPAddress: ByteBuffer(bytes: bytes), port: Int(endpoint.port))
  }
}
