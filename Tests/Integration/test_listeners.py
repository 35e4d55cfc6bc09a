"""Where a `bind` line listens."""

import socket
import stat

import pytest

from harness.clients import ask, dial, read_line
from harness.hello import client_hello
from harness.ports import free_port, free_ports
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import wait_until

pytestmark = pytest.mark.reference


def configuration(server, *binds, frontend=""):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend fe
{"".join(f"    bind {bind}" + chr(10) for bind in binds)}    {frontend}
    default_backend be

backend be
    server s1 {server}
"""


def refused(port, address="127.0.0.1"):
    try:
        dial(port, address=address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_several_lines_lists_and_ranges(sluice, servers):
    one, two, many = free_port(), free_port(), free_ports(4)
    listed = f"127.0.0.1:{one},127.0.0.2:{two}"
    sluice(configuration(servers(EchoServer()).at, listed, f"127.0.0.1:{many}-{many + 3}"))
    assert ask(one) == "hello"
    assert ask(two, address="127.0.0.2") == "hello"
    assert refused(two)
    assert [ask(many + step) for step in range(4)] == ["hello"] * 4


@pytest.mark.parametrize("written", ["*:{}", ":{}", "0.0.0.0:{}"])
def test_every_ipv4_address(sluice, servers, written):
    port = free_port()
    sluice(configuration(servers(EchoServer()).at, written.format(port)))
    assert ask(port) == "hello"
    assert ask(port, address="127.0.0.9") == "hello"
    assert refused(port, address="::1")


@pytest.mark.parametrize(
    "written, four",
    [(":::{} v4v6", True), ("[::]:{} v6only", False), ("ipv6@:{} v6only", False), ("[::1]:{}", False)],
)
def test_ipv6_addresses(sluice, servers, written, four):
    port = free_port()
    sluice(configuration(servers(EchoServer()).at, written.format(port)))
    assert ask(port, address="::1") == "hello"
    assert refused(port) != four


def test_unix_sockets(sluice, servers, scratch):
    path = scratch / "front.sock"
    path.write_text("something in the way")
    path.unlink()
    daemon = sluice(configuration(servers(EchoServer()).at, f"unix@{path} mode 640", f"/{scratch}/second.sock"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for each in (path, scratch / "second.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(each))
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"
    daemon.stop()


def test_a_unix_socket_left_behind_is_replaced(sluice, servers, scratch):
    path = scratch / "front.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(path))
    sluice(configuration(servers(EchoServer()).at, f"unix@{path}"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_abstract_sockets(sluice, servers):
    name = f"sluice-test-{free_port()}"
    sluice(configuration(servers(EchoServer()).at, f"abns@{name}"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect("\0" + name + "\0" * (107 - len(name)))
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_options_of_a_listener(sluice, servers):
    """Each does its work without harm to a usual connection."""
    port = free_port()
    options = "name public backlog 100 maxconn 50 interface lo defer-accept tfo"
    sluice(configuration(servers(EchoServer()).at, f"127.0.0.1:{port} {options}"))
    assert [ask(port) for _ in range(10)] == ["hello"] * 10


def test_two_frontends_choose_by_port_and_address(sluice, servers):
    low, high = servers(NamingServer("low")), servers(NamingServer("high"))
    one, two = free_port(), free_port()
    rules = f"use_backend high if {{ dst_port {two} }} {{ src 127.0.0.0/8 }} {{ dst 127.0.0.3 }}"
    sluice(
        configuration(low.at, f"127.0.0.1:{one}", f"*:{two}", frontend=rules) + f"\nbackend high\n    server s1 {high.at}\n"
    )
    assert (ask(one), ask(two), ask(two, address="127.0.0.3")) == ("low", "low", "high")


def test_ports_of_servers_may_follow_the_listener(sluice, servers):
    """A server without a port is met at the client's; with a sign, that many away."""
    port = free_ports(2)
    server = servers(NamingServer("next", port=port + 1))
    sluice(configuration("127.0.0.1:+1", f"127.0.0.1:{port}"))
    assert ask(port) == server.name


def test_environment_variables_in_the_file(sluice, servers):
    port = free_port()
    text = configuration("\"${SERVER_ADDRESS}\"", '"${LISTEN_ADDRESS}:${LISTEN_PORT}"')
    environment = {"SERVER_ADDRESS": servers(EchoServer()).at, "LISTEN_ADDRESS": "127.0.0.1", "LISTEN_PORT": str(port)}
    sluice(text, environment=environment)
    assert ask(port) == "hello"


def test_user_group_and_chroot(sluice, servers, scratch):
    port = free_port()
    daemon = sluice(
        configuration(servers(EchoServer()).at, f"127.0.0.1:{port}"), f"user nobody\ngroup nogroup\nchroot {scratch}"
    )
    assert ask(port) == "hello"
    assert daemon.stats.info()["Name"] == "HAProxy"
    for worker in daemon.workers():
        assert worker.status["Uid"].split() == ["65534"] * 4
        assert worker.status["Gid"].split() == ["65534"] * 4


def test_silent_drop_tells_the_client_nothing(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    rules = "tcp-request connection silent-drop if { src 127.0.0.5 }"
    daemon = sluice(configuration(server.at, f"127.0.0.1:{port}", frontend=rules))
    with dial(port) as client:
        assert read_line(client) == "held"
    with dial(port, source="127.0.0.5", timeout=0.5) as client:
        with pytest.raises(TimeoutError):
            client.recv(1)
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 0)
    assert server.accepted == 1


def test_a_hundred_thousand_names_route_as_ten_do(sluice, servers, scratch):
    """One list, one look-up: and the last line is as near as the first."""
    names = scratch / "names"
    names.write_text("".join(f"host{number}.example.test\n" for number in range(100_000)))
    listed, other = servers(NamingServer("listed")), servers(NamingServer("other"))
    port = free_port()
    rules = f"""tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend listed if {{ req.ssl_sni -i -f {names} }}"""
    sluice(
        configuration(other.at, f"127.0.0.1:{port}", frontend=rules) + f"\nbackend listed\n    server s1 {listed.at}\n"
    )
    assert ask(port, client_hello("host0.example.test")) == "listed"
    assert ask(port, client_hello("HOST99999.example.test")) == "listed"
    assert ask(port, client_hello("host100000.example.test")) == "other"
