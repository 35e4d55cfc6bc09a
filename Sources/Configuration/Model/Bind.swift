public import Linux

/// One `bind` line for one address: lists and ranges are several of them.
public struct Bind: Sendable {
  public var address: BindAddress
  /// `name`; `sock-N` in statistics where it is missing.
  public var name: String?
  public var id: Int?
  public var acceptsProxyHeader = false
  /// `ssl` on a tcp bind: carries TLS, and says so; see ``TLSPassthrough``.
  public var tls: TLSPassthrough?
  /// `v4v6`: true, `v6only`: false, neither: nil (the kernel's default).
  public var dualStack: Bool?
  public var backlog: Int?
  public var maxConnections: Int?
  public var interface: String?
  public var deferAccept = false
  public var fastOpen = false
  public var transparent = false
  /// `mss`.
  public var maxSegmentSize: Int?
  /// `tcp-ut`, milliseconds.
  public var userTimeout: Int?
  public var permissions = SocketPermissions()
  /// The address as the file writes it.
  public var text: String
  public var position: SourcePosition

  public init(address: BindAddress, text: String, position: SourcePosition) {
    self.address = address
    self.text = text
    self.position = position
  }
}

/// Where a listener is to be had.
public enum BindAddress: Equatable, Sendable {
  case socket(SocketAddress)
  /// `fd@N`.
  case descriptor(Int)
  /// `fd@NAME`: a `FileDescriptorName=` of a socket unit.
  case descriptorName(String)
}

/// `bind … ssl crt FILE …` in `mode tcp`: the listener carries TLS and never ends it.
public struct TLSPassthrough: Sendable {
  /// `crt`: whom the listener carries; no private key is needed or looked at.
  public var certificateFiles: [String] = []
  /// `strict-sni`: refuse a hello for a name that none of the certificates has.
  public var strictNames = false
  /// The certificates' names (SAN, else CN), lower-cased, `*.` wildcards as they are. Filled by the
  /// master before it forks: certificates are read by another process.
  public var certificateNames: [String] = []

  public init() {}
}
