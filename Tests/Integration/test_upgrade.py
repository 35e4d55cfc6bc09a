"""A new binary by a reload: one that lays out counters and speaks of connections in another way, back again, and ones that cannot run."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from harness import programs
from harness.clients import ask, dial, read_line, run
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import wait_until
from test_reload import Load, configuration
from test_rollback import ATTEMPTS, hit_new_worker

UPGRADES = int(os.environ.get("SLUICE_UPGRADES", "4"))
"""How often the binary is replaced under load."""


class Installation:
    """A directory that programs are installed into, as a package manager does: by renaming.

    The release to come is built without its controller, which would take minutes: with it the daemon runs alone.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self.daemon = self.directory / "sluice"
        self.controller = self.directory / "sluice-controller"
        self.environment = {"SLUICE_CONTROLLER": str(self.controller)}
        self.use_this_release()

    def use_this_release(self):
        self._install(programs.SLUICE, self.daemon)
        controller = os.environ.get("SLUICE_CONTROLLER", str(Path(programs.SLUICE).with_name("sluice-controller")))
        self._install(controller, self.controller)

    def use_next_release(self):
        assert os.path.exists(programs.NEXT), f"there is no {programs.NEXT}: make next"
        self.controller.unlink(missing_ok=True)
        self._install(programs.NEXT, self.daemon)

    def use(self, program):
        """Installs a program of these bytes."""
        temporary = self.directory / "new"
        temporary.write_bytes(program)
        temporary.chmod(0o755)
        temporary.rename(self.daemon)

    def _install(self, program, path):
        temporary = self.directory / "new"
        shutil.copy(program, temporary)
        temporary.rename(path)


@pytest.fixture
def installed(sluice, scratch):
    """Starts a daemon from an installation of its own: (daemon, installation)."""

    def start(text, globals="", **options):
        installation = Installation(scratch)
        daemon = sluice(
            text, globals, program=installation.daemon, environment=installation.environment, **options
        )
        return daemon, installation

    return start


def upgrade(daemon, install):
    """Installs, reloads, and waits until of the generation before nobody is left."""
    before = {member.pid for member in daemon.tree()[1:]}
    install()
    told = daemon.reload()
    assert told.variables["STATUS"] == "Ready.", daemon.log
    wait_until(
        lambda: not before & {member.pid for member in daemon.tree()},
        what=lambda: f"the end of {before}, of which there are {daemon.tree()}",
    )


@pytest.mark.slow
def test_upgrades_to_another_layout_and_back_under_load_lose_nothing(installed, traffic, relay):
    """No connection, no byte, and no count: what four ledgers and two record formats have seen is one sum."""
    load = Load(traffic)
    daemon, installation = installed(load.configuration, relay)
    load.begin()
    for number in range(UPGRADES):
        upgrade(daemon, installation.use_this_release if number % 2 else installation.use_next_release)
    assert daemon.log.count("they are carried over") == UPGRADES
    short, long, server = load.end()
    assert short["failures"] == []
    assert short["attempts"] > 100
    assert [each["failure"] for each in long] == [None] * len(long)
    assert all(each["intact"] and each["sent"] > 0 for each in long)
    assert server["resets"] == 0
    assert server["connections"] == short["attempts"] + len(long)
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row)
    assert row["stot"] == server["connections"]
    assert (row["bin"], row["bout"]) == (server["received"], server["sent"])


def test_connections_move_to_another_layout_and_back(installed, servers):
    """In a hello, in a queue and while relaying; the same process serves nobody twice."""
    server = servers(EchoServer())
    port = free_port()
    daemon, installation = installed(configuration(port, server.at))
    clients = [dial(port) for _ in range(50)]
    for round in range(2):
        for install in (installation.use_next_release, installation.use_this_release):
            upgrade(daemon, install)
            for client in clients:
                client.sendall(b"there?\n")
                assert read_line(client) == "there?"
    assert server.accepted == len(clients)
    assert daemon.stats.row("be", "s1")["scur"] == len(clients)
    assert daemon.log.count("end in their old workers") == 0
    for client in clients:
        client.close()
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)
    assert daemon.stats.row("be", "s1")["stot"] == len(clients)


def test_limits_and_queues_hold_over_layouts(installed, servers):
    """A place that was taken before the upgrade is none after it, and who waited is served when it is free."""
    server = servers(HoldingServer())
    port = free_port()
    # Who waits has the time that two upgrades take on a busy machine.
    text = configuration(port, f"{server.at} maxconn 2").replace("timeout connect", "timeout queue 60s\n    timeout connect")
    daemon, installation = installed(text)
    held = [dial(port), dial(port)]
    assert [read_line(client) for client in held] == ["held", "held"]
    waiting = [dial(port)]
    queued = lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"]  # noqa: E731
    wait_until(lambda: queued() == 1)
    upgrade(daemon, installation.use_next_release)
    waiting.append(dial(port))
    upgrade(daemon, installation.use_this_release)
    wait_until(lambda: queued() == 2)
    assert server.current == 2
    assert daemon.stats.row("be", "s1")["scur"] == 2
    for client in held:
        client.close()
    assert [read_line(client) for client in waiting] == ["held", "held"]
    assert server.peak == 2
    for client in waiting:
        client.close()
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)


