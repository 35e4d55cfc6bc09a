"""Checks that speak a protocol: what they say of a server, in the reference's codes and words."""

import shutil
import ssl

import pytest

from harness.ports import free_port
from harness.servers import TCPServer
from harness.waiting import wait_until


class Talker(TCPServer):
    """Answers what a check says: `answers` maps the beginning of what it reads to an answer; `greeting` comes unasked."""

    def __init__(self, answers=(), greeting=b"", context=None, **options):
        self.answers, self.greeting, self.context, self.heard = dict(answers), greeting, context, []
        super().__init__(self.serve, **options)

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            if self.greeting:
                connection.sendall(self.greeting)
            while part := connection.recv(65536):
                self.heard.append(part)
                for beginning, answer in self.answers.items():
                    if part.startswith(beginning):
                        connection.sendall(answer)
                        if part.startswith((b"GET", b"OPTIONS")):
                            return
        except OSError:
            pass  # checks leave as they like


def tls_of(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def readable(file, directory):
    """A copy that whoever checks can read: it is not root."""
    copy = directory / file.name
    shutil.copy(file, copy)
    copy.chmod(0o644)
    return copy


def configuration(lines, server, log=None, options="check inter 100ms fall 1 rise 1"):
    return f"""
defaults
    mode tcp
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 1s
{f"    log {log.address} local0" if log else ""}

frontend fe
    bind 127.0.0.1:{free_port()}
    default_backend be

backend be
    option log-health-checks
{"".join(f"    {line}" + chr(10) for line in lines)}    server s1 {server.at} {options}
"""


def outcome(daemon, status):
    """The row of the server once its last check ended so."""

    def ended():
        # What the check says is there before what it makes of the server: a row may have been read between.
        return daemon.stats.row("be", "s1")["check_status"] == status and daemon.stats.row("be", "s1")

    return wait_until(ended, what=f"check_status {status}")


def answer(status, body=b"", headers=()):
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.mark.reference
@pytest.mark.parametrize(
    ("lines", "answers", "status", "info"),
    [
        (["tcp-check send PING", "tcp-check expect string +PONG"], {b"PING": b"+PONG"}, "L7OK", "(tcp-check)"),
        (["tcp-check connect"], {}, "L4OK", "(tcp-check)"),
        (
            ["tcp-check send PING", "tcp-check expect min-recv 4 string +PONG"],
            {b"PING": b"-ERR no"},
            "L7RSP",
            "TCPCHK did not match content '+PONG' at step 2",
        ),
        (
            ["tcp-check send-binary 50494e47", "tcp-check expect comment nope ! rstring ^-E"],
            {b"PING": b"-ERR no"},
            "L7RSP",
            "TCPCHK matched unwanted content (regex) at step 2 comment: nope",
        ),
        (
            ["tcp-check connect", "tcp-check expect string never"],
            {},
            "L7TOUT",
            " at step 2 of tcp-check (expect string 'never')",
        ),
    ],
)
def test_tcp_check(sluice, servers, lines, answers, status, info):
    server = servers(Talker(answers))
    daemon = sluice(configuration(["option tcp-check", *lines], server))
    assert outcome(daemon, status)["last_chk"] == info


@pytest.mark.reference
def test_tcp_check_says_at_which_step_the_connection_failed(sluice, servers):
    server = servers(Talker())
    closed = free_port()
    lines = ["option tcp-check", f"tcp-check connect port {closed}", "tcp-check send x"]
    daemon = sluice(configuration(lines, server))
    row = outcome(daemon, "L4CON")
    # The reference's newest releases have more words around the kernel's.
    assert "Connection refused" in row["last_chk"]
    assert row["last_chk"].endswith(f" at step 1 of tcp-check (connect port {closed})")
    assert row["status"] == "DOWN"


@pytest.mark.reference
@pytest.mark.parametrize(
    ("lines", "reply", "status", "code", "info"),
    [
        ([], answer("200 OK"), "L7OK", 200, ""),
        ([], answer("503 Service Unavailable"), "L7STS", 503, "Service Unavailable"),
        (["http-check expect status 200,503"], answer("503 Busy"), "L7OK", 503, ""),
        (["http-check expect ! rstatus ^5"], answer("503 Busy"), "L7STS", 503, "Busy"),
        (["http-check expect string primary"], answer("200 OK", b"primary"), "L7OK", 200, ""),
        (
            ["http-check expect string primary"],
            answer("200 OK", b"replica"),
            "L7RSP",
            "",
            "HTTP content check did not match",
        ),
        (
            ["http-check expect hdr name x-role value primary"],
            answer("200 OK", headers=["X-Role: replica"]),
            "L7STS",
            200,
            "OK",
        ),
    ],
)
def test_http_check(sluice, servers, log, lines, reply, status, code, info):
    server = servers(Talker({b"GET /health HTTP/1.1": reply}))
    option = "option httpchk GET /health HTTP/1.1"
    daemon = sluice(configuration([option, *lines], server, log))
    row = outcome(daemon, status)
    assert (row["check_code"], row["last_chk"]) == (code, info)
    assert row["status"] == ("UP" if status == "L7OK" else "DOWN")
    if status == "L7STS":
        log.wait_for(f'reason: Layer7 wrong status, code: {code}, info: "{info}"')


@pytest.mark.reference
def test_http_check_sends_what_it_is_told_to(sluice, servers):
    server = servers(Talker({b"POST": answer("200 OK")}))
    lines = ["option httpchk", "http-check send meth POST uri /check ver HTTP/1.1 hdr Host db.example body ping"]
    daemon = sluice(configuration(lines, server))
    outcome(daemon, "L7OK")
    request = server.heard[0].lower()
    assert request.startswith(b"post /check http/1.1\r\n")
    assert b"\r\nhost: db.example\r\n" in request and b"\r\ncontent-length: 4\r\n" in request
    assert request.endswith(b"\r\n\r\nping")


@pytest.mark.reference
def test_a_server_that_answers_404_takes_nobody_new_where_agreed(sluice, servers):
    server = servers(Talker({b"OPTIONS": answer("200 OK")}))
    daemon = sluice(configuration(["option httpchk", "http-check disable-on-404"], server))
    wait_until(lambda: daemon.stats.row("be", "s1")["status"] == "UP")
    server.answers = {b"OPTIONS": answer("404 Not Found")}
    assert outcome(daemon, "L7OKC")["status"] == "NOLB"
    server.answers = {b"OPTIONS": answer("200 OK")}
    assert outcome(daemon, "L7OK")["status"] == "UP"


@pytest.mark.reference
def test_http_check_over_tls(sluice, servers, certificates):
    context = tls_of(certificates("checked"))
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = servers(Talker({b"OPTIONS": answer("200 OK")}, context=context))
    options = "check check-ssl verify none check-sni api.example inter 200ms"
    daemon = sluice(configuration(["option httpchk"], server, options=options))
    assert outcome(daemon, "L7OK")["check_code"] == 200
    assert names[0] == "api.example"


@pytest.mark.reference
def test_a_check_over_tls_trusts_only_whom_it_is_told_to(sluice, servers, certificates, scratch):
    server = servers(Talker(context=tls_of(certificates("checked"))))
    for authority, status in ("checked", "L6OK"), ("stranger", "L6RSP"):
        trusted = readable(certificates(authority).certificate, scratch)
        options = f"check check-ssl verify required ca-file {trusted} inter 200ms fall 1"
        assert outcome(sluice(configuration([], server, options=options)), status)


@pytest.mark.reference
def test_a_check_over_tls_of_a_server_that_speaks_plainly_fails(sluice, servers):
    server = servers(Talker(greeting=b"hello there\r\n"))
    options = "check check-ssl verify none inter 200ms fall 1"
    daemon = sluice(configuration([], server, options=options))
    assert outcome(daemon, "L6RSP")["status"] == "DOWN"


SMTP = {b"HELO localhost": b"250 mail.example at your service\r\n", b"QUIT": b"221 bye\r\n"}


@pytest.mark.reference
@pytest.mark.parametrize(
    ("option", "answers", "greeting", "status", "info"),
    [
        ("redis-check", {b"*1\r\n$4\r\nPING": b"+PONG\r\n"}, b"", "L7OK", "Redis server is ok"),
        ("pgsql-check user me", {b"\0\0\0": b"R\0\0\0\x08\0\0\0\x03"}, b"", "L7OK", "PostgreSQL server is ok"),
        ("pgsql-check user me", {b"\0\0\0": b"R\0\0\0\x08\0\0\0\x63"}, b"", "L7STS", "PostgreSQL unknown error"),
        ("smtpchk", SMTP, b"220 mail.example ESMTP\r\n", "L7OK", "bye"),
        ("smtpchk", SMTP, b"554 go away\r\n", "L7STS", "go away"),
        ("ldap-check", {b"0": b"0\x0c\x02\x01\x01a\x07\x0a\x01\0\x04\0\x04\0"}, b"", "L7OK", None),
        ("ldap-check", {b"0": b"HTTP/1.1 400 Bad Request\r\n"}, b"", "L7RSP", "Not LDAPv3 protocol"),
        ("mysql-check", {}, b"\x06\0\0\0\x0a8.0.1", "L7OK", None),
        ("ssl-hello-chk", {b"\x16": b"\x15\x03\x03\0\x02\x02\x28"}, b"", "L6OK", None),
        ("ssl-hello-chk", {b"\x16": b"HTTP/1.1 400 Bad"}, b"", "L6RSP", None),
    ],
)
def test_checks_that_are_known_by_name(sluice, servers, option, answers, greeting, status, info):
    server = servers(Talker(answers, greeting))
    daemon = sluice(configuration([f"option {option}"], server))
    row = outcome(daemon, status)
    if info is not None:
        assert row["last_chk"] == info
