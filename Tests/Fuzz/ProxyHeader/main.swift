import Wire

/// A verdict once given stands, every extent lies inside the header, and what is encoded is read
/// back as it was.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let raw = bytes(data, count)
  let verdict = ProxyHeader.parse(raw.span)
  checkBeginnings(raw, verdict)
  if case .complete(let header) = verdict {
    checkExtents(header, raw)
    checkRoundTrip(header.source, header.destination, authority(of: header, in: raw))
  }
  checkRoundTrip(address(raw, at: 0), address(raw, at: 20), ServerName(Array(raw.prefix(300)).span))
  return 0
}

/// Shorter beginnings need more, until one decides; then longer ones decide the same.
func checkBeginnings(_ raw: [UInt8], _ verdict: ProxyVerdict) {
  var decided: ProxyVerdict?
  let last = min(raw.count, ProxyHeader.maximumLength + 2)
  for count in 0...last {
    let early = ProxyHeader.parse(raw.span.extracting(0..<count))
    if let decided {
      require(early == decided, "\(decided), then \(early) after \(count) bytes")
    } else if early != .needMore {
      decided = early
    }
    // A few more bytes after the decision are enough to see that it stands.
    if let decided, count > 16, case .complete(let header) = decided, count > header.length + 3 {
      break
    }
  }
  if last == raw.count || decided != nil {
    require(verdict == decided ?? .needMore, "whole \(verdict), in pieces otherwise")
  }
  if raw.count >= ProxyHeader.maximumLength { require(verdict != .needMore, "waits without end") }
}

func checkExtents(_ header: ProxyHeader, _ raw: [UInt8]) {
  require((8...ProxyHeader.maximumLength).contains(header.length), "length \(header.length)")
  require(header.length <= raw.count, "longer than what arrived")
  for extent in [header.fields, header.authority, header.alpn, header.uniqueID] {
    require(extent.offset >= 0 && extent.count >= 0, "negative extent")
    require(extent.offset + extent.count <= header.length, "extent past the end")
  }
  checkFields(header, raw)
}

/// The fields follow each other without a gap up to the end, and the first of each type is found.
func checkFields(_ header: ProxyHeader, _ raw: [UInt8]) {
  var position = header.fields.offset
  let end = position + header.fields.count
  require(header.fields.isEmpty || end == header.length, "fields end at \(end)")
  var seen: Set<UInt8> = []
  while position < end {
    require(end - position >= 3, "half a field at \(position)")
    let count = Int(raw[position + 1]) << 8 | Int(raw[position + 2])
    require(position + 3 + count <= end, "field of \(count) bytes at \(position)")
    if seen.insert(raw[position]).inserted {
      let extent = ProxyHeader.Extent(offset: position + 3, count: count)
      require(header.extent(ofField: raw[position], in: raw.span) == extent, "field at \(position)")
    }
    position += 3 + count
  }
}

func checkRoundTrip(_ source: WireAddress, _ destination: WireAddress, _ name: ServerName) {
  var buffer = [UInt8](repeating: 0xee, count: ProxyHeader.maximumEncodedLength)
  var output = buffer.mutableSpan
  let line = ProxyHeader.encodeV1(source: source, destination: destination, into: &output)
  check(Array(buffer[..<line]), source, destination)
  require(line <= ProxyHeader.maximumV1Length, "line of \(line) bytes")
  for checksum in [false, true] {
    var output = buffer.mutableSpan
    let count = ProxyHeader.encodeV2(
      source: source, destination: destination, authority: name, checksum: checksum, into: &output)
    let bytes = Array(buffer[..<count])
    let header = check(bytes, source, destination)
    let sent = name.isTruncated ? 0 : name.count
    require(header.authority.count == sent, "authority of \(header.authority.count) bytes")
    for index in 0..<sent {
      require(bytes[header.authority.offset + index] == name.bytes[index], "authority")
    }
  }
}

@discardableResult
func check(_ bytes: [UInt8], _ source: WireAddress, _ destination: WireAddress) -> ProxyHeader {
  guard case .complete(let header) = ProxyHeader.parse(bytes.span) else {
    fatalError("what was encoded is \(ProxyHeader.parse(bytes.span))")
  }
  require(header.length == bytes.count, "length")
  guard source.isInternet, destination.isInternet else {
    require(!header.hasAddresses, "addresses from nowhere")
    return header
  }
  let isMixed = source.family != destination.family
  require(header.source == (isMixed ? source.mappedToInet6 : source), "source")
  require(header.destination == (isMixed ? destination.mappedToInet6 : destination), "destination")
  return header
}

func authority(of header: ProxyHeader, in raw: [UInt8]) -> ServerName {
  let extent = header.authority
  return ServerName(Array(raw[extent.offset..<(extent.offset + extent.count)]).span)
}

/// An address made of the input's bytes.
func address(_ raw: [UInt8], at offset: Int) -> WireAddress {
  let bytes = raw.dropFirst(offset).prefix(19) + [UInt8](repeating: 0, count: 19)
  let numbers = bytes.prefix(19).map(UInt64.init)
  let port = UInt16(numbers[1] << 8 | numbers[2])
  let high = numbers[3..<11].reduce(0) { $0 << 8 | $1 }
  let low = numbers[11..<19].reduce(0) { $0 << 8 | $1 }
  switch numbers[0] % 4 {
  case 0: return .inet(UInt32(truncatingIfNeeded: high), port: port)
  case 1: return .inet6(high: high, low: low, port: port)
  case 2: return .unix
  default: return .none
  }
}
