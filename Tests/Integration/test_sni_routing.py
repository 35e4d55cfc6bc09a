"""Which server a ClientHello leads to, however it is cut."""

import pytest

from harness import hello as hellos
from harness.clients import dial, ended_by, read_line
from harness.hello import client_hello, in_records, send_in_segments
from harness.ports import free_port
from harness.servers import NamingServer, receive_exactly
from harness.tls import ScriptedClient, TLSServer
from harness.waiting import wait_until

WITH_DELAY = """
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
"""
BY_ITSELF = ""


@pytest.fixture(
    params=[
        pytest.param(WITH_DELAY, id="inspect-delay", marks=pytest.mark.reference),
        pytest.param(BY_ITSELF, id="by-itself"),
    ]
)
def inspection(request):
    """sluice waits for the whole hello of its own accord; the reference has to be told."""
    return request.param


class Routed:
    """Three backends and a default, each a server that names itself and keeps what it received."""

    def __init__(self, sluice, servers, rules, names=("one", "two", "three", "other"), servers_of=None):
        self.servers = {name: servers((servers_of or NamingServer)(name)) for name in names}
        self.port = free_port()
        backends = "\n".join(f"backend {name}\n    server {name} {each.at}\n" for name, each in self.servers.items())
        self.daemon = sluice(
            f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s

frontend fe
    bind 127.0.0.1:{self.port}
{rules}
    default_backend other

{backends}
"""
        )

    def answer_to(self, data, send=None):
        """The name of the server that `data` led to; it must have received exactly these bytes."""
        with dial(self.port) as client:
            (send or type(client).sendall)(client, data)
            name = read_line(client)
        wait_until(lambda: bytes(self.servers[name].requests[-1]) == data, what=f"{name} to get all of the hello")
        return name


RULES = """
    use_backend one if { req.ssl_sni -i one.example.test }
    use_backend two if { req.ssl_sni -m end .two.example.test }
    use_backend three if { req.ssl_alpn -m sub acme-tls/1 }
    acl old_spelling req_ssl_sni -i old.example.test older.example.test
    use_backend three if old_spelling
"""


@pytest.fixture
def routed(sluice, servers, inspection):
    return Routed(sluice, servers, inspection + RULES)


WAYS = {
    "exact": (dict(server_name="one.example.test"), "one"),
    "mixed case": (dict(server_name="ONE.Example.tEST"), "one"),
    "suffix": (dict(server_name="a.b.two.example.test"), "two"),
    "the suffix's own name is another": (dict(server_name="two.example.test"), "other"),
    "suffix of another name": (dict(server_name="one.example.test.two.example.test.org"), "other"),
    "ALPN": (dict(server_name="any.example.test", protocols=["h2", "acme-tls/1"]), "three"),
    "first rule wins over ALPN": (dict(server_name="one.example.test", protocols=["acme-tls/1"]), "one"),
    "second name of an ACL": (dict(server_name="older.example.test"), "three"),
    "no server name": (dict(), "other"),
    "unknown name": (dict(server_name="four.example.test"), "other"),
    "post-quantum": (dict(server_name="one.example.test", post_quantum=True), "one"),
    "15 KiB of extensions": (dict(server_name="x.two.example.test", extensions_size=15 * 1024 - 200), "two"),
}


def test_leads_each_hello_to_its_backend(routed):
    seen = {way: routed.answer_to(client_hello(**content)) for way, (content, _) in WAYS.items()}
    assert seen == {way: expected for way, (_, expected) in WAYS.items()}


@pytest.mark.parametrize("size", [1, 5, 100])
def test_waits_for_a_hello_that_comes_in_segments(routed, size):
    small = client_hello("one.example.test", ["h2", "http/1.1"])
    assert routed.answer_to(small, lambda client, data: send_in_segments(client, data, size)) == "one"


def test_waits_for_a_post_quantum_hello_in_two_segments(routed):
    large = client_hello("x.two.example.test", post_quantum=True)
    for cut in (1, 5, 9, 43, 1448, len(large) - 1):

        def halves(client, data, cut=cut):
            client.sendall(data[:cut])
            wait_until(lambda: routed.daemon.stats.row("fe", "FRONTEND")["scur"] == 1)
            client.sendall(data[cut:])

        assert routed.answer_to(large, halves) == "two"


def test_more_bytes_behind_the_hello_reach_the_server(routed):
    data = client_hello("one.example.test") + bytes(range(256)) * 20
    assert routed.answer_to(data) == "one"


@pytest.mark.parametrize("size", [1, 4, 50, 300])
def test_reads_a_hello_over_many_records(sluice, servers, size):
    """The reference takes these for hellos without a server name."""
    routed = Routed(sluice, servers, RULES)
    for name, content in (("one", {}), ("two", dict(post_quantum=True))):
        cut = in_records(client_hello("one.example.test" if name == "one" else "x.two.example.test", **content), size)
        assert routed.answer_to(cut) == name


def test_reads_one_byte_a_record_and_one_byte_a_segment(sluice, servers):
    routed = Routed(sluice, servers, RULES)
    cut = in_records(client_hello("one.example.test"), 1)
    assert routed.answer_to(cut, lambda client, data: send_in_segments(client, data, 1)) == "one"


def test_reads_a_hello_of_16_kib_in_records_of_one_byte(sluice, servers):
    """Six bytes on the wire for each of the handshake: the longest that may come."""
    routed = Routed(sluice, servers, RULES)
    cut = in_records(client_hello("one.example.test", extensions_size=16 * 1024 - 200), 1)
    assert len(cut) > 95 * 1024
    assert routed.answer_to(cut) == "one"


@pytest.mark.reference
def test_refuses_what_is_not_tls_where_a_rule_says_so(sluice, servers):
    reject = "    tcp-request inspect-delay 3s\n    tcp-request content reject unless { req.ssl_hello_type 1 }\n"
    routed = Routed(sluice, servers, reject + RULES)
    for nonsense in (b"GET / HTTP/1.1\r\nHost: one.example.test\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", bytes(100)):
        with dial(routed.port) as client:
            client.sendall(nonsense)
            assert ended_by(client) in ("FIN", "RST")
    assert routed.answer_to(client_hello("one.example.test")) == "one"
    row = wait_until(lambda: (row := routed.daemon.stats.row("fe", "FRONTEND"))["dreq"] and row)
    assert row["dreq"] == 3
    assert not any(server.requests for name, server in routed.servers.items() if name != "one")


def test_sends_what_is_not_tls_to_the_default(sluice, servers):
    """Without a rule that refuses, the default backend takes it, at once: nothing more can make it a hello."""
    routed = Routed(sluice, servers, RULES)
    assert routed.answer_to(b"SSH-2.0-OpenSSH_9.2\r\n") == "other"


def test_a_client_that_ends_within_its_hello_leaves_no_trace(routed):
    part = client_hello("one.example.test")[:50]
    with dial(routed.port) as client:
        client.sendall(part)
        wait_until(lambda: routed.daemon.stats.row("fe", "FRONTEND")["scur"] == 1)
    wait_until(lambda: routed.daemon.stats.row("fe", "FRONTEND")["scur"] == 0)
    assert routed.answer_to(client_hello("one.example.test")) == "one"


@pytest.mark.reference
def test_matches_of_every_kind(sluice, servers, scratch):
    listed = scratch / "names"
    listed.write_text("# names of backend three\nlisted.example.test\nlisted2.example.test\n")
    routed = Routed(
        sluice,
        servers,
        WITH_DELAY
        + f"""
    use_backend one if {{ req.ssl_sni -m beg begin. }}
    use_backend two if {{ req.ssl_sni -m sub middle }}
    use_backend one if {{ req.ssl_sni -m dom domain.test }}
    use_backend two if {{ req.ssl_sni -m reg ^r[0-9]+\\.example\\.test$ }}
    use_backend three if {{ req.ssl_sni -i -f {listed} }}
    use_backend three if !{{ req.ssl_sni -m found }}
    use_backend one if {{ req.ssl_ver 3.4 }} {{ req.ssl_sni both.example.test }} or {{ req.ssl_sni either.example.test }}
""",
    )
    expected = {
        "begin.x": "one", "a.middle.b": "two", "www.domain.test.org": "one", "r42.example.test": "two",
        "r.example.test": "other", "Listed2.example.test": "three", None: "three", "either.example.test": "one",
    }  # fmt: skip
    assert {name: routed.answer_to(client_hello(name)) for name in expected} == expected


class NamedTLSServer(TLSServer):
    """A TLS server by the name of its certificate, for `Routed`."""

    requests = ()


@pytest.fixture
def tls_routed(sluice, servers, certificates, inspection):
    """The same routing in front of real TLS servers."""
    return Routed(sluice, servers, inspection + RULES, servers_of=lambda name: TLSServer(certificates(name)))


CUTS = {
    "whole": lambda client, data: client.sendall(data),
    "a byte a segment": send_in_segments,
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_handshake_completes_with_the_server_that_was_named(tls_routed, certificates, cut):
    tls = ScriptedClient("a.two.example.test", ["http/1.1"], trusted=certificates("two").certificate)
    with dial(tls_routed.port) as client:
        CUTS[cut](client, tls.hello())
        assert tls.finish(client) == "two"
    assert tls_routed.servers["two"].handshakes == [("a.two.example.test", "http/1.1")]


def test_a_handshake_with_a_hello_in_records_of_one_byte_completes(sluice, servers, certificates):
    routed = Routed(sluice, servers, RULES, servers_of=lambda name: TLSServer(certificates(name)))
    tls = ScriptedClient("one.example.test", ["http/1.1"], trusted=certificates("one").certificate)
    with dial(routed.port) as client:
        client.sendall(in_records(tls.hello(), 20))
        assert tls.finish(client) == "one"


def test_a_handshake_with_a_hello_of_15_kib_completes(tls_routed, certificates):
    """OpenSSL's own hello, made long by many ALPN protocols."""
    protocols = ["http/1.1"] + [f"protocol-{number:05d}-of-a-great-many-that-nobody-speaks" for number in range(290)]
    tls = ScriptedClient("one.example.test", protocols, trusted=certificates("one").certificate)
    with dial(tls_routed.port) as client:
        hello = tls.hello()
        assert 14 * 1024 < len(hello) < 15 * 1024
        client.sendall(hello)
        assert tls.finish(client) == "one"


def test_a_real_server_answers_a_post_quantum_hello(tls_routed):
    """It knows nothing of X25519MLKEM768 and takes the X25519 share beside it: a ServerHello comes back."""
    with dial(tls_routed.port) as client:
        client.sendall(client_hello("one.example.test", ["http/1.1"], post_quantum=True))
        answer = receive_exactly(client, 6)
    assert (answer[0], answer[5]) == (hellos.HANDSHAKE, 2)
