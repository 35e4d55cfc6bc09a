"""The master dies, under a real systemd: nobody notices, and the next one goes on."""

import os
import socket

import pytest

from harness.clients import ask, dial, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import wait_until
from test_systemd import configuration, machine, service  # noqa: F401

CRASHES = int(os.environ.get("SLUICE_CRASHES", "3"))
"""How often the master is killed under load."""


def kill_master(service):
    """Kills it and waits until the next one is ready."""
    restarts = int(service.property("NRestarts"))
    service.system.run("kill", "-KILL", service.property("MainPID"))
    service.system.wait_for("sluice", "NRestarts", str(restarts + 1))
    service.system.wait_for("sluice", "ActiveState", "active")


def processes(service):
    """Of the unit: {pid: name}."""
    group = service.property("ControlGroup")
    pids = service.system.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs", check=False).stdout.split()
    listing = service.system.run("ps", "-o", "pid=,comm=", "-p", ",".join(pids), check=False).stdout if pids else ""
    return {int(line.split()[0]): line.split()[1] for line in listing.splitlines()}


def workers(service):
    return {pid for pid, name in processes(service).items() if name == "sluice-worker"}


def with_two_workers(text, *further):
    lines = "".join(f"    {line}\n" for line in further)
    return f"global\n    nbthread 2\n{lines}\n{text}"


def test_a_killed_master_is_not_missed_under_load(service, traffic):
    """New connections all the time, transfers that last, and a reload after each death."""
    port, server_port = free_port(), free_port()
    server = traffic("echo", server_port)
    service.system.write("/etc/systemd/system/sluice.service.d/limit.conf", "[Unit]\nStartLimitIntervalSec=0\n")
    service.system.systemctl("daemon-reload")
    text = with_two_workers(configuration(port, f"127.0.0.1:{server_port}"))
    service.start(text)
    streams = traffic("stream", port, 4)
    churn = traffic("churn", port, 3)
    for number in range(CRASHES):
        before = workers(service)
        kill_master(service)
        assert workers(service) == before, "the workers are the same"
        if number % 2 == 0:
            service.system.systemctl("reload", "sluice")
            assert len(workers(service) - before) == 2
    short, long, seen = churn.finish(), streams.finish(), server.finish()
    assert short["failures"] == []
    assert short["attempts"] > 50
    assert [each["failure"] for each in long] == [None] * len(long)
    assert all(each["intact"] for each in long)
    assert seen["connections"] == short["attempts"] + len(long)


def test_the_successor_goes_on_from_the_snapshot_when_the_file_is_broken(service, servers):
    here = servers(NamingServer("here"))
    port = free_port()
    good = with_two_workers(configuration(port, here.at))
    service.start(good)
    service.configure(good.replace("server s1", "servr s1"))
    kill_master(service)
    assert ask(port) == "here"
    assert "has died" in service.system.journal("sluice")
    refused = service.system.systemctl("reload", "sluice", check=False)
    assert refused.returncode != 0
    assert ask(port) == "here"
    service.configure(good.replace(here.at, servers(NamingServer("there")).at))
    service.system.systemctl("reload", "sluice")
    assert ask(port) == "there"


def test_what_was_set_at_run_time_and_counted_outlives_the_master(service, servers):
    port = free_port()
    service.start(with_two_workers(configuration(port, servers(EchoServer()).at)))
    assert [ask(port) for _ in range(5)] == ["hello"] * 5
    service.system.run("sluicectl", "maint", "be/s1")
    kill_master(service)
    wait_until(lambda: service.system.run("sluicectl", "raw", "show stat", check=False).returncode == 0)
    rows = service.system.run("sluicectl", "raw", "show stat").stdout.splitlines()
    names = rows[0].removeprefix("# ").split(",")
    found = {row.split(",")[1]: dict(zip(names, row.split(","))) for row in rows[1:] if row}
    assert found["s1"]["status"] == "MAINT"
    assert found["FRONTEND"]["stot"] == "5"


def test_an_adopted_worker_that_dies_is_replaced_and_its_places_given_back(service, servers):
    server = servers(HoldingServer())
    port = free_port()
    service.start(with_two_workers(configuration(port, f"{server.at} maxconn 2")))
    held = [dial(port), dial(port)]
    assert [read_line(client) for client in held] == ["held", "held"]
    kill_master(service)
    before = workers(service)
    for pid in before:
        service.system.run("kill", "-KILL", str(pid))
    wait_until(lambda: len(workers(service)) == 2 and not workers(service) & before, what="new workers")
    for client in held:
        client.close()
    with dial(port) as client:
        assert read_line(client) == "held"


