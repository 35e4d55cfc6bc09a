"""Reloads after which the old processes are gone and every connection is alive: the new workers carry it on."""

import contextlib
import os
import random
import select
import signal
import socket
import threading
import time
import zlib

import pytest

from harness import processes, programs
from harness.clients import dial, read_line
from harness.hello import client_hello
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import wait_until

RELOADS = int(os.environ.get("SLUICE_RELOADS", "50"))
"""How often the long tests reload: 1000 before a release."""

DEATHS = max(10, RELOADS // 10)
"""How often the test of deaths kills somebody."""


def configuration(port, server, further="", defaults=""):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
{defaults}

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server}

{further}
"""


def reload_and_see_them_go(daemon, text=None):
    """Reloads; the old workers have gone soon after. Returns how long they took."""
    before = set(daemon.workers())
    daemon.reload(text)
    began = time.monotonic()
    wait_until(lambda: not before & set(daemon.workers()), 10, "the old workers to go")
    return time.monotonic() - began


def echoes(client, message):
    client.sendall(message)
    received = b""
    while len(received) < len(message):
        part = client.recv(65536)
        assert part, "the connection has ended"
        received += part
    assert received == message


def test_idle_connections_survive_and_the_old_workers_go(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    clients = [dial(port) for _ in range(40)]
    for number, client in enumerate(clients):
        echoes(client, b"before %d" % number)
    for turn in range(5):
        assert reload_and_see_them_go(daemon) < 5
        for client in clients:
            echoes(client, b"after %d" % turn)
    assert daemon.stats.row("fe", "FRONTEND")["scur"] == len(clients)
    assert "40 connections handed over" in daemon.log
    for client in clients:
        client.close()
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 0)
    assert daemon.stats.row("be", "s1")["scur"] == 0
    assert daemon.stats.row("be", "s1")["stot"] == len(clients)


def test_reload_sessions_drain_leaves_them_where_they_are(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at), globals="reload-sessions drain")
    client = dial(port)
    echoes(client, b"before")
    old = set(daemon.workers())
    daemon.reload()
    echoes(client, b"after")
    assert old & set(daemon.workers()), "a worker has to stay for it"
    client.close()
    wait_until(lambda: not old & set(daemon.workers()))


def test_counters_stay_exact_and_there_is_one_line(sluice, servers, log):
    port = free_port()
    text = configuration(
        port, servers(EchoServer()).at, defaults=f"    log {log.address} local0\n    option tcplog\n"
    )
    daemon = sluice(text)
    client = dial(port)
    total = 0
    for turn in range(6):
        message = bytes([turn]) * (1 << 16 if turn % 2 else 10)
        echoes(client, message)
        total += len(message)
        reload_and_see_them_go(daemon)
    age = time.monotonic()
    client.close()
    session = log.session()
    assert (session["bytes"], session["backend"], session["server"]) == (str(total), "be", "s1")
    assert session["termination"] == "--"
    assert 100 < int(session["total"]) < (time.monotonic() - age) * 1000 + 60_000
    for proxy, name in (("fe", "FRONTEND"), ("be", "BACKEND"), ("be", "s1")):
        row = wait_until(lambda p=proxy, n=name: (r := daemon.stats.row(p, n))["scur"] == 0 and r)
        assert (row["bin"], row["bout"], row["stot"], row["smax"]) == (total, total, 1, 1), (proxy, name)
    assert len(log.sessions()) == 1


def test_every_phase_moves(sluice, servers):
    """Half a hello, one that waits in a queue, one half closed, one whose client does not read."""
    echo, holding = servers(EchoServer()), servers(HoldingServer())
    named = servers(NamingServer("named"))
    ports = [free_port() for _ in range(3)]
    text = f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
frontend hello
    bind 127.0.0.1:{ports[0]}
    tcp-request inspect-delay 30s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend named if {{ req.ssl_sni here.example.test }}
backend named
    server s1 {named.at}
listen queued
    bind 127.0.0.1:{ports[1]}
    server s1 {holding.at} maxconn 1
listen echo
    bind 127.0.0.1:{ports[2]}
    server s1 {echo.at}
"""
    daemon = sluice(text)
    hello = client_hello("here.example.test", post_quantum=True)
    half = dial(ports[0])
    half.sendall(hello[:700])
    served = dial(ports[1])
    assert read_line(served) == "held"
    queued = []
    for number in range(3):
        queued.append(dial(ports[1]))
        wait_until(lambda n=number: daemon.stats.row("queued", "BACKEND")["qcur"] + daemon.stats.row("queued", "s1")["qcur"] == n + 1)
    paused = dial(ports[2])
    paused.settimeout(0.3)
    sent, checksum = 0, 0
    block = os.urandom(65536)
    try:
        while sent < 64 << 20:
            count = paused.send(block)
            checksum = zlib.crc32(block[:count], checksum)
            sent += count
    except TimeoutError:
        pass
    paused.settimeout(30)
    wait_until(lambda: daemon.stats.row("hello", "FRONTEND")["scur"] == 1)
    for _ in range(4):
        reload_and_see_them_go(daemon)
    paused.shutdown(socket.SHUT_WR)
    reload_and_see_them_go(daemon)
    half.sendall(hello[700:])
    assert read_line(half) == "named"
    row = daemon.stats.row("queued", "BACKEND")["qcur"] + daemon.stats.row("queued", "s1")["qcur"]
    assert row == 3
    # In the order in which they came, one at a time.
    for client in [served, *queued[:2]]:
        client.close()
        following = queued[[served, *queued].index(client)]
        assert read_line(following) == "held"
    received = 0
    got = 0
    while part := paused.recv(1 << 20):
        got = zlib.crc32(part, got)
        received += len(part)
    assert (received, got) == (sent, checksum)
    queued[2].close()
    half.close()
    for proxy in ("hello", "queued", "echo"):
        wait_until(lambda p=proxy: daemon.stats.row(p, "FRONTEND")["scur"] == 0, what=proxy)
    assert holding.peak == 1


