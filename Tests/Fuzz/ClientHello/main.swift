import Wire

/// However a stream is cut, the verdict and the facts are the same, and they are what a parser
/// written for clarity, which sees the whole message at once, finds in it.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let raw = bytes(data, count)
  var chance = InputChance(raw)
  let whole = Parsed(raw)
  let byByte = Parsed(byByte: raw)
  let cut = Parsed(raw, cuts: chance.cuts(of: raw.count))
  require(byByte.agrees(with: whole), "byte by byte \(byByte), whole \(whole)")
  require(cut.agrees(with: whole), "cut \(cut), whole \(whole)")

  checkFacts(whole.hello)
  compare(whole, with: Reference(raw))
  if whole.verdict == .complete {
    checkEnd(whole, raw)
    if whole.hello.framing == .records { checkRecords(whole, raw, &chance) }
  }
  return 0
}

struct Parsed {
  var verdict: HelloVerdict
  var hello: ClientHello

  init(_ bytes: [UInt8], cuts: [Int] = []) {
    var parser = ClientHelloParser()
    var start = 0
    for end in cuts + [bytes.count] {
      let before = parser
      let verdict = parser.consume(bytes.span.extracting(start..<end))
      require(verdict == parser.verdict, "two verdicts")
      require(before.hello.isPart(of: parser.hello), "a fact changed after it was shown")
      start = end
    }
    verdict = parser.verdict
    hello = parser.hello
  }

  init(byByte bytes: [UInt8]) {
    var parser = ClientHelloParser()
    for index in bytes.indices { _ = parser.consume(bytes.span.extracting(index...index)) }
    verdict = parser.verdict
    hello = parser.hello
  }

  /// Equal, but for the guess at what is spoken instead of TLS, which depends on the first segment.
  func agrees(with other: Parsed) -> Bool {
    if case .notTLS = verdict, case .notTLS = other.verdict { return hello == other.hello }
    return verdict == other.verdict && hello == other.hello
  }
}

extension ClientHello {
  func isPart(of later: ClientHello) -> Bool {
    (serverName.isEmpty || serverName == later.serverName) && (alpn.isEmpty || alpn == later.alpn)
      && (supportedVersions.isEmpty || supportedVersions == later.supportedVersions)
      && extensionCount <= later.extensionCount && rawLength <= later.rawLength
  }
}

/// What is offered on facts must work for every fact.
func checkFacts(_ hello: ClientHello) {
  let lowered = hello.serverName.lowercased
  require(lowered.lowercased == lowered, "lowering twice")
  require(lowered.isValid == hello.serverName.isValid, "validity depends on case")
  require(hello.alpn.commaJoined.count == max(0, hello.alpn.wire.count - 1), "joined length")
  for index in 0..<hello.listedExtensionCount { _ = hello.extensionType(at: index) }
  require(hello.rawLength <= ClientHelloParser.maximumRawLength, "read beyond the limit")
}

/// The hello ends where it is said to end, neither before nor after.
func checkEnd(_ whole: Parsed, _ raw: [UInt8]) {
  let end = whole.hello.rawLength
  require(Parsed(Array(raw[..<end])).agrees(with: whole), "what follows was looked at")
  require(Parsed(Array(raw[..<(end - 1)])).verdict == .needMore, "complete before its end")
}

/// The same message in other records says the same.
func checkRecords(_ whole: Parsed, _ raw: [UInt8], _ chance: inout InputChance) {
  let message = Array(Reference.handshake(in: raw).bytes.prefix(whole.hello.helloLength))
  var records: [UInt8] = []
  var start = 0
  while start < message.count {
    let count = min(message.count - start, Int.random(in: 1...64, using: &chance))
    records += [22, 3, 3, 0, UInt8(count)] + message[start..<(start + count)]
    start += count
  }
  let parsed = Parsed(records)
  require(parsed.verdict == .complete, "other records: \(parsed.verdict)")
  require(parsed.hello.isSameMessage(as: whole.hello), "other records: \(parsed)")
}

func compare(_ parsed: Parsed, with reference: Reference) {
  switch parsed.verdict {
  case .complete where parsed.hello.framing == .records:
    require(reference.outcome == .complete, "complete, but \(reference)")
    require(reference.helloLength == parsed.hello.helloLength, "length")
    require(reference.serverName.prefix(255).elementsEqual(parsed.hello.serverName.octets), "name")
    require(reference.protocols == parsed.hello.protocols, "protocols of \(reference)")
    require(reference.versions == parsed.hello.supportedVersions, "versions of \(reference)")
    require(reference.extensionTypes.count == Int(parsed.hello.extensionCount), "extensions")
    require(reference.hasGREASE == parsed.hello.hasGREASE, "GREASE in \(reference)")
  case .malformed where parsed.hello.framing == .records, .tooLarge:
    require(reference.outcome != .complete, "\(parsed.verdict), but \(reference)")
  case .needMore where parsed.hello.framing == .records:
    require(reference.outcome == .incomplete, "needs more than \(reference)")
  default:
    break
  }
}

extension ClientHello {
  var protocols: [[UInt8]] {
    var names: [[UInt8]] = []
    var position = 0
    while position < alpn.wire.count {
      let end = position + 1 + Int(alpn.wire[position])
      names.append((position + 1..<end).map { alpn.wire[$0] })
      position = end
    }
    return names
  }
}

extension ServerName {
  var octets: [UInt8] { (0..<count).map { bytes[$0] } }
}
