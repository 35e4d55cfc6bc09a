import Configuration
import Ledger
import Linux

/// The tables of servers, one line each.
enum ServerDump {
  /// `show servers state`, version 1: also what a state file of the reference holds.
  static func states(_ deployment: Deployment, _ backends: [Int]) -> String {
    "1\n# " + stateColumns.joined(separator: " ") + "\n"
      + rows(deployment, backends, state)
  }

  /// `show servers conn`. There are no idle connections to servers here.
  static func connections(_ deployment: Deployment, _ backends: [Int]) -> String {
    "# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est "
      + "idle_sess unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[\(deployment.workerCount)]\n"
      + rows(deployment, backends, connection)
  }

  private static let stateColumns = [
    "be_id", "be_name", "srv_id", "srv_name", "srv_addr", "srv_op_state", "srv_admin_state",
    "srv_uweight", "srv_iweight", "srv_time_since_last_change", "srv_check_status",
    "srv_check_result", "srv_check_health", "srv_check_state", "srv_agent_state",
    "bk_f_forced_id", "srv_f_forced_id", "srv_fqdn", "srv_port", "srvrecord", "srv_use_ssl",
    "srv_check_port", "srv_check_addr", "srv_agent_addr", "srv_agent_port",
  ]

  private static func rows(
    _ deployment: Deployment, _ backends: [Int],
    _ row: (Deployment, ServerView) -> [String]
  ) -> String {
    backends.flatMap { deployment.servers(of: $0) }
      .map { row(deployment, $0).joined(separator: " ") + "\n" }.joined()
  }

  private static func state(_ deployment: Deployment, _ server: ServerView) -> [String] {
    let check = server.settings.check
    let age = UInt64.wallClock.since(server.gauges[.lastChange].value)
    let status = server.checkStatus
    return [
      String(deployment.configuration.backends[server.id.backend].identity.id),
      server.backendName, String(server.settings.id), server.settings.name,
      server.hostText, String(server.operational.rawValue), String(administrativeBits(server)),
      String(server.weight), String(server.settings.weight), String(age),
      String(status.rawValue), String(status.result),
      String(server.health?.value ?? 0), String(checkBits(server)), "0", "0", "0",
      server.resolvedName ?? "-", String(server.port), "-", "0", String(check?.port ?? 0),
      check?.address?.endpoint?.address.description ?? "-", "-", "0",
    ]
  }

  private static func connection(_ deployment: Deployment, _ server: ServerView) -> [String] {
    let used = String(server.gauges[.current].value)
    let most = String(server.gauges[.maximum].value)
    let backend = deployment.configuration.backends[server.id.backend].identity.id
    return [
      server.name, "\(backend)/\(server.settings.id)", server.hostText, String(server.port), "-",
      "5000", used, used, most, used, "0", "0", "0", "-1", "0",
    ] + [String](repeating: "0", count: deployment.workerCount)
  }

  /// Who is `disabled` in the file is in forced maintenance too, as there.
  private static func administrativeBits(_ server: ServerView) -> UInt64 {
    let bits = server.administrative
    return bits.contains(.configuredMaintenance)
      ? bits.union(.forcedMaintenance).rawValue : bits.rawValue
  }

  /// 2 configured, 4 enabled, 8 paused.
  private static func checkBits(_ server: ServerView) -> Int {
    (server.settings.check == nil ? 0 : 6) + (server.isInMaintenance ? 8 : 0)
  }
}

extension ServerView {
  /// The address without its port; `-` while there is none.
  fileprivate var hostText: String {
    switch address {
    case .internet(let endpoint)?: endpoint.address.description
    case .unix(let path)?: path
    case .abstract(let name)?: "abns@" + name
    case nil: "-"
    }
  }

  fileprivate var resolvedName: String? {
    if case .name(let name) = settings.address.host { name } else { nil }
  }
}
