"""The PROXY protocol, both ways (haproxy.org/download/2.9/doc/proxy-protocol.txt)."""

import ipaddress
import struct

import pytest

from harness.clients import ask, dial, ended_by, read_line
from harness.hello import client_hello, send_in_segments
from harness.ports import free_port
from harness.servers import NamingServer
from harness.waiting import wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(source=None, destination=None, source_port=0, destination_port=0, command=1, extensions=b""):
    """A binary header: PROXY (command 1) or LOCAL (0), with TLVs behind the addresses."""
    family, addresses = 0, b""
    if source:
        ends = ipaddress.ip_address(source), ipaddress.ip_address(destination)
        family = 0x11 if ends[0].version == 4 else 0x21
        addresses = ends[0].packed + ends[1].packed + struct.pack("!HH", source_port, destination_port)
    payload = addresses + extensions
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


def parse_version_2(data):
    """(command, source, source port, destination, destination port, header's length)."""
    assert data.startswith(SIGNATURE) and data[12] >> 4 == 2
    length = struct.unpack("!H", data[14:16])[0]
    size = {1: 4, 2: 16}[data[13] >> 4]
    source, destination = data[16 : 16 + size], data[16 + size : 16 + 2 * size]
    ports = struct.unpack("!HH", data[16 + 2 * size : 20 + 2 * size])
    text = lambda packed: str(ipaddress.ip_address(packed))  # noqa: E731
    return data[12] & 15, text(source), ports[0], text(destination), ports[1], 16 + length


def configuration(port, server, options="", *, bind="", frontend="", address="127.0.0.1"):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s

frontend fe
    bind {address}:{port} {bind}
    {frontend}
    default_backend be

backend be
    server s1 {server} {options}
"""


@pytest.mark.reference
def test_sends_version_1_before_the_first_byte(sluice, servers):
    server = servers(NamingServer("s1"))
    port = free_port()
    sluice(configuration(port, server.at, "send-proxy"))
    with dial(port) as client:
        here = client.getsockname()
        client.sendall(b"payload")
        assert read_line(client) == "s1"
    wait_until(lambda: server.requests and server.requests[0].endswith(b"payload"))
    assert bytes(server.requests[0]) == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\npayload" % (here[1], port)


@pytest.mark.reference
def test_sends_version_2_over_ipv6(sluice, servers):
    server = servers(NamingServer("s1"))
    port = free_port()
    sluice(configuration(port, server.at, "send-proxy-v2", address="[::1]"))
    with dial(port, address="::1") as client:
        here = client.getsockname()
        client.sendall(b"payload")
        assert read_line(client) == "s1"
    wait_until(lambda: server.requests and server.requests[0].endswith(b"payload"))
    command, *rest, length = parse_version_2(bytes(server.requests[0]))
    assert (command, *rest) == (1, "::1", here[1], "::1", port)
    assert bytes(server.requests[0])[length:] == b"payload"


@pytest.mark.reference
def test_sends_its_header_to_a_server_that_speaks_first(sluice, servers):
    """The header does not wait for the client's first byte."""
    server = servers(NamingServer("s1"))
    port = free_port()
    sluice(configuration(port, server.at, "send-proxy-v2"))
    with dial(port) as client:
        assert read_line(client) == "s1"
    assert server.requests[0].startswith(SIGNATURE)


@pytest.mark.reference
@pytest.mark.parametrize("version", [1, 2])
def test_takes_the_clients_address_from_the_header(sluice, servers, log, version):
    """It counts in rules behind it, in the log, and in the header that is sent on."""
    server = servers(NamingServer("s1"))
    port = free_port()
    frontend = f"log {log.address} local0\n    option tcplog"
    sluice(configuration(port, server.at, "send-proxy", bind="accept-proxy", frontend=frontend))
    header = {
        1: b"PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\n",
        2: version_2("192.0.2.7", "198.51.100.9", 4321, 443, extensions=b"\x04\0\x03\0\0\0"),
    }[version]
    assert ask(port, header + b"payload") == "s1"
    assert bytes(server.requests[0]) == b"PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\npayload"
    session = log.session()
    assert (session["client"], session["client_port"]) == ("192.0.2.7", "4321")


