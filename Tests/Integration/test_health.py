"""Health checks, and what they do to balancing, retries and running connections."""

import collections
import time

import pytest

from harness import programs
from harness.clients import ask, dial, ended_by, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import wait_until


def configuration(port, *server_lines, options=("balance roundrobin",), log=None):
    return f"""
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout queue 5s
{f"    log {log.address} local0" if log else ""}
    option tcplog

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
{"".join(f"    {line}" + chr(10) for line in options)}{"".join(f"    server {line}" + chr(10) for line in server_lines)}
"""


def has_status(daemon, server, *expected):
    return lambda: daemon.stats.row("be", server)["status"] in expected


def statuses_until(daemon, server, final):
    """The row of `server` once its status is `final`, and the other statuses seen on the way, in order."""
    seen = []

    def arrived():
        row = daemon.stats.row("be", server)
        if row["status"] == final:
            return row
        if row["status"] not in seen:
            seen.append(row["status"])

    return wait_until(arrived, what=f"{server} to be {final}", every=0.005), seen


@pytest.mark.reference
def test_a_server_goes_down_after_its_falls_and_comes_up_after_its_rises(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at} check inter 200ms fall 3 rise 2"))
    row, _ = statuses_until(daemon, "s1", "UP")
    assert row["check_status"] in ("L4OK", "* L4OK")
    assert (row["check_rise"], row["check_fall"], row["check_health"]) == (2, 3, 4)

    server.refuse()
    row, seen = statuses_until(daemon, "s1", "DOWN")
    assert [status for status in seen if status != "UP"] == ["UP 2/3", "UP 1/3"]
    assert row["check_status"] in ("L4CON", "* L4CON")
    assert (row["chkfail"], row["chkdown"], row["check_health"]) == (3, 1, 0)
    assert "Connection refused" in row["last_chk"]
    backend = daemon.stats.row("be", "BACKEND")
    assert (backend["status"], backend["act"], backend["chkdown"]) == ("DOWN", 0, 1)

    server.start()
    row, seen = statuses_until(daemon, "s1", "UP")
    assert [status for status in seen if status != "DOWN"] == ["DOWN 1/2"]
    assert row["check_health"] == 4
    backend = daemon.stats.row("be", "BACKEND")
    assert (backend["status"], backend["act"]) == ("UP", 1)


@pytest.mark.reference
def test_without_any_server_a_connection_ends_at_once(sluice, log):
    port = free_port()
    daemon = sluice(
        configuration(
            port,
            f"s1 127.0.0.1:{free_port()} check inter 100ms fall 1",
            log=log,
        )
    )
    wait_until(has_status(daemon, "s1", "DOWN"))
    began = time.monotonic()
    with dial(port) as client:
        client.sendall(b"x")
        ended_by(client)
    assert time.monotonic() - began < 1
    session = log.session()
    assert (session["termination"], session["server"]) == ("SC", "<NOSRV>")
    assert daemon.stats.row("be", "BACKEND")["econ"] == 1
    log.wait_for("backend be has no server available!")
    log.wait_for("Server be/s1 is DOWN, reason: Layer4 connection problem")


@pytest.mark.reference
def test_one_check_stream_whatever_the_number_of_workers(sluice, servers, scratch):
    """Counted on a unix socket: over TCP a check may be over before the server could accept it."""
    server = servers(EchoServer(path=scratch / "s.sock"))
    port = free_port()
    sluice(configuration(port, f"s1 unix@{server.path} check inter 250ms"), workers=4 if programs.KIND == "sluice" else 2)
    wait_until(lambda: server.accepted >= 2)
    before, began = server.accepted, time.monotonic()
    time.sleep(2)
    expected = (time.monotonic() - began) / 0.25
    assert 0.6 * expected <= server.accepted - before <= 1.3 * expected + 1


@pytest.mark.reference
def test_fastinter_and_downinter_set_the_pace(sluice, servers):
    """Checks come every 5 s while up, every 100 ms while falling, every 200 ms while down."""
    server = servers(EchoServer())
    server.refuse()
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at} check inter 5s fastinter 100ms downinter 200ms fall 4 rise 2"))
    began = time.monotonic()
    wait_until(has_status(daemon, "s1", "DOWN"), timeout=4)  # four checks of 5 s would need 15 s
    server.start()
    wait_until(has_status(daemon, "s1", "UP"), timeout=4)
    assert time.monotonic() - began < 5


