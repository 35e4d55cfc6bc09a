import Configuration
import Linux
import Testing

@Suite("Addresses")
struct AddressTests {
  private func binds(_ text: String) -> [Bind]? {
    load("frontend f\n bind \(text)\n default_backend b\nbackend b\n", environment: ["P": "443"])
      .configuration?.frontends[0].binds
  }

  private func bind(_ text: String) -> String? {
    binds(text)?.map { bind in
      switch bind.address {
      case .socket(let address): address.description
      case .descriptor(let number): "fd \(number)"
      case .descriptorName(let name): "fd named \(name)"
      }
    }.joined(separator: " ")
  }

  @Test(
    "to listen on",
    arguments: [
      ("*:443", "0.0.0.0:443"), (":443", "0.0.0.0:443"), ("192.0.2.1:443", "192.0.2.1:443"),
      (":::443", "[::]:443"), ("[::]:443", "[::]:443"), ("2001:db8::1:443", "[2001:db8::1]:443"),
      ("ipv4@:443", "0.0.0.0:443"), ("ipv6@:443", "[::]:443"), ("tcp@[::1]:1", "[::1]:1"),
      ("localhost:80", "127.0.0.1:80"), (":1,:2", "0.0.0.0:1 0.0.0.0:2"),
      (":7-9", "0.0.0.0:7 0.0.0.0:8 0.0.0.0:9"), ("/run/a", "/run/a"), ("unix@/run/a", "/run/a"),
      ("unix@a", "a"), ("abns@a", "abns@a"), ("fd@3", "fd 3"), ("fd@https", "fd named https"),
      ("127.0.0.1:${P}", "127.0.0.1:443"), ("127.0.0.1:$P", "127.0.0.1:443"),
      (":${Q-80}", "0.0.0.0:80"),
    ])
  func listening(text: String, expected: String) {
    #expect(bind(text) == expected)
  }

  @Test(
    "that cannot be listened on",
    arguments: [
      "443", "192.0.2.1", ":0", ":65536", ":9-7", ":a", ":-1", ":1,", "example.com:443", "[::1]",
      "quic4@:443", "udp@:53", "sockpair@3", "mptcp@:1", "bogus@:1", "unix@", "fd@", "$NONE",
      "ipv4@[::1]:1", "ipv6@127.0.0.1:1", "256.0.0.1:1", "1.2.3:1",
    ])
  func refused(text: String) {
    #expect(bind(text) == nil)
  }

  @Test("names each port of a range, as statistics do")
  func rangeTexts() {
    #expect(binds("127.0.0.1:7-8")?.map(\.text) == ["127.0.0.1:7", "127.0.0.1:8"])
  }

  @Test("of a path too long for the kernel are refused")
  func longPaths() {
    #expect(bind("/" + String(repeating: "a", count: 106)) != nil)
    #expect(bind("/" + String(repeating: "a", count: 107)) == nil)
  }

  private func server(_ text: String) -> ServerAddress? {
    load("backend b\n server s \(text)\n", environment: ["DB": "db.example.com"])
      .configuration?.backends[0].servers[0].address
  }

  @Test(
    "of servers",
    arguments: [
      (
        "192.0.2.1:443",
        ServerAddress(
          host: .address(.ip(IPAddress(ipv4: 0xc000_0201), port: 443)), port: .fixed(443))
      ),
      (
        "192.0.2.1",
        ServerAddress(
          host: .address(.ip(IPAddress(ipv4: 0xc000_0201), port: 0)), port: .relative(0))
      ),
      ("a.example:+1000", ServerAddress(host: .name("a.example"), port: .relative(1000))),
      ("a.example:-1", ServerAddress(host: .name("a.example"), port: .relative(-1))),
      ("$DB:1", ServerAddress(host: .name("db.example.com"), port: .fixed(1))),
      ("0.0.0.0", ServerAddress(host: .original, port: .relative(0))),
      ("0.0.0.0:0", ServerAddress(host: .original, port: .relative(0))),
      ("*:443", ServerAddress(host: .original, port: .fixed(443))),
      (":443", ServerAddress(host: .original, port: .fixed(443))),
      ("[::]:443", ServerAddress(host: .original, port: .fixed(443))),
      ("/run/a", ServerAddress(host: .address(.unix(path: "/run/a")), port: .fixed(0))),
      ("abns@a", ServerAddress(host: .address(.abstract(name: "a")), port: .fixed(0))),
    ])
  func servers(text: String, expected: ServerAddress) {
    #expect(server(text) == expected)
  }

  @Test(
    "that no server has",
    arguments: [
      "a:b", "a b:1", "-:1", "http://a", "a/b", "a:70000", "a:+x", "fd@3", "1.2.3.4.5:1x",
    ])
  func notServers(text: String) {
    #expect(load("backend b\n server s \(text)\n").configuration == nil)
  }
}
