import Glibc

/// An address in the kernel's form: `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
struct KernelAddress {
  /// Room for the longest, `sockaddr_storage` (128 bytes), aligned as that is.
  private var storage = InlineArray<16, UInt64>(repeating: 0)
  private(set) var length: UInt32 = 0

  /// An empty one for the kernel to fill.
  init() { length = 128 }

  init(_ endpoint: Endpoint) {
    if endpoint.address.isIPv4 {
      put(UInt16(AF_INET), at: 0)
      put(endpoint.port.bigEndian, at: 2)
      put(endpoint.address.ipv4.bigEndian, at: 4)
      length = 16
    } else {
      put(UInt16(AF_INET6), at: 0)
      put(endpoint.port.bigEndian, at: 2)
      put(endpoint.address.high.bigEndian, at: 8)
      put(endpoint.address.low.bigEndian, at: 16)
      put(endpoint.scope, at: 24)
      length = 28
    }
  }

  /// - Throws: `ENAMETOOLONG` when a path or abstract name does not fit.
  init(_ address: SocketAddress) throws(Errno) {
    switch address {
    case .internet(let endpoint): self.init(endpoint)
    case .unix(let path): try self.init(name: path.utf8, offset: 2, terminated: true)
    case .abstract(let name):
      try self.init(name: name.utf8, offset: 3, terminated: false)
      // As the reference's `abns@`: the name is all the bytes that there are, zeroes included.
      length = 110
    }
  }

  private init(name: String.UTF8View, offset: Int, terminated: Bool) throws(Errno) {
    guard name.count <= SocketAddress.longestPath else { throw Errno(ENAMETOOLONG) }
    put(UInt16(AF_UNIX), at: 0)
    var position = offset
    for byte in name {
      put(byte, at: position)
      position += 1
    }
    length = UInt32(position + (terminated ? 1 : 0))
  }

  /// The IP end it names; `.none` for a unix socket.
  var endpoint: Endpoint {
    switch get(UInt16.self, at: 0) {
    case UInt16(AF_INET):
      let number = UInt32(bigEndian: get(UInt32.self, at: 4))
      return Endpoint(address: IPAddress(ipv4: number), port: port)
    case UInt16(AF_INET6):
      let address = IPAddress(
        high: UInt64(bigEndian: get(UInt64.self, at: 8)),
        low: UInt64(bigEndian: get(UInt64.self, at: 16)))
      return Endpoint(address: address, port: port, scope: get(UInt32.self, at: 24))
    default:
      return .none
    }
  }

  /// What it names. Nil for another family, or an unnamed unix socket.
  var socketAddress: SocketAddress? {
    switch get(UInt16.self, at: 0) {
    case UInt16(AF_INET), UInt16(AF_INET6): .internet(endpoint)
    case UInt16(AF_UNIX) where length > 2:
      get(UInt8.self, at: 2) == 0
        ? .abstract(name: text(from: 3)) : .unix(path: text(from: 2))
    default: nil
    }
  }

  private var port: UInt16 { UInt16(bigEndian: get(UInt16.self, at: 2)) }

  private func text(from start: Int) -> String {
    var bytes: [UInt8] = []
    for position in start..<min(Int(length), 128) {
      let byte = get(UInt8.self, at: position)
      if byte == 0 { break }
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func put<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    var span = storage.mutableSpan
    var bytes = unsafe span.mutableBytes
    bytes.storeBytes(of: value, toByteOffset: offset, as: Value.self)
  }

  private func get<Value: BitwiseCopyable>(_ type: Value.Type, at offset: Int) -> Value {
    unsafe storage.span.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self)
  }

  /// Lends the bytes to a call that reads them.
  func withPointer(_ call: (UnsafeRawPointer, UInt32) -> CInt) -> CInt {
    unsafe storage.span.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return -EFAULT }
      return unsafe call(base, length)
    }
  }

  /// Lends the bytes to a call that fills them in.
  mutating func withMutablePointer(
    _ call: (UnsafeMutableRawPointer, UnsafeMutablePointer<UInt32>) -> CInt
  ) -> CInt {
    var filled = length
    var span = storage.mutableSpan
    let result = unsafe span.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return -EFAULT }
      return unsafe withUnsafeMutablePointer(to: &filled) { unsafe call(base, $0) }
    }
    length = filled
    return result
  }
}
