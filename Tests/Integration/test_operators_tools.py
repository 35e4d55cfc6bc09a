"""Programs that operators have already, as Debian packages them, unchanged."""

import contextlib
import re
import subprocess
import urllib.request

import pytest

from harness.clients import ask, run
from harness.ports import free_port
from harness.servers import NamingServer
from harness.terminal import Terminal
from harness.waiting import wait_until

pytestmark = pytest.mark.reference


@pytest.fixture
def site(sluice, servers):
    """A frontend, two checked servers and 10 connections through them: (daemon, servers)."""
    pair = [servers(NamingServer("web1")), servers(NamingServer("web2"))]
    port = free_port()
    daemon = sluice(
        f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend entry
    bind 127.0.0.1:{port}
    default_backend farm

backend farm
    balance roundrobin
    server web1 {pair[0].at} check inter 200ms fall 1 rise 1
    server web2 {pair[1].at} check inter 200ms fall 1 rise 1
"""
    )
    for _ in range(10):
        ask(port)
    wait_until(lambda: daemon.stats.row("farm", "web2")["status"] == "UP")
    return daemon, pair


F1, F2 = b"\x1bOP", b"\x1bOQ"
DOWN_KEY = b"\x1bOB"


@pytest.fixture
def hatop(site):
    """hatop on the stats socket, after its first paint."""
    daemon, _ = site
    # Its own first line asks for any python3; the one of the distribution is meant.
    with Terminal(["/usr/bin/python3", "/usr/bin/hatop", "-s", daemon.stats.address, "-i", "1"]) as terminal:
        wait_until(
            lambda: "web2" in terminal.text, timeout=10, what=lambda: f"hatop's screen, instead of {terminal.text[-2000:]}"
        )
        yield terminal


def test_hatop_shows_the_table(hatop, site):
    screen = hatop.text
    for word in ("HAProxy", "entry", "farm", "FRONTEND", "BACKEND", "web1", "web2", "UP", "OPEN"):
        assert word in screen
    assert hatop.process.poll() is None


def test_hatop_follows_a_server_that_goes_down(hatop, site):
    _, servers = site
    hatop.forget()
    servers[0].stop()
    wait_until(lambda: "DOWN" in hatop.text, timeout=15, what=lambda: f"DOWN on the screen: {hatop.text[-500:]}")


def test_hatop_goes_through_its_screens(hatop):
    for key, word in ((b"2", "RATE"), (b"4", "DOWN"), (b"5", "show"), (b"1", "web1")):
        hatop.forget()
        hatop.type(b"\x1b" + key)
        wait_until(lambda: hatop.text.strip(), timeout=10)
        assert hatop.process.poll() is None, hatop.text[-1000:]
    hatop.type(b"q")
    assert hatop.process.wait(10) == 0


def test_hatop_disables_and_enables_a_server(hatop, site):
    daemon, _ = site

    status = lambda: [daemon.stats.row("farm", name)["status"] for name in ("web1", "web2")]  # noqa: E731
    lines_above = 12
    for _ in range(lines_above):  # down a line at a time, until F2 (disable) falls upon one of the servers
        hatop.type(DOWN_KEY + F2)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: "MAINT" in status(), timeout=1)
            break
    assert "MAINT" in status(), hatop.text[-500:]
    hatop.type(F1)
    wait_until(lambda: status() == ["UP", "UP"])


@pytest.fixture
def exporter(site):
    """The exporter's metrics as a function: name with labels to value."""
    daemon, _ = site
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        ["prometheus-haproxy-exporter", f"--web.listen-address={address}", f"--haproxy.scrape-uri=unix:{daemon.stats.address}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def scrape():
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return {
            name: float(value)
            for name, value in re.findall(r"^(haproxy_[^ {]+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
        }

    def first():
        try:
            return scrape()
        except OSError:
            return None

    wait_until(first, what="the exporter")
    yield scrape
    process.terminate()
    process.wait(5)


def test_the_prometheus_exporter_reads_the_table(exporter, site):
    daemon, servers = site
    metrics = exporter()
    assert metrics["haproxy_up"] == 1
    assert metrics.get("haproxy_exporter_csv_parse_failures_total", 0) == 0
    assert metrics['haproxy_frontend_connections_total{frontend="entry"}'] == 10
    assert metrics['haproxy_frontend_bytes_in_total{frontend="entry"}'] == 60
    assert metrics['haproxy_backend_up{backend="farm"}'] == 1
    for name in ("web1", "web2"):
        assert metrics[f'haproxy_server_up{{backend="farm",server="{name}"}}'] == 1
        assert metrics[f'haproxy_server_sessions_total{{backend="farm",server="{name}"}}'] == 5
    servers[1].stop()
    wait_until(lambda: daemon.stats.row("farm", "web2")["status"] == "DOWN")
    assert exporter()['haproxy_server_up{backend="farm",server="web2"}'] == 0


def test_socat_by_hand(site):
    daemon, _ = site
    result = run(["socat", "-t5", "STDIO", f"UNIX-CONNECT:{daemon.stats.address}"], input="show stat;show info\n", stdin=None)
    assert result.returncode == 0
    assert "farm,web1," in result.stdout and "Name: HAProxy" in result.stdout
