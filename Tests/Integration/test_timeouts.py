"""Every timeout ends what it should, when it should, and says so in the log."""

import socket
import time

import pytest

from harness.clients import ask, dial, ended_by, read_line
from harness.ports import free_port
from harness.servers import Blackhole, EchoServer, HoldingServer, TCPServer, receive_all, reset
from harness.waiting import stays, wait_until

pytestmark = pytest.mark.reference


def configuration(port, server, log, *lines, server_options=""):
    """`lines` override the generous timeouts of the defaults."""
    return f"""
defaults
    mode tcp
    log {log.address} local0
    option tcplog
    timeout connect 10s
    timeout client 30s
    timeout server 30s
{"".join(f"    {line}" + chr(10) for line in lines)}
frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server} {server_options}
"""


@pytest.fixture
def proxied(sluice, log, relay):
    """Puts the daemon before a server's address: returns its port."""

    def start(server, *lines, **options):
        port = free_port()
        sluice(configuration(port, server, log, *lines, **options), relay)
        return port

    return start


class Elapsed:
    """Seconds since its creation; used as `assert elapsed.within(0.5, 2)`."""

    # Workers read the kernel's coarse clock (4 ms at 250 Hz), in whole milliseconds, once a lap.
    RESOLUTION = 0.02

    def __init__(self):
        self._began = time.monotonic()

    def within(self, least, most):
        seconds = time.monotonic() - self._began
        assert least - self.RESOLUTION <= seconds <= most, f"took {seconds:.2f} s instead of {least} to {most} s"
        return True


def test_an_orderly_end_has_no_termination_code(proxied, servers, log):
    port = proxied(servers(EchoServer()).at)
    assert ask(port, b"hello\n") == "hello"
    session = log.session()
    assert session["termination"] == "--"
    assert (session["frontend"], session["backend"], session["server"]) == ("fe", "be", "s1")
    assert session["bytes"] == "6"


def test_timeout_connect(proxied, servers, log):
    port = proxied(servers(Blackhole()).at, "timeout connect 300ms", "retries 1")
    elapsed = Elapsed()
    with dial(port) as client:
        client.sendall(b"anyone there?")
        ended_by(client)
    assert elapsed.within(0.5, 3)
    session = log.session()
    assert session["termination"] == "sC"
    assert session["retries"] == "1"
    assert session["connected"] == "-1"


def test_a_refused_connection(proxied, log):
    port = proxied(f"127.0.0.1:{free_port()}", "retries 0")
    with dial(port) as client:
        client.sendall(b"anyone there?")
        ended_by(client)
    assert log.session()["termination"] == "SC"


def test_timeout_client(proxied, servers, log):
    port = proxied(servers(EchoServer()).at, "timeout client 400ms")
    elapsed = Elapsed()
    with dial(port) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        assert client.recv(1) == b""
    assert elapsed.within(0.4, 3)
    assert log.session()["termination"] == "cD"


def test_timeout_client_starts_anew_with_each_byte(proxied, servers, log):
    port = proxied(servers(EchoServer()).at, "timeout client 700ms")
    elapsed = Elapsed()
    with dial(port) as client:
        while not log._sessions() and time.monotonic() - elapsed._began < 2:
            client.sendall(b"a")
            assert client.recv(1) == b"a"
            time.sleep(0.1)
        client.shutdown(socket.SHUT_WR)
        receive_all(client)
    assert elapsed.within(2, 5)
    assert log.session()["termination"] == "--"


def test_timeout_server(proxied, servers, log):
    port = proxied(servers(HoldingServer()).at, "timeout server 400ms")
    elapsed = Elapsed()
    with dial(port) as client:
        assert read_line(client) == "held"
        assert client.recv(1) == b""
    assert elapsed.within(0.4, 3)
    assert log.session()["termination"] == "sD"


def test_timeout_tunnel_replaces_those_of_client_and_server(proxied, servers, log):
    port = proxied(
        servers(EchoServer()).at, "timeout client 300ms", "timeout server 300ms", "timeout tunnel 1500ms"
    )
    elapsed = Elapsed()
    with dial(port) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        assert client.recv(1) == b""
    assert elapsed.within(1.4, 4)
    assert log.session()["termination"] in ("cD", "sD")


