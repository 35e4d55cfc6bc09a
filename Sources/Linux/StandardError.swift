import CLinux

/// Where a process complains when nothing else is left.
public enum StandardError {
  /// Writes what can be written; a closed or full standard error is nobody's fault.
  public static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      guard let base = bytes.baseAddress else { return }
      _ = unsafe clinux_write(2, base, bytes.count)
    }
  }
}
