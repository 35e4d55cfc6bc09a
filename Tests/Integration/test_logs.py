"""The lines that operators read, in the forms their tools know."""

import re
import time

import pytest

from harness.clients import ask, dial, ended_by, read_line
from harness.logs import LogReceiver
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer
from harness.waiting import stays, wait_until

pytestmark = pytest.mark.reference


def configuration(port, server, *lines, globals_log=False):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
{"".join(f"    {line}" + chr(10) for line in lines)}
frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server}
"""


def test_a_tcplog_line_field_by_field(sluice, servers, log):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log {log.address} local0", "option tcplog"))
    with dial(port) as client:
        here = client.getsockname()
        client.sendall(b"x" * 5000)
        received = 0
        while received < 5000:
            received += len(client.recv(65536))
        time.sleep(0.2)  # what %Tt must show
    session = log.session()
    assert (session["client"], session["client_port"]) == (here[0], str(here[1]))
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}", session["accepted"])
    assert session["accepted"].startswith(time.strftime("%d/%b/%Y:"))
    assert (session["frontend"], session["backend"], session["server"]) == ("fe", "be", "s1")
    assert (session["bytes"], session["termination"]) == ("5000", "--")
    assert 0 <= int(session["queued"]) < 100
    assert 0 <= int(session["connected"]) < 1000
    assert 200 <= int(session["total"]) < 5000
    counts = [session[f"{whose}_connections"] for whose in ("frontend", "backend", "server")]
    assert [session["active"], *counts, session["retries"]] == ["1", "1", "0", "0", "0"]
    assert (session["server_queue"], session["backend_queue"]) == ("0", "0")


def test_a_line_in_rfc3164_over_udp(sluice, servers, log):
    port = free_port()
    daemon = sluice(
        configuration(port, servers(EchoServer()).at, f"log {log.address} local3 info", "option tcplog"), "log-tag balancer"
    )
    ask(port)
    match = log.wait_for(r"^<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?:(\S+) )?balancer\[(\d+)\]: 127\.0\.0\.1:")
    assert int(match[1]) == 19 * 8 + 6  # local3, info
    assert match[2].startswith(time.strftime("%b %e "))
    assert int(match[4]) in [member.pid for member in daemon.tree()]


def test_a_line_in_raw_format(sluice, servers, log):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log {log.address} format raw local0", "option tcplog"))
    ask(port)
    log.wait_for(r"^127\.0\.0\.1:\d+ \[")


def test_the_default_line_without_tcplog(sluice, servers, log):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log {log.address} local0"))
    ask(port)
    log.wait_for(rf"Connect from 127\.0\.0\.1:\d+ to 127\.0\.0\.1:{port} \(fe/TCP\)")


def test_log_global_and_a_unix_socket(sluice, servers, scratch):
    receiver = LogReceiver(scratch / "log.sock")
    port = free_port()
    sluice(
        configuration(port, servers(EchoServer()).at, "log global", "option tcplog"), f"log {receiver.address} local0 info"
    )
    ask(port)
    assert receiver.session()["server"] == "s1"
    receiver.close()


def test_a_log_socket_that_is_opened_anew_is_found_again(sluice, servers, scratch):
    """As after a restart of journald."""
    first = LogReceiver(scratch / "log.sock")
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log {first.address} local0", "option tcplog"))
    ask(port)
    first.session()
    first.close()
    (scratch / "log.sock").unlink()
    ask(port)  # lost, but it costs nothing else
    second = LogReceiver(scratch / "log.sock")

    def logged():
        ask(port)
        return second.lines

    wait_until(logged, every=0.2)
    second.close()


def test_standard_output_as_a_target(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at, "log stdout format raw local0", "option tcplog"))
    ask(port)
    wait_until(lambda: re.search(r"^127\.0\.0\.1:\d+ \[.* fe be/s1 ", daemon.log, re.MULTILINE), what="the line on stdout")


def test_a_level_keeps_lesser_lines_away(sluice, servers, log):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at, f"log {log.address} local0 notice", "option tcplog"))
    ask(port)
    daemon.stats.command("set server be/s1 state maint")
    log.wait_for("Server be/s1 is going DOWN for maintenance")
    assert not log._sessions()


def test_dontlognull_hides_connections_without_a_byte(sluice, servers, log):
    port = free_port()
    daemon = sluice(
        configuration(port, servers(EchoServer()).at, f"log {log.address} local0", "option tcplog", "option dontlognull")
    )
    for _ in range(3):
        dial(port).close()
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 0 and daemon.stats.row("fe", "FRONTEND")["stot"] == 3)
    ask(port)
    log.sessions(1)
    stays(lambda: len(log._sessions()) == 1, 0.3, "one line")


def test_changes_of_a_servers_state(sluice, servers, log):
    server = servers(EchoServer())
    port = free_port()
    sluice(configuration(port, server.at + " check inter 100ms fall 1 rise 1", f"log {log.address} local0"))
    server.refuse()
    log.wait_for(
        r"Server be/s1 is DOWN, reason: Layer4 connection problem, info: \".*Connection refused.*\", check duration: \d+ms\. "
        r"0 active and 0 backup servers left\. 0 sessions active, 0 requeued, 0 remaining in queue\."
    )
    log.wait_for("backend be has no server available!")
    server.start()
    log.wait_for(
        r"Server be/s1 is UP, reason: Layer4 check passed, check duration: \d+ms\. "
        r"1 active and 0 backup servers online\. 0 sessions requeued, 0 total in queue\."
    )


def test_log_health_checks(sluice, servers, log):
    server = servers(EchoServer())
    port = free_port()
    sluice(
        configuration(
            port, server.at + " check inter 100ms fall 2 rise 1", f"log {log.address} local0", "option log-health-checks"
        )
    )
    log.wait_for("Health check for server be/s1 succeeded, reason: Layer4 check passed, check duration: .*, status: .* UP")
    server.refuse()
    log.wait_for("Health check for server be/s1 failed, reason: Layer4 connection problem, .*, status: 1/2 UP")
    log.wait_for("Health check for server be/s1 failed, reason: Layer4 connection problem, .*, status: 0/1 DOWN")


def test_counts_of_connections_at_the_end_of_each(sluice, servers, log):
    """The numbers are those after this connection left, itself included in the first two."""
    port = free_port()
    sluice(configuration(port, servers(HoldingServer()).at, f"log {log.address} local0", "option tcplog"))
    clients = [dial(port) for _ in range(3)]
    for client in clients:
        assert read_line(client) == "held"
    for number, client in enumerate(clients):
        client.close()
        log.sessions(number + 1)
    ends = log.sessions(3)
    assert [(end["active"], end["frontend_connections"]) for end in ends] == [("3", "3"), ("2", "2"), ("1", "1")]
    assert [(end["backend_connections"], end["server_connections"]) for end in ends] == [("2", "2"), ("1", "1"), ("0", "0")]


def test_nothing_is_logged_where_no_log_is_named(sluice, servers, log):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, "option tcplog"), f"log {log.address} local0 info")
    ask(port)
    stays(lambda: not log._sessions(), 0.3, "silence")


def test_many_lines_at_once_are_whole(sluice, servers, log):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log {log.address} local0", "option tcplog"))
    for _ in range(200):
        ask(port)
    assert len(log.sessions(200)) == 200
    assert {session["termination"] for session in log.sessions(200)} == {"--"}


def test_a_dead_log_server_harms_no_connection(sluice, servers):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at, f"log 127.0.0.1:{free_port()} local0", "option tcplog"))
    assert [ask(port) for _ in range(50)] == ["hello"] * 50
    with dial(port) as client:
        client.shutdown(1)
        assert ended_by(client) == "FIN"
