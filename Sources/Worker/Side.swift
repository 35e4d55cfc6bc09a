import Linux

/// What is known of one end's socket: edge-triggered events are remembered here until a call finds
/// that they are no longer true.
struct Side: BitwiseCopyable {
  /// Whether reading may give something: bytes, an end or an error.
  var canRead = false
  /// Whether writing may be taken.
  var canWrite = false
  /// Whether the peer's end of stream, or an error, has been reported. Then a short read says
  /// nothing about what comes next, and reading goes on until the end itself is read.
  var sawEnd = false
  /// Whether the peer has ever sent urgent data: then a short read does not mean that nothing is left.
  var hasUrgent = false
  /// Whether epoll knows the socket.
  var isWatched = false

  /// Whether a read that did not fill its buffer has emptied the socket.
  var shortReadEmpties: Bool { !sawEnd && !hasUrgent }

  mutating func note(_ readiness: Readiness) {
    if !readiness.isDisjoint(with: [.readable, .readHangUp, .hangUp, .error]) { canRead = true }
    if readiness.contains(.urgent) {
      hasUrgent = true
      canRead = true
    }
    if !readiness.isDisjoint(with: [.writable, .hangUp, .error]) { canWrite = true }
    if !readiness.isDisjoint(with: [.readHangUp, .hangUp, .error]) { sawEnd = true }
  }
}
