import Testing

@testable import Worker

@Suite("Termination codes")
struct CloseReasonTests {
  /// As in the reference's section on session states at disconnection; for a reason that names no
  /// phase the second letter is that of the phase it happened in.
  @Test(
    "letters are the reference's",
    arguments: [
      (CloseReason.done, "--"), (.clientAborted, "C."), (.serverAborted, "S."),
      (.clientTimeout, "c."), (.serverTimeout, "s."), (.denied, "PR"), (.deniedSession, "PR"),
      (.deniedConnection, "PR"), (.silentlyDropped, "PR"), (.notTLS, "PR"), (.badHello, "PR"),
      (.helloTimeout, "cR"), (.unknownName, "PR"), (.badProxyHeader, "PR"),
      (.proxyHeaderTimeout, "cR"), (.probe, "CR"), (.noServer, "SC"), (.connectFailed, "SC"),
      (.connectTimeout, "sC"), (.queueTimeout, "sQ"), (.queueFull, "RQ"), (.noResources, "R."),
      (.shutDown, "K."), (.serverDown, "D."), (.stopping, "K."),
    ])
  func letters(_ reason: CloseReason, _ code: String) {
    let letters = [reason.letter, reason.stateLetter ?? UInt8(ascii: ".")]
    #expect(String(decoding: letters, as: UTF8.self) == code)
  }

  @Test(
    "a phase has a letter",
    arguments: [
      (Phase.header, "R"), (.inspecting, "R"), (.routing, "R"), (.queued, "Q"), (.resting, "C"),
      (.dialing, "C"), (.relaying, "D"), (.resetting, "D"),
    ])
  func phases(_ phase: Phase, _ letter: String) {
    #expect(String(decoding: [phase.letter], as: UTF8.self) == letter)
  }

  @Test(
    "what cuts a transfer short is told by a reset, to both ends",
    arguments: [
      CloseReason.shutDown, .serverDown, .stopping,
    ])
  func cuts(_ reason: CloseReason) {
    #expect(reason.resetsClient && reason.resetsServer)
  }

  @Test(
    "what ends in order, or by a timeout, is not",
    arguments: [
      CloseReason.done, .clientTimeout, .serverTimeout, .probe, .queueTimeout,
    ])
  func ends(_ reason: CloseReason) {
    #expect(!reason.resetsClient && !reason.resetsServer)
  }
}
