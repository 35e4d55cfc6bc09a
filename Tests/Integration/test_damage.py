"""What a dead master left behind is damaged, under a real systemd: never worse than a fresh start, and no queue is lost."""

import os
import select
from pathlib import Path

import pytest

from harness import programs
from harness.clients import ask, dial, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer
from harness.waiting import wait_until
from test_adoption import kill_master, with_two_workers, workers
from test_systemd import configuration, machine, service  # noqa: F401

OVERWRITE = """
import os, sys
found = 0
for number in os.listdir("/proc/%s/fd" % sys.argv[1]):
    path = "/proc/%s/fd/%s" % (sys.argv[1], number)
    try:
        target = os.readlink(path)
    except OSError:
        continue
    if target.startswith("/memfd:" + sys.argv[2]):
        file = os.open(path, os.O_RDWR)
        size = os.fstat(file).st_size
        if sys.argv[3] == "truncate":
            os.ftruncate(file, size // 2)
        elif sys.argv[3] == "empty":
            os.ftruncate(file, 0)
        else:
            os.pwrite(file, bytes.fromhex(sys.argv[3]), int(sys.argv[4]))
        found += 1
        if len(sys.argv) > 5:
            break
assert found, "there is no such file"
"""
"""Harms the files of a name that a process has open, as a memory error or a bad release would."""


def harm(service, file, *how):
    """Stops the master, harms a file of it that the service manager keeps too, and kills it: it has no chance to write it anew."""
    main = service.property("MainPID")
    service.system.run("kill", "-STOP", main)
    service.system.run("/usr/bin/python3", "-c", OVERWRITE, main, file, *how)
    kill_master(service)


STATE = {
    "overwritten": ("sluice-state", "ff" * 64, "100"),
    "cut short": ("sluice-state", "truncate"),
    "empty": ("sluice-state", "empty"),
    "of a version that nobody knows": ("sluice-state", "736c756963657f7f" * 2, "0"),
}


@pytest.mark.parametrize("what", STATE)
def test_a_state_that_cannot_be_read(service, servers, what):
    """The files are read; who is served by the old workers is served on, and who waits in a queue is not lost."""
    server, new = servers(HoldingServer("old")), servers(HoldingServer("new"))
    port = free_port()
    service.start(with_two_workers(configuration(port, server.at)))
    held = dial(port)
    assert read_line(held) == "old"
    before = workers(service)
    service.configure(with_two_workers(configuration(port, new.at)))
    waiting = _queue(service, port, before)
    harm(service, *STATE[what])
    _go_on(service, before)
    assert [read_line(client) in ("old", "new") for client in waiting] == [True] * len(waiting)
    held.sendall(b"still there")
    wait_until(lambda: server.received >= 11)
    wait_until(lambda: _name(port) == "new", what="the new workers alone")
    held.close()
    for client in waiting:
        client.close()
    wait_until(lambda: len(workers(service)) == 2 and not workers(service) & before, what="the end of the old workers")
    service.system.systemctl("reload", "sluice")
    assert _name(port) == "new"


def _name(port):
    with dial(port) as client:
        return read_line(client)


def _queue(service, port, pids):
    """Connections that wait to be accepted: nobody polls while workers are stopped."""
    for pid in pids:
        service.system.run("kill", "-STOP", str(pid))
    return [dial(port, timeout=30) for _ in range(10)]


def _go_on(service, pids):
    for pid in pids:
        service.system.run("kill", "-CONT", str(pid), check=False)


def test_one_of_the_two_states_is_damaged(service, servers):
    """The other one is as good: its workers are adopted."""
    port = free_port()
    service.start(with_two_workers(configuration(port, servers(EchoServer()).at)))
    before = workers(service)
    harm(service, "sluice-state", "ff" * 64, "100", "one")
    assert ask(port) == "hello"
    assert before <= workers(service)
    service.system.systemctl("reload", "sluice")
    wait_until(lambda: not workers(service) & before)
    assert ask(port) == "hello"