def test_timeout_client_fin_bounds_the_half_that_the_client_leaves_open(proxied, servers, log):
    """The server has ended, the client never does."""

    def ends_first(connection):
        connection.recv(100)
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)

    port = proxied(servers(TCPServer(ends_first)).at, "timeout client-fin 400ms")
    elapsed = Elapsed()
    with dial(port) as client:
        client.sendall(b"a")
        assert client.recv(1) == b""
        assert log.session()["termination"] == "cD"
    assert elapsed.within(0.4, 3)


def test_timeout_server_fin_bounds_the_half_that_the_server_leaves_open(proxied, servers, log):
    """The client has ended, the server never does."""
    port = proxied(servers(HoldingServerWithoutEnd()).at, "timeout server-fin 400ms")
    elapsed = Elapsed()
    with dial(port) as client:
        assert read_line(client) == "held"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert elapsed.within(0.4, 3)
    assert log.session()["termination"] == "sD"


class HoldingServerWithoutEnd(HoldingServer):
    """Does not end its half when the client has ended the other."""

    def serve(self, connection):
        super().serve(connection)
        wait_until(lambda: self._listener is None, timeout=30)


def test_timeout_queue(proxied, servers, log):
    port = proxied(servers(HoldingServer()).at, "timeout queue 400ms", server_options="maxconn 1")
    with dial(port) as first:
        assert read_line(first) == "held"
        elapsed = Elapsed()
        with dial(port) as second:
            second.sendall(b"me too")
            ended_by(second)
        assert elapsed.within(0.4, 3)
        session = log.session()
        assert session["termination"] == "sQ"
        assert int(session["queued"]) >= 390
        assert (session["server"], session["connected"]) == ("<NOSRV>", "-1") or session["server"] == "s1"


def test_timeout_queue_is_that_of_connect_when_not_given(proxied, servers, log):
    port = proxied(servers(HoldingServer()).at, "timeout connect 400ms", server_options="maxconn 1")
    with dial(port) as first:
        assert read_line(first) == "held"
        elapsed = Elapsed()
        with dial(port) as second:
            second.sendall(b"me too")
            ended_by(second)
        assert elapsed.within(0.4, 3)
        assert log.session()["termination"] == "sQ"


def test_a_client_that_resets(proxied, servers, log):
    port = proxied(servers(HoldingServer()).at)
    client = dial(port)
    assert read_line(client) == "held"
    reset(client)
    assert log.session()["termination"] == "CD"


def test_a_server_that_resets(proxied, servers, log):
    def resets(connection):
        connection.recv(100)
        reset(connection)

    port = proxied(servers(TCPServer(resets)).at)
    with dial(port) as client:
        client.sendall(b"go")
        ended_by(client)
    assert log.session()["termination"] == "SD"


def test_a_content_rule_that_rejects(sluice, servers, log):
    port = free_port()
    rules = f"""
defaults
    mode tcp
    log {log.address} local0
    option tcplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s

frontend fe
    bind 127.0.0.1:{port}
    tcp-request inspect-delay 5s
    tcp-request content reject unless {{ req.ssl_hello_type 1 }}
    default_backend be

backend be
    server s1 {servers(EchoServer()).at}
"""
    daemon = sluice(rules)
    with dial(port) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert ended_by(client) in ("FIN", "RST")
    session = log.session()
    assert session["termination"] == "PR"
    assert (session["backend"], session["server"]) == ("fe", "<NOSRV>")
    assert daemon.stats.row("fe", "FRONTEND")["dreq"] == 1


def test_a_stuck_reader_is_bounded_by_the_timeout_of_its_side(proxied, servers, log):
    """Bytes that cannot be written count as inactivity of the side that does not take them."""

    def floods(connection):
        try:
            while True:
                connection.sendall(bytes(65536))
        except OSError:
            pass

    port = proxied(servers(TCPServer(floods)).at, "timeout client 500ms")
    elapsed = Elapsed()
    with dial(port, receive_buffer=4096):
        assert log.session(timeout=8)["termination"] == "cD"
        assert elapsed.within(0.5, 8)


def test_a_silent_client_is_not_cut_without_a_timeout(sluice, servers, log):
    """The reference warns of missing timeouts, and waits for ever."""
    port = free_port()
    sluice(
        f"""
frontend fe
    mode tcp
    bind 127.0.0.1:{port}
    default_backend be
backend be
    mode tcp
    server s1 {servers(HoldingServer()).at}
"""
    )
    with dial(port) as client:
        assert read_line(client) == "held"
        client.setblocking(False)

        def is_open():
            try:
                return client.recv(1) != b""
            except BlockingIOError:
                return True

        stays(is_open, 1, "the connection")
