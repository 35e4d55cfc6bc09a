"""Whichever process dies, new connections are served within a second."""

import time

import pytest

from harness import programs
from harness.clients import ask, dial, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer
from harness.waiting import wait_until

WITHIN = 1.0
"""Seconds after which a connection made after the death must be served."""


def configuration(port, server):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server} check inter 200ms
"""


@pytest.fixture
def crashing(sluice, servers):
    def start(server, **options):
        port = free_port()
        daemon = sluice(configuration(port, servers(server).at), **options)
        daemon.expects_crash = True
        return daemon, port

    return start


def serves_quickly(port, connections=20):
    """Makes connections one after the other: each is served within the time, whichever worker's queue it falls into."""
    for _ in range(connections):
        began = time.monotonic()
        assert ask(port, b"hello\n") == "hello"
        assert time.monotonic() - began < WITHIN


def test_each_worker_in_turn(crashing):
    daemon, port = crashing(EchoServer())
    for worker in daemon.workers():
        programs.kill(worker.pid)
        serves_quickly(port)
    wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted, what="the workers to be back")
    serves_quickly(port)


def test_all_workers_at_once(crashing):
    daemon, port = crashing(EchoServer())
    for worker in daemon.workers():
        programs.kill(worker.pid)
    serves_quickly(port)
    wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted)


def test_the_other_workers_connections_notice_nothing(crashing):
    daemon, port = crashing(HoldingServer())
    clients = [dial(port) for _ in range(30)]
    for client in clients:
        assert read_line(client) == "held"
    victim, *_ = daemon.workers()
    programs.kill(victim.pid)
    wait_until(lambda: victim not in daemon.workers() and len(daemon.workers()) == daemon.workers_wanted)
    alive = 0
    for client in clients:
        client.settimeout(0.02)
        try:
            client.recv(1)
        except TimeoutError:
            alive += 1
        except ConnectionError:
            pass
    assert 0 < alive < 30
    # What the dead worker held is given back: limits and `scur` count the living only.
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == alive)
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == alive)
    for client in clients:
        client.close()
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)


def test_a_dead_workers_share_of_a_limit_is_given_back(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at).replace("check inter 200ms", "maxconn 2"))
    daemon.expects_crash = True
    for _ in range(3):
        clients = [dial(port), dial(port)]
        assert [read_line(client) for client in clients] == ["held", "held"]
        for worker in daemon.workers():
            programs.kill(worker.pid)
        for client in clients:
            client.close()
    with dial(port) as client:
        assert read_line(client) == "held"


def test_the_controller(crashing):
    daemon, port = crashing(EchoServer())
    wait_until(lambda: daemon.stats.row("be", "s1")["check_status"] == "L4OK")
    controller = daemon.controller()
    with dial(port) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        programs.kill(controller.pid)
        serves_quickly(port)
        client.sendall(b"after!")
        assert client.recv(6) == b"after!"
    wait_until(lambda: not controller.is_alive and daemon.controllers() not in ([], [controller]), timeout=10)
    row = wait_until(lambda: _answered(daemon), what="the stats socket to answer again")
    assert row["stot"] >= 21


def _answered(daemon):
    try:
        return daemon.stats.row("fe", "FRONTEND")
    except OSError:
        return None


def test_checks_go_on_after_the_controllers_death(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at).replace("inter 200ms", "inter 200ms fall 2 rise 2"))
    daemon.expects_crash = True
    wait_until(lambda: daemon.stats.row("be", "s1")["check_status"] == "L4OK")
    programs.kill(daemon.controller().pid)
    server.refuse()
    wait_until(lambda: (row := _answered(daemon)) and daemon.stats.row("be", "s1")["status"] == "DOWN", timeout=15)
    server.start()
    wait_until(lambda: daemon.stats.row("be", "s1")["status"] == "UP")


def test_a_controller_that_dies_again_and_again_is_restarted_with_pauses(crashing):
    """The data plane serves all the while, and the master does not spin."""
    daemon, port = crashing(EchoServer())
    spent = daemon.tree()[0].cpu_seconds
    deadline = time.monotonic() + 3
    kills = 0
    while time.monotonic() < deadline:
        for controller in daemon.controllers():
            programs.kill(controller.pid)
            kills += 1
        serves_quickly(port, 2)
    assert 2 <= kills <= 60
    assert daemon.tree()[0].cpu_seconds - spent < 1
    wait_until(lambda: _answered(daemon), timeout=30)


def test_workers_outlive_the_master(crashing):
    """Running connections go on while a service manager starts a new master."""
    daemon, port = crashing(EchoServer())
    with dial(port) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        workers = daemon.workers()
        family = daemon.tree()
        try:
            programs.kill(daemon.pid)
            daemon.process.wait(5)
            for _ in range(20):
                client.sendall(b"after!")
                assert client.recv(6) == b"after!"
            assert all(worker.is_alive for worker in workers)
        finally:
            for member in family:
                if member.is_alive:
                    programs.kill(member.pid)
