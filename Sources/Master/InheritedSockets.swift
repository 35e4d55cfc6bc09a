import Configuration
import Linux

/// Listening sockets that were passed in, by a service manager or by whoever started the daemon.
///
/// One of equal address satisfies a `bind`, so that `bind *:443` and a socket unit meet; `fd@N` and
/// `fd@NAME` name one outright. Names are shared within a unit, and the order of sockets varies.
///
/// - SeeAlso: sd_listen_fds(3).
struct InheritedSockets: ~Copyable {
  private var sockets = DescriptorTable()
  /// What each is called, and its number at the start.
  private var names: [String] = []
  private var numbers: [Int32] = []
  /// What a master before this one left with the service manager. Nobody owns these yet.
  var estate = Estate()
  /// Descriptors that were open when the program began: `fd@N` may name these and no other.
  private var strangers: Set<Int32> = []

  init() {}

  /// Takes over the sockets that the environment names, and the variables out of it. To be called
  /// before the program opens anything.
  static func fromEnvironment() -> InheritedSockets {
    defer {
      for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        Process.setVariable(name, to: nil)
      }
    }
    var inherited = InheritedSockets()
    inherited.strangers = Set(File.names(in: "/proc/self/fd").compactMap { Int32($0) })
    guard let process = Process.variable("LISTEN_PID"), Int32(process) == Process.id,
      let count = Process.variable("LISTEN_FDS").flatMap({ Int32($0) }),
      (1...65_536).contains(count)
    else { return inherited }
    let names = (Process.variable("LISTEN_FDNAMES") ?? "")
      .split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    for index in 0..<count {
      let name = Int(index) < names.count ? names[Int(index)] : "unknown"
      if inherited.estate.add(name, number: 3 + index) { continue }
      guard let socket = Descriptor.inherited(3 + index) else { continue }
      inherited.add(socket, name: name)
    }
    inherited.estate.read()
    return inherited
  }

  mutating func add(_ socket: consuming Descriptor, name: String) {
    numbers.append(socket.numberForSuccessor)
    names.append(name)
    sockets.append(socket)
  }

  var isEmpty: Bool { sockets.isEmpty }

  /// The sockets that satisfy `specification`: several only where a name stands for several. They
  /// are nobody else's then.
  mutating func take(for specification: ListenerSpecification) -> DescriptorTable {
    var taken = DescriptorTable()
    switch specification.key.address {
    case .descriptor(let number):
      if let index = numbers.firstIndex(of: Int32(clamping: number)) {
        taken.append(remove(index))
      } else if let socket = stranger(Int32(clamping: number)) {
        taken.append(socket)
      }
    case .descriptorName(let name):
      while let index = names.firstIndex(of: name) { taken.append(remove(index)) }
    case .socket(let address):
      if let index = index(of: address) { taken.append(remove(index)) }
    }
    return taken
  }

  /// Whether ``take(for:)`` would find one.
  func satisfies(_ specification: ListenerSpecification) -> Bool {
    if case .socket(let address) = specification.key.address {
      index(of: address) != nil
    } else {
      false
    }
  }

  private func index(of address: SocketAddress) -> Int? {
    (0..<sockets.count).first { index in
      guard let own = sockets[index].localAddress() else { return false }
      return Self.satisfies(own, wanted: address)
    }
  }

  /// `[::]` with IPv4 accepted, as a socket unit makes it, is what `*` wants.
  static func satisfies(_ own: SocketAddress, wanted: SocketAddress) -> Bool {
    guard let own = own.endpoint, let wanted = wanted.endpoint else { return own == wanted }
    return own.port == wanted.port
      && (own.address == wanted.address
        || own.address.isUnspecified && wanted.address.isUnspecified)
  }

  private mutating func remove(_ index: Int) -> Descriptor {
    names.swapAt(index, names.count - 1)
    names.removeLast()
    numbers.swapAt(index, numbers.count - 1)
    numbers.removeLast()
    return sockets.remove(at: index)
  }

  /// A socket that is here without being named in the environment.
  private mutating func stranger(_ number: Int32) -> Descriptor? {
    guard number > 2, strangers.contains(number),
      let copy = try? Descriptor.duplicate(ofNumber: number), copy.isStreamSocket() == true
    else { return nil }
    strangers.remove(number)
    return Descriptor.inherited(number)
  }

  /// What nobody asked for, as an operator would look for it: its address, and its name.
  var leftOver: [String] {
    (0..<sockets.count).map { index in
      let address = sockets[index].localAddress().map(\.description) ?? "a descriptor"
      return "\(address) (\(names[index]), descriptor \(numbers[index]))"
    }
  }
}
