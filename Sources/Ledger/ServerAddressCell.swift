public import Linux

extension GaugeBlock {
  /// The server's address as it was set at run time; nil where the configuration's stands.
  ///
  /// One process writes it, the controller. The version is odd while it does: a reader that sees it
  /// change reads again, but not for ever: a writer that was killed at it leaves it odd until its
  /// successor writes, and the configuration's address stands meanwhile.
  public var address: Endpoint? {
    for _ in 0..<10_000 {
      let version = self[.addressVersion].latest
      if version == 0 { return nil }
      guard version & 1 == 0 else { continue }
      let high = self[.addressHigh].value
      let low = self[.addressLow].value
      let port = self[.addressPort].value
      guard self[.addressVersion].exchange(version, for: version) else { continue }
      return port >> 63 == 0
        ? nil
        : Endpoint(
          address: IPAddress(high: high, low: low), port: UInt16(truncatingIfNeeded: port),
          scope: UInt32(truncatingIfNeeded: port >> 16 & 0xffff_ffff))
    }
    return nil
  }

  /// Sets the address, or with nil gives the configuration's back.
  public func setAddress(_ endpoint: Endpoint?) {
    let version = self[.addressVersion].value
    let isStale = version & 1 == 1  // the writer before us died at it
    self[.addressVersion].store(isStale ? version : version + 1)
    self[.addressHigh].store(endpoint?.address.high ?? 0)
    self[.addressLow].store(endpoint?.address.low ?? 0)
    self[.addressPort].store(
      endpoint.map { 1 << 63 | UInt64($0.scope) << 16 | UInt64($0.port) } ?? 0)
    self[.addressVersion].store(isStale ? version + 1 : version + 2)
  }
}
