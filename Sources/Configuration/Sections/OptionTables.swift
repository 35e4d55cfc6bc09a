/// Options of `bind` and `server` lines that are known and not acted on, with how many arguments
/// each takes.
enum OptionTables {
  struct Foreign {
    let arguments: Int
    let meaning: ForeignMeaning
  }

  private static func table(
    _ groups: [(words: String, meaning: ForeignMeaning)]
  ) -> [String: Foreign] {
    var table: [String: Foreign] = [:]
    for group in groups {
      for (name, arguments) in counted(group.words) {
        table[name] = Foreign(arguments: arguments, meaning: group.meaning)
      }
    }
    return table
  }

  /// Reads `name` or `name/arguments`, separated by blanks.
  private static func counted(_ words: String) -> [String: Int] {
    var result: [String: Int] = [:]
    for word in ForeignWords.words(words) {
      let (name, count) = word.split(atFirst: "/")
      result[name] = count.flatMap { Int($0) } ?? 0
    }
    return result
  }

  // MARK: bind

  static let bind = table([
    ("guid-prefix/1 label/1 nice/1 shards/1 thread/1 idle-ping/1 nbconn/1 tcp-ss/1", .inert),
    ("cc/1", .skipped("the system's congestion control applies")),
    ("process/1", .removed("all workers serve all binds")),
    ("level/1 severity-output/1 expose-fd/1", .inert),
    ("accept-netscaler-cip/1", .refused("clients' addresses would be the wrong ones")),
    ("namespace/1", .refused("it would listen in another network")),
    ("tcp-md5sig/1", .refused("connections would not be authenticated")),
    ("proto/1", .refused("only plain tcp is carried")),
  ])

  /// Those that follow `ssl`, beyond `crt`, `strict-sni` and `verify`.
  static let bindTLS = counted(
    """
    allow-0rtt alpn/1 ca-file/1 ca-ignore-err/1 ca-sign-file/1 ca-sign-pass/1 ca-verify-file/1
    ciphers/1 ciphersuites/1 client-sigalgs/1 crl-file/1 crt-ignore-err/1 crt-list/1 curves/1
    ecdhe/1 ech/1 force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13
    generate-certificates ktls/1 no-alpn no-ca-names no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11
    no-tlsv12 no-tlsv13 npn/1 prefer-client-ciphers sigalgs/1 ssl-max-ver/1 ssl-min-ver/1
    tls-ticket-keys/1 tls-tickets
    """)

  static var bindNames: [String] {
    [
      "accept-proxy", "backlog", "crt", "defer-accept", "gid", "group", "id", "interface",
      "maxconn", "mode", "mss", "name", "ssl", "strict-sni", "tcp-ut", "tfo", "transparent",
      "uid", "user", "v4v6", "v6only", "verify",
    ] + bind.keys + bindTLS.keys
  }

  // MARK: server

  static let server = table([
    (
      """
      agent-addr/1 agent-inter/1 agent-port/1 agent-send/1 allow-0rtt alpn/1
      check-pool-conn-name/1 check-proto/1 check-reuse-pool 
      check-sni-auto ciphers/1 ciphersuites/1 client-sigalgs/1 crl-file/1 crt/1 curves/1
      error-limit/1 force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 guid/1
      hash-key/1 idle-ping/1 ktls/1 log-bufsize/1 log-proto/1 max-reuse/1 no-agent-check
      no-check-reuse-pool no-check-sni-auto no-renegotiate no-sni-auto no-ssl-reuse no-sslv3
      no-tfo no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 non-stick npn/1
      pool-conn-name/1 pool-low-conn/1 pool-max-conn/1 pool-purge-delay/1 renegotiate shard/1
      sigalgs/1 sni/1 sni-auto ssl-max-ver/1 ssl-min-ver/1 ssl-reuse stick strict-maxconn tfo
      tls-tickets verifyhost/1 ws/1 cc/1
      """, .inert
    ),
    ("cookie/1 redir/1", .needsHTTP),
    ("observe/1 on-error/1", .skipped("traffic that fails does not bring a server down")),
    ("on-marked-up/1", .skipped("sessions on backup servers go on")),
    ("slowstart/1", .skipped("a server takes its full share at once")),
    ("init-state/1", .skipped("a server is up until a check fails")),
    ("resolve-prefer/1 resolve-net/1", .skipped("any address of the name may be used")),
    ("resolve-opts/1", .skipped("any address of the name may be used")),
    (
      "proxy-v2-options/1",
      .skipped("PROXY headers carry addresses and nothing else")
    ),
    ("check-via-socks4 socks4/1", .refused("servers would be reached otherwise")),
    ("agent-check", .refused("agents would not be asked for weights and states")),
    ("healthcheck/1", .refused("servers would not be checked as the section says")),
    ("namespace/1", .refused("servers would be looked for in another network")),
    ("proto/1", .refused("only plain tcp is carried")),
    ("resolvers/1", .refused("the system's resolver is asked for names instead: remove it")),
    ("tcp-md5sig/1", .refused("connections would not be authenticated")),
    ("track/1", .refused("the server would not follow the state of the other")),
    ("usesrc/1", .refused("servers would see another address")),
  ])

  static var serverNames: [String] {
    [
      "addr", "backup", "ca-file", "check", "check-alpn", "check-send-proxy", "check-sni",
      "check-ssl", "disabled", "downinter",
      "enabled", "fall", "fastinter", "id", "init-addr", "inter", "maxconn", "maxqueue",
      "minconn", "no-backup", "no-check", "no-check-send-proxy", "no-check-ssl",
      "no-send-proxy", "no-send-proxy-v2", "no-ssl", "on-marked-down", "port", "rise",
      "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn",
      "source", "ssl", "tcp-ut", "verify", "weight",
    ] + server.keys
  }
}