def test_variables_of_rules_that_have_been_heard_are_set_again(sluice, servers):
    """Behind a PROXY header or none, with half a request, and in the queue of a backend that is gone."""
    holding, here, other = servers(HoldingServer()), servers(NamingServer("here")), servers(NamingServer("other"))
    plain, behind, full = free_port(), free_port(), free_port()
    text = f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
frontend fe
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{behind} accept-proxy
    tcp-request connection set-var(sess.from) src
    tcp-request session set-var(sess.to) str(there)
    tcp-request inspect-delay 30s
    tcp-request content accept if {{ req.len gt 4 }}
    use_backend here if {{ var(sess.from) -m ip 127.0.0.1 }} {{ var(sess.to) -m str there }}
    default_backend other
frontend full
    bind 127.0.0.1:{full}
    tcp-request connection set-var(sess.from) src
    tcp-request content set-var(sess.content) str(yes)
    use_backend here if {{ always_false }}
    default_backend held
backend here
    server s1 {here.at}
backend other
    server s1 {other.at}
"""
    held = f"backend held\n    server s1 {holding.at} maxconn 1\n"
    daemon = sluice(text + held)
    early, half, header, unfinished = dial(plain), dial(plain), dial(behind), dial(behind)
    half.sendall(b"ab")
    header.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.9 4321 443\r\nab")
    unfinished.sendall(b"PROXY TCP4 192.0.2.7 ")
    served = dial(full)
    assert read_line(served) == "held"
    queued = dial(full)
    wait_until(lambda: daemon.stats.row("held", "BACKEND")["qcur"] + daemon.stats.row("held", "s1")["qcur"] == 1)
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 4)
    moved = text.replace("{ always_false }", "{ var(sess.from) -m ip 127.0.0.1 } { var(sess.content) -m str yes }")
    reload_and_see_them_go(daemon, moved.replace("default_backend held", "default_backend other"))
    unfinished.sendall(b"198.51.100.9 4321 443\r\nab")
    for client in (early, half, header, unfinished):
        client.sendall(b"cdefgh")
        assert read_line(client) == "here"
    queued.sendall(b"x")
    assert read_line(queued) == "here"


def test_what_left_the_configuration_lives_on(sluice, servers):
    first, second = servers(EchoServer()), servers(EchoServer())
    port, other, third = free_port(), free_port(), free_port()
    further = f"""
listen gone
    bind 127.0.0.1:{other}
    server s9 {first.at}
frontend left
    bind 127.0.0.1:{third}
    default_backend be
