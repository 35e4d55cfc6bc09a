import Wire

/// What can be read can be written, and is read back as it was; writing it again changes nothing.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let message = try? Message(decoding: bytes(data, count)) else { return 0 }
  do {
    let packet = try message.encoded()
    let again = try Message(decoding: packet)
    require(again == message, "\(message) became \(again)")
    require(try again.encoded() == packet, "written in two ways: \(message)")
  } catch .tooLong {
    // Text that is not UTF-8 is repaired in reading, and may grow to three times its length.
    require(count > Message.maximumLength / 3, "\(count) bytes became too long")
  } catch {
    fatalError("\(message) is written so that it cannot be read: \(error)")
  }
  return 0
}