@pytest.mark.reference
def test_check_port_and_address_are_the_checks_alone(sluice, servers):
    server, probe = servers(NamingServer("real")), servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, f"s1 {server.at} check inter 100ms fall 1 rise 1 port {probe.port}"))
    wait_until(lambda: daemon.stats.row("be", "s1")["check_status"] == "L4OK")
    assert ask(port) == "real"
    probe.refuse()
    wait_until(has_status(daemon, "s1", "DOWN"))
    probe.start()
    server.refuse()
    wait_until(has_status(daemon, "s1", "UP"))


@pytest.mark.reference
def test_backups_serve_only_when_no_other_server_is_left(sluice, servers):
    main, spare, second_spare = (servers(NamingServer(name)) for name in ("main", "spare", "second"))
    port = free_port()
    check = "check inter 100ms fall 1 rise 1"
    daemon = sluice(
        configuration(
            port, f"main {main.at} {check}", f"spare {spare.at} {check} backup", f"second {second_spare.at} {check} backup"
        )
    )
    wait_until(lambda: daemon.stats.row("be", "main")["check_status"] == "L4OK")
    assert {ask(port) for _ in range(6)} == {"main"}
    main.refuse()
    wait_until(has_status(daemon, "main", "DOWN"))
    assert {ask(port) for _ in range(6)} == {"spare"}
    main.start()
    wait_until(has_status(daemon, "main", "UP"))
    assert {ask(port) for _ in range(6)} == {"main"}


@pytest.mark.reference
def test_a_server_marked_down_ends_its_sessions_where_asked(sluice, servers, log):
    server, probe = servers(HoldingServer()), servers(EchoServer())
    port = free_port()
    daemon = sluice(
        configuration(
            port, f"s1 {server.at} check inter 100ms fall 1 port {probe.port} on-marked-down shutdown-sessions", log=log
        )
    )
    wait_until(lambda: daemon.stats.row("be", "s1")["check_status"] == "L4OK")
    with dial(port) as client:
        assert read_line(client) == "held"
        probe.refuse()
        ended_by(client)
    assert log.session()["termination"].startswith("D")


@pytest.mark.reference
def test_round_robin_is_exact_over_all_workers(sluice, servers):
    names = ["a", "b", "c"]
    several = [servers(NamingServer(name)) for name in names]
    port = free_port()
    sluice(configuration(port, *(f"{each.name} {each.at}" for each in several)))
    answers = [ask(port) for _ in range(30)]
    assert collections.Counter(answers) == {"a": 10, "b": 10, "c": 10}
    assert all(set(answers[at : at + 3]) == set(names) for at in range(0, 30, 3))


def test_round_robin_is_what_nobody_named(sluice, servers):
    """The reference's newest releases take random here."""
    several = [servers(NamingServer(name)) for name in ("a", "b")]
    port = free_port()
    daemon = sluice(configuration(port, *(f"{each.name} {each.at}" for each in several), options=()))
    answers = [ask(port) for _ in range(10)]
    assert answers == ["a", "b"] * 5 or answers == ["b", "a"] * 5
    assert daemon.stats.row("be", "BACKEND")["algo"] == "roundrobin"


@pytest.mark.reference
def test_weights_share_the_connections(sluice, servers):
    several = [servers(NamingServer(name)) for name in ("a", "b", "c")]
    port = free_port()
    weights = {"a": 1, "b": 2, "c": 5}
    sluice(configuration(port, *(f"{each.name} {each.at} weight {weights[each.name]}" for each in several)))
    assert collections.Counter(ask(port) for _ in range(32)) == {"a": 4, "b": 8, "c": 20}


@pytest.mark.reference
def test_least_connections_fills_up_evenly(sluice, servers):
    several = [servers(HoldingServer(name)) for name in ("a", "b", "c")]
    port = free_port()
    sluice(configuration(port, *(f"{each.name} {each.at}" for each in several), options=["balance leastconn"]))
    clients = [dial(port) for _ in range(9)]
    for client in clients:
        read_line(client)
    assert [each.current for each in several] == [3, 3, 3]
    for client in clients:
        client.close()


