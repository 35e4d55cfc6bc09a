"""What is counted is what went over the wire; and the words of the stats socket that tools rely on."""

import json
import random
import re
import socket

import pytest

from harness import programs
from harness.clients import ask, dial, ended_by, read_line, run
from harness.hello import client_hello
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer, SourceServer, receive_exactly, reset
from harness.stats import StatsSocket
from harness.waiting import wait_until


def configuration(port, *server_lines, frontend="", backend="balance roundrobin"):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend fe
    bind 127.0.0.1:{port} name public
    {frontend}
    default_backend be

backend be
    {backend}
{"".join(f"    server {line}" + chr(10) for line in server_lines)}
"""


def quiet(daemon):
    """The rows fe, be and the servers of be once no connection runs."""

    def rows():
        found = {(row["pxname"], row["svname"]): row for row in daemon.stats.rows()}
        return found if not any(row["scur"] for row in found.values() if row["scur"] != "") else None

    return wait_until(rows, what="all connections to end")


@pytest.mark.reference
def test_bytes_and_sessions_are_exact_over_all_workers(sluice, servers, relay):
    several = [servers(EchoServer()) for _ in range(3)]
    port = free_port()
    daemon = sluice(configuration(port, *(f"s{number} {each.at}" for number, each in enumerate(several))), relay, workers=2)
    sizes = [random.Random(1).choice([1, 10, 1000, 40_000, 200_000]) for _ in range(120)]
    for size in sizes:
        with dial(port) as client:
            client.sendall(bytes(size))
            assert len(receive_exactly(client, size)) == size
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    rows = quiet(daemon)
    frontend, backend = rows["fe", "FRONTEND"], rows["be", "BACKEND"]
    assert (frontend["stot"], frontend["conn_tot"], backend["stot"]) == (120, 120, 120)
    assert (frontend["bin"], frontend["bout"]) == (sum(sizes), sum(sizes))
    assert (backend["bin"], backend["bout"]) == (sum(sizes), sum(sizes))
    for number, each in enumerate(several):
        row = rows["be", f"s{number}"]
        assert (row["bin"], row["bout"]) == (each.received, each.sent)
        assert (row["stot"], row["lbtot"]) == (each.accepted, each.accepted)


@pytest.mark.reference
def test_bytes_of_a_connection_that_ends_badly_are_what_was_passed_on(sluice, servers, relay):
    """A client that takes some of a stream and resets: never more is counted than the server sent."""
    source = servers(SourceServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {source.at}"), relay)
    taken = 0
    for _ in range(5):
        client = dial(port)
        taken += len(receive_exactly(client, 3_000_000))
        reset(client)
    wait_until(lambda: source.current == 0)
    rows = quiet(daemon)
    assert taken <= rows["fe", "FRONTEND"]["bout"] <= source.sent
    assert rows["be", "s1"]["bout"] == rows["fe", "FRONTEND"]["bout"]


def test_counters_go_on_over_reloads(sluice, servers):
    """The reference begins anew."""
    server = servers(EchoServer())
    port = free_port()
    text = configuration(port, f"s1 {server.at}")
    daemon = sluice(text)
    for turn in range(4):
        for _ in range(10):
            assert ask(port, b"12345678\n") == "12345678"
        if turn < 3:
            daemon.reload()
    rows = quiet(daemon)
    for key in (("fe", "FRONTEND"), ("be", "s1"), ("be", "BACKEND")):
        assert (rows[key]["stot"], rows[key]["bin"], rows[key]["bout"]) == (40, 360, 360)
    assert server.received == 360


def test_a_connection_over_a_reload_is_counted_once_and_whole(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at}"))
    with dial(port) as client:
        for _ in range(3):
            client.sendall(bytes(1000))
            receive_exactly(client, 1000)
            daemon.reload()
        assert daemon.stats.row("fe", "FRONTEND")["scur"] == 1
    rows = quiet(daemon)
    assert (rows["fe", "FRONTEND"]["stot"], rows["fe", "FRONTEND"]["bin"], rows["be", "s1"]["bout"]) == (1, 3000, 3000)


def test_counters_of_a_killed_worker_are_not_lost(sluice, servers):
    """Of ended connections nothing is lost; of the one that was cut never more is counted than was sent."""
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at}"))
    daemon.expects_crash = True
    for _ in range(20):
        assert ask(port, b"12345678\n") == "12345678"
    quiet(daemon)
    with dial(port) as client:
        client.sendall(bytes(100_000))
        assert receive_exactly(client, 100_000) == bytes(100_000)
        sent = 180 + 100_000
        for worker in daemon.workers():
            programs.kill(worker.pid)
        ended_by(client)
    rows = quiet(daemon)
    row = rows["fe", "FRONTEND"]
    assert row["stot"] == 21
    assert sent - (1 << 18) <= row["bin"] <= sent
    assert row["bin"] >= 180


# The table


COLUMNS = (
    "pxname svname qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp wretr wredis status weight act bck "
    "chkfail chkdown lastchg downtime qlimit pid iid sid throttle lbtot tracked type rate rate_lim rate_max check_status "
    "check_code check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other hanafail req_rate req_rate_max req_tot "
    "cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp lastsess last_chk last_agt qtime ctime rtime ttime agent_status "
    "agent_code agent_duration check_desc agent_desc check_rise check_fall check_health agent_rise agent_fall agent_health "
    "addr cookie mode algo conn_rate conn_rate_max conn_tot intercepted dcon dses wrew connect reuse cache_lookups cache_hits "
    "srv_icur src_ilim qtime_max ctime_max rtime_max ttime_max eint idle_conn_cur safe_conn_cur used_conn_cur need_conn_est "
    "uweight agg_server_status agg_server_check_status agg_check_status srid sess_other h1sess h2sess h3sess req_other h1req "
    "h2req h3req proto priv_idle_cur reqbin reqbout resbin resbout"
).split()


@pytest.mark.reference
def test_show_stat_has_the_columns_of_the_reference_in_its_order(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at} check"))
    header, *lines = daemon.stats.command("show stat").splitlines()
    assert header.startswith("# ")
    assert header.removeprefix("# ").split(",")[: len(COLUMNS)] == COLUMNS
    assert all(line.endswith(",") for line in [header, *lines])
    assert {line.count(",") for line in lines} == {header.count(",")}
    kinds = [(line.split(",")[0], line.split(",")[1], line.split(",")[32]) for line in lines]
    assert kinds == [("fe", "FRONTEND", "0"), ("be", "s1", "2"), ("be", "BACKEND", "1")]


@pytest.mark.reference
def test_rows_carry_what_tcp_has(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at} check weight 7 maxconn 50", frontend="maxconn 123"))
    wait_until(lambda: daemon.stats.row("be", "s1")["check_status"] == "L4OK")
    assert ask(port) == "hello"
    rows = quiet(daemon)
    front, server_row, back = rows["fe", "FRONTEND"], rows["be", "s1"], rows["be", "BACKEND"]
    assert (front["status"], front["mode"], front["slim"], front["smax"], front["type"]) == ("OPEN", "tcp", 123, 1, 0)
    assert (server_row["addr"], server_row["weight"], server_row["uweight"], server_row["slim"]) == (server.at, 7, 7, 50)
    assert (server_row["act"], server_row["bck"], server_row["sid"]) == (1, 0, 1)
    assert (back["status"], back["algo"], back["act"], back["weight"]) == ("UP", "roundrobin", 1, 7)
    assert front["req_rate"] == 0 and front["iid"] != back["iid"]
    assert 0 <= server_row["lastsess"] <= 5
    assert daemon.stats.table(f"show stat {back['iid']} 4 -1")[0]["svname"] == "s1"
    assert [row["svname"] for row in daemon.stats.table("show stat -1 1 -1")] == ["FRONTEND"]


@pytest.mark.reference
def test_socket_stats_adds_a_row_for_each_listener(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}", frontend="option socket-stats"))
    for _ in range(3):
        ask(port)
    row = daemon.stats.row("fe", "public")
    assert (row["type"], row["stot"], row["status"], row["addr"]) == (3, 3, "OPEN", f"127.0.0.1:{port}")


@pytest.mark.reference
def test_current_and_highest_sessions(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(HoldingServer()).at}"))
    clients = [dial(port) for _ in range(5)]
    for client in clients:
        read_line(client)
    for key in (("fe", "FRONTEND"), ("be", "s1"), ("be", "BACKEND")):
        assert daemon.stats.row(*key)["scur"] == 5
    assert daemon.stats.info()["CurrConns"] >= 5
    for client in clients:
        client.close()
    rows = quiet(daemon)
    assert [rows[key]["smax"] for key in (("fe", "FRONTEND"), ("be", "s1"), ("be", "BACKEND"))] == [5, 5, 5]


@pytest.mark.reference
def test_clear_counters(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"))
    for _ in range(3):
        ask(port)
    quiet(daemon)
    assert daemon.stats.command("clear counters") == ""
    row = daemon.stats.row("fe", "FRONTEND")
    assert (row["stot"], row["smax"]) == (3, 0)
    assert daemon.stats.command("clear counters all") == ""
    row = daemon.stats.row("fe", "FRONTEND")
    assert (row["stot"], row["bin"], row["bout"]) == (0, 0, 0)
    ask(port)
    assert quiet(daemon)["fe", "FRONTEND"]["stot"] == 1


# Other commands


INFO = (
    "Name Version Release_date Nbthread Nbproc Process_num Pid Uptime Uptime_sec Memmax_MB PoolAlloc_MB PoolUsed_MB "
    "PoolFailed Ulimit-n Maxsock Maxconn Hard_maxconn CurrConns CumConns CumReq MaxSslConns CurrSslConns CumSslConns Maxpipes "
    "PipesUsed PipesFree ConnRate ConnRateLimit MaxConnRate SessRate SessRateLimit MaxSessRate"
).split()
FURTHER_INFO = "Tasks Run_queue Idle_pct node Stopping Jobs Listeners DroppedLogs TotalBytesOut Start_time_sec".split()


@pytest.mark.reference
def test_show_info(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"), "node here\ndescription a test")
    lines = daemon.stats.command("show info").splitlines()
    names = [line.split(": ")[0] for line in lines]
    assert names[: len(INFO)] == INFO
    assert set(FURTHER_INFO) <= set(names)
    assert all(line.count(":") == 1 for line in lines), "agents split each line at its colon"
    info = daemon.stats.info()
    assert (info["Name"], info["node"], info["description"]) == ("HAProxy", "here", "a test")
    assert info["Process_num"] == 1 and info["Maxconn"] > 0 and info["Ulimit-n"] > 0
    assert re.fullmatch(r"\d+d \dh\d\dm\d\ds", info["Uptime"])


@pytest.mark.reference
def test_several_commands_on_one_line(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"))
    first, second, end = daemon.stats.raw("show info;show stat\n").split("\n\n")
    assert first.startswith("Name: HAProxy\n")
    assert second.startswith("# pxname,svname,")
    assert end == ""
    old_agents_way = daemon.stats.raw("show info;show stat\r\n")
    assert len([block for block in old_agents_way.split("\n\n") if block.strip()]) == 2
    assert daemon.stats.raw("set weight be/s1 3; get weight be/s1\n") == "\n3 (initial 1)\n\n"


@pytest.mark.reference
def test_show_servers_state_and_conn(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at} weight 9"))
    (row,) = daemon.stats.servers()
    assert (row["be_name"], row["srv_name"], row["srv_addr"], row["srv_port"]) == ("be", "s1", "127.0.0.1", server.port)
    assert (row["srv_op_state"], row["srv_admin_state"], row["srv_uweight"], row["srv_iweight"]) == (2, 0, 9, 9)
    header, line = daemon.stats.command("show servers conn").splitlines()
    assert header.startswith("# bkname/svname bkid/svid addr port - purge_delay ")
    assert line.split()[0] == "be/s1" and line.split()[2:4] == ["127.0.0.1", str(server.port)]
    assert daemon.stats.command("show servers state nowhere") == "Can't find backend."


@pytest.mark.reference
def test_show_sess_and_shutdown_session(sluice, servers, log):
    port = free_port()
    daemon = sluice(
        configuration(port, f"s1 {servers(HoldingServer()).at}", frontend=f"log {log.address} local0\n    option tcplog")
    )
    with dial(port) as client:
        assert read_line(client) == "held"
        (line,) = daemon.stats.sessions()
        assert re.match(r"0x[0-9a-f]+: proto=tcpv4 src=127\.0\.0\.1:\d+ fe=fe be=be srv=s1 ", line)
        assert f"src=127.0.0.1:{client.getsockname()[1]} " in line
        assert daemon.stats.command("shutdown session 0x1") == "No such session (use 'show sess')."
        assert daemon.stats.command("shutdown session " + line.split(":")[0]) == ""
        ended_by(client)
    assert log.session()["termination"].startswith("K")
    assert daemon.stats.sessions() == []


def test_a_name_that_a_client_made_up_stays_one_word(sluice, servers):
    """Whatever stands in it: it forges neither a row nor a field, nor does it reach a terminal."""
    port = free_port()
    daemon = sluice(
        configuration(port, f"s1 {servers(HoldingServer()).at}").replace("name public", "name public ssl crt /dev/null")
    )
    name = 'a b\n0x9: srv=evil\x1b[31m"\\#'
    with dial(port) as client:
        client.sendall(client_hello(name))
        assert read_line(client) == "held"
        (line,) = daemon.stats.sessions()
        assert " sni=a#20b#0A0x9:#20srv=evil#1B[31m\"\\#23 " in line
        told = run([programs.SLUICECTL, "--socket", daemon.control_socket, "sessions", "--json"]).stdout
        (session,) = json.loads(told)
        assert (session["srv"], session["sni"]) == ("s1", 'a#20b#0A0x9:#20srv=evil#1B[31m"\\#23')


def test_bytes_that_went_through_pipes_are_counted_wherever_bytes_are(sluice, servers, relay):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"), relay)
    with dial(port) as client:
        for _ in range(20):
            client.sendall(bytes(100_000))
            receive_exactly(client, 100_000)
    rows = quiet(daemon)
    spliced = {row["bytes_spliced"] for row in rows.values()}
    info = daemon.stats.info()
    assert spliced == {int(info["TotalSplicedBytesOut"])}
    assert (spliced == {0}) == (relay == "nosplice")
    assert int(info["TotalBytesOut"]) == 4_000_000


@pytest.mark.reference
def test_shutdown_sessions_of_a_server(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(HoldingServer()).at}"))
    clients = [dial(port) for _ in range(6)]
    for client in clients:
        assert read_line(client) == "held"
    assert len(daemon.stats.sessions()) == 6
    assert daemon.stats.command("shutdown sessions server be/s1") == ""
    for client in clients:
        ended_by(client)
        client.close()
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)


@pytest.mark.reference
def test_disable_and_enable_server(sluice, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    daemon = sluice(configuration(port, f"first {first.at} check", f"second {second.at} check"))
    assert daemon.stats.command("disable server be/first") == ""
    assert daemon.stats.row("be", "first")["status"] == "MAINT"
    assert {ask(port) for _ in range(6)} == {"second"}
    assert daemon.stats.command("enable server be/first") == ""
    wait_until(lambda: daemon.stats.row("be", "first")["status"] == "UP")
    assert {ask(port) for _ in range(6)} == {"first", "second"}


@pytest.mark.reference
def test_set_server_state_weight_and_address(sluice, servers):
    first, second, third = (servers(NamingServer(name)) for name in ("first", "second", "third"))
    port = free_port()
    daemon = sluice(configuration(port, f"first {first.at}", f"second {second.at}"))
    command = daemon.stats.command

    assert command("set server be/first state drain") == ""
    assert daemon.stats.row("be", "first")["status"] == "DRAIN"
    assert {ask(port) for _ in range(4)} == {"second"}
    assert command("set server be/first state maint") == ""
    assert daemon.stats.row("be", "first")["status"] == "MAINT"
    assert command("set server be/first state ready") == ""
    assert {ask(port) for _ in range(4)} == {"first", "second"}

    assert command("set server be/first weight 3") == ""
    assert command("get weight be/first") == "3 (initial 1)"
    assert sorted(ask(port) for _ in range(8)) == ["first"] * 6 + ["second"] * 2
    assert command("set server be/first weight 100%") == ""
    assert command("get weight be/first") == "1 (initial 1)"
    assert "between 0 and 256" in command("set weight be/first 257")

    answer = command(f"set server be/first addr 127.0.0.1 port {third.port}")
    assert "port changed from" in answer and "by 'stats socket command'" in answer
    assert {ask(port) for _ in range(4)} == {"third", "second"}
    assert "nothing changed" in command(f"set server be/first addr 127.0.0.1 port {third.port}")

    assert command("set server nowhere/first state ready") == "No such backend."
    assert command("set server be/nobody state ready") == "No such server."


@pytest.mark.reference
def test_unknown_commands_and_help(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"))
    assert daemon.stats.command("show nonsense").startswith("Unknown command: 'show")
    usage = daemon.stats.command("help")
    for command in ("show stat", "show info", "show servers state", "set server", "disable server", "shutdown session"):
        assert command in usage


@pytest.mark.reference
def test_levels_bound_what_a_socket_may_do(sluice, servers, scratch):
    port = free_port()
    sockets = {level: StatsSocket(scratch / level) for level in ("user", "operator", "admin")}
    daemon = sluice(
        configuration(port, f"s1 {servers(EchoServer()).at}"),
        "\n".join(f"stats socket {each.address} mode 600 level {level}" for level, each in sockets.items()),
    )
    for level, each in sockets.items():
        assert each.command("show cli level") == level
        assert each.command("show stat").startswith("# pxname")
        denied = "Permission denied"
        assert (denied in each.command("show sess")) == (level == "user")
        assert (denied in each.command("clear counters")) == (level == "user")
        assert (denied in each.command("set server be/s1 state ready")) == (level != "admin")
        assert (denied in each.command("shutdown sessions server be/s1")) == (level != "admin")
    assert daemon.stats.raw("operator; set server be/s1 state drain\n").count("Permission denied") == 1


@pytest.mark.reference
def test_an_interactive_session(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"))

    def until_prompt(connection):
        received = b""
        while not received.endswith(b"> "):
            part = connection.recv(65536)
            assert part, f"closed after {received!r}"
            received += part
        return received.decode()

    with daemon.stats.connect() as connection:
        connection.sendall(b"prompt\n")
        assert until_prompt(connection) == "\n> "
        connection.sendall(b"set timeout cli 60\n")
        assert until_prompt(connection) == "\n> "
        connection.sendall(b"show stat -1 4 -1\n")
        assert "be,s1," in until_prompt(connection)
        connection.sendall(b"quit\n")
        assert connection.recv(100) == b""


@pytest.mark.reference
def test_a_stats_socket_over_tcp(sluice, servers):
    port, stats_port = free_port(), free_port()
    sluice(configuration(port, f"s1 {servers(EchoServer()).at}"), f"stats socket ipv4@127.0.0.1:{stats_port} level user")
    remote = StatsSocket(("127.0.0.1", stats_port))
    assert remote.info()["Name"] == "HAProxy"
    assert remote.row("be", "s1")["svname"] == "s1"


def test_what_was_changed_at_run_time_survives_a_reload(sluice, servers):
    """Unless the file's own value for that very item changed."""
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    lines = [f"first {first.at} weight 5", f"second {second.at} weight 5"]
    daemon = sluice(configuration(port, *lines))
    daemon.stats.command("set server be/first weight 2")
    daemon.stats.command("set server be/second state maint")
    daemon.reload()
    assert daemon.stats.command("get weight be/first") == "2 (initial 5)"
    assert daemon.stats.row("be", "second")["status"] == "MAINT"
    lines[0] = f"first {first.at} weight 7"
    daemon.reload(configuration(port, *lines))
    assert daemon.stats.command("get weight be/first") == "7 (initial 7)"
    assert daemon.stats.row("be", "second")["status"] == "MAINT"


