import CLinux
import Glibc

/// What became of an attempt to move bytes.
@frozen public enum Transfer: Equatable, Sendable {
  /// This many bytes moved; always more than zero.
  case moved(Int)
  /// Nothing could move now: the source is empty or the sink is full.
  case blocked
  /// The source has ended and will give nothing more.
  case ended
}

extension Descriptor {
  /// Reads a socket's bytes.
  ///
  /// - Throws: `ECONNRESET` and its like when the peer is gone.
  /// - SeeAlso: recv(2).
  public borrowing func receive(into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Transfer {
    let number = number
    let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return 0 }
      return Self.persist { unsafe clinux_recv(number, base, bytes.count, 0) }
    }
    return try Self.transfer(result)
  }

  /// Sends what the socket takes.
  ///
  /// - Throws: `EPIPE` or `ECONNRESET` when the peer is gone.
  /// - SeeAlso: send(2), with `MSG_NOSIGNAL`.
  public borrowing func send(_ buffer: Span<UInt8>) throws(Errno) -> Transfer {
    let number = number
    let result = unsafe buffer.withUnsafeBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return 0 }
      return Self.persist { unsafe clinux_send(number, base, bytes.count, 0) }
    }
    // Zero here is an empty buffer, never an end.
    return result == -Int64(EAGAIN) || result == 0 ? .blocked : try Self.transfer(result)
  }

  /// Reads a file, pipe or event descriptor.
  ///
  /// - SeeAlso: read(2).
  public borrowing func read(into buffer: inout MutableSpan<UInt8>) throws(Errno) -> Transfer {
    let number = number
    let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return 0 }
      return Self.persist { unsafe clinux_read(number, base, bytes.count) }
    }
    return try Self.transfer(result)
  }

  /// Writes to a file or pipe what it takes.
  ///
  /// - SeeAlso: write(2).
  public borrowing func write(_ buffer: Span<UInt8>) throws(Errno) -> Transfer {
    let number = number
    let result = unsafe buffer.withUnsafeBytes { bytes -> Int64 in
      guard let base = bytes.baseAddress else { return 0 }
      return Self.persist { unsafe clinux_write(number, base, bytes.count) }
    }
    return result == -Int64(EAGAIN) || result == 0 ? .blocked : try Self.transfer(result)
  }

  /// Moves up to `count` bytes into `sink` without copying them through this process. Either end
  /// must be a pipe; both must be non-blocking, since the flag of splice(2) spares the pipe only.
  ///
  /// - Throws: `EPIPE` or `ECONNRESET` when the peer is gone; `EINVAL` when neither end is a pipe
  ///   or the other cannot be spliced.
  /// - SeeAlso: splice(2).
  public borrowing func splice(
    into sink: borrowing Descriptor, upTo count: Int
  ) throws(Errno) -> Transfer {
    var result: Int64
    repeat {
      result = clinux_splice(number, sink.number, count)
    } while result == -Int64(EINTR)
    return try Self.transfer(result)
  }

  /// Tries again what a signal interrupted.
  @inline(__always)
  private static func persist(_ call: () -> Int64) -> Int64 {
    var result: Int64
    repeat { result = call() } while result == -Int64(EINTR)
    return result
  }

  @inline(__always)
  private static func transfer(_ result: Int64) throws(Errno) -> Transfer {
    if result > 0 { return .moved(Int(result)) }
    if result == 0 { return .ended }
    if result == -Int64(EAGAIN) { return .blocked }
    throw Errno(CInt(-result))
  }
}