def test_places_of_old_workers_that_drain_count_in_the_new_layout(installed, servers):
    """With `reload-sessions drain` nothing moves: the limit is one for both ledgers all the same."""
    server = servers(HoldingServer())
    port = free_port()
    text = configuration(port, f"{server.at} maxconn 1").replace("timeout connect", "timeout queue 60s\n    timeout connect")
    daemon, installation = installed(text, "reload-sessions drain")
    held = dial(port)
    assert read_line(held) == "held"
    installation.use_next_release()
    daemon.reload()
    waiting = dial(port, timeout=60)
    installation.use_this_release()
    daemon.reload()
    row = wait_until(lambda: (row := daemon.stats.row("be", "s1"))["scur"] == 1 and row)
    assert row["stot"] >= 1
    assert server.current == 1
    held.close()
    assert read_line(waiting) == "held"
    assert server.peak == 1
    waiting.close()
    wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted, what="the old workers to go")
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == 0)


def test_what_was_set_at_run_time_outlives_an_upgrade(installed, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    text = configuration(port, f"{first.at} weight 10").replace(
        "server s1", f"server s2 {second.at}\n    server s1"
    )
    daemon, installation = installed(text)
    for command in ("set server be/s2 state maint", "set server be/s1 weight 7"):
        daemon.stats.command(command)
    upgrade(daemon, installation.use_next_release)
    assert {ask(port) for _ in range(10)} == {"first"}
    upgrade(daemon, installation.use_this_release)
    assert daemon.stats.row("be", "s2")["status"] == "MAINT"
    assert daemon.stats.row("be", "s1")["weight"] == 7
    assert {ask(port) for _ in range(10)} == {"first"}


@pytest.mark.slow
def test_an_upgrade_to_another_layout_that_fails_after_the_exec_goes_back(installed, servers):
    """The first new worker dies: the old program goes on with its own ledger, and loses no count."""
    server = servers(EchoServer())
    port = free_port()
    daemon, installation = installed(configuration(port, server.at))
    daemon.expects_crash = True
    for _ in range(ATTEMPTS):
        wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted, what="the workers of one generation alone")
        clients = [dial(port) for _ in range(10)]
        workers = {worker.pid for worker in daemon.workers()}
        seen, failures = len(daemon.notifications.messages), daemon.log.count("reload failed")
        installation.use_next_release()
        known = {member.pid for member in daemon.tree()}
        daemon.process.send_signal(signal.SIGUSR2)
        hit_new_worker(daemon, signal.SIGKILL, known)
        daemon.notifications.wait_for(30, seen, READY="1")
        if daemon.log.count("reload failed") > failures:
            break
        # It was ready already, and died with what it had been given by then.
        for client in clients:
            client.close()
        upgrade(daemon, installation.use_this_release)
    else:
        raise AssertionError("no upgrade failed")
    assert "did not come up" in daemon.log
    wait_until(lambda: {worker.pid for worker in daemon.workers()} == workers, what="the old workers alone")
    for client in clients:
        client.sendall(b"there?\n")
        assert read_line(client) == "there?"
    wait_until(lambda: daemon.stats.row("be", "s1")["scur"] == len(clients))
    accepted = server.accepted
    upgrade(daemon, installation.use_next_release)
    upgrade(daemon, installation.use_this_release)
    for client in clients:
        client.sendall(b"still?\n")
        assert read_line(client) == "still?"
    assert server.accepted == accepted


CANNOT_RUN = {
    "not a program": b"#!\x00 no program",
    "an empty file": b"",
    "cut short": None,
    "says no": b"#!/bin/sh\necho 'this is not for you' >&2\nexit 3\n",
}


@pytest.mark.parametrize("what", CANNOT_RUN)
def test_a_binary_that_cannot_run_changes_nothing_and_is_told(installed, servers, what):
    port = free_port()
    daemon, installation = installed(configuration(port, servers(EchoServer()).at))
    workers = daemon.workers()
    with dial(port) as client:
        cut = Path(programs.SLUICE).read_bytes()[:100_000]
        installation.use(cut if CANNOT_RUN[what] is None else CANNOT_RUN[what])
        told = daemon.reload()
        assert told.variables["STATUS"].startswith("Reload failed"), daemon.log
        result = run([programs.SLUICECTL, "--socket", daemon.control_socket, "reload", "--wait"])
        assert result.returncode != 0
        assert daemon.workers() == workers
        client.sendall(b"there?\n")
        assert read_line(client) == "there?"
    upgrade(daemon, installation.use_this_release)
    assert ask(port) == "hello"


def test_a_binary_without_its_controller_serves_and_gets_it_with_the_next_reload(installed, servers):
    """Traffic matters more than statistics."""
    port = free_port()
    daemon, installation = installed(configuration(port, servers(EchoServer()).at))
    with dial(port) as client:
        upgrade(daemon, installation.controller.unlink)
        assert daemon.controllers() == []
        client.sendall(b"there?\n")
        assert read_line(client) == "there?"
        upgrade(daemon, installation.use_this_release)
        assert daemon.stats.row("be", "s1")["scur"] == 1
