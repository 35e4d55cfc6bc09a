/// A fetch and the converters that follow it: `req.ssl_sni,lower`.
public struct SampleExpression: Equatable, Sendable {
  public enum Fetch: Equatable, Sendable {
    case source, sourcePort, destination, destinationPort
    /// `req.ssl_sni`
    case serverName
    /// `req.ssl_sni_crt`: whether the name in the hello is one of the bind's certificates'.
    case serverNameInCertificate
    /// `req.ssl_hello_type`
    case helloType
    /// `req.ssl_ver`: major × 65536 + minor.
    case helloVersion
    /// `req.ssl_alpn`: comma-separated.
    case applicationProtocols
    /// `req.len`
    case requestLength
    /// `payload(offset,length)`; length 0 is all there is.
    case payload(offset: Int, length: Int)
    /// `wait_end`
    case waitEnd
    case always(Bool)
    /// `req.proto_http`: whether the bytes begin like an HTTP request; decided once the first line
    /// is there, or cannot be one.
    case protocolHTTP
  }

  public enum Converter: Equatable, Sendable {
    case lower, upper
  }

  public var fetch: Fetch
  public var converters: [Converter]

  public init(fetch: Fetch, converters: [Converter] = []) {
    self.fetch = fetch
    self.converters = converters
  }
}
