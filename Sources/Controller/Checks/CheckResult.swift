import Linux

/// How a check ended, by the numbers of `show servers state`.
enum CheckStatus: UInt64, Sendable {
  case unknown = 0
  /// None has ended yet.
  case initializing = 1
  /// The check itself failed: no descriptors, no source ports.
  case socketError = 5
  case layer4OK = 6
  case layer4Timeout = 7
  case layer4Connection = 8

  /// As `check_status` in `show stat`.
  var code: String {
    switch self {
    case .unknown: "UNK"
    case .initializing: "INI"
    case .socketError: "SOCKERR"
    case .layer4OK: "L4OK"
    case .layer4Timeout: "L4TOUT"
    case .layer4Connection: "L4CON"
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
    }
  }

  /// `check_result` in `show servers state`: 0 unknown, 2 failed, 3 passed.
  var result: Int {
    switch self {
    case .unknown, .initializing: 0
    case .layer4OK: 3
    case .socketError, .layer4Timeout, .layer4Connection: 2
    }
  }
}

/// One check's end.
struct CheckResult: Equatable, Sendable {
  var status: CheckStatus
  /// Why it failed, where the kernel said.
  var error: Errno?
  var milliseconds: UInt64

  var hasPassed: Bool { status == .layer4OK }

  /// `Layer4 connection problem, info: "Connection refused", check duration: 0ms`.
  var reason: String {
    let detail = error.map { ", info: \"\($0.description)\"" } ?? ""
    return "\(status.text)\(detail), check duration: \(milliseconds)ms"
  }
}
