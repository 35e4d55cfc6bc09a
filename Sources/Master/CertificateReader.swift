import Configuration
import Linux
import Wire

/// Asks an unprivileged process whom certificates are for.
///
/// X.509 is parsed by the controller's program only, and no private key leaves the master: it cuts
/// the files, which often hold one, down to their first certificate.
struct CertificateReader: ~Copyable {
  private let program: Descriptor
  private let identity: RunIdentity

  /// How long the answer may take, in milliseconds.
  static let patience: Int64 = 5_000

  init(program: consuming Descriptor, identity: RunIdentity) {
    self.program = program
    self.identity = identity.unconfined
  }

  /// Why there are no names.
  struct Failure: Error, Equatable {
    let message: String
  }

  /// The names of all certificates in `files`, lower-cased.
  func names(in files: [String]) throws(Failure) -> [String] {
    var certificates: [UInt8] = []
    for file in files { certificates += try Self.certificates(at: file) }
    return try ask(certificates)
  }

  // MARK: Files

  /// The own certificate of a file, or of each file in a directory: the first one; those behind it
  /// are its issuers'.
  private static func certificates(at path: String) throws(Failure) -> [UInt8] {
    do throws(Errno) {
      guard try File.status(path).isDirectory else { return try certificate(in: path) }
      var found: [UInt8] = []
      let names = File.names(in: path).filter { !$0.hasPrefix(".") && !isCompanion($0) }
      for name in names.sorted() { found += try certificate(in: "\(path)/\(name)") }
      return found
    } catch {
      throw Failure(message: "cannot read '\(path)': \(error)")
    }
  }

  private static func certificate(in path: String) throws(Errno) -> [UInt8] {
    firstCertificate(in: try File.open(path).contents())
  }

  /// Files that the reference reads beside a certificate.
  private static func isCompanion(_ name: String) -> Bool {
    [".key", ".ocsp", ".issuer", ".sctl"].contains { name.hasSuffix($0) }
  }

  /// The first `CERTIFICATE` block of a PEM file (RFC 7468), with its borders; empty without one.
  static func firstCertificate(in bytes: [UInt8]) -> [UInt8] {
    let begin = Array("-----BEGIN CERTIFICATE-----".utf8)
    let end = Array("-----END CERTIFICATE-----".utf8)
    let lines = bytes.split(separator: 0x0a).map { line in
      line.last == 0x0d ? line.dropLast() : line
    }
    guard let first = lines.firstIndex(where: { $0.elementsEqual(begin) }),
      let last = lines[first...].firstIndex(where: { $0.elementsEqual(end) })
    else { return [] }
    return Array(lines[first...last].joined(separator: [0x0a])) + [0x0a]
  }

  // MARK: Asking

  private func ask(_ certificates: [UInt8]) throws(Failure) -> [String] {
    guard !certificates.isEmpty else { throw Failure(message: "there is no certificate in it") }
    do throws(Errno) {
      let file = try Descriptor.sealedFile(name: "sluice-certificates", certificates)
      let pair = try Descriptor.packetPair()
      let child = try start(file, pair.second)
      pair.second.close()
      defer {
        try? Process.send(.kill, to: child)
        _ = Process.wait(for: child)
      }
      return try receive(from: pair.first)
    } catch {
      throw Failure(message: "its names cannot be read: \(error)")
    }
  }

  private func start(
    _ file: borrowing Descriptor, _ answer: borrowing Descriptor
  ) throws(Errno) -> Int32 {
    let numbers = [
      file.numberForSuccessor, answer.numberForSuccessor, program.numberForSuccessor,
    ]
    return try Process.spawn { Self.become(numbers, identity) }
  }

  /// The child's side: the certificates at 3, where to answer at 4, and itself.
  private static func become(_ inherited: [Int32], _ identity: RunIdentity) -> Never {
    ChildSignals.reset()
    do throws(Errno) {
      try Process.arrangeDescriptors(inherited)
      try identity.assume()
    } catch {
      Process.exit(1)
    }
    guard let program = Descriptor.inherited(5) else { Process.exit(1) }
    _ = Process.execute(
      program, arguments: [ProgramFiles.controllerName, "--certificate-names"],
      environment: Process.environment)
    Process.exit(1)
  }

  private func receive(from socket: borrowing Descriptor) throws(Errno) -> [String] {
    var epoll = try Epoll()
    try epoll.add(socket, .readable, token: 0)
    let end = Clock.monotonic / 1_000_000 + Self.patience
    var buffer = [UInt8](repeating: 0, count: Descriptor.longestPacket)
    var names: [String] = []
    while true {
      let left = end - Clock.monotonic / 1_000_000
      guard left > 0 else { throw .timedOut }
      guard try epoll.wait(milliseconds: Int(left)) > 0 else { continue }
      var rights: [Int32] = []
      guard case .moved(let count) = try socket.receivePacket(into: &buffer, rights: &rights) else {
        throw .brokenPipe
      }
      switch try? Message(decoding: Array(buffer[..<count])) {
      case .certificateNames(let found, let hasMore):
        names += found.map { $0.name.lowercased() }
        if !hasMore { return names }
      default: throw .invalidArgument
      }
    }
  }
}

/// What every child undoes of its master's signals.
enum ChildSignals {
  /// Signals that the master reads, and children leave to it: a terminal and a service manager may
  /// send them to the whole group.
  static let mastersOwn: [Signal] = [
    .hangUp, .interrupt, .quit, .user1, .user2, .terminalInput, .terminalOutput,
  ]

  static func reset() {
    for signal in mastersOwn { signal.ignore() }
    for signal in [Signal.terminate, .child] { signal.restoreDefault() }
    Signal.pipe.ignore()
    Signal.unblockAll()
  }
}
