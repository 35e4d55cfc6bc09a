"""Reloads that nobody notices; and the proof that these tests would notice."""

import signal

import pytest

from harness import programs
from harness.clients import ask, dial, read_line, run
from harness.hello import client_hello
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import stays, wait_until


def configuration(port, server, further=""):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server}

{further}
"""


class Load:
    """New connections all the time, and long transfers that last."""

    def __init__(self, traffic, threads=4, transfers=6):
        self.port, self.server_port = free_port(), free_port()
        self._traffic = traffic
        self._threads, self._transfers = threads, transfers
        self.server = traffic("echo", self.server_port)

    @property
    def configuration(self):
        return configuration(self.port, f"127.0.0.1:{self.server_port}")

    def begin(self):
        self.streams = self._traffic("stream", self.port, self._transfers)
        self.churn = self._traffic("churn", self.port, self._threads)

    def end(self):
        """Returns (short connections, long transfers, what the server saw)."""
        return self.churn.finish(), self.streams.finish(), self.server.finish()


@pytest.mark.slow
def test_twenty_reloads_under_load_fail_no_connection(sluice, traffic, relay):
    """The reference does it most of the time, and resets a few connections in some runs."""
    load = Load(traffic)
    daemon = sluice(load.configuration, relay)
    load.begin()
    for _ in range(20):
        daemon.reload()
    short, long, server = load.end()
    assert short["failures"] == []
    assert short["attempts"] > 200
    assert short["longest"] < 5
    assert [each["failure"] for each in long] == [None] * len(long)
    assert all(each["intact"] and each["sent"] > 0 for each in long)
    assert server["resets"] == 0
    assert server["connections"] == short["attempts"] + len(long)
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row)
    assert row["stot"] == server["connections"]
    assert (row["bin"], row["bout"]) == (server["received"], server["sent"])


@pytest.mark.reference
def test_the_load_would_notice_a_moment_without_listeners(sluice, traffic):
    """The control: the same load over a stop and a start sees failures of both kinds."""
    load = Load(traffic)
    daemon = sluice(load.configuration)
    load.begin()
    for _ in range(2):
        daemon.stop()
        daemon.start()
    short, long, _ = load.end()
    assert short["failures"]
    assert all(not each["intact"] for each in long)


@pytest.mark.reference
def test_a_reload_keeps_the_master(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    for _ in range(3):
        daemon.reload()
        assert daemon.process.poll() is None
        assert ask(port) == "hello"


@pytest.mark.reference
@pytest.mark.parametrize("by", [signal.SIGUSR2, signal.SIGHUP])
def test_a_reload_brings_the_new_configuration(sluice, servers, by):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port, further_port = free_port(), free_port()
    daemon = sluice(configuration(port, first.at))
    assert ask(port) == "first"
    listen = f"listen further\n    bind 127.0.0.1:{further_port}\n    server s1 {first.at}\n"
    daemon.reload(configuration(port, second.at, listen), by=by)
    assert ask(port) == "second"
    assert ask(further_port) == "first"
    daemon.reload(configuration(port, second.at), by=by)
    with pytest.raises(OSError):
        wait_until(lambda: not dial(further_port).close() and False, timeout=5)


@pytest.mark.reference
def test_a_running_connection_keeps_its_server(sluice, servers):
    first, second = servers(HoldingServer("first")), servers(HoldingServer("second"))
    port = free_port()
    daemon = sluice(configuration(port, first.at))
    with dial(port) as client:
        assert read_line(client) == "first"
        daemon.reload(configuration(port, second.at))
        with dial(port) as other:
            assert read_line(other) == "second"
        client.sendall(b"still there")
        wait_until(lambda: first.received == 11)


BROKEN = {
    "unknown keyword": ("    server s1", "    servr s1"),
    "unknown backend": ("    default_backend be", "    default_backend nowhere"),
    "no address": ("    bind 127.0.0.1", "    bind 127.0.0.1.2.3"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_configuration_changes_nothing_and_is_told(sluice, servers, what):
    server = servers(HoldingServer())
    port = free_port()
    good = configuration(port, server.at)
    daemon = sluice(good)
    workers = daemon.workers()
    with dial(port) as client:
        assert read_line(client) == "held"
        daemon.write(good.replace(*BROKEN[what]))
        told = daemon.reload()
        assert "STATUS" in told.variables
        assert told.variables["STATUS"] not in ("Ready.", "")
        assert "sluice.cfg" in daemon.log and BROKEN[what][1].split()[0] in daemon.log
        assert daemon.workers() == workers
        with dial(port) as other:
            assert read_line(other) == "held"
        client.sendall(b"still there")
        wait_until(lambda: server.received == 11)
    daemon.reload(good)
    with dial(port) as client:
        assert read_line(client) == "held"


@pytest.mark.parametrize("cut", ["", "backend be\n    mode tcp\n    server s1 127.0.0.1:1\n"])
def test_a_file_that_was_cut_short_does_not_take_down_what_runs(sluice, servers, cut):
    port = free_port()
    daemon = sluice(configuration(port, servers(NamingServer("here")).at))
    workers = daemon.workers()
    daemon.write(cut)
    told = daemon.reload()
    assert told.variables["STATUS"].startswith("Reload failed"), daemon.log
    assert "there is no 'bind' line" in daemon.log
    assert ask(port) == "here"
    assert daemon.workers() == workers


def test_an_address_in_use_fails_the_reload_before_anything_has_changed(sluice, servers):
    """Binds are made before the old generation is touched."""
    server = servers(NamingServer("here"))
    port = free_port()
    good = configuration(port, server.at)
    daemon = sluice(good)
    workers = daemon.workers()
    taken = f"listen further\n    bind {server.at}\n    server s1 {server.at}\n"
    daemon.write(configuration(port, server.at, taken))
    result = run([programs.SLUICECTL, "--socket", daemon.control_socket, "reload", "--wait"])
    assert result.returncode != 0
    assert server.at in result.stderr + result.stdout + daemon.log
    assert daemon.workers() == workers
    assert ask(port) == "here"


def test_sluicectl_reload_waits_and_reports(sluice, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    daemon = sluice(configuration(port, first.at))
    reload_and_wait = [programs.SLUICECTL, "--socket", daemon.control_socket, "reload", "--wait"]
    daemon.write(configuration(port, second.at))
    result = run(reload_and_wait)
    assert result.returncode == 0, result.stderr
    assert ask(port) == "second"  # no waiting here: the command returned when it was over
    daemon.write(configuration(port, second.at).replace(*BROKEN["unknown keyword"]))
    result = run(reload_and_wait)
    assert result.returncode != 0
    assert "servr" in result.stderr + result.stdout
    assert ask(port) == "second"


def test_reloads_at_once_become_few(sluice, servers):
    """Requests that come while a reload runs are answered by the one that begins after it."""
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    before = len(daemon.notifications.messages)
    for _ in range(10):
        daemon.process.send_signal(signal.SIGUSR2)
    daemon.notifications.wait_for(since=before, RELOADING="1")
    reloading = lambda: len(daemon.notifications.matching(before, RELOADING="1"))  # noqa: E731
    ready = lambda: len(daemon.notifications.matching(before, READY="1"))  # noqa: E731
    wait_until(lambda: ready() == reloading(), timeout=20)
    stays(lambda: ready() == reloading(), 0.5, "the end of the last reload")
    assert reloading() <= 3
    assert ask(port) == "hello"


def test_reloads_leave_nothing_behind(sluice, servers):
    """Thirty reloads: processes, descriptors and memory of the master are what they were after the first three."""
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))

    def state():
        master = daemon.tree()[0]
        return len(daemon.tree()), len(master.descriptors)

    for _ in range(3):
        daemon.reload()
    wait_until(lambda: len(daemon.tree()) == daemon.workers_wanted + 2, what="old workers and controllers to go")
    before, resident = state(), daemon.tree()[0].resident_bytes
    for _ in range(30):
        daemon.reload()
    wait_until(lambda: state() == before, what=f"processes and descriptors to be {before} again")
    assert daemon.tree()[0].resident_bytes < resident + (4 << 20)
    assert ask(port) == "hello"


def test_the_number_of_workers_follows_the_configuration(sluice, servers):
    port = free_port()
    text = configuration(port, servers(EchoServer()).at)
    daemon = sluice(text, workers=2)
    assert len(daemon.workers()) == 2
    for wanted in (4, 1, 2):
        daemon.workers_wanted = wanted
        daemon.reload(text)
        wait_until(lambda wanted=wanted: len(daemon.workers()) == wanted)
        assert [ask(port) for _ in range(20)] == ["hello"] * 20


@pytest.mark.slow
def test_changing_the_number_of_workers_under_load_fails_no_connection(sluice, traffic):
    """Fewer workers means listeners that nobody had to serve before: their queues are not lost."""
    load = Load(traffic)
    daemon = sluice(load.configuration, workers=4)
    load.begin()
    for wanted in (1, 4, 2, 3, 1, 4):
        daemon.workers_wanted = wanted
        daemon.reload(load.configuration)
    short, long, server = load.end()
    assert short["failures"] == []
    assert all(each["intact"] for each in long)
    assert server["connections"] == short["attempts"] + len(long)


def test_a_connection_in_the_middle_of_its_hello_is_not_lost(sluice, servers):
    server = servers(NamingServer("here"))
    port = free_port()
    text = configuration(port, server.at).replace(
        "    default_backend be", "    use_backend be if { req.ssl_sni here.example.test }"
    )
    daemon = sluice(text)
    hello = client_hello("here.example.test", post_quantum=True)
    with dial(port) as client:
        client.sendall(hello[:700])
        wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 1)
        daemon.reload()
        client.sendall(hello[700:])
        assert read_line(client) == "here"


def test_limits_and_queues_hold_over_generations(sluice, servers):
    """A place that an old worker's connection holds is no place for a new worker's."""
    server = servers(HoldingServer())
    port = free_port()
    text = configuration(port, f"{server.at} maxconn 2")
    daemon = sluice(text)
    held = [dial(port), dial(port)]
    assert [read_line(client) for client in held] == ["held", "held"]
    queued = dial(port)
    wait_until(lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"] == 1)
    daemon.reload()
    newer = dial(port)
    wait_until(lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"] == 2)
    assert server.current == 2
    for client in held:
        client.close()
    assert [read_line(client) for client in (queued, newer)] == ["held", "held"]
    assert server.peak == 2
    for client in (queued, newer):
        client.close()
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)