def test_a_worker_that_died_with_the_master_is_replaced(service, servers):
    port = free_port()
    service.start(with_two_workers(configuration(port, servers(EchoServer()).at)))
    before = workers(service)
    first, second = sorted(before)
    main = service.property("MainPID")
    service.system.run("kill", "-KILL", main, str(first))
    service.system.wait_for("sluice", "NRestarts", "1")
    service.system.wait_for("sluice", "ActiveState", "active")
    wait_until(lambda: len(workers(service)) == 2, what="the dead worker's successor")
    assert second in workers(service)
    assert [ask(port) for _ in range(20)] == ["hello"] * 20


def test_stop_leaves_nothing_behind_after_an_adoption(service, servers):
    port = free_port()
    service.start(with_two_workers(configuration(port, servers(EchoServer()).at)))
    kill_master(service)
    left = processes(service)
    service.system.systemctl("stop", "sluice")
    assert service.property("ActiveState") == "inactive"
    assert not _alive(service, left)
    with pytest.raises(ConnectionRefusedError):
        dial(port)


def test_stop_leaves_nothing_behind_when_the_master_hangs(service, servers):
    service.system.write("/etc/systemd/system/sluice.service.d/patience.conf", "[Service]\nTimeoutStopSec=1\n")
    service.system.systemctl("daemon-reload")
    port = free_port()
    service.start(with_two_workers(configuration(port, servers(EchoServer()).at)))
    left = processes(service)
    service.system.run("kill", "-STOP", service.property("MainPID"))
    service.system.systemctl("stop", "sluice")
    assert not _alive(service, left)
    with pytest.raises(ConnectionRefusedError):
        dial(port)


def _alive(service, pids):
    return [pid for pid in pids if service.system.run("test", "-d", f"/proc/{pid}", check=False).returncode == 0]


@pytest.mark.parametrize("hangs", [False, True], ids=["in order", "hung"])
def test_restart_reads_the_file_and_keeps_the_accept_queue(service, servers, hangs):
    """Who connects while nobody accepts is served by the next daemon, on what the file says by then."""
    service.system.write("/etc/systemd/system/sluice.service.d/patience.conf", "[Service]\nTimeoutStopSec=4\n")
    service.system.systemctl("daemon-reload")
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    service.start(with_two_workers(configuration(port, first.at)))
    assert ask(port) == "first"
    service.configure(with_two_workers(configuration(port, second.at)))
    everyone = processes(service)
    # Nobody accepts from here on: what connects waits in the queue.
    for pid in workers(service):
        service.system.run("kill", "-STOP", str(pid))
    if hangs:
        service.system.run("kill", "-STOP", service.property("MainPID"))
    waiting = [dial(port, timeout=30) for _ in range(10)]
    for client in waiting:
        client.sendall(b"hello\n")
        client.shutdown(socket.SHUT_WR)
    service.system.systemctl("restart", "sluice")
    assert [read_line(client) for client in waiting] == ["second"] * 10
    assert not _alive(service, everyone)


def test_the_store_holds_what_is_needed_and_no_more(service, servers):
    """Over reloads that add and remove binds, and over crashes, the number comes back."""
    server = servers(EchoServer())
    port, other = free_port(), free_port()
    text = with_two_workers(configuration(port, server.at))
    service.start(text)
    count = lambda: int(service.property("NFileDescriptorStore"))  # noqa: E731
    service.system.systemctl("reload", "sluice")
    usual = count()
    service.configure(text + f"\nlisten further\n    bind 127.0.0.1:{other}\n    server s1 {server.at}\n")
    service.system.systemctl("reload", "sluice")
    wait_until(lambda: count() == usual + 2, what=lambda: f"two sockets more than {usual}, not {count()}")
    kill_master(service)
    assert ask(other) == "hello"
    service.configure(text)
    service.system.systemctl("reload", "sluice")
    with pytest.raises(ConnectionRefusedError):
        dial(other)
    wait_until(lambda: count() == usual, what=lambda: f"{usual} descriptors, not {count()}")


def test_a_master_that_dies_in_the_middle_of_a_reload(service, servers):
    """The generation that served goes on; of the other one nobody is left."""
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    service.start(with_two_workers(configuration(port, first.at)))
    before = workers(service)
    service.configure(with_two_workers(configuration(port, second.at)))
    main = service.property("MainPID")
    # Killed in the moment in which new workers exist.
    script = (
        f"sluicectl reload --no-wait; while [ $(pgrep -c -x sluice-worker) -lt 3 ]; do :; done; kill -KILL {main}"
    )
    service.system.run("timeout", "10", "sh", "-c", script)
    service.system.wait_for("sluice", "NRestarts", "1")
    service.system.wait_for("sluice", "ActiveState", "active")
    wait_until(lambda: len(workers(service)) == 2, what=lambda: f"two workers, not {processes(service)}")
    answers = {ask(port) for _ in range(10)}
    assert answers == ({"first"} if workers(service) == before else {"second"})
    service.system.systemctl("reload", "sluice")
    assert {ask(port) for _ in range(10)} == {"second"}
