/// What to do with a keyword of the language that has no counterpart here.
enum ForeignMeaning {
  /// About things that a tcp proxy does not have, or tuning: nothing is lost without it.
  case inert
  /// Needs HTTP: the reference ignores it in `mode tcp` too, with a warning.
  case needsHTTP
  /// Not done; what then differs. The traffic still goes where it should.
  case skipped(String)
  /// Removed from newer releases of the language, and without effect; what to write instead.
  case removed(String)
  /// Leaving it out would change where traffic goes, or who gets through.
  case refused(String)
}

/// Keywords that HAProxy knows and sluice does not act on, in `global` and in proxies.
enum ForeignKeywords {
  private static func table(
    _ groups: [(words: String, meaning: ForeignMeaning)]
  ) -> [String: ForeignMeaning] {
    var table: [String: ForeignMeaning] = [:]
    for group in groups {
      for word in ForeignWords.words(group.words) { table[word] = group.meaning }
    }
    return table
  }

  // MARK: global

  static func global(_ word: String) -> ForeignMeaning? {
    globalTable[word] ?? globalPrefixes.first { word.hasPrefix($0.prefix) }?.meaning
  }

  static var globalNames: [String] { Array(globalTable.keys) }

  /// Families of keywords about other builds' libraries, of which no list is kept.
  private static let globalPrefixes: [(prefix: String, meaning: ForeignMeaning)] = [
    ("51degrees-", .inert), ("deviceatlas-", .inert), ("wurfl-", .inert),
  ]