@pytest.mark.reference
def test_version_2_local_and_version_1_unknown_keep_the_real_address(sluice, servers, log):
    server = servers(NamingServer("s1"))
    port = free_port()
    frontend = f"log {log.address} local0\n    option tcplog"
    sluice(configuration(port, server.at, bind="accept-proxy", frontend=frontend))
    assert ask(port, version_2(command=0) + b"payload") == "s1"
    assert ask(port, b"PROXY UNKNOWN\r\npayload") == "s1"
    assert [bytes(request) for request in server.requests] == [b"payload"] * 2
    assert [session["client"] for session in log.sessions(2)] == ["127.0.0.1"] * 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_header_may_come_byte_by_byte(sluice, servers, version):
    """The reference wants it in one piece."""
    server = servers(NamingServer("s1"))
    port = free_port()
    sluice(configuration(port, server.at, "send-proxy", bind="accept-proxy"))
    header = {
        1: b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
        2: version_2("2001:db8::1", "2001:db8::2", 1, 65535),
    }[version]
    with dial(port) as client:
        send_in_segments(client, header + b"payload")
        assert read_line(client) == "s1"
    wait_until(lambda: server.requests[0].endswith(b"payload"))
    assert bytes(server.requests[0]) == b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\npayload"


NONSENSE = {
    "no header": b"GET / HTTP/1.0\r\n\r\n",
    "too few fields": b"PROXY TCP4 192.0.2.7\r\n",
    "too long": b"PROXY " + b"x" * 120,
    "version 3": SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
    "addresses cut off": SIGNATURE + b"\x21\x11\0\x04" + bytes(4),
}


@pytest.mark.parametrize(
    "nonsense",
    [
        *(pytest.param(data, id=name, marks=pytest.mark.reference) for name, data in NONSENSE.items()),
        pytest.param(b"PROXY TCP4 192.0.2.7 198.51.100.9 99999 443\r\n", id="no such port"),
    ],
)
def test_a_bad_header_is_refused(sluice, servers, nonsense):
    server = servers(NamingServer("s1"))
    port = free_port()
    daemon = sluice(configuration(port, server.at, bind="accept-proxy"))
    with dial(port) as client:
        client.sendall(nonsense)
        assert ended_by(client) in ("RST", "FIN")
    assert server.accepted == 0
    row = daemon.stats.row("fe", "FRONTEND")
    assert (row["conn_tot"], row["stot"]) == (1, 0)


@pytest.mark.reference
def test_a_header_before_a_hello_does_not_hide_it(sluice, servers):
    one, other = servers(NamingServer("one")), servers(NamingServer("other"))
    port = free_port()
    frontend = """tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend named if { req.ssl_sni one.example.test } { src 192.0.2.0/24 }"""
    sluice(
        configuration(port, other.at, bind="accept-proxy", frontend=frontend)
        + f"\nbackend named\n    server one {one.at} send-proxy-v2\n"
    )
    hello = client_hello("one.example.test")
    header = version_2("192.0.2.7", "198.51.100.9", 4321, 443)
    assert ask(port, header + hello) == "one"
    assert ask(port, version_2("203.0.113.7", "198.51.100.9", 4321, 443) + hello) == "other"
    wait_until(lambda: one.requests and one.requests[0].endswith(hello))
    assert parse_version_2(bytes(one.requests[0]))[:3] == (1, "192.0.2.7", 4321)


@pytest.mark.reference
def test_connection_rules_see_the_real_peer(sluice, servers):
    server = servers(NamingServer("s1"))
    port = free_port()
    frontend = "tcp-request connection reject if { src 192.0.2.0/24 }\n    tcp-request content reject if { src 198.51.100.0/24 }"
    sluice(configuration(port, server.at, bind="accept-proxy", frontend=frontend))
    assert ask(port, version_2("192.0.2.7", "203.0.113.1", 1, 2) + b"x") == "s1"
    with dial(port) as client:
        client.sendall(version_2("198.51.100.7", "203.0.113.1", 1, 2) + b"x")
        ended_by(client)
    assert server.accepted == 1