@pytest.mark.reference
def test_questions_do_not_disturb_connections(sluice, servers):
    """Three hundred questions at once with connections that run; each gets its whole answer."""
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {servers(EchoServer()).at}"))
    with dial(port) as client:
        for number in range(300):
            client.sendall(b"%4d" % number)
            assert len(daemon.stats.rows()) == 3
            assert receive_exactly(client, 4) == b"%4d" % number
    assert daemon.stats.row("fe", "FRONTEND")["stot"] == 1


def test_what_is_said_of_reloads(sluice, servers):
    """The daemon's age is not the configuration's; failures are counted; the last one is told of."""
    sluicectl = lambda *words: run([programs.SLUICECTL, "--socket", daemon.control_socket, *words]).stdout  # noqa: E731
    port = free_port()
    text = configuration(port, f"s1 {servers(EchoServer()).at}")
    daemon = sluice(text)
    began = daemon.stats.info()["Start_time_sec"]
    assert "LastReload: none" in daemon.stats.command("show reload")
    assert "generation 1, no reload so far" in sluicectl("status")
    clients = [dial(port) for _ in range(5)]
    for client in clients:
        client.sendall(b"before")
        assert receive_exactly(client, 6) == b"before"
    daemon.reload()
    assert daemon.stats.info()["Start_time_sec"] == began
    said = dict(line.split(": ") for line in daemon.stats.command("show reload").splitlines() if line)
    assert (said["Generation"], said["LastReload"], said["HandedOver"], said["KeptByOldWorkers"]) == ("2", "succeeded", "5", "0")
    assert "5 connections handed over" in sluicectl("status")
    seen = wait_until(
        lambda: (told := json.loads(sluicectl("proc", "--json"))) and len(told["workers"]) == 2 and told, what="two workers"
    )
    assert sum(worker["taken_over"] for worker in seen["workers"]) == 5
    assert [worker["generation"] for worker in seen["workers"]] == [2, 2]
    assert seen["reload"]["HandedOver"] == 5
    # What is only noticed (a certificate that is not used) comes first, and is not the reason.
    noticed = text.replace("name public", "name public ssl crt /dev/null")
    failed = daemon.reload(noticed.replace("balance", "ballance"))
    assert "ballance" in failed.variables["STATUS"], failed
    assert "[failed: 1]" in daemon.stats.command("show proc")
    assert "the last reload failed" in sluicectl("proc") and "ballance" in sluicectl("proc")
