/// `mode http` sections, and the few other modes: recognised, told of, and not served.
extension ConfigurationReader {
  /// Leaves a section out, loudly. Served as plain bytes it would lose its header rules, its
  /// redirects and its access control.
  mutating func setAside(_ section: HTTPSection) {
    httpSections.append(section)
    let title = "\(section.kind.rawValue) '\(section.name)'"
    guard case .http = section.settings.mode else {
      if case .other(let mode) = section.settings.mode {
        log.warn(
          section.section.header.span,
          "\(title) is 'mode \(mode)', which is not supported in this version: it is left out")
      }
      return
    }
    if section.isStatisticsPage {
      log.warn(
        section.section.header.span, "\(title) is 'mode http' and is not served",
        hints: ["'sluicectl status' and the stats socket tell what this page would"])
    } else {
      log.warn(
        section.section.header.span, "\(title) is 'mode http' and is not served",
        hints: ["sluice carries bytes in 'mode tcp' only; nothing listens for it"])
    }
  }
}

extension HTTPSection {
  /// Whether it shows statistics and carries no traffic.
  var isStatisticsPage: Bool {
    var showsStatistics = false
    for statement in section.statements {
      switch statement.words.first?.text {
      case "server", "server-template", "default_backend", "use_backend": return false
      case "stats", "monitor-uri": showsStatistics = true
      case "http-request" where statement.words.dropFirst().first?.text == "use-service":
        showsStatistics = true
      default: break
      }
    }
    return showsStatistics
  }
}
