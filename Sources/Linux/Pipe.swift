import CLinux

/// A kernel pipe, both ends non-blocking.
@frozen public struct Pipe: ~Copyable, Sendable {
  /// Where bytes come out.
  public let outlet: Descriptor
  /// Where bytes go in.
  public let inlet: Descriptor
  /// The size that the kernel granted, in bytes. It bounds nothing: a pipe has slots, not bytes,
  /// and holds four times as much when large segments are spliced in, or 32 bytes when tiny ones.
  public private(set) var nominalSize: Int

  /// Opens a pipe and asks for `size` bytes of room.
  ///
  /// A process without CAP_SYS_RESOURCE or CAP_SYS_ADMIN shares `fs.pipe-user-pages-soft` pages
  /// with its whole user; beyond it the kernel gives 8 KiB pipes and refuses to grow them.
  /// `nominalSize` says what was granted.
  ///
  /// - Throws: `EMFILE` or `ENFILE` when descriptors run out.
  /// - SeeAlso: pipe(7), pipe2(2), `F_SETPIPE_SZ` in fcntl(2).
  public init(size: Int) throws(Errno) {
    var outlet: CInt = -1
    var inlet: CInt = -1
    try check(unsafe clinux_pipe(&outlet, &inlet))
    let granted = clinux_pipe_resize(inlet, CInt(clamping: size))
    nominalSize = Int(granted > 0 ? granted : clinux_pipe_size(inlet))
    self.outlet = Descriptor(adopting: outlet)
    self.inlet = Descriptor(adopting: inlet)
  }

  /// Takes over a pipe that another process made.
  public init(outlet: consuming Descriptor, inlet: consuming Descriptor) {
    nominalSize = Int(max(0, clinux_pipe_size(inlet.number)))
    self.outlet = outlet
    self.inlet = inlet
  }

  /// Asks for `size` bytes of room; `nominalSize` says what there is after it. What is inside stays.
  ///
  /// - SeeAlso: `F_SETPIPE_SZ` in fcntl(2).
  public mutating func grow(to size: Int) {
    let granted = clinux_pipe_resize(inlet.number, CInt(clamping: size))
    if granted > 0 { nominalSize = Int(granted) }
  }

  /// Bytes inside.
  ///
  /// - SeeAlso: `FIONREAD` in pipe(7).
  public borrowing func bytesInside() -> Int {
    Int(max(0, clinux_bytes_readable(outlet.number)))
  }
}
