import Configuration

/// Any bytes are read without a trap, what comes of them holds together, and a second reading from
/// the snapshot comes to the same.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let raw = bytes(data, count)
  var input = ConfigurationSnapshot(environment: ["A": "one two", "PORT": "443"])
  // The file may name itself as a file of patterns, and as a second configuration.
  for (path, role) in [("a.cfg", ConfigurationSnapshot.File.Role.configuration), ("p", .patterns)] {
    input.files.append(.init(path: path, role: role, bytes: raw))
  }
  let result = ConfigurationLoader.load(snapshot: input)
  require(
    (result.configuration == nil) == (result.count(.error) > 0),
    "errors and no refusal, or a refusal without")
  checkPositions(result)
  require(result.report.isEmpty == result.diagnostics.isEmpty, "silent diagnostics")
  if let configuration = result.configuration { checkIndices(configuration) }
  // Half of the work is for this; inputs of every fourth length are enough to see it.
  if count % 4 == 0 { checkRepetition(result) }
  checkSnapshot(raw)
  checkCondition(raw)
  return 0
}

/// Every diagnostic lies within the text that it is about.
func checkPositions(_ result: LoadResult) {
  let lines = result.snapshot.files.map {
    $0.bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
  }
  for diagnostic in result.diagnostics {
    guard let position = diagnostic.position else { continue }
    require(lines.indices.contains(position.file), "file \(position.file)")
    let file = lines[position.file]
    require(file.indices.contains(position.line - 1), "line \(position.line) of \(file.count)")
    let line = file[position.line - 1]
    require((1...(line.count + 1)).contains(position.column), "column \(position.column)")
    require(diagnostic.length > 0, "length \(diagnostic.length)")
    // What is missing stands just behind the line.
    require(
      position.column - 1 + diagnostic.length <= line.count + 1,
      "\(diagnostic.length) bytes from \(position.column) of \(line.count)")
  }
}

/// Every index leads somewhere.
func checkIndices(_ configuration: ProxyConfiguration) {
  for frontend in configuration.frontends {
    let backends = configuration.backends.indices
    require(frontend.defaultBackend.map(backends.contains) ?? true, "default backend")
    for rule in frontend.backendRules {
      guard let backend = rule.backend else { continue }
      require(backends.contains(backend), "backend")
    }
    for variable in frontend.captures {
      require(variable < configuration.variables.count, "slot of captures")
    }
    let rules = frontend.connectionRules + frontend.sessionRules + frontend.contentRules
    check(rules.map(\.condition) + frontend.backendRules.map(\.condition), frontend.acls)
  }
  for backend in configuration.backends {
    let servers = backend.servers.indices
    require(backend.serverRules.allSatisfy { servers.contains($0.server) }, "server")
    check(
      backend.contentRules.map(\.condition) + backend.serverRules.map(\.condition), backend.acls)
    require(Set(backend.servers.map(\.id)).count == backend.servers.count, "ids of servers")
  }
}

func check(_ conditions: [Condition?], _ acls: [ACL]) {
  for case let condition? in conditions {
    require(!condition.alternatives.isEmpty, "no alternative")
    for terms in condition.alternatives {
      require(!terms.isEmpty && terms.allSatisfy { acls.indices.contains($0.acl) }, "ACL")
    }
  }
  require(acls.allSatisfy { !$0.lines.isEmpty }, "an ACL that tests nothing")
}

/// The snapshot survives its bytes, and a second reading is the first.
func checkRepetition(_ first: LoadResult) {
  guard let snapshot = try? ConfigurationSnapshot(decoding: first.snapshot.encoded) else {
    fatalError("what was encoded is no snapshot")
  }
  require(snapshot == first.snapshot, "the snapshot changed")
  let second = ConfigurationLoader.load(snapshot: snapshot)
  require(second.diagnostics == first.diagnostics, "other diagnostics")
  require(second.snapshot == first.snapshot, "another snapshot")
  require(second.configuration?.hash == first.configuration?.hash, "another hash")
  // Telling every field takes a hundred times as long as reading them: not for every input.
  guard first.snapshot.files[0].bytes.count < 300 else { return }
  require(
    "\(String(describing: second.configuration))" == "\(String(describing: first.configuration))",
    "another configuration")
}

/// Bytes that are taken for a snapshot are one.
func checkSnapshot(_ raw: [UInt8]) {
  guard let snapshot = try? ConfigurationSnapshot(decoding: raw) else { return }
  require((try? ConfigurationSnapshot(decoding: snapshot.encoded)) == snapshot, "no round trip")
  _ = ConfigurationLoader.load(snapshot: snapshot)
}

func checkCondition(_ raw: [UInt8]) {
  let text = String(decoding: raw.prefix { $0 != 0x0a }, as: UTF8.self)
  switch ConditionExpression.evaluate(text, environment: ["A": "1"]) {
  case .isTrue, .isFalse: break
  case .syntaxError(let message, let offset):
    require(!message.isEmpty && (0...text.utf8.count).contains(offset), "error at \(offset)")
  }
}
