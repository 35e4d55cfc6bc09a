"""The owner's own configuration: TLS in front, certificates with the servers, no key anywhere near the daemon."""

import collections
import json
import time

import pytest

from harness import programs
from harness.clients import dial, ended_by, run
from harness.nginx import Nginx
from harness.ports import free_port
from harness.stats import StatsSocket
from harness.tls import ScriptedClient, TLSServer
from harness.waiting import stays, wait_until

NAME = "www.example.test"


TIMEOUTS = ["timeout connect 5s", "timeout client 30s", "timeout server 30s"]
QUICK = "check inter 200ms fall 2 rise 2"


def configuration(port, certificate, servers, *, defaults=(), check="check"):
    """The mission's own file, addresses aside; `defaults` and `check` are what a test adds."""
    lines = "\n".join(f"    server {name} {address} {check}" for name, address in servers)
    section = "defaults\n" + "".join(f"    {line}\n" for line in defaults) + "\n" if defaults else ""
    return f"""{section}frontend https
    bind 127.0.0.1:{port} ssl crt {certificate}
    mode tcp
    default_backend servers

backend servers
    mode tcp
{lines}
"""


class Site:
    """Two TLS servers with certificates of their own, and the daemon in front of them."""

    def __init__(self, sluice, servers, certificates, scratch, **options):
        self.certificates = {name: certificates(name, NAME) for name in ("server1", "server2")}
        self.servers = {name: servers(TLSServer(each)) for name, each in self.certificates.items()}
        public = certificates("public", NAME)
        self.file = scratch / "site.pem"
        self.file.write_bytes(public.certificate.read_bytes())  # and not public.key
        self.trusted = scratch / "trusted.pem"
        self.trusted.write_bytes(b"".join(each.certificate.read_bytes() for each in self.certificates.values()))
        self.port = free_port()
        listed = [(name, each.at) for name, each in self.servers.items()]
        self.daemon = sluice(configuration(self.port, self.file, listed, **options), complete=True)
        self.stats = StatsSocket(self.daemon.control_socket)

    def curl(self, *arguments):
        resolve = f"{NAME}:{self.port}:127.0.0.1"
        url = f"https://{NAME}:{self.port}/"
        return run(["curl", "-sS", "--cacert", self.trusted, "--resolve", resolve, "--max-time", "10", *arguments, url])

    def is_(self, status, server):
        return lambda: self.stats.row("servers", server)["status"] == status


@pytest.fixture
def site(sluice, servers, certificates, scratch):
    return lambda **options: Site(sluice, servers, certificates, scratch, **options)


def test_curl_meets_the_servers_own_certificates_in_turn(site):
    here = site()
    served = []
    for _ in range(8):
        result = here.curl("--write-out", "%{certs}")
        assert result.returncode == 0, result.stderr
        name, _, certificates = result.stdout.partition("\n")
        assert f"CN = {name}" in certificates or f"CN={name}" in certificates
        served.append(name)
    assert served == ["server1", "server2"] * 4 or served == ["server2", "server1"] * 4
    assert {handshake[0] for server in here.servers.values() for handshake in server.handshakes} == {NAME}


def test_s_client_meets_the_servers_own_certificates(site):
    here = site()
    subjects = set()
    for _ in range(4):
        result = run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{here.port}", "-servername", NAME, "-CAfile", here.trusted]
        )
        assert "Verify return code: 0 (ok)" in result.stdout, result.stdout + result.stderr
        (subject,) = [line for line in result.stdout.splitlines() if line.startswith("subject=")]
        subjects.add(subject.replace(" ", ""))
    assert subjects == {"subject=CN=server1", "subject=CN=server2"}


def test_no_key_is_read_and_no_tls_is_spoken(site):
    """The file holds a certificate alone; the handshake is the server's from the first byte."""
    here = site()
    assert "PRIVATE KEY" not in here.file.read_text()
    tls = ScriptedClient(NAME, trusted=here.trusted)
    with dial(here.port) as client:
        client.sendall(tls.hello())
        name = tls.finish(client)
    (der,) = [_der(each) for common_name, each in here.certificates.items() if common_name == name]
    assert tls.peer_certificate() == der


def _der(certificate):
    import ssl

    return ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())


def test_a_certificate_file_that_is_missing_is_a_warning(sluice, servers, certificates, scratch):
    server = servers(TLSServer(certificates("server1", NAME)))
    port = free_port()
    daemon = sluice(configuration(port, scratch / "missing.pem", [("server1", server.at)]), complete=True)
    assert "missing.pem" in daemon.log
    tls = ScriptedClient(NAME)
    with dial(port) as client:
        client.sendall(tls.hello())
        assert tls.finish(client) == "server1"


def test_the_file_loads_with_a_notice_that_even_strictness_accepts(site):
    here = site(defaults=TIMEOUTS)
    result = run([programs.SLUICE, "-c", "-dW", "-f", here.daemon.file])
    assert result.returncode == 0, result.stderr
    assert "decrypt" in here.daemon.log or "pass" in here.daemon.log


