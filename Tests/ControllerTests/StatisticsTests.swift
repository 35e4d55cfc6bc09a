import Configuration
import Ledger
import Testing

@testable import Controller

@Suite("Statistics")
struct StatisticsTests {
  /// The first line of the reference's `show stat`, as its manual and every exporter have it.
  static let referenceHeader =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,"
    + "wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,"
    + "lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,"
    + "hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,"
    + "cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,"
    + "ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,"
    + "check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,"
    + "conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,"
    + "srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,"
    + "used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,"
    + "agg_check_status,srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,h3req,proto,"
    + "priv_idle_cur,reqbin,reqbout,resbin,resbout,cache_hint_hits,-,"

  static func fixture() -> Fixture {
    var fixture = Fixture()
    fixture.addFrontend("fe", port: 17443, backend: 0)
    fixture.configuration.frontends[0].socketStats = true
    fixture.addBackend(
      "be",
      [
        Fixture.server("s1", id: 1, port: 17011) { $0.check = Fixture.check(interval: 1000) },
        Fixture.server("s2", id: 2, port: 17012) {
          $0.check = Fixture.check(interval: 1000)
          $0.isBackup = true
          $0.weight = 5
          $0.maxConnections = 10
        },
        Fixture.server("s3", id: 3, port: 17013) { $0.isDisabled = true },
        Fixture.server("s4", id: 4, port: 17014),
      ])
    fixture.addBackend("empty")
    return fixture
  }

  static func rows(
    _ deployment: Deployment, _ selection: Statistics.Selection = .init(),
    baseline: CounterBaseline = CounterBaseline()
  ) -> [StatRow] {
    Statistics(
      deployment: deployment, baseline: baseline, board: CheckBoard(), showsAddresses: true
    ).rows(selection)
  }

  static func lines(_ rows: [StatRow]) -> [String] {
    DumpFormat(words: []).statistics(rows).split(separator: "\n").map(String.init)
  }

