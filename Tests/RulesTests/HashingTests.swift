import Linux
import Testing

@testable import Rules

@Suite("Hashing")
struct HashingTests {
  @Test(
    "the source hash is HAProxy's: the exclusive-or of the address's words",
    arguments: [
      ("192.0.2.1", 0xc000_0201), ("0.0.0.0", 0), ("255.255.255.255", 0xffff_ffff),
      ("2001:db8::1", 0x2001_0db9), ("::1", 1),
      ("1:2:3:4:5:6:7:8", 0x0001_0002 ^ 0x0003_0004 ^ 0x0005_0006 ^ 0x0007_0008),
    ] as [(String, UInt32)])
  func source(text: String, expected: UInt32) throws {
    #expect(Hashing.source(try #require(IPAddress(text))) == expected)
  }

  @Test(
    "the byte hash is the same on every node and in every release",
    arguments: [
      ("", 0xefd0_1f60_ba99_2926), ("a", 0x82a2_a958_a9be_ce5b), ("foobar", 0x2c22_1949_22d1_672b),
    ] as [(String, UInt64)])
  func bytes(text: String, expected: UInt64) {
    #expect(Hashing.bytes(Array(text.utf8).span) == expected)
  }
}
