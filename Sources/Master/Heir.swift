import Linux

/// Taking over from a master that runs, or has died: `-x`.
struct Heir: ~Copyable {
  /// To the keeper, whose master this process becomes.
  let keeper: Descriptor
  /// What there is to go on with.
  let estate: Estate

  /// Why nothing can be taken over.
  struct Failure: Error, Equatable {
    let message: String
  }

  /// How long a master that reloads just now may take before it stands still, in milliseconds.
  private static let patience: Int64 = 90_000

  /// Asks the keeper beside an operators' socket. A master that lives stands still afterwards, until
  /// it is told by ``take()`` to end, or this process is gone.
  init(besides path: String) throws(Failure) {
    let keeper = try Self.connect(besides: path)
    estate = try Self.receive(from: keeper)
    self.keeper = keeper
  }

  private static func connect(besides path: String) throws(Failure) -> Descriptor {
    let door = SocketAddress.unix(path: KeeperProcess.door(besides: path))
    do throws(Errno) {
      let keeper = try Descriptor.socket(.sequencedPacket, for: door)
      _ = try keeper.connect(to: door)
      _ = try keeper.sendPacket(Array("TAKE=1".utf8).span)
      return keeper
    } catch {
      throw Failure(
        message: "nobody at \(path) lets others take over (\(door): \(error)): the daemon's "
          + "'stats socket' has to say 'expose-fd listeners'")
    }
  }

  private static func receive(from keeper: borrowing Descriptor) throws(Failure) -> Estate {
    var estate = Estate()
    let end = Clock.monotonic / 1_000_000 + patience
    do throws(Errno) {
      var epoll = try Epoll()
      try epoll.add(keeper, .readable, token: 0)
      while Clock.monotonic / 1_000_000 < end {
        guard try epoll.wait(milliseconds: 1_000) > 0 else { continue }
        var rights = DescriptorTable()
        switch KeeperPacket(from: keeper, &rights) {
        case .nothing: continue
        case .gone: throw .connectionReset
        case .lines(let lines):
          estate.add(lines["FDNAMES"] ?? "", rights)
          guard lines["END"] != nil else { continue }
          estate.read()
          return estate
        }
      }
      throw .timedOut
    } catch {
      throw Failure(message: "the running daemon does not let itself be taken over: \(error)")
    }
  }
}

extension Estate {
  /// Names, and descriptors in the same order; nobody owns them then.
  fileprivate mutating func add(_ names: String, _ rights: consuming DescriptorTable) {
    let numbers = (0..<rights.count).map { rights[$0].numberForSuccessor }
    rights.release()
    for (name, number) in zip(names.split(separator: ":"), numbers) {
      // What has a name that this release does not know is of no use to it.
      if !add(String(name), number: number) { Descriptor.inherited(number)?.close() }
    }
  }
}

extension Heir {
  /// Makes this process the keeper's master: the one before ends.
  ///
  /// A keeper that is gone has told it nothing: it goes on then, and this process must not.
  consuming func take() throws(Failure) -> Keeper {
    guard (try? keeper.sendPacket(Array("DONE=1".utf8).span)) == true else {
      throw Failure(message: "the keeper has ended: the running daemon goes on")
    }
    return Keeper(keeper)
  }
}
