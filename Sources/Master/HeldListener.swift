import Configuration
import Linux

/// The sockets of one `bind` or `stats socket` line, kept open for as long as the line exists.
///
/// Closing one loses the connections in its queue, and shutdown(2) on one would end it for every
/// process that holds it: neither is ever done to a socket that is still wanted.
final class HeldListener {
  /// The options may change over a reload, the key does not.
  var specification: ListenerSpecification
  var sockets: DescriptorTable
  /// Whether the sockets are of one address, one for each worker slot, and the kernel spreads
  /// connections over them. Otherwise all workers share all of them.
  var spreads: Bool
  /// How many of the sockets the generation that serves knows. Further ones were made for a reload
  /// that has not succeeded yet.
  var socketsInUse: Int
  /// Came from outside: from a service manager, or as an inherited number.
  let isAdopted: Bool
  /// The file of a unix socket that was made here.
  var file: FileStatus?

  init(
    _ specification: ListenerSpecification, sockets: consuming DescriptorTable,
    spreads: Bool = false, isAdopted: Bool = false, file: FileStatus? = nil
  ) {
    self.specification = specification
    self.spreads = spreads
    socketsInUse = 0
    self.sockets = sockets
    self.isAdopted = isAdopted
    self.file = file
  }

  /// The sockets that a reload made which did not succeed: connections have been put into their
  /// queues, and the kernel goes on to do so, so that they cannot be closed.
  var spareSockets: Range<Int> {
    spreads ? min(socketsInUse, sockets.count)..<sockets.count : 0..<0
  }

  /// Removes the file of a unix socket, if it is still the one that was made here.
  func removeFile() {
    guard let file, case .socket(.unix(let path)) = specification.key.address,
      file.isSameFile(as: try? File.status(path))
    else { return }
    try? File.remove(path)
  }
}

// MARK: - Over an exec

extension HeldListener {
  /// Adopts the descriptors that the state names; one that is not open is left out.
  convenience init(_ state: MasterState.Listener) {
    var sockets = DescriptorTable()
    for number in state.sockets {
      if let socket = Descriptor.inherited(number) { sockets.append(socket) }
    }
    self.init(
      state.specification, sockets: sockets, spreads: state.spreads, isAdopted: state.isAdopted)
    socketsInUse = state.socketsInUse
    if let device = state.device, let inode = state.inode { file = .naming(device, inode) }
  }

  var state: MasterState.Listener {
    let numbers = (0..<sockets.count).map { sockets[$0].numberForSuccessor }
    return MasterState.Listener(
      specification: specification, sockets: numbers, spreads: spreads, socketsInUse: socketsInUse,
      isAdopted: isAdopted, device: file?.device, inode: file?.inode)
  }
}
