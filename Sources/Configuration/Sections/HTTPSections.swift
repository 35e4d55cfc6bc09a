/// `mode http` sections, and the few other modes: recognised, told of, and not served.
extension ConfigurationReader {
  /// Tells of the sections that are left out, all but those that a tcp frontend routes to.
  ///
  /// Served as plain bytes a section would lose its header rules, its redirects and its access
  /// control, so nothing is bound for it.
  mutating func warnOfSectionsLeftOut(served: Set<String>) {
    for section in httpSections where !served.contains(section.name) {
      let title = "\(section.kind.rawValue) '\(section.name)'"
      log.warn(
        section.section.header.span, "\(title) is 'mode \(section.mode)' and is left out",
        hints: [section.advice])
    }
  }
}

extension HTTPSection {
  fileprivate var mode: String {
    if case .other(let name) = settings.mode { name } else { "http" }
  }

  fileprivate var advice: String {
    if isStatisticsPage { return "'sluicectl status' and the stats socket tell what it would show" }
    if endsTLS { return "TLS would have to end here, and sluice never decrypts" }
    return "sluice carries bytes in 'mode tcp' only; nothing listens for it"
  }

  private var endsTLS: Bool {
    section.statements.contains { statement in
      statement.words.first?.text == "bind" && statement.words.contains { $0.text == "ssl" }
    }
  }

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
