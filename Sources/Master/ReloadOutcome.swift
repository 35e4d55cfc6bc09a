import Linux
import Wire

/// How the last reload went, for operators; it goes along over the exec in its middle.
struct ReloadOutcome: Equatable, Sendable {
  /// When it was begun, in nanoseconds of the monotonic clock.
  var began: Int64 = 0
  /// When it ended, in seconds since 1970; 0 while there has been none.
  var ended: UInt64 = 0
  var hasSucceeded = false
  /// From the order to the outcome.
  var milliseconds: UInt64 = 0
  var handedOver: UInt64 = 0
  var handOverMilliseconds: UInt64 = 0
  var kept: UInt64 = 0
  /// Why it failed.
  var text = ""

  mutating func begin() {
    self = ReloadOutcome()
    began = Clock.monotonic
  }

  mutating func end(success: Bool, _ text: String) {
    hasSucceeded = success
    self.text = text
    ended = UInt64(max(0, Clock.realtime / 1_000_000_000))
    milliseconds = UInt64(max(0, Clock.monotonic - began) / 1_000_000)
  }

  /// What one of the old workers says.
  mutating func add(_ report: HandOverReport) {
    handedOver += report.moved
    handOverMilliseconds = max(handOverMilliseconds, report.milliseconds)
    kept += report.kept
  }
}

extension ReloadOutcome {
  func write(to writer: inout RecordWriter) {
    writer.write(1, Int(began))
    writer.write(2, ended)
    writer.write(3, hasSucceeded)
    writer.write(4, milliseconds)
    writer.write(5, handedOver)
    writer.write(6, handOverMilliseconds)
    writer.write(7, kept)
    writer.write(8, text)
  }

  init(_ reader: RecordReader) throws(RecordError) {
    func number(_ tag: UInt16) throws(RecordError) -> UInt64 {
      UInt64(UInt(bitPattern: try reader.number(tag) ?? 0))
    }
    self.init(
      began: Int64(try reader.number(1) ?? 0), ended: try number(2),
      hasSucceeded: try reader.flag(3), milliseconds: try number(4), handedOver: try number(5),
      handOverMilliseconds: try number(6), kept: try number(7), text: reader.text(8) ?? "")
  }
}

extension Supervisor {
  var reloadStatus: ReloadStatus {
    var status = ReloadStatus()
    status.generation = UInt32(truncatingIfNeeded: release.generation)
    status.reloads = UInt32(clamping: reloads)
    status.failedReloads = UInt32(clamping: failedReloads)
    status.lastEnd = lastReload.ended
    status.lastSucceeded = lastReload.hasSucceeded
    status.lastMilliseconds = lastReload.milliseconds
    status.handedOver = lastReload.handedOver
    status.handOverMilliseconds = lastReload.handOverMilliseconds
    status.kept = lastReload.kept
    status.text = String(lastReload.text.reason.prefix(Self.longestReason))
    return status
  }

  /// Characters of the reason that a message carries.
  private static let longestReason = 500
}
