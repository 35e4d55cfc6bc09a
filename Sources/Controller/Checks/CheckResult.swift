import Configuration
import Linux

/// How a check ended, by the numbers of `show servers state`.
enum CheckStatus: UInt64, CaseIterable, Sendable {
  case unknown = 0
  /// None has ended yet.
  case initializing = 1
  /// The check itself failed: no descriptors, no source ports.
  case socketError = 5
  case layer4OK = 6
  case layer4Timeout = 7
  case layer4Connection = 8
  case layer6OK = 9
  case layer6Timeout = 10
  case layer6Response = 11
  case layer7Timeout = 12
  case layer7Response = 13
  case layer7OK = 15
  case layer7ConditionallyOK = 16
  case layer7Status = 17

  init(_ verdict: CheckVerdict) {
    self =
      switch verdict {
      case .layer4OK: .layer4OK
      case .layer4Timeout: .layer4Timeout
      case .layer4Connection: .layer4Connection
      case .layer6OK: .layer6OK
      case .layer6Timeout: .layer6Timeout
      case .layer6Response: .layer6Response
      case .layer7OK: .layer7OK
      case .layer7ConditionallyOK: .layer7ConditionallyOK
      case .layer7Timeout: .layer7Timeout
      case .layer7Response: .layer7Response
      case .layer7Status: .layer7Status
      }
  }

  /// As `check_status` in `show stat`.
  var code: String {
    switch self {
    case .unknown: "UNK"
    case .initializing: "INI"
    case .socketError: "SOCKERR"
    case .layer4OK: "L4OK"
    case .layer4Timeout: "L4TOUT"
    case .layer4Connection: "L4CON"
    case .layer6OK: "L6OK"
    case .layer6Timeout: "L6TOUT"
    case .layer6Response: "L6RSP"
    case .layer7Timeout: "L7TOUT"
    case .layer7Response: "L7RSP"
    case .layer7OK: "L7OK"
    case .layer7ConditionallyOK: "L7OKC"
    case .layer7Status: "L7STS"
    }
  }

  /// As `check_desc`, and as log lines give the reason.
  var text: String {
    switch self {
    case .unknown: "Unknown"
    case .initializing: "Initializing"
    case .socketError: "Socket error"
    case .layer4OK: "Layer4 check passed"
    case .layer4Timeout: "Layer4 timeout"
    case .layer4Connection: "Layer4 connection problem"
    case .layer6OK: "Layer6 check passed"
    case .layer6Timeout: "Layer6 timeout"
    case .layer6Response: "Layer6 invalid response"
    case .layer7Timeout: "Layer7 timeout"
    case .layer7Response: "Layer7 invalid response"
    case .layer7OK: "Layer7 check passed"
    case .layer7ConditionallyOK: "Layer7 check conditionally passed"
    case .layer7Status: "Layer7 wrong status"
    }
  }

  /// `check_result` in `show servers state`: 0 unknown, 2 failed, 3 passed, 4 passed on condition.
  var result: Int {
    switch self {
    case .unknown, .initializing: 0
    case .layer4OK, .layer6OK, .layer7OK: 3
    case .layer7ConditionallyOK: 4
    default: 2
    }
  }

  var hasPassed: Bool { result >= 3 }

  /// Whether the server's own status code belongs to it.
  var hasCode: Bool { rawValue > 14 }
}

/// One check's end.
struct CheckResult: Equatable, Sendable {
  var status: CheckStatus
  /// Why it failed, where the kernel said.
  var error: Errno?
  /// What there is to say of it; empty for what the status says already.
  var info = ""
  /// The status that the server answered with, in its protocol; 0 for none.
  var code = 0
  var milliseconds: UInt64 = 0

  /// What the server says may be long: bytes that are kept of it, as in the reference.
  static let longestInfo = 127

  var hasPassed: Bool { status.hasPassed }

  /// `Layer7 wrong status, code: 503, info: "Service Unavailable", check duration: 1ms`.
  var reason: String {
    let code = status.hasCode ? ", code: \(code)" : ""
    let info = explanation.isEmpty ? "" : ", info: \"\(explanation.printable)\""
    return "\(status.text)\(code)\(info), check duration: \(milliseconds)ms"
  }

  /// What follows the kernel's word begins with a blank, as in the reference.
  var explanation: String { ((error?.description ?? "") + info).cut(toBytes: Self.longestInfo) }
}

extension String {
  /// With `<0A>` for bytes that would break a line, or end a quotation.
  fileprivate var printable: String {
    var text = ""
    for scalar in unicodeScalars {
      if scalar.value >= 0x20, scalar.value < 0x7f, scalar != "\"" {
        text.unicodeScalars.append(scalar)
      } else {
        for byte in String(scalar).utf8 {
          text += "<" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
        }
      }
    }
    return text
  }
}
