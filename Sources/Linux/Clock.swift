import CLinux

/// The machine's clocks, in nanoseconds.
///
/// - SeeAlso: clock_gettime(2).
public enum Clock {
  /// Never jumps; counts from the machine's start.
  public static var monotonic: Int64 { clinux_clock_monotonic() }

  /// The same, read without asking the hardware: as old as the last tick, 1…4 ms.
  public static var monotonicCoarse: Int64 { clinux_clock_monotonic_coarse() }

  /// Since 1970-01-01 UTC. Jumps when the administrator sets the clock.
  public static var realtime: Int64 { clinux_clock_realtime() }
}