  @Test("has the reference's columns in its order, and its own behind them")
  func header() throws {
    let lines = Self.lines(Self.rows(try Self.fixture().deployed()))
    #expect(lines[0].hasPrefix(Self.referenceHeader))
    #expect(
      lines[0].dropFirst(Self.referenceHeader.count)
        == "not_tls,hello_timeouts,bad_hellos,unknown_names,bad_proxy_headers,bytes_spliced,")
    let columns = lines[0].filter { $0 == "," }.count
    #expect(lines.dropFirst().allSatisfy { $0.filter { $0 == "," }.count == columns })
  }

  @Test("fills exactly the columns that the reference fills")
  func filled() throws {
    let deployment = try Self.fixture().deployed()
    let rows = Self.rows(deployment)
    func places(_ row: StatRow) -> [Int] {
      StatColumn.allCases.indices.filter { row[StatColumn.allCases[$0]] != nil && $0 < 119 }
    }
    // Measured on the reference with `show stat typed`.
    let frontend =
      [0, 1] + Array(4...12) + [17, 26, 27, 28, 32, 33, 34, 35, 46, 47, 48]
      + Array(51...54) + [75, 77, 78, 79, 81, 82, 83, 94] + Array(104...111) + Array(114...117)
    let listener =
      [0, 1] + Array(4...12) + [17, 26, 27, 28, 32, 73, 75, 79, 81, 82, 83, 94, 112]
      + Array(114...117)
    let times = [55, 58, 59, 60, 61]
    let tail = [83, 84, 85]
    let unchecked =
      Array(0...5) + [7, 8, 9, 11] + Array(13...20) + [23, 26, 27, 28, 30, 32, 33, 35]
      + [49, 50] + times + [73, 75] + tail + [88] + Array(90...99) + [103] + Array(113...117)
    let checked = (unchecked + [21, 22, 24, 36, 65, 67, 68, 69]).sorted()
    let backend =
      Array(0...11) + Array(13...20) + [22, 23, 24, 26, 27, 28, 30, 32, 33, 35]
      + Array(49...55) + Array(58...61) + [75, 76] + tail + Array(90...94) + Array(99...102)
      + Array(114...117)
    #expect(
      rows.map { $0[.name]?.description } == [
        "FRONTEND", "sock-1", "s1", "s2", "s3", "s4", "BACKEND", "BACKEND",
      ])
    #expect(places(rows[0]) == frontend)
    #expect(places(rows[1]) == listener)
    #expect(places(rows[2]) == checked)
    #expect(places(rows[3]) == (checked + [6]).sorted())
    #expect(places(rows[4]) == unchecked)
    #expect(places(rows[5]) == unchecked)
    #expect(places(rows[6]) == backend)
    #expect(places(rows[7]) == backend.filter { $0 != 24 })
  }

  @Test("adds up what all workers counted, those that are gone included")
  func totals() throws {
    let deployment = try Self.fixture().deployed()
    let slot = deployment.slots.frontends[0]
    for lane in 0..<3 {
      #expect(deployment.ledger.takeLane(generation: 1, workerSlot: lane, now: 0) == lane)
      let own = deployment.ledger.slot(slot, lane: lane)
      own.count(.sessions, 10)
      own.count(.bytesUp, 1 << 40)
      own.count(.notTLS)
      #expect(own.enter())
      own.raiseMaximum()
    }
    deployment.ledger.settle(lane: 1, slots: 100)
    let row = Self.rows(deployment)[0]
    #expect(row[.sessionsTotal] == .wide(30))
    #expect(row[.bytesUp] == .wide(3 << 40))
    #expect(row[.requestBytesOut] == .wide(3 << 40))
    #expect(row[.notTLS] == .wide(3))
    #expect(row[.sessions] == .number(2))
    #expect(row[.sessionsMaximum] == .number(3))
  }

  @Test("counts from where counters were cleared")
  func cleared() throws {
    let deployment = try Self.fixture().deployed()
    let slot = deployment.slots.frontends[0]
    #expect(deployment.ledger.takeLane(generation: 1, workerSlot: 0, now: 0) == 0)
    let own = deployment.ledger.slot(slot, lane: 0)
    own.count(.sessions, 7)
    let baseline = CounterBaseline()
    baseline.reset(slots: deployment.allSlots, in: deployment.ledger)
    own.count(.sessions, 2)
    #expect(Self.rows(deployment, baseline: baseline)[0][.sessionsTotal] == .wide(2))
    #expect(deployment.ledger.total(.sessions, slot: slot) == 9)
  }

  @Test("selects by proxy, kind and server")
  func selection() throws {
    let deployment = try Self.fixture().deployed()
    func names(_ change: (inout Statistics.Selection) -> Void) -> [String] {
      var selection = Statistics.Selection()
      change(&selection)
      return Self.rows(deployment, selection).map { $0[.name]?.description ?? "" }
    }
    #expect(names { $0.kinds = 1 } == ["FRONTEND"])
    #expect(names { $0.kinds = 2 } == ["BACKEND", "BACKEND"])
    #expect(names { $0.kinds = 4 } == ["s1", "s2", "s3", "s4"])
    #expect(
      names {
        $0.proxyID = 3; $0.serverID = 2; $0.kinds = 4
      } == ["s2"])
    #expect(names { $0.proxyID = 99 } == [])
    #expect(
      names {
        $0.withoutMaintenance = true; $0.kinds = 4
      } == ["s1", "s2", "s4"])
  }

  @Test("quotes what would break a line of CSV, and JSON strings")
  func quoting() {
    #expect("plain".csvQuoted == "plain")
    #expect("a,b".csvQuoted == "\"a,b\"")
    #expect("a\"b".csvQuoted == "\"a\"\"b\"")
    #expect("a\"\\\n\u{1}é".jsonQuoted == "\"a\\\"\\\\\\n\\u0001é\"")
  }

  @Test("types fields as the reference does")
  func typed() throws {
    let deployment = try Self.fixture().deployed()
    let text = DumpFormat(words: ["typed"]).statistics(Self.rows(deployment))
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0] == "F.2.0.0.pxname.1:KNSV:str:fe")
    #expect(lines.contains("F.2.0.7.stot.1:MCPP:u64:0"))
    #expect(lines.contains("S.3.1.19.act.1:SGPV:u32:1"))
    #expect(lines.contains("B.3.0.19.act.1:MGPV:u32:0"))
    #expect(lines.contains("S.3.1.55.lastsess.1:MAPP:s32:-1"))
  }
}