"""
    daemon = sluice(configuration(port, first.at, further))
    clients = [dial(port), dial(other), dial(third)]
    for client in clients:
        echoes(client, b"before")
    without = configuration(port, second.at).replace("server s1", "server s2")
    reload_and_see_them_go(daemon, without)
    reload_and_see_them_go(daemon)
    for client in clients:
        echoes(client, b"after" * 20000)
    sessions = daemon.stats.command("show sess")
    assert "fe=gone be=gone srv=s9" in sessions and "srv=s1" in sessions
    assert sessions.count("orphan=1") == 3, sessions
    # What comes back is known again.
    reload_and_see_them_go(daemon, configuration(port, first.at, further))
    for client in clients:
        echoes(client, b"again")
    assert daemon.stats.row("gone", "FRONTEND")["scur"] == 1
    assert "orphan=1" not in daemon.stats.command("show sess")
    for client in clients:
        client.close()
    for proxy in ("gone", "left", "fe"):
        wait_until(lambda p=proxy: daemon.stats.row(p, "FRONTEND")["scur"] == 0, what=proxy)


def test_more_and_fewer_workers(sluice, servers):
    port = free_port()
    text = configuration(port, servers(EchoServer()).at)
    daemon = sluice(text, workers=4)
    clients = [dial(port) for _ in range(60)]
    for client in clients:
        echoes(client, b"before")
    for wanted in (1, 8, 3):
        daemon.workers_wanted = wanted
        reload_and_see_them_go(daemon, text)
        wait_until(lambda n=wanted: len(daemon.workers()) == n)
        for client in clients:
            echoes(client, b"after")
    assert daemon.stats.row("fe", "FRONTEND")["scur"] == len(clients)


def test_at_its_limit_the_old_workers_go_as_well(sluice, servers):
    port = free_port()
    text = configuration(port, servers(EchoServer()).at)
    daemon = sluice(text, globals="maxconn 4")
    clients = [dial(port) for _ in range(4)]
    for client in clients:
        echoes(client, b"before")
    waiting = [dial(port) for _ in range(6)]
    reload_and_see_them_go(daemon)
    for client in clients:
        echoes(client, b"after")
        client.close()
    for client in waiting:
        client.sendall(b"at last")
    # They wait in two workers' queues: who is served first is not said.
    while waiting:
        served, _, _ = select.select(waiting, [], [], 20)
        assert served, f"{len(waiting)} clients were never served"
        for client in served:
            assert client.recv(100) == b"at last"
            client.close()
            waiting.remove(client)


def test_what_finds_no_place_stays_where_it_is(sluice, servers):
    """The new configuration has fewer places than there are connections: those beyond it end in the old workers."""
    port = free_port()
    text = configuration(port, servers(EchoServer()).at)
    daemon = sluice(text, workers=1)
    clients = [dial(port) for _ in range(60)]
    for client in clients:
        echoes(client, b"before")
    old = set(daemon.workers())
    daemon.globals = "maxconn 20\n    hard-stop-after 1h"
    daemon.reload(text)
    for client in clients:
        echoes(client, b"after")
    assert old & set(daemon.workers())
    wait_until(lambda: "no place for more connections" in daemon.log)
    for client in clients:
        client.close()
    wait_until(lambda: not old & set(daemon.workers()))
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 0)


def test_a_new_worker_that_stands_still_for_a_second_costs_nothing(sluice, servers):
    """Whatever it is at: what it has not claimed by then stays with the old worker, and what it has goes on with it."""
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    clients = [dial(port) for _ in range(300)]
    for client in clients:
        echoes(client, b"before")
    for delay in (0, 0.005, 0.02):
        old, stopped = set(daemon.workers()), []

        def meddle(old=old, stopped=stopped, delay=delay):
            while not stopped:
                stopped += [worker for worker in daemon.workers() if worker not in old and processes.is_worker(worker.pid)][:1]
            time.sleep(delay)
            os.kill(stopped[0].pid, signal.SIGSTOP)
            time.sleep(1)
            os.kill(stopped[0].pid, signal.SIGCONT)

        meddler = threading.Thread(target=meddle)
        meddler.start()
        daemon.reload(timeout=30)
        meddler.join()
        for client in clients:
            echoes(client, b"after")
    for client in clients:
        client.close()
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == 0)


def carried(daemon):
    """Connections of each worker, by its pid."""
    lines = daemon.stats.command("show workers").splitlines()
    names = lines[0].removeprefix("# ").split()
    rows = [dict(zip(names, line.split(), strict=True)) for line in lines[1:] if line]
    return {int(row["pid"]): int(row["sessions"]) for row in rows}


def living(clients):
    """Those that still echo."""

    def lives(client):
        try:
            echoes(client, b"still there")
            return True
        except (OSError, AssertionError):
            client.close()
            return False

    return [client for client in clients if lives(client)]


def strike(daemon, chance, clients):
    """Kills somebody, in the middle of a reload or not. Returns who of the clients lives; only who was carried by the dead
    may not."""
    before = carried(daemon)
    is_reloading = chance.random() < 0.5
    if is_reloading:
        daemon.process.send_signal(signal.SIGUSR2)
        time.sleep(chance.uniform(0, 0.06))
    victim = chance.choice(daemon.tree()[1:] or [None])
    if victim is None:
        return clients
    is_known_worker = victim.pid in before
    with contextlib.suppress(ProcessLookupError):
        programs.kill(victim.pid)
    after = living(clients)
    lost = len(clients) - len(after)
    if is_reloading:
        # An old worker gives to one new worker: whoever was hit, had what one of them had.
        assert lost <= max(before.values()), (victim, before)
    else:
        assert lost == (before[victim.pid] if is_known_worker else 0), (victim, before)
    return after


@pytest.mark.slow
def test_deaths_between_and_during_reloads_cost_what_the_dead_carried_and_nothing_else(sluice, servers):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    daemon.expects_crash = True
    clients = []
    for _ in range(DEATHS):
        clients += [dial(port) for _ in range(40 - len(clients))]
        for client in clients:
            echoes(client, b"before")
        clients = strike(daemon, chance, clients)
        wait_until(
            lambda: len(daemon.workers()) == daemon.workers_wanted and len(daemon.controllers()) == 1,
            20, "one generation alone",
        )  # fmt: skip
        wait_until(lambda n=len(clients): scur(daemon) == n, 20, f"{len(clients)} connections to be counted")
    daemon.reload()
    assert len(living(clients)) == len(clients)


def scur(daemon):
    """Nil while the controller is not there."""
    try:
        return daemon.stats.row("fe", "FRONTEND")["scur"]
    except OSError:
        return None


LONG, BULK = 500, 20
"""Connections that last while the daemon is reloaded: some send a block now and then, some as fast as they can."""

GONE_WITHIN = 1.0 if RELOADS >= 1000 else 10.0
"""Seconds after a reload in which the old generation ends; a busy machine that tests other things is given more."""


class Ages:
    """How long each old generation outlived its reload, in seconds."""

    def __init__(self):
        self.seen = []

    def add(self, seconds):
        self.seen.append(seconds)

    def __str__(self):
        ordered = sorted(self.seen)
        at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000  # noqa: E731
        return (
            f"old generations gone after {at(0.5):.0f} ms in half of {len(ordered)} reloads, {at(0.99):.0f} ms in 99 of 100, "
            f"{ordered[-1] * 1000:.0f} ms at most"
        )


def reload_and_time_them(daemon, ages):
    """Reloads; no process of the generation before is left a second after that was over."""
    before = set(daemon.tree()[1:])
    over = daemon.reload(timeout=60).received / 1e6
    wait_until(lambda: not before & set(daemon.tree()), GONE_WITHIN, "the old generation to go", every=0.005)
    ages.add(time.monotonic() - over)


class Footprint:
    """What a daemon holds when no reload is under way: processes, and descriptors and memory of the master."""

    def __init__(self, daemon):
        wait_until(lambda: len(daemon.tree()) == daemon.workers_wanted + 2, what="one generation alone")
        self.master = daemon.tree()[0]
        self.descriptors, self.resident = len(self.master.descriptors), self.master.resident_bytes

    def assert_not_grown(self, daemon):
        wait_until(lambda: len(daemon.tree()) == daemon.workers_wanted + 2, what="one generation alone")
        wait_until(lambda: len(self.master.descriptors) <= self.descriptors, what="descriptors as many as before")
        assert self.master.resident_bytes < self.resident + (4 << 20)


@pytest.mark.slow
def test_many_reloads_under_load(sluice, traffic, relay):
    """Short connections all the time, long ones with data flowing, bulk: nothing fails, nothing stays, nothing grows."""
    port, server_port = free_port(), free_port()
    server = traffic("echo", server_port)
    daemon = sluice(configuration(port, f"127.0.0.1:{server_port}"), relay)
    bulk = traffic("stream", port, BULK, "0")
    streams = traffic("stream", port, LONG, "2")
    churn = traffic("churn", port, 2)
    early, ages = None, Ages()
    for number in range(RELOADS):
        reload_and_time_them(daemon, ages)
        if number == min(10, RELOADS // 2):
            early = Footprint(daemon)
    print(ages)
    early.assert_not_grown(daemon)
    short, long, large, seen = churn.finish(120), streams.finish(120), bulk.finish(120), server.finish(120)
    assert short["failures"] == []
    assert [each["failure"] for each in long + large] == [None] * (LONG + BULK)
    assert all(each["intact"] and each["sent"] > 0 for each in long + large)
    assert seen["resets"] == 0
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row)
    assert row["stot"] == seen["connections"] == short["attempts"] + LONG + BULK
    assert (row["bin"], row["bout"]) == (seen["received"], seen["sent"])