@pytest.mark.reference
def test_balance_source_keeps_an_address_with_its_server(sluice, servers):
    several = [servers(NamingServer(name)) for name in ("a", "b", "c")]
    port = free_port()
    sluice(configuration(port, *(f"{each.name} {each.at}" for each in several), options=["balance source"]))
    led_to = {source: {ask(port, source=source) for _ in range(4)} for source in (f"127.0.0.{n}" for n in range(2, 30))}
    assert all(len(names) == 1 for names in led_to.values())
    assert len(set.union(*led_to.values())) > 1


@pytest.mark.reference
def test_balance_first_fills_one_server_after_the_other(sluice, servers):
    several = [servers(HoldingServer(name)) for name in ("a", "b")]
    port = free_port()
    sluice(configuration(port, *(f"{each.name} {each.at} maxconn 2" for each in several), options=["balance first"]))
    clients = []
    for expected in ("a", "a", "b"):
        clients.append(dial(port))
        assert read_line(clients[-1]) == expected
    for client in clients:
        client.close()


@pytest.mark.reference
def test_a_refused_connection_is_tried_again_and_counted(sluice, log):
    port = free_port()
    daemon = sluice(
        configuration(port, f"s1 127.0.0.1:{free_port()}", options=["retries 1"], log=log)
    )
    with dial(port) as client:
        client.sendall(b"x")
        ended_by(client)
    session = log.session()
    assert (session["termination"], session["retries"]) == ("SC", "1")
    assert int(session["total"]) >= 900  # the pause between two attempts at one server is a second
    row = daemon.stats.row("be", "s1")
    assert (row["stot"], row["wretr"], row["econ"], row["wredis"]) == (2, 1, 1, 0)
    assert daemon.stats.row("be", "BACKEND")["stot"] == 1


@pytest.mark.reference
def test_redispatch_takes_another_server_at_once(sluice, servers, log):
    alive = servers(NamingServer("alive"))
    port = free_port()
    daemon = sluice(
        configuration(
            port,
            f"dead 127.0.0.1:{free_port()}",
            f"alive {alive.at}",
            options=["balance roundrobin", "retries 3", "option redispatch"],
            log=log,
        )
    )
    assert [ask(port) for _ in range(10)] == ["alive"] * 10
    dead = daemon.stats.row("be", "dead")
    assert dead["wredis"] == dead["stot"] > 0
    assert dead["wretr"] == 0
    assert any(session["retries"].startswith("+") for session in log.sessions(10))
    assert not any(session["termination"] != "--" for session in log.sessions(10))


@pytest.mark.reference
def test_a_disabled_server_serves_when_it_is_enabled(sluice, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    daemon = sluice(configuration(port, f"first {first.at}", f"second {second.at} disabled"))
    assert daemon.stats.row("be", "second")["status"] == "MAINT"
    assert {ask(port) for _ in range(4)} == {"first"}
    assert daemon.stats.command("enable server be/second") == ""
    assert {ask(port) for _ in range(4)} == {"first", "second"}


@pytest.mark.reference
def test_servers_on_unix_sockets_and_ipv6(sluice, servers, scratch):
    unix, six = servers(NamingServer("unix", path=scratch / "s.sock")), servers(NamingServer("six", address="::1"))
    port = free_port()
    sluice(configuration(port, f"unix unix@{unix.path}", f"six [::1]:{six.port}"))
    assert sorted(ask(port) for _ in range(2)) == ["six", "unix"]


def test_a_name_that_does_not_resolve_does_not_stop_the_start(sluice, servers):
    """The server has no address until the name gets one; the others serve."""
    here = servers(NamingServer("here"))
    port = free_port()
    daemon = sluice(configuration(port, "gone nowhere.invalid:443 check", f"here {here.at} check"))
    wait_until(lambda: daemon.stats.row("be", "here")["status"] == "UP")
    assert {ask(port) for _ in range(6)} == {"here"}
    assert daemon.stats.row("be", "gone")["status"] in ("MAINT (resolution)", "DOWN")
    wait_until(lambda: "could not resolve address 'nowhere.invalid'" in daemon.log)


@pytest.mark.reference
def test_names_of_the_hosts_file_are_known(sluice, servers):
    here = servers(NamingServer("here"))
    port = free_port()
    daemon = sluice(configuration(port, f"here localhost:{here.port} check inter 100ms"))
    wait_until(lambda: daemon.stats.row("be", "here")["status"] == "UP")
    assert ask(port) == "here"
    assert daemon.stats.row("be", "here")["addr"] == here.at
