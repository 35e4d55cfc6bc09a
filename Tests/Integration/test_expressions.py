"""What expressions give, beside the reference: fetches, converters, variables, maps, names that are put together."""

import pytest

from harness.clients import dial, read_line
from harness.hello import client_hello, in_records, send_in_segments
from harness.ports import free_port
from harness.servers import EchoServer, NamingServer

pytestmark = pytest.mark.reference

CONSTANT = """
str(AbC),lower                           abc
str(AbC),length                          3
str(abc),hex                             616263
str(4f),hex2i                            79
str(abc),base64                          YWJj
str(YWJj),b64dec                         abc
str(abcdef),bytes(1,3)                   bcd
str(abcdef),bytes(2)                     cdef
str(a.b.c.d),field(2,.)                  b
str(a.b.c.d),field(-1,.)                 d
str(a.b.c.d),field(2,.,2)                b.c
str(a.b.c.d),field(2,.,0)                b.c.d
str(a..b),field(2,.)                     -
str(a..b),word(2,.)                      b
str(.a.b.),word(1,.)                     a
str(.a.b.),word(-1,.)                    b
str(a.b.c.d),word(2,.,2)                 b.c
str(a.b.c.d),word(-2,.,0)                a.b.c
str(abc),crc32                           891568578
str(abc),crc32(1)                        930845320
str(abc),crc32c                          910901175
str(abc),djb2                            193485963
str(abc),djb2(1)                         2235766107
str(abc),sdbm                            807794786
str(abc),xxh32                           852579327
str(abc),xxh32(5)                        1562728233
str(abc),xxh64                           4952883123889572249
int(7),add(3)                            10
int(7),sub(10)                           -3
int(7),mul(3)                            21
int(7),div(2)                            3
int(7),div(0)                            9223372036854775807
int(-7),mod(3)                           -1
int(7),mod(0)                            0
int(6),and(3)                            2
int(6),or(1)                             7
int(6),xor(3)                            5
int(6),cpl                               -7
int(6),neg                               -6
int(6),bool                              1
int(6),not                               0
int(6),even                              1
int(6),odd                               0
src,ipmask(8)                            127.0.0.0
ipv6(2001:db8::1),ipmask(24,32)          2001:db8::
ipv4(10.1.2.3),lower                     10.1.2.3
int(65),hex                              0000000000000041
str(a b),length                          3
str(hello),regsub(l,L)                   heLlo
str(hello),regsub(l,L,g)                 heLLo
str(HELLO),regsub(l,x,gi)                HExxO
str(1.2.3.4),ipmask(16)                  1.2.0.0
str(x),concat(a,sess.v,b)                xab
str(abc),ltrim(a)                        bc
str(cba),rtrim(a)                        cb
str(host.example:443),host_only          host.example
str(host.example:443),port_only          443
bool(1),iif(yes,no)                      yes
bool(true)                               1
str(01020304),hex2i                      16909060
bin(01020304),be2dec(.,1)                1.2.3.4
bin(0102030405),be2dec(.,2)              258.772.5
bin(0102030405),be2dec(.,2,1)            258.772
bin(0102abcd),be2hex(:,2)                0102:ABCD
bin(0102abcd),be2hex                     0102ABCD
bin(ffffffffffffffff),be2dec(,8)         18446744073709551615
str(abc),regsub(b,[\\\\1])               a[]c
bin(0102abcd),le2dec(-,2)                513-52651
bin(616200633d)                          ab
bin(616200),lower                        ab
str(123abc),add(1)                       124
str(abc),add(1)                          1
ipv4(1.2.3.4),add(1)                     16909061
ipv4(1.2.3.4),hex                        01020304
int(5),ipmask(8)                         0.0.0.0
str(),length                             0
nbproc                                   1
proc                                     1
thread                                   0
be_name                                  be
fe_name                                  fe
so_name                                  -
fe_defbe                                 be
srv_name                                 s
srv_id                                   1
srv_is_up(be/s)                          1
fe_conn                                  1
queue(be)                                0
avg_queue(be)                            0
connslots(be)                            -1
act_conn                                 1
rand(1)                                  0
"""
"""Expressions that no connection changes, and their values."""


