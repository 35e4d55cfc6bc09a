import Configuration

/// What proxies, servers and binds are called, for expressions.
struct NameTable {
  struct Entry: BitwiseCopyable {
    var name: Constant
    var id: Int
    /// A frontend's default backend.
    var fallback: Constant?
  }

  private var frontends: [Entry] = []
  private var backends: [Entry] = []
  private var binds: [Entry] = []
  private var servers: [Entry] = []
  private var firstBinds: [Int] = []
  private var firstServers: [Int] = []

  init(_ configuration: ProxyConfiguration, in constants: inout ConstantStore) {
    for frontend in configuration.frontends {
      let fallback = frontend.defaultBackend.map { configuration.backends[$0].identity.name }
      frontends.append(
        Entry(
          name: constants.insert(frontend.identity.name.utf8), id: frontend.identity.id,
          fallback: fallback.map { constants.insert($0.utf8) }))
      firstBinds.append(binds.count)
      for (index, bind) in frontend.binds.enumerated() {
        binds.append(
          Entry(name: constants.insert((bind.name ?? "").utf8), id: bind.id ?? index + 1))
      }
    }
    for backend in configuration.backends {
      backends.append(
        Entry(name: constants.insert(backend.identity.name.utf8), id: backend.identity.id))
      firstServers.append(servers.count)
      for server in backend.servers {
        servers.append(Entry(name: constants.insert(server.name.utf8), id: server.id))
      }
    }
  }

  // A connection that a reload left without its proxy or server has an index beyond these.

  func frontend(_ place: Facts.Place) -> Entry? {
    frontends.indices.contains(place.frontend) ? frontends[place.frontend] : nil
  }

  /// Until a backend was chosen the frontend stands for it, as in the reference.
  func backend(_ place: Facts.Place) -> Entry? {
    if place.backend < 0 { return frontend(place) }
    return place.backend < backends.count ? backends[place.backend] : nil
  }

  func server(_ place: Facts.Place) -> Entry? {
    entry(place.server, of: place.backend, firstServers, servers)
  }

  func bind(_ place: Facts.Place) -> Entry? {
    entry(place.bind, of: place.frontend, firstBinds, binds)
  }

  private func entry(_ index: Int, of proxy: Int, _ firsts: [Int], _ entries: [Entry]) -> Entry? {
    guard index >= 0, firsts.indices.contains(proxy) else { return nil }
    let end = proxy + 1 < firsts.count ? firsts[proxy + 1] : entries.count
    return firsts[proxy] + index < end ? entries[firsts[proxy] + index] : nil
  }
}

/// The constant bytes of a rule set, while it is compiled.
struct ConstantStore {
  private(set) var bytes: [UInt8] = []

  mutating func insert(_ text: some Sequence<UInt8>) -> Constant {
    let start = bytes.count
    bytes.append(contentsOf: text)
    return Constant(start: UInt32(start), count: UInt32(bytes.count - start))
  }
}

/// A map, ready to be looked into. Its labels are the places of its entries.
struct CompiledMap: BitwiseCopyable {
  enum Index: BitwiseCopyable {
    case table(UInt32)
    case integers(Slice)
    case addresses(Slice)
    case expressions(Slice)
  }

  var index: Index
  var output: SampleType
  /// Among the texts, numbers or addresses of all maps, as `output` says.
  var values: Slice
}
