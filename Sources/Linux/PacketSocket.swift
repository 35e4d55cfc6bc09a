import CLinux
import Glibc

extension Descriptor {
  /// The longest packet that sluice's processes send each other, in bytes.
  public static let longestPacket = 64 * 1024

  /// Sends one packet over a socket that keeps packets apart, with a copy of `rights` beside it.
  ///
  /// Descriptors in flight are limited to the sender's RLIMIT_NOFILE until they are received:
  /// beyond it the kernel says `ETOOMANYREFS`.
  ///
  /// - Returns: whether it was sent; if not, the receiver's queue is full.
  /// - SeeAlso: sendmsg(2), `SCM_RIGHTS` in unix(7).
  public borrowing func sendPacket(
    _ bytes: Span<UInt8>, rights: [CInt] = []
  ) throws(Errno) -> Bool {
    let number = number
    let result = unsafe bytes.withUnsafeBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return -Int64(EINVAL) }
      return unsafe rights.withUnsafeBufferPointer { rights in
        unsafe clinux_send_descriptors(
          number, base, bytes.count, rights.baseAddress, CInt(rights.count))
      }
    }
    if result == -Int64(EAGAIN) { return false }
    if result < 0 { throw Errno(CInt(-result)) }
    return true
  }

  /// Receives one packet into `buffer`, its descriptors into `rights`.
  ///
  /// - Throws: `EMSGSIZE` when the packet is longer than the buffer; it is lost then.
  public borrowing func receivePacket(
    into buffer: inout [UInt8], rights: inout [CInt]
  ) throws(Errno) -> Transfer {
    let number = number
    var count = CInt(maxRights)
    var numbers = InlineArray<253, CInt>(repeating: -1)
    var span = numbers.mutableSpan
    let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return -Int64(EINVAL) }
      return unsafe span.withUnsafeMutableBufferPointer { rights -> Int64 in
        guard let room = rights.baseAddress else { return -Int64(EINVAL) }
        return unsafe clinux_recv_descriptors(number, base, bytes.count, room, &count)
      }
    }
    if result == -Int64(EAGAIN) { return .blocked }
    if result < 0 { throw Errno(CInt(-result)) }
    for index in 0..<Int(count) { rights.append(numbers[index]) }
    return result == 0 ? .ended : .moved(Int(result))
  }

  /// Takes ownership of a number that `receivePacket` delivered.
  public static func received(_ number: CInt) -> Descriptor {
    Descriptor(adopting: number)
  }
}

/// `SCM_MAX_FD`: most descriptors beside one packet.
private let maxRights = 253
