import ArgumentParser
import Controller

/// The control plane of sluice. The daemon starts it; people do not.
@main
struct SluiceController: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-controller",
    abstract: "Checks servers, resolves names and answers operators, for sluice(8).",
    discussion: "Started by sluice, with descriptors that only it can give.",
    version: Release.version)

  @Option(help: "How many configurations came before this one, and one.")
  var generation: UInt64 = 1

  @Option(help: "How many stats sockets there are besides the default control socket.")
  var statsSockets = 0

  @Flag(help: "There is no default control socket.")
  var withoutControlSocket = false

  @Option(help: "How many workers there are.")
  var workerCount = 1

  @Option(help: "How many connections all workers together may carry.")
  var maxConnections = 0

  @Option(help: "When the daemon began, in seconds since 1970.")
  var started: UInt64?

  @Flag(help: "Read certificates from descriptor 3 and say on descriptor 4 whom they are for.")
  var certificateNames = false

  mutating func run() async throws {
    if certificateNames { return try CertificateProcess.run() }
    let order = ControllerProcess.Order(
      generation: generation, hasControlSocket: !withoutControlSocket,
      statsSockets: statsSockets, workers: workerCount, maxConnections: maxConnections,
      started: started)
    try await ControllerProcess.inherited(order).run()
  }
}