def _line(log):
    """The one line, which is raw."""
    return log.wait_for(r"\|").string.rstrip("\0")


def configuration(port, log, server, rules, expressions):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s

frontend fe
    bind 127.0.0.1:{port}
    log {log.address} len 8192 format raw local0
{rules}
    log-format '{"|".join(f"%[{each}]" for each in expressions)}'
    default_backend be

backend be
    server s {server}
"""


def test_constants_and_converters(sluice, servers, log):
    rows = [line.rsplit(None, 1) for line in CONSTANT.strip().splitlines()]
    port = free_port()
    sluice(configuration(port, log, servers(EchoServer()).at, "", [expression.strip() for expression, _ in rows]))
    with dial(port) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    values = _line(log).split("|")
    assert dict(zip((expression for expression, _ in rows), values)) == dict(rows)


HELLO_RULES = """
    tcp-request inspect-delay 5s
    tcp-request content reject unless { req.ssl_hello_type 1 }
    tcp-request content set-var(sess.sni) req.ssl_sni
    tcp-request content set-var(sess.alpn) req.ssl_alpn
    tcp-request content set-var-fmt(sess.text) "name %[req.ssl_sni,lower] of %[var(sess.nothing)]"
    tcp-request content set-var(sess.ciphers) req.ssl_cipherlist,be2hex(:,2)
    tcp-request content set-var(sess.groups) req.ssl_supported_groups,be2dec(-,2)
    tcp-request content set-var(sess.shares) req.ssl_keyshare_groups,be2dec(-,2)
    tcp-request content set-var(sess.algorithms) req.ssl_sigalgs,hex
    tcp-request content set-var(sess.label) req.ssl_sni,lower,field(1,.)
    tcp-request content set-var(sess.session) payload_lv(43,1)
    tcp-request content set-var(sess.tickets) req.ssl_st_ext
    tcp-request content set-var(sess.gone) str(x)
    tcp-request content unset-var(sess.gone)
    tcp-request content capture req.ssl_sni len 3
    tcp-request content capture src_port,bool len 8
    tcp-request content accept
"""

HELLO_VALUES = {
    "var(sess.sni)": "Www.Example.test",
    "var(sess.alpn)": "h2",
    "var(sess.text)": "name www.example.test of ",
    "var(sess.ciphers)": "1301:1302:1303:C02B:C02F",
    "var(sess.groups)": "29",
    "var(sess.shares)": "29",
    "var(sess.algorithms)": "0403080408050806",
    "var(sess.label)": "www",
    "var(sess.label),concat(-,sess.alpn,!)": "www-h2!",
    "var(sess.session),hex,length": "64",
    "var(sess.tickets)": "0",
    "var(sess.gone)": "-",
    "var(sess.gone,default)": "default",
    "capture.req.hdr(0)": "Www",
    "capture.req.hdr(1)": "1",
    "var(sess.label),strcmp(sess.alpn)": "15",
    "fe_name": "fe",
    "be_name": "be",
    "srv_name": "s",
}


def test_a_hello_in_variables(sluice, servers, log):
    port = free_port()
    text = configuration(port, log, servers(NamingServer("s")).at, HELLO_RULES, list(HELLO_VALUES))
    sluice(text.replace("log-format '", "log-format '%hr|"))
    with dial(port) as client:
        client.sendall(client_hello("Www.Example.test", protocols=["h2", "http/1.1"]))
        read_line(client)
    captured, rest = _line(log).split("}|", 1)
    assert captured == "{Www|1"
    assert dict(zip(HELLO_VALUES, rest.split("|"))) == HELLO_VALUES


def answer_to(request, client):
    """The line that the server says; an empty one if the client was turned away."""
    try:
        client.sendall(request)
        return read_line(client)
    except ConnectionError:
        return ""


def test_session_rules_never_wait(sluice, servers, log):
    """What they ask of the hello is never there, though a PROXY header has opened the request."""
    port = free_port()
    rules = """
    tcp-request session accept if { req.ssl_sni -m found }
    tcp-request session reject if { src 192.0.2.0/24 }