def test_real_web_servers(sluice, servers, certificates, scratch):
    """The same in front of nginx, with its own TLS and HTTP/2."""
    pair = {name: certificates(name, NAME) for name in ("server1", "server2")}
    webs = [servers(Nginx(each, scratch / name)) for name, each in pair.items()]
    public = scratch / "site.pem"
    public.write_bytes(pair["server1"].certificate.read_bytes())
    port = free_port()
    sluice(configuration(port, public, [(each.name, each.at) for each in webs]), complete=True)
    served = []
    for _ in range(6):
        resolve = f"{NAME}:{port}:127.0.0.1"
        shown = "%{http_version} %{certs}"
        result = run(["curl", "-sS", "--http2", "-k", "--resolve", resolve, "-w", shown, f"https://{NAME}:{port}/"])
        assert result.returncode == 0, result.stderr
        name, _, rest = result.stdout.partition("\n")
        assert rest.startswith("2 ") and f"CN = {name}" in rest.replace("CN=", "CN = ")
        served.append(name)
    assert collections.Counter(served) == {"server1": 3, "server2": 3}


def test_a_stopped_server_fails_no_request_and_comes_back(site):
    """With `retries 3` and `option redispatch`, before the check has noticed and after."""
    here = site(defaults=["retries 3", "option redispatch"], check=QUICK)
    wait_until(here.is_("UP", "server1"))
    wait_until(here.is_("UP", "server2"))
    here.servers["server1"].stop()
    names = []
    while not here.is_("DOWN", "server1")():
        result = here.curl()
        assert result.returncode == 0, result.stderr
        names.append(result.stdout.strip())
    assert set(names) == {"server2"}
    row = here.stats.row("servers", "server1")
    assert (row["check_status"], row["check_desc"]) == ("L4CON", "Layer4 connection problem")
    assert "Connection refused" in row["last_chk"]
    assert {here.curl().stdout.strip() for _ in range(4)} == {"server2"}
    here.servers["server1"].start()
    wait_until(here.is_("UP", "server1"))
    assert {here.curl().stdout.strip() for _ in range(4)} == {"server1", "server2"}


def test_a_client_that_speaks_plaintext_is_refused_and_counted(site):
    here = site(check="")
    result = run(["curl", "-sS", "--max-time", "5", f"http://127.0.0.1:{here.port}/"])
    assert result.returncode != 0
    with dial(here.port) as client:
        client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        assert ended_by(client) in ("FIN", "RST")
    row = wait_until(lambda: (row := here.stats.row("https", "FRONTEND"))["scur"] == 0 and row)
    assert row["dreq"] + row["ereq"] == 2
    assert [server.accepted for server in here.servers.values()] == [0, 0]


def test_a_client_that_says_nothing_is_cut_after_five_seconds(site):
    here = site(check="")
    began = time.monotonic()
    with dial(here.port, timeout=15) as client:
        assert ended_by(client) in ("FIN", "RST")
    assert 4.5 <= time.monotonic() - began <= 8
    assert [server.accepted for server in here.servers.values()] == [0, 0]


def test_a_half_hello_is_waited_for(site):
    here = site(check="")
    tls = ScriptedClient(NAME, trusted=here.trusted)
    hello = tls.hello()
    with dial(here.port) as client:
        client.sendall(hello[:100])
        stays(lambda: all(server.accepted == 0 for server in here.servers.values()), 0.3, "waiting")
        client.sendall(hello[100:])
        assert tls.finish(client) in ("server1", "server2")


def test_sluicectl_works_with_no_further_line_in_the_file(site):
    here = site()
    assert "socket" not in here.daemon.file.read_text()
    wait_until(here.is_("UP", "server1"))
    status = run([programs.SLUICECTL, "--socket", here.daemon.control_socket, "status"])
    assert status.returncode == 0, status.stderr
    for word in ("https", "servers", "server1", "server2", "UP"):
        assert word in status.stdout
    raw = run([programs.SLUICECTL, "--socket", here.daemon.control_socket, "raw", "show stat"])
    assert raw.returncode == 0, raw.stderr
    assert raw.stdout.startswith("# pxname,svname,")


def test_sluicectl_says_why_it_cannot_speak_to_the_daemon(scratch):
    result = run([programs.SLUICECTL, "--socket", scratch / "nothing.sock", "status"])
    assert result.returncode != 0
    assert "nothing.sock" in result.stderr


def test_status_as_data(site):
    """For programs: sluicectl raw with the reference's own JSON."""
    here = site()
    raw = run([programs.SLUICECTL, "--socket", here.daemon.control_socket, "raw", "show stat json"])
    assert raw.returncode == 0, raw.stderr
    assert json.loads(raw.stdout)