  private static let globalTable = table([
    (
      """
      ca-base key-base issuers-chain-path maxsslconn maxsslrate noktls ocsp-update.disable
      ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode
      ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-client-sigalgs
      ssl-default-bind-curves ssl-default-bind-options ssl-default-bind-sigalgs
      ssl-default-server-ciphers ssl-default-server-ciphersuites
      ssl-default-server-client-sigalgs ssl-default-server-curves ssl-default-server-options
      ssl-default-server-sigalgs ssl-dh-param-file ssl-engine ssl-load-extra-del-ext
      ssl-load-extra-files ssl-mode-async ssl-passphrase-cmd ssl-propquery ssl-provider
      ssl-provider-path ssl-security-level ssl-server-verify ssl-skip-self-issued-ca
      tune.ssl.cachesize tune.ssl.capture-buffer-size tune.ssl.capture-cipherlist-size
      tune.ssl.certificate-compression tune.ssl.default-dh-param tune.ssl.force-private-cache
      tune.ssl.hard-maxrecord tune.ssl.keylog tune.ssl.keyupdate-rate-limit tune.ssl.lifetime
      tune.ssl.maxrecord tune.ssl.ocsp-update.maxdelay tune.ssl.ocsp-update.mindelay
      tune.ssl.ssl-ctx-cache-size acme.scheduler jwt.decrypt_alg_list jwt.decrypt_enc_list
      """, .inert
    ),
    (
      """
      h1-accept-payload-with-any-method h1-case-adjust h1-case-adjust-file
      h1-do-not-close-on-insecure-transfer-encoding h2-workaround-bogus-websocket-clients
      http-err-codes http-fail-codes httpclient.resolvers.disabled httpclient.resolvers.id
      httpclient.resolvers.prefer httpclient.retries httpclient.ssl.ca-file
      httpclient.ssl.verify httpclient.timeout.connect maxcomprate maxcompcpuusage maxzlibmem
      tune.comp.maxlevel tune.h1.be.glitches-threshold tune.h1.fe.glitches-threshold
      tune.h1.zero-copy-fwd-recv tune.h1.zero-copy-fwd-send tune.h2.be.glitches-threshold
      tune.h2.be.initial-window-size tune.h2.be.max-concurrent-streams
      tune.h2.be.max-frames-at-once tune.h2.be.rxbuf tune.h2.fe.glitches-threshold
      tune.h2.fe.initial-window-size tune.h2.fe.max-concurrent-streams
      tune.h2.fe.max-frames-at-once tune.h2.fe.max-rst-at-once tune.h2.fe.max-total-streams
      tune.h2.fe.rxbuf tune.h2.header-table-size tune.h2.initial-window-size tune.h2.log-errors
      tune.h2.max-concurrent-streams tune.h2.max-frame-size tune.h2.zero-copy-fwd-send
      tune.http.cookielen tune.http.logurilen tune.http.maxhdr tune.quic.backend.max-idle-timeout
      tune.quic.cc-hystart tune.quic.frontend.max-idle-timeout
      tune.quic.frontend.max-streams-bidi tune.quic.max-frame-loss
      tune.quic.reorder-ratio tune.quic.retry-threshold tune.quic.socket-owner
      tune.quic.zero-copy-fwd-send harden.reject-privileged-ports.quic limited-quic no-quic
      tune.zlib.memlevel tune.zlib.windowsize
      """, .inert
    ),
    (
      """
      anonkey busy-polling close-spread-time cluster-secret debug.counters
      expose-deprecated-directives expose-experimental-directives fd-hard-limit
      force-cfg-parser-pause insecure-fork-wanted insecure-setuid-wanted localpeer log-server-hostname
      max-threads-per-group mworker-max-reloads mworker-prealloc no-memory-trimming noepoll
      noevports nogetaddrinfo nokqueue nopoll prealloc-fd presence profiling.memory
      profiling.tasks quick-exit quiet server-state-base server-state-file set-dumpable setcap
      shm-stats-file shm-stats-file-max-objects stats-file stress-level strict-limits
      thread-hard-limit tune.applet.zero-copy-forwarding tune.buffers.limit
      tune.buffers.reserve tune.bufsize.large tune.bufsize.small tune.chksize
      tune.cli.max-payload-size tune.defaults.purge tune.disable-fast-forward
      tune.disable-zero-copy-forwarding tune.epoll.mask-events tune.events.max-events-at-once
      tune.fail-alloc tune.fd.edge-triggered tune.fd.tables tune.glitches.kill.cpu-usage
      tune.idle-pool.shared tune.idletimer tune.listener.default-shards
      tune.listener.multi-queue tune.max-checks-per-thread tune.max-rules-at-once
      tune.maxpollevents tune.maxrewrite tune.memory.hot-size tune.notsent-lowat.client
      tune.notsent-lowat.server tune.pattern.cache-size tune.peers.max-updates-at-once
      tune.pool-high-fd-ratio tune.pool-low-fd-ratio tune.pt.zero-copy-forwarding
      tune.rcvbuf.backend tune.rcvbuf.frontend tune.recv_enough tune.renice.runtime
      tune.renice.startup tune.ring.queues tune.runqueue-depth tune.sched.low-latency
      tune.sndbuf.backend tune.sndbuf.frontend tune.stick-counters tune.streams-elasticity
      tune.takeover-other-tg-connections tune.vars.check-max-size tune.vars.global-max-size
      tune.vars.proc-max-size tune.vars.reqres-max-size tune.vars.sess-max-size
      tune.vars.txn-max-size tune.lua.bool-sample-conversion tune.lua.burst-timeout
      tune.lua.forced-yield tune.lua.log.loggers tune.lua.log.stderr tune.lua.maxmem
      tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout
      warn-blocked-traffic-after external-check
      """, .inert
    ),
    ("master-worker", .inert),
    (
      """
      cpu-affinity cpu-map cpu-policy cpu-set numa-cpu-mapping thread-group thread-groups
      """, .skipped("workers run on whichever processors the system gives them")
    ),
    ("maxconnrate maxsessrate", .skipped("connections are not limited by rate")),
    ("grace", .skipped("a graceful stop begins at once")),
    ("pp2-never-send-local", .skipped("checks send LOCAL headers")),
    ("dns-accept-family", .skipped("IPv4 and IPv6 addresses of servers are both used")),
    ("set-var-fmt", .refused("write 'set-var proc.NAME EXPRESSION'")),
    ("debug", .removed("use the flag -d")),
    (
      "harden.reject-privileged-ports.tcp",
      .refused("clients with ports below 1024 would not be refused")
    ),
    ("default-path", .refused("relative paths would mean other files: write absolute ones")),
    (
      """
      lua-load lua-load-per-thread lua-prepend-path
      """, .refused("there is no Lua")
    ),
  ])

  // MARK: proxies

