import Glibc
import Testing

@testable import Linux

@Suite("IP addresses")
struct AddressTests {
  @Test(
    "text is RFC 5952's",
    arguments: [
      ("0:0:0:0:0:0:0:0", "::"),
      ("0:0:0:0:0:0:0:1", "::1"),
      ("1:0:0:0:0:0:0:0", "1::"),
      ("2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"),
      ("2001:0db8::0001", "2001:db8::1"),
      // One group of zeroes is not shortened (section 4.2.2).
      ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
      // The longest run is, and the first of equals (4.2.3).
      ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
      ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
      ("::1.2.3.4", "::102:304"),
      ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
      ("::ffff:192.0.2.1", "192.0.2.1"),
      ("255.255.255.255", "255.255.255.255"),
      ("0.0.0.0", "0.0.0.0"),
    ])
  func text(_ given: String, _ written: String) throws {
    let address = try #require(IPAddress(given))
    #expect(address.description == written)
    #expect(AddressText(address).string == written)
  }

  @Test(
    "what is not an address is refused",
    arguments: [
      "", " ", "1", "1.2", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", " 1.2.3.4", "1.2.3.256", "01.2.3.4",
      "1.2.3.04", "0x7f.0.0.1", "1..2.3", "1.2.3.", ".1.2.3", "-1.2.3.4", "1.2.3.4/24",
      "1.2.3.1000",
      ":", ":::", "1:", ":1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::",
      "1:2:3:4::5:6:7:8", "::1:2:3:4:5:6:7:8", "[::1]", "::1%lo", "fe80::1%1", "g::", "::1.2.3",
      "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "١.٢.٣.٤",
    ])
  func refused(_ text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test("reads and writes what the C library does")
  func againstTheLibrary() {
    var random = SeededGenerator(state: 1)
    for _ in 0..<20_000 {
      let text = Self.nearlyAddress(&random)
      let address = IPAddress(text)
      #expect(address?.bytes == Self.library(text), "\(text)")
      guard let address else { continue }
      #expect(IPAddress(address.description) == address, "\(text)")
      #expect(AddressText(address).string == address.description, "\(text)")
    }
  }

  /// Text that is often an address: groups, gaps and dots in about the right places.
  private static func nearlyAddress(_ random: inout SeededGenerator) -> String {
    var text = ""
    let isShort = random.next() % 4 == 0
    for index in 0..<Int.random(in: isShort ? 4...4 : 1...8, using: &random) {
      if index > 0 { text += isShort ? "." : random.next() % 4 == 0 ? "::" : ":" }
      let value = random.next() % [1, 2, 300, 65_536][Int(random.next() % 4)]
      text += String(value, radix: isShort ? 10 : 16)
    }
    if !isShort, random.next() % 3 == 0 { text = "::" + text }
    if !isShort, random.next() % 5 == 0 { text += "::" }
    if !isShort, random.next() % 5 == 0 { text += ":1.2.3.\(random.next() % 260)" }
    return text
  }

  /// The sixteen bytes that inet_pton(3) reads, which is as strict as it should be.
  private static func library(_ text: String) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16)
    if text.contains(":") { return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil }
    guard inet_pton(AF_INET, text, &bytes) == 1 else { return nil }
    return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] + bytes[..<4]
  }

  @Test("bytes are in network order")
  func bytes() throws {
    let six = try #require(IPAddress("102:304:506:708:90a:b0c:d0e:f10"))
    #expect(six.bytes == Array(1...16))
    #expect(!six.isIPv4)
    let four = try #require(IPAddress("10.11.12.13"))
    #expect(four.bytes.suffix(4) == [10, 11, 12, 13])
    #expect(four.isIPv4 && four.ipv4 == 0x0a0b_0c0d)
    #expect(IPAddress.anyIPv4.isUnspecified && IPAddress.anyIPv6.isUnspecified)
    #expect(!IPAddress.loopback.isUnspecified && !IPAddress.loopback6.isUnspecified)
  }

  @Test("ends are written as URLs write them")
  func endpoints() {
    #expect(Endpoint(address: .loopback, port: 443).description == "127.0.0.1:443")
    #expect(Endpoint(address: .loopback6, port: 443).description == "[::1]:443")
    #expect(SocketAddress.unix(path: "/run/x.sock").description == "/run/x.sock")
    #expect(SocketAddress.abstract(name: "x").description == "abns@x")
  }
}

extension IPAddress {
  fileprivate var bytes: [UInt8] { (0..<16).map { self[$0] } }
}

extension AddressText {
  fileprivate var string: String {
    let span = span
    return String(decoding: span.indices.map { span[$0] }, as: UTF8.self)
  }
}
