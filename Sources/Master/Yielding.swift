import Configuration
import Linux

/// Being taken over from: the master's side of its ``KeeperProcess``.
extension Supervisor {
  /// Starts a keeper where the configuration lets others take over, and no service manager keeps what
  /// that takes.
  func keepWhereAsked() {
    let paths = generation.configuration.global.exposingPaths
    guard store == nil, !DescriptorStore.isOfServiceManager, !paths.isEmpty else { return }
    do throws(Errno) {
      let keeper = try Keeper.start(besides: paths)
      store = DescriptorStore(Estate(), keeping: [], keeper: keeper, log)
      watchKeeper()
    } catch {
      log.warning("nobody can take over from this daemon: \(error)")
    }
  }

  func watchKeeper() {
    guard let keeper = store?.keeper else { return }
    try? epoll.add(keeper.socket, .readable, token: Source.keeper.token)
  }

  func listenToKeeper() {
    guard let keeper = store?.keeper else { return }
    switch keeper.read() {
    case .nothing, .lines: break
    case .gone:
      log.alert("the keeper has ended: nobody can take over until the next reload")
      try? epoll.remove(keeper.socket)
      store = nil
    }
  }

  /// Stands still when nothing is half done, and ends when another has taken over.
  func yieldIfAsked() {
    guard let keeper = store?.keeper, keeper.hasBeenAsked else { return }
    if case .stopping = phase { return keeper.refuse() }
    guard phase == .running, trial == nil, !isHandingOver else { return }
    keepState()
    log.notice("another master takes over")
    if keeper.yield() { Process.exit(0) }
    log.warning("the other master has not taken over: going on")
  }
}

extension GlobalSettings {
  /// Paths of the `stats socket` lines that say `expose-fd listeners`.
  fileprivate var exposingPaths: [String] {
    statsSockets.compactMap { socket in
      guard socket.exposesListeners, case .socket(.unix(let path)) = socket.address else {
        return nil
      }
      return path
    }
  }
}
