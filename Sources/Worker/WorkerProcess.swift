/// One worker: the loop, and the one switch on what an event is for.
public struct WorkerProcess: ~Copyable {
  /// Carries connections until told to stop. Never returns: the process ends with it.
  public static func run(_ heritage: consuming Heritage) -> Never {
    fatalError("not yet")
  }
}