  static let proxy = table([
    (
      """
      capture compression errorfile errorfiles errorloc errorloc302 errorloc303 http-error
      http-reuse max-keep-alive-queue max-session-srv-conns retry-on unique-id-format
      unique-id-header use-fcgi-app guid email-alert load-server-state-from-file
      server-state-file-name hash-preserve-affinity ssl-f-use be-unpublished
      """, .inert
    ),
    (
      """
      cookie http-after-response http-request http-response http-send-name-header monitor-uri
      redirect stats rspadd rspdel rspdeny rspidel rspideny rspirep rsprep reqadd reqallow
      reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep reqitarpit reqpass reqrep
      reqtarpit block appsession
      """, .needsHTTP
    ),
    ("log-steps", .skipped("lines are written when sessions end")),
    ("hash-balance-factor", .skipped("hashing does not look at the load")),
    ("force-persist ignore-persist", .skipped("there is no persistence")),
    ("bind-process", .removed("all workers serve all binds")),
    ("grace", .removed("nothing waits on a stop")),
    ("monitor-net", .removed("write 'tcp-request connection reject if { src … }'")),
    ("dispatch", .refused("write a 'server' line instead")),
    ("transparent", .refused("write 'server NAME 0.0.0.0' instead")),
    ("filter filter-sequence", .refused("there are no filters")),
    ("force-be-switch", .refused("backends cannot be unpublished")),
    ("stick stick-table", .refused("clients would not stick to their servers")),
    ("persist", .refused("clients would not stick to their servers")),
    ("server-template", .refused("write one 'server' line each")),
    ("quic-initial", .inert),
    ("external-check", .inert),
    ("crt", .inert),
  ])

  /// `option …`
  static let options = table([
    (
      """
      accept-invalid-http-request accept-invalid-http-response
      accept-unsafe-violations-in-http-request accept-unsafe-violations-in-http-response
      contstats disable-h2-upgrade h1-case-adjust-bogus-client h1-case-adjust-bogus-server
      http-buffer-request http-drop-request-trailers http-drop-response-trailers
      http-ignore-probes http-keep-alive http-pretend-keepalive http-restrict-req-hdr-names
      http-server-close httpclose independent-streams persist splice-auto
      splice-request splice-response tcp-smart-accept tcp-smart-connect use-small-buffers
      """, .inert
    ),
    (
      """
      checkcache forwarded forwardfor http-no-delay http-use-proxy-header
      idle-close-on-response originalto prefer-last-server
      """, .needsHTTP
    ),
    (
      """
      forceclose http-no-keepalive http-tunnel http-use-htx http_proxy
      """, .removed("it was about HTTP")
    ),
    ("transparent", .refused("write 'server NAME 0.0.0.0' instead")),
  ])

  /// Actions of `tcp-request` and `tcp-response`, without what stands in parentheses.
  static let actions = table([
    ("capture", .refused("only 'tcp-request content' can capture")),
    ("set-var set-var-fmt unset-var", .skipped("servers' answers are not inspected")),
    ("set-log-level do-log", .skipped("sessions are logged as usual")),
    ("set-nice", .inert),
    ("set-priority-class set-priority-offset", .skipped("queues are first come, first served")),
    (
      """
      attach-srv do-resolve expect-netscaler-cip sc-add-gpc sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1
      sc-set-gpt sc-set-gpt0 send-spoe-group set-bandwidth-limit set-bc-mark set-bc-tos set-dst
      set-dst-port set-fc-mark set-fc-tos set-mark set-retries set-src set-src-port set-tos
      switch-mode track-sc0 track-sc1 track-sc2 use-service
      """, .refused("connections would be treated otherwise than the rule says")
    ),
  ])
}

extension ConfigurationReader {
  /// Does with a foreign keyword what its meaning says; `what` names it.
  mutating func apply(
    _ meaning: ForeignMeaning, to what: String, _ span: SourceSpan
  ) throws(Diagnostic) {
    switch meaning {
    case .inert: break
    case .needsHTTP: log.warn(span, "'\(what)' needs 'mode http' and is ignored")
    case .skipped(let consequence):
      log.warn(span, "'\(what)' is not supported in this version", hints: [consequence])
    case .removed(let advice):
      log.warn(span, "'\(what)' was removed from the language and is ignored", hints: [advice])
    case .refused(let consequence):
      throw span.error("'\(what)' is not supported in this version", hint: consequence)
    }
  }

  mutating func unknownKeyword(
    _ word: Word, _ place: String, among known: [String], _ statement: Statement
  ) -> Diagnostic {
    statement.span(of: word).error(
      "unknown keyword '\(word.text)' \(place)",
      suggestion: nearest(to: word.text, among: known))
  }
}
