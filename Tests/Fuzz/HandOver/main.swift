import Wire

/// What can be read can be written, and is read back as it was; writing it again changes nothing.
/// What is read points only to what is there, and asks for no more descriptors than a packet holds.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = bytes(data, count)
  guard let packet = try? HandOverPacket(decoding: input[...]) else {
    _ = HandOverPacket.unreadableOffer(input[...])
    return 0
  }
  if case .offer(let offer) = packet { check(offer) }
  do {
    let written = try packet.encoded()
    let again = try HandOverPacket(decoding: written[...])
    require(again == packet, "\(packet) became \(again)")
    require(try again.encoded() == written, "written in two ways: \(packet)")
    if case .offer(let offer) = packet {
      require(
        HandOverPacket.unreadableOffer(written[...]) == offer.batch, "the batch is not found")
    }
  } catch .tooLong {
    // Text that is not UTF-8 is repaired in reading, and may grow to three times its length.
    require(count > 65_535 / 3, "\(count) bytes became too long")
  } catch {
    fatalError("\(packet) is written so that it cannot be read: \(error)")
  }
  return 0
}

private func check(_ offer: HandOverOffer) {
  require(offer.connections.count <= HandOverPacket.mostConnections, "too many connections")
  for connection in offer.connections {
    require(offer.frontends.indices.contains(connection.frontend), "no such frontend")
    require(offer.listeners.indices.contains(connection.listener), "no such listener")
    require(connection.backend != nil || !connection.needsBackend, "no backend")
    require(connection.server != nil || !connection.needsServer, "no server")
    if let backend = connection.backend {
      require(offer.backends.indices.contains(backend), "no such backend")
    }
    for server in [connection.server, connection.wanted].compactMap(\.self) {
      require(offer.servers.indices.contains(server), "no such server")
    }
    require((1...6).contains(connection.rightsCount), "\(connection.rightsCount) descriptors")
    require(connection.serverName.count <= 255, "a name of \(connection.serverName.count) bytes")
  }
}
