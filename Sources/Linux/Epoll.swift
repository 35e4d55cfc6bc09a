import CLinux
import Glibc

/// What to be told about a descriptor, or what is so: bits of epoll_ctl(2).
@frozen public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Bytes, a connection or an end is there to be read.
  public static let readable = Readiness(rawValue: 0x001)
  /// Urgent data (tcp(7)): a read stops in front of it, though more is there.
  public static let urgent = Readiness(rawValue: 0x002)
  public static let writable = Readiness(rawValue: 0x004)
  /// The descriptor is broken: a reset, or the other end of a pipe is gone.
  public static let error = Readiness(rawValue: 0x008)
  /// Both directions have ended.
  public static let hangUp = Readiness(rawValue: 0x010)
  /// The peer has ended its direction.
  public static let readHangUp = Readiness(rawValue: 0x2000)
  /// Wakes one of the processes that wait for a shared listener, not all.
  public static let exclusive = Readiness(rawValue: 1 << 28)
  /// Tells changes only.
  public static let edgeTriggered = Readiness(rawValue: 1 << 31)

  /// For a relayed socket, once and for all: with level triggering, half-closed sockets spin.
  public static let everyChange: Readiness = [
    .readable, .urgent, .writable, .readHangUp, .edgeTriggered,
  ]
}

/// One descriptor's news.
@frozen public struct ReadinessEvent: Sendable {
  public let readiness: Readiness
  /// What was given when the descriptor was added.
  public let token: UInt64
}

/// The kernel's list of the descriptors that are watched.
///
/// - SeeAlso: epoll(7).
public struct Epoll: ~Copyable {
  /// Most events that one wait returns.
  public static let batch = 256

  private let descriptor: Descriptor
  /// In memory of their own: to read an element of an `InlineArray` copies all of it.
  private let events: Region<clinux_event>

  public init() throws(Errno) {
    let events = try Region<clinux_event>(count: Self.batch)
    descriptor = Descriptor(adopting: try check(clinux_epoll_create()))
    self.events = events
  }

  /// - Throws: `ENOSPC` when `fs.epoll.max_user_watches` is reached, `EPERM` for a file.
  public borrowing func add(
    _ target: borrowing Descriptor, _ interest: Readiness, token: UInt64
  ) throws(Errno) {
    try check(clinux_epoll_add(descriptor.number, target.number, interest.rawValue, token))
  }

  public borrowing func modify(
    _ target: borrowing Descriptor, _ interest: Readiness, token: UInt64
  ) throws(Errno) {
    try check(clinux_epoll_modify(descriptor.number, target.number, interest.rawValue, token))
  }

  /// Needed only for a descriptor whose open file others hold too; closing the last one removes it.
  public borrowing func remove(_ target: borrowing Descriptor) throws(Errno) {
    try check(clinux_epoll_delete(descriptor.number, target.number))
  }

  /// Waits for news, `milliseconds` at most (-1: for ever), and says how many there are.
  ///
  /// A signal ends the wait early, with none.
  public mutating func wait(milliseconds: Int) throws(Errno) -> Int {
    let result = unsafe clinux_epoll_wait(
      descriptor.number, events.base, CInt(Self.batch), CInt(clamping: milliseconds))
    return result == -EINTR ? 0 : Int(try check(result))
  }

  /// The news at `index`, below what the last wait returned.
  public subscript(index: Int) -> ReadinessEvent {
    ReadinessEvent(readiness: Readiness(rawValue: events[index].events), token: events[index].token)
  }
}

// MARK: - Doorbells

/// A bell is a descriptor that becomes readable when someone rings: eventfd(2).
extension Descriptor {
  /// Makes a bell.
  ///
  /// - Throws: `EMFILE`.
  public static func doorbell() throws(Errno) -> Descriptor {
    Descriptor(adopting: try check(clinux_eventfd()))
  }

  /// Makes a bell readable.
  public borrowing func ring() {
    var one: UInt64 = 1
    _ = unsafe clinux_write(number, &one, 8)
  }

  /// Makes a bell unreadable until it rings again.
  public borrowing func silence() {
    var count: UInt64 = 0
    _ = unsafe clinux_read(number, &count, 8)
  }
}
