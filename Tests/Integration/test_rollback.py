"""What goes wrong after the exec: the old program, configuration and workers go on, and nothing is lost."""

import contextlib
import os
import signal
import time

import pytest

from harness import processes
from harness.clients import ask, dial, read_line
from harness.ports import free_port
from harness.servers import HoldingServer, NamingServer
from harness.waiting import wait_until
from test_reload import Load, configuration

ATTEMPTS = 60
"""Reloads until a new worker is hit before all are ready."""

THREADS = 4
"""That make connections one after the other."""


def hit_new_worker(daemon, by, old):
    """Waits for the workers that the successor starts, and sends the youngest that there is a signal at once."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        new = sorted(set(processes.children(daemon.pid)) - old, reverse=True)
        if worker := next(filter(processes.is_worker, new), None):
            os.kill(worker, by)
            return worker
    raise AssertionError("no new worker came up")


def roll_back(daemon, by, new):
    """Reloads with eight workers until one of them is hit before all are ready; then says who served before, and how many were hit."""
    old, workers = daemon.configuration, daemon.workers_wanted
    for hits in range(1, ATTEMPTS + 1):
        wait_until(lambda: len(daemon.workers()) == workers, what="the workers of one generation alone")
        before = {worker.pid for worker in daemon.workers()}
        seen, failures = len(daemon.notifications.messages), daemon.log.count("reload failed")
        daemon.workers_wanted = 8
        daemon.write(new)
        known = set(processes.children(daemon.pid))
        daemon.process.send_signal(signal.SIGUSR2)
        hit = hit_new_worker(daemon, by, known)
        daemon.notifications.wait_for(30, seen, READY="1")
        if daemon.log.count("reload failed") > failures:
            return before, hits
        # It was ready already: a worker like any other, and the reload succeeded.
        if hit in set(processes.children(daemon.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(hit, signal.SIGCONT)
        daemon.workers_wanted = workers
        daemon.reload(old)
    raise AssertionError(f"none of {ATTEMPTS} reloads failed")


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "is not ready in time"])
def test_a_new_worker_that_fails_under_load_rolls_everything_back(sluice, traffic, by):
    """The new configuration has more workers, so that the kernel puts connections into the queues of new sockets."""
    load = Load(traffic, threads=THREADS)
    daemon = sluice(load.configuration)
    daemon.expects_crash = True
    load.begin()
    before, hits = roll_back(daemon, by, load.configuration)
    assert before <= {worker.pid for worker in daemon.workers()}, "the old workers serve"
    assert "did not come up" in daemon.log
    assert [ask(load.port) for _ in range(50)] == ["hello"] * 50
    daemon.workers_wanted = 2
    daemon.reload(load.configuration)
    short, long, server = load.end()
    # A new worker accepts nothing before all are ready: a generation that does not come up costs nobody anything. One that was
    # hit after that was a worker like any other, and had one connection from each thread at most.
    assert len(short["failures"]) <= (hits - 1) * THREADS, short["failures"]
    assert not [failure for failure in short["failures"] if "refused" in failure]
    assert short["longest"] < 20
    assert [each["failure"] for each in long] == [None] * len(long)
    assert all(each["intact"] for each in long)
    wait_until(lambda: len(daemon.workers()) == 2, what="the workers of the last reload alone")


def test_after_a_rollback_the_old_configuration_serves_and_the_next_reload_works(sluice, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    daemon = sluice(configuration(port, first.at))
    daemon.expects_crash = True
    pid = daemon.pid
    roll_back(daemon, signal.SIGKILL, configuration(port, second.at))
    assert {ask(port) for _ in range(40)} == {"first"}
    assert daemon.pid == pid and daemon.process.poll() is None
    daemon.reload()
    assert {ask(port) for _ in range(40)} == {"second"}
    wait_until(lambda: len(daemon.workers()) == 8)


def test_a_limit_of_descriptors_that_the_master_cannot_live_with_rolls_back(sluice, servers):
    """The check passes, and the program after the exec cannot open a thing."""
    here = servers(NamingServer("here"))
    port = free_port()
    good = configuration(port, here.at)
    daemon = sluice(good)
    daemon.reload(good)
    wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted)
    workers = daemon.workers()
    daemon.globals = "ulimit-n 64"

    def refused():
        told = daemon.reload(good)
        assert told.variables["STATUS"].startswith("Reload failed"), daemon.log
        assert ask(port) == "here"
        assert daemon.workers() == workers
        return len(daemon.tree()[0].descriptors)

    open_after_one = refused()
    assert refused() <= open_after_one, "each refusal leaves something open"
    daemon.globals = ""
    daemon.reload(good)
    assert ask(port) == "here"


@pytest.mark.slow
def test_a_hung_worker_is_replaced_and_those_who_wait_are_served(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at))
    daemon.expects_crash = True
    victim, other = daemon.workers()
    os.kill(victim.pid, signal.SIGSTOP)
    # By the hash of their addresses some fall into the queue of the one that hangs.
    clients = [dial(port, timeout=40) for _ in range(40)]
    assert [read_line(client) for client in clients] == ["held"] * 40
    wait_until(lambda: not victim.is_alive, what="its end")
    assert other.is_alive
    assert "hangs" in daemon.log
    assert int(daemon.stats.info()["HungWorkers"]) == 1


@pytest.mark.slow
def test_who_waits_for_a_worker_that_stands_still_is_served_by_its_neighbour(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at))
    victim, _ = workers = daemon.workers()
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        clients = [dial(port, timeout=40) for _ in range(40)]
        assert [read_line(client) for client in clients] == ["held"] * 40
        assert f"({victim.pid}) does not move" in daemon.log
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    if "hangs" not in daemon.log:  # a machine that is busy otherwise may have taken long enough for that
        more = [dial(port, timeout=40) for _ in range(40)]
        assert [read_line(client) for client in more] == ["held"] * 40
        assert daemon.workers() == workers
    daemon.reload()
    for client in clients:
        client.sendall(b"x")
    wait_until(lambda: server.received == 40, what="all connections to be carried on")


@pytest.mark.slow
def test_a_worker_that_rests_at_a_limit_does_not_hang(sluice, servers):
    """Its queue is full and its lap stands still: it is asked, and answers."""
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at).replace("default_backend be", "default_backend be\n    maxconn 1"))
    workers = daemon.workers()
    with dial(port) as first:
        assert read_line(first) == "held"
        waiting = [dial(port, timeout=60) for _ in range(20)]
        time.sleep(15)  # longer than it takes to find out that somebody hangs
        assert daemon.workers() == workers
        assert "hangs" not in daemon.log
    for client in waiting:
        client.close()