"""
    text = configuration(port, log, servers(NamingServer("s")).at, rules, ["src"])
    sluice(text.replace(f":{port}", f":{port} accept-proxy"))
    for source, answer in (("192.0.2.7", ""), ("198.51.100.7", "s")):
        with dial(port) as client:
            header = b"PROXY TCP4 %s 127.0.0.1 4321 443\r\n" % source.encode()
            assert answer_to(header + client_hello("www.example.test"), client) == answer, source


def test_an_empty_session_id_is_not_waited_for(sluice, servers, log):
    port = free_port()
    rules = """
    tcp-request inspect-delay 30s
    tcp-request content accept if { payload_lv(43,1) -m found }
    tcp-request content accept if { req.ssl_hello_type 1 }
"""
    hello = client_hello("www.example.test")
    # The record begins at 0, its message at 5, the length of the session's id is at 43.
    shorter = bytearray(hello[:43] + b"\0" + hello[44 + hello[43] :])
    shorter[3:5] = (len(shorter) - 5).to_bytes(2, "big")
    shorter[6:9] = (len(shorter) - 9).to_bytes(3, "big")
    sluice(configuration(port, log, servers(NamingServer("s")).at, rules, ["src"]))
    with dial(port) as client:
        client.settimeout(10)
        client.sendall(bytes(shorter))
        assert read_line(client) == "s"


def test_a_listen_asks_for_its_own_backend(sluice, servers):
    port = free_port()
    sluice(
        f"""
listen here
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    bind 127.0.0.1:{port}
    tcp-request content reject if {{ be_conn gt 0 }}
    server s {servers(EchoServer()).at}
"""
    )
    with dial(port) as client:
        assert answer_to(b"x\n", client) == "x"
        with dial(port) as second:
            assert answer_to(b"y\n", second) == ""


MAP = """# name and where it goes
one.example.test    one
two.example.test two
none.example.test   nobody
"""


def test_names_of_backends_from_a_map(sluice, servers, tmp_path):
    """A name that no backend has leaves it to the default one, and no later rule is heard."""
    (tmp_path / "names.map").write_text(MAP)
    (tmp_path / "nets.map").write_text("127.0.0.0/8 local\n10.0.0.0/8 ten\n")
    tmp_path.chmod(0o755)
    port = free_port()
    backends = {name: servers(NamingServer(name)) for name in ("bk-one", "bk-two", "bk-local", "later", "other")}
    sections = "\n".join(f"backend {name}\n    server {name} {each.at}\n" for name, each in backends.items())
    sluice(
        f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s

frontend fe
    bind 127.0.0.1:{port}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    acl mapped req.ssl_sni,lower,map({tmp_path}/names.map) -m found
    use_backend bk-%[req.ssl_sni,lower,map({tmp_path}/names.map)] if mapped
    use_backend bk-%[src,map_ip({tmp_path}/nets.map)] if {{ req.ssl_sni local.example.test }}
    use_backend later if {{ req.ssl_sni -m found }}
    default_backend other

{sections}
"""
    )

    def backend_for(name):
        with dial(port) as client:
            send_in_segments(client, client_hello(name, post_quantum=True), 700)
            return read_line(client)

    assert backend_for("ONE.example.test") == "bk-one"
    assert backend_for("two.example.test") == "bk-two"
    assert backend_for("none.example.test") == "other"
    assert backend_for("local.example.test") == "bk-local"
    assert backend_for("else.example.test") == "later"