def test_a_ledger_that_cannot_be_read(service, servers):
    """New workers serve, on a new ledger; the old ones finish what they carry."""
    server = servers(HoldingServer())
    port = free_port()
    service.start(with_two_workers(configuration(port, server.at)))
    held = dial(port)
    assert read_line(held) == "held"
    before = workers(service)
    waiting = _queue(service, port, before)
    harm(service, "sluice-ledger", "00" * 8, "0")
    _go_on(service, before)
    assert [read_line(client) for client in waiting] == ["held"] * len(waiting)
    held.sendall(b"still there")
    wait_until(lambda: server.received == 11)
    for client in [held, *waiting]:
        client.close()
    wait_until(lambda: len(workers(service)) == 2 and not workers(service) & before, what="the end of the old workers")
    service.system.systemctl("reload", "sluice")
    with dial(port) as client:
        assert read_line(client) == "held"


def test_a_program_of_another_layout_takes_over_from_the_dead(service, servers):
    """The package was replaced and the master died before a reload: a new generation on what ran, not on what the file says."""
    assert os.path.exists(programs.NEXT), f"there is no {programs.NEXT}: make next"
    server = servers(EchoServer())
    port = free_port()
    text = with_two_workers(configuration(port, server.at))
    service.start(text)
    clients = [dial(port) for _ in range(10)]
    before = workers(service)
    installed = service.system.run("readlink", "-f", f"/proc/{service.property('MainPID')}/exe").stdout.strip()
    old = service.system.directory / "old"
    service.system.run("cp", installed, old)
    staged = service.system.directory / "next"
    staged.write_bytes(Path(programs.NEXT).read_bytes())
    service.system.run("install", "-m", "755", staged, installed + ".new")
    service.system.run("mv", installed + ".new", installed)
    service.configure(text.replace("server s1", "servr s1"))
    kill_master(service)
    wait_until(lambda: not workers(service) & before, what="the end of the old workers")
    for client in clients:
        client.sendall(b"there?\n")
        assert read_line(client) == "there?"
    assert "they are carried over" in service.system.journal("sluice")
    service.configure(text)
    service.system.run("install", "-m", "755", old, installed + ".new")
    service.system.run("mv", installed + ".new", installed)
    kill_master(service)
    for client in clients:
        client.sendall(b"still?\n")
        assert read_line(client) == "still?"
    service.system.systemctl("reload", "sluice")
    assert server.accepted == len(clients)


@pytest.mark.parametrize("who", ["leaves", "is killed"])
def test_who_waits_for_a_place_is_served_after_an_adoption(service, servers, who):
    server = servers(HoldingServer())
    port = free_port()
    text = configuration(port, f"{server.at} maxconn 1").replace("timeout connect", "timeout queue 60s\n    timeout connect")
    service.start(with_two_workers(text))
    held = dial(port)
    assert read_line(held) == "held"
    # By the hash of their addresses some wait in the worker that holds the place, and some in the other.
    waiting = [dial(port, timeout=60) for _ in range(8)]
    before = workers(service)
    kill_master(service)
    if who == "is killed":
        holder = _worker_of(service, held)
        waiting = [client for client in waiting if _worker_of(service, client) != holder]
        service.system.run("kill", "-KILL", str(holder))
    held.close()
    # Whose turn it is, is as they were accepted, which need not be as they came.
    while waiting:
        served, _, _ = select.select(waiting, [], [], 30)
        assert served, f"{len(waiting)} wait for a place that is free"
        for client in served:
            assert read_line(client) == "held"
            client.close()
            waiting.remove(client)
    assert workers(service) & before


def _worker_of(service, client):
    """The process that has accepted a connection: the one that holds its other end."""
    own = "%s:%d" % client.getsockname()
    listing = lambda: service.system.run("ss", "-Htnp", "dst", own).stdout  # noqa: E731
    return int(wait_until(lambda: "pid=" in listing() and listing()).split("pid=")[1].split(",")[0])
