import CLinux
import Glibc

/// This process, and what it can do to others.
///
/// Not for a process with several threads: fork(2) copies only the one that calls it.
public enum Process {
  public static var id: Int32 { getpid() }
  public static var parent: Int32 { getppid() }

  /// Names the process in `ps`, `top` and `pgrep`. At most 15 bytes are kept.
  ///
  /// - SeeAlso: `PR_SET_NAME` in prctl(2).
  public static func rename(to name: String) {
    _ = unsafe name.withCString { unsafe clinux_set_process_name($0) }
  }

  /// How many processors the process may run on.
  ///
  /// - SeeAlso: sched_getaffinity(2).
  public static var usableProcessors: Int { max(1, Int(clinux_usable_cpus())) }

  /// The path of the program that runs, whatever it was called by; nil without `/proc`.
  public static var executablePath: String? {
    // A replaced file is shown as deleted: the path is the one to look for its successor at.
    guard let path = File.linkTarget("/proc/self/exe") else { return nil }
    let mark = " (deleted)"
    return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
  }

  /// Starts a session of its own, away from the terminal.
  ///
  /// - SeeAlso: setsid(2).
  public static func leaveTerminal() { _ = clinux_setsid() }

  /// Ends the process at once: no buffer is flushed, no owner let go.
  public static func exit(_ status: Int32) -> Never { clinux_exit(status) }
}

// MARK: - Forking and executing

extension Process {
  /// Which of the two a fork's return is.
  @frozen public enum Side: Equatable, Sendable {
    case child
    case parent(child: Int32)
  }

  /// - Throws: `EAGAIN` when there are too many processes, `ENOMEM`.
  /// - SeeAlso: fork(2).
  public static func fork() throws(Errno) -> Side {
    let result = try check(clinux_fork())
    return result == 0 ? .child : .parent(child: result)
  }

  /// Starts a child that runs `body`, and returns its process id.
  ///
  /// - Throws: as ``fork()``.
  public static func spawn(_ body: () -> Never) throws(Errno) -> Int32 {
    let result = try check(clinux_fork())
    if result == 0 { body() }
    return result
  }

  /// Becomes another program: an open one, so that it is this file whatever lies at its path now.
  ///
  /// - Returns: why it could not; on success never.
  /// - SeeAlso: execveat(2), with `AT_EMPTY_PATH`.
  public static func execute(
    _ program: borrowing Descriptor, arguments: [String], environment: [String]
  ) -> Errno {
    let arguments = CStrings(arguments)
    let environment = CStrings(environment)
    let result = unsafe clinux_fexecve(program.number, arguments.pointers, environment.pointers)
    withExtendedLifetime(arguments) {}
    withExtendedLifetime(environment) {}
    return Errno(-result)
  }

  /// Lets descriptors survive execve(2), or with false takes that back.
  ///
  /// - Throws: `EBADF` when one is not open.
  public static func setKept(_ numbers: [Int32], acrossExec isKept: Bool) throws(Errno) {
    for number in numbers { try check(clinux_set_cloexec(number, isKept ? 0 : 1)) }
  }

  /// Gives this process exactly these descriptors beside the standard ones, numbered from 3 in
  /// their order, to be inherited by the program that it is about to become.
  ///
  /// The owners of all others are lied to: call it only in a child that becomes another program.
  public static func arrangeDescriptors(_ numbers: [Int32]) throws(Errno) {
    // First out of the way of the numbers to be, so that none is overwritten before its turn.
    let clear = Int32(3 + numbers.count)
    var copies: [Int32] = []
    for number in numbers { copies.append(try check(clinux_dup_above(number, clear))) }
    for (index, copy) in copies.enumerated() {
      try check(clinux_dup_onto(copy, Int32(3 + index)))
    }
    try check(clinux_close_range(UInt32(clear), UInt32.max))
  }

  /// Closes all descriptors but the standard ones and these.
  ///
  /// The owners of all others are lied to: call it only in a child that never lets them go.
  public static func closeDescriptors(except numbers: [Int32]) throws(Errno) {
    var first: UInt32 = 3
    for number in Set(numbers).sorted() where number >= 3 {
      if UInt32(number) > first { try check(clinux_close_range(first, UInt32(number) - 1)) }
      first = UInt32(number) + 1
    }
    try check(clinux_close_range(first, UInt32.max))
  }

  /// Binds a standard descriptor, 0…2, to another open file.
  public static func redirect(_ standard: Int32, to target: Int32) throws(Errno) {
    try check(clinux_dup_onto(target, standard))
  }
}

/// Strings as execve(2) wants them, freed with their owner.
@safe private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    unsafe pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { unsafe pointers[index] = unsafe strdup(string) }
    unsafe pointers[count] = nil
  }

  deinit {
    for index in 0..<count { unsafe free(pointers[index]) }
    unsafe pointers.deallocate()
  }
}

// MARK: - Children

/// How a process ended.
@frozen public enum ExitStatus: Equatable, Sendable {
  case exited(Int32)
  case killed(Signal)

  init(_ status: Int32) {
    let signal = status & 0x7f
    self = signal == 0 ? .exited(status >> 8 & 0xff) : .killed(Signal(rawValue: signal))
  }
}

extension ExitStatus: CustomStringConvertible {
  /// `exit code 1` or `signal 9 (Killed)`.
  public var description: String {
    switch self {
    case .exited(let code): "exit code \(code)"
    case .killed(let signal): "signal \(signal.rawValue) (\(signal))"
    }
  }
}

extension Process {
  /// A child that ended, or a stranger's orphan where this is process 1; nil when none has.
  ///
  /// - SeeAlso: waitpid(2), with -1 and `WNOHANG`.
  public static func reap() -> (child: Int32, status: ExitStatus)? {
    var status: Int32 = 0
    var result: Int32
    repeat { result = unsafe clinux_waitpid(-1, &status, 0) } while result == -EINTR
    return result > 0 ? (result, ExitStatus(status)) : nil
  }

  /// Waits for one child to end; nil when it is no child of ours.
  public static func wait(for child: Int32) -> ExitStatus? {
    var status: Int32 = 0
    var result: Int32
    repeat { result = unsafe clinux_waitpid(child, &status, 1) } while result == -EINTR
    return result == child ? ExitStatus(status) : nil
  }

  /// - Throws: `ESRCH` when there is no such process, `EPERM`.
  /// - SeeAlso: kill(2).
  public static func send(_ signal: Signal, to process: Int32) throws(Errno) {
    try check(clinux_kill(process, signal.rawValue))
  }
}

// MARK: - The environment

extension Process {
  /// The variables, as `NAME=value`.
  public static var environment: [String] {
    guard let variables = unsafe clinux_environment() else { return [] }
    var found: [String] = []
    var index = 0
    while let variable = unsafe variables[index] {
      found.append(unsafe String(cString: variable))
      index += 1
    }
    return found
  }

  /// The variables by their names; of those that are there twice, the first.
  public static var variables: [String: String] {
    var found: [String: String] = [:]
    for variable in environment {
      guard let equals = variable.firstIndex(of: "=") else { continue }
      let name = String(variable[..<equals])
      if found[name] == nil { found[name] = String(variable[variable.index(after: equals)...]) }
    }
    return found
  }

  /// The value of a variable; nil when it is not set.
  public static func variable(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  /// Sets a variable, or with nil removes it.
  public static func setVariable(_ name: String, to value: String?) {
    if let value {
      _ = unsafe setenv(name, value, 1)
    } else {
      _ = unsafe unsetenv(name)
    }
  }
}
