import Foundation
import Testing
import Wire

/// What `Tests/Fixtures/hellos/capture.py` read in a captured hello with a parser of its own.
struct CapturedFacts: Decodable {
  let serverName: String
  let protocols: [String]
  let recordVersion: UInt16
  let records: Int
  let legacyVersion: UInt16
  let versions: [UInt16]
  let sessionIDLength: UInt8
  let cipherSuites: UInt16
  let extensions: [UInt16]
  let sessionTicket: UInt8
  let hasSupportedGroups: Bool
  let hasECH: Bool
  let hasGREASE: Bool
  let helloLength: Int

  static func all() throws -> [String: CapturedFacts] {
    try JSONDecoder().decode(
      [String: CapturedFacts].self, from: Data(Fixtures.bytes("Fixtures/hellos/hellos.json")))
  }
}

@Suite("Captured hellos")
struct CapturedHelloTests {
  static let names: [String] = {
    let files = (try? Fixtures.names(in: "Fixtures/hellos")) ?? []
    return files.filter { $0.hasSuffix(".bin") }.map { String($0.dropLast(4)) }
  }()

  static func raw(_ name: String) throws -> [UInt8] {
    try Fixtures.bytes("Fixtures/hellos/\(name).bin")
  }

  @Test("clients of every kind are there, post-quantum and fragmented ones among them")
  func coverage() throws {
    for client in ["openssl", "gnutls", "curl", "python", "go", "node", "nss", "chrome", "firefox"]
    {
      #expect(Self.names.contains { $0.hasPrefix(client + "_") }, "\(client)")
    }
    let facts = try CapturedFacts.all()
    #expect(facts.keys.sorted() == Self.names)
    #expect(facts.values.contains { $0.helloLength > 1700 })
    #expect(facts.values.contains { $0.records > 1 })
    #expect(facts.values.contains { $0.hasECH && $0.hasGREASE })
    #expect(facts.values.contains { $0.extensions.isEmpty })
  }

  @Test("says what an independent parser says", arguments: names)
  func facts(name: String) throws {
    let facts = try #require(try CapturedFacts.all()[name])
    let raw = try Self.raw(name)
    let parsed = Parsed(raw)
    let hello = parsed.hello
    #expect(parsed.verdict == .complete)
    #expect(parsed.serverName == facts.serverName)
    #expect(hello.serverName.isValid == !facts.serverName.isEmpty)
    if !hello.alpn.isTruncated {
      #expect(parsed.protocols == facts.protocols.joined(separator: ","))
    }
    #expect(facts.protocols.joined(separator: ",").hasPrefix(parsed.protocols))
    #expect(hello.recordVersion == facts.recordVersion)
    #expect(hello.recordCount == facts.records)
    #expect(hello.legacyVersion == facts.legacyVersion)
    #expect(
      hello.supportedVersions == TLSVersions(facts.versions.map { TLSVersions(wireVersion: $0) }))
    #expect(hello.highestVersion == facts.versions.max() ?? facts.legacyVersion)
    #expect(hello.sessionIDLength == facts.sessionIDLength)
    #expect(hello.cipherSuiteCount == facts.cipherSuites)
    #expect(
      (0..<hello.listedExtensionCount).map { hello.extensionType(at: $0) } == facts.extensions)
    #expect(Int(hello.extensionCount) == facts.extensions.count)
    #expect(hello.sessionTicket.rawValue == facts.sessionTicket)
    #expect(hello.hasSupportedGroups == facts.hasSupportedGroups)
    #expect(hello.hasECH == facts.hasECH)
    #expect(hello.hasGREASE == facts.hasGREASE)
    #expect(hello.helloLength == facts.helloLength)
    #expect(hello.rawLength == raw.count)
  }

  @Test("says the same of any two segments, and of single bytes", arguments: names)
  func segments(name: String) throws {
    let raw = try Self.raw(name)
    let whole = Parsed(raw)
    for cut in 0...raw.count { #expect(Parsed(raw, cuts: [cut]) == whole, "cut at \(cut)") }
    #expect(Parsed.byteByByte(raw) == whole)
  }

  @Test("says the same of records of one byte, in any two segments", arguments: names)
  func records(name: String) throws {
    let message = message(inRecords: try Self.raw(name))
    let raw = inRecords(of: 1, message)
    let whole = Parsed(raw)
    #expect(whole.verdict == .complete)
    #expect(whole.hello.isSameMessage(as: Parsed(try Self.raw(name)).hello))
    for cut in stride(from: 0, through: raw.count, by: 7) {
      #expect(Parsed(raw, cuts: [cut]) == whole, "cut at \(cut)")
    }
    #expect(Parsed.byteByByte(raw) == whole)
  }

  @Test("says the same of random records in random segments", arguments: names)
  func randomSplits(name: String) throws {
    var chance = Chance()
    let whole = Parsed(try Self.raw(name))
    let message = message(inRecords: try Self.raw(name))
    for round in 0..<100 {
      let longest = Int.random(in: 1...message.count, using: &chance)
      let raw = chance.records(message, longest: longest)
      let parsed = Parsed(raw, cuts: chance.cuts(of: raw.count, most: 20))
      #expect(parsed.verdict == .complete, "seed \(chance.seed), round \(round)")
      #expect(
        parsed.hello.isSameMessage(as: whole.hello), "seed \(chance.seed), round \(round)")
    }
  }

  @Test("says the same of damaged hellos, however they are cut", arguments: names)
  func damage(name: String) throws {
    var chance = Chance()
    let raw = try Self.raw(name)
    for round in 0..<100 {
      var damaged = raw
      for _ in 0..<Int.random(in: 1...4, using: &chance) {
        // The first byte decides with what is at hand; every other one must not.
        damaged[.random(in: 1..<raw.count, using: &chance)] = .random(
          in: 0 ... .max, using: &chance)
      }
      let whole = Parsed(damaged)
      let cut = Parsed(damaged, cuts: chance.cuts(of: raw.count, most: 8))
      #expect(cut == whole, "seed \(chance.seed), round \(round)")
      #expect(Parsed.byteByByte(damaged) == whole, "seed \(chance.seed), round \(round)")
    }
  }
}
