import Linux
import Wire

enum AddressReader {
  /// The address that is all of a text; nil for anything else.
  static func address(in text: Span<UInt8>) -> IPAddress? {
    guard let address = WireAddress.reading(text) else { return nil }
    return switch address.family {
    case .inet: IPAddress(ipv4: address.inetNumber)
    case .inet6: IPAddress(high: address.high, low: address.low)
    case .none, .unix: nil
    }
  }
}
