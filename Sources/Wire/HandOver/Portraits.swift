// What a connection's next owner is told of the configuration that the connection came with, for
// where its own has no such thing any more. Timeouts are milliseconds, nil for none.

/// A frontend, as far as connections that are in need it.
public struct FrontendPortrait: Equatable, Sendable {
  public var name: String
  /// Its slot in the ledger.
  public var slot: Int
  public var clientTimeout: Int64?
  public var clientFinTimeout: Int64?
  public var noLinger = false
  public var isLogged = false

  public init(name: String, slot: Int) {
    self.name = name
    self.slot = slot
  }
}

/// A listener.
public struct ListenerPortrait: Equatable, Sendable {
  public var slot: Int
  /// The name in log lines, and the number that stands for a port on a unix socket.
  public var name: String
  public var number: Int
  public var carriesTLS = false
  public var checksNames = false

  public init(slot: Int, name: String, number: Int) {
    self.slot = slot
    self.name = name
    self.number = number
  }
}

public struct BackendPortrait: Equatable, Sendable {
  public var name: String
  public var slot: Int
  public var connectTimeout: Int64?
  public var serverTimeout: Int64?
  public var serverFinTimeout: Int64?
  public var tunnelTimeout: Int64?
  public var noLinger = false

  public init(name: String, slot: Int) {
    self.name = name
    self.slot = slot
  }
}

public struct ServerPortrait: Equatable, Sendable {
  public var name: String
  public var slot: Int
  /// Its address as the file wrote it.
  public var text: String
  /// Where it is, unless that is a name, a path or the client's choice.
  public var address = WireAddress.none
  /// The version of the PROXY header that it wants; 0 for none.
  public var proxyHeader: UInt8 = 0

  public init(name: String, slot: Int, text: String) {
    self.name = name
    self.slot = slot
    self.text = text
  }
}
