"""Another master takes over, from one that lives and from one that has died, without a service manager."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness import processes, programs
from harness.clients import ask, dial, read_line, run
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.stats import StatsSocket
from harness.waiting import wait_until
from test_reload import Load, configuration


class Family:
    """A daemon that others take over from, and those who do. Processes are found by where they listen and what they are called: a worker's parent may be gone."""

    def __init__(self, sluice, scratch, text, globals=""):
        self.socket = scratch / "admin.sock"
        self.first = sluice(text, f"stats socket {self.socket} level admin expose-fd listeners\n{globals}")
        self.first.expects_crash = True
        self.masters = [self.first.process]
        self.seen = set()
        self.note()

    def note(self):
        """Remembers who there is, so that all of them end with the test."""
        for master in self.masters:
            if master.poll() is None:
                self.seen |= {member.pid for member in processes.tree(master.pid)}
        session = run(["pgrep", "-s", ",".join(str(master.pid) for master in self.masters)]).stdout.split()
        self.seen |= {int(pid) for pid in session}

    @property
    def alive(self):
        return [pid for pid in self.seen if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)]

    def named(self, name):
        self.note()
        return {pid for pid in self.alive if _name(pid) == name}

    @property
    def workers(self):
        return self.named("sluice-worker")

    @property
    def stats(self):
        return StatsSocket(self.socket)

    def take_over(self, *arguments, flag="-x", wait=True):
        """Starts another master; returns it once it serves on its own account."""
        log = open(self.first.log_file, "ab")
        environment = dict(os.environ, NOTIFY_SOCKET=self.first.notifications.path)
        seen = len(self.first.notifications.messages)
        master = subprocess.Popen(
            [*self.first.command, flag, str(self.socket), *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )
        self.masters.append(master)
        if wait:
            # Ready with what ran, then with what the file says.
            self.first.notifications.wait_for_reload(seen)
            self.note()
        return master

    def close(self):
        self.note()
        for pid in self.alive:
            programs.kill(pid)
        for master in self.masters:
            master.wait(10)


def _name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def family(sluice, scratch):
    families = []

    def start(text, globals=""):
        families.append(Family(sluice, scratch, text, globals))
        return families[-1]

    yield start
    for each in families:
        each.close()


@pytest.mark.parametrize("flag", ["-x", "--takeover"])
def test_another_master_takes_over_from_one_that_runs(family, servers, flag):
    """Connections move to the newcomer's workers; of the first nobody is left but who keeps what the daemon holds."""
    first, second = servers(HoldingServer("first")), servers(NamingServer("second"))
    port = free_port()
    old = family(configuration(port, first.at))
    before = old.workers
    held = dial(port)
    assert read_line(held) == "first"
    old.first.write(configuration(port, second.at))
    old.take_over(flag=flag)
    assert old.masters[0].wait(10) == 0
    assert ask(port) == "second"
    wait_until(lambda: len(old.workers) == 2 and not old.workers & before, what="the new workers alone")
    held.sendall(b"still there")
    wait_until(lambda: first.received == 11)
    assert old.stats.row("fe", "FRONTEND")["scur"] == 1
    assert len(old.named("sluice-keeper")) == 1


@pytest.mark.slow
def test_taking_over_again_and_again_under_load_fails_no_connection(family, traffic):
    load = Load(traffic)
    daemon = family(load.configuration)
    load.begin()
    for _ in range(3):
        daemon.take_over()
        assert daemon.masters[-2].wait(10) == 0
    short, long, server = load.end()
    assert short["failures"] == []
    assert all(each["failure"] is None and each["intact"] for each in long)
    assert server["connections"] == short["attempts"] + len(long)
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row)
    assert (row["stot"], row["bin"], row["bout"]) == (server["connections"], server["received"], server["sent"])


@pytest.mark.slow
def test_another_master_takes_over_from_one_that_was_killed_under_load(family, traffic):
    load = Load(traffic)
    daemon = family(load.configuration)
    load.begin()
    workers = daemon.workers
    programs.kill(daemon.masters[0].pid)
    daemon.masters[0].wait(10)
    assert daemon.workers == workers, "they serve on"
    assert [ask(load.port) for _ in range(20)] == ["hello"] * 20
    daemon.take_over()
    assert not daemon.workers & workers
    programs.kill(daemon.masters[1].pid)
    daemon.masters[1].wait(10)
    daemon.take_over()
    short, long, server = load.end()
    assert short["failures"] == []
    assert all(each["failure"] is None and each["intact"] for each in long)
    assert server["connections"] == short["attempts"] + len(long) + 20


def test_who_does_not_take_over_is_told_what_to_do(family, servers):
    port = free_port()
    daemon = family(configuration(port, servers(EchoServer()).at))
    programs.kill(daemon.masters[0].pid)
    daemon.masters[0].wait(10)
    result = run([*daemon.first.command])
    assert result.returncode == 1
    assert "in use by sluice" in result.stderr and "-x SOCKET" in result.stderr
    assert ask(port) == "hello"


def test_a_newcomer_with_a_broken_file_takes_nothing_over(family, servers):
    port = free_port()
    good = configuration(port, servers(EchoServer()).at)
    daemon = family(good)
    workers = daemon.workers
    daemon.first.write(good.replace("server s1", "servr s1"))
    assert daemon.take_over(wait=False).wait(20) == 1
    assert daemon.masters[0].poll() is None
    assert daemon.workers == workers
    assert ask(port) == "hello"
    daemon.first.write(good)
    daemon.take_over()
    assert ask(port) == "hello"


def test_a_newcomer_that_dies_in_the_middle_leaves_the_first_one_going_on(family, servers):
    """Stopped while it takes over, then killed: the first master stands still, and goes on."""
    port = free_port()
    daemon = family(configuration(port, servers(EchoServer()).at))
    door = f"{daemon.socket}.keeper"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as heir:
        heir.connect(door)
        heir.send(b"TAKE=1")
        heir.settimeout(10)
        packets = []
        while b"END=1" not in packets:
            data, rights, _, _ = socket.recv_fds(heir, 8192, 64)
            for number in rights:
                os.close(number)
            packets.append(data)
        assert any(b"sluice.listener." in packet for packet in packets)
        assert any(b"sluice.ledger." in packet for packet in packets)
        assert ask(port) == "hello", "workers need no master"
    wait_until(lambda: "has not taken over" in daemon.first.log)
    daemon.first.reload()
    assert ask(port) == "hello"
    assert daemon.masters[0].poll() is None


def test_who_asked_during_a_hand_over_and_left_holds_nobody_up(family, servers):
    """The first master would stand still when the hand-over is over: nobody is there any more to answer it."""
    port = free_port()
    daemon = family(configuration(port, servers(EchoServer()).at))
    held = min(daemon.workers)
    os.kill(held, signal.SIGSTOP)
    daemon.masters[0].send_signal(signal.SIGUSR2)
    wait_until(lambda: "generation 2 serves" in daemon.first.log, what="the hand-over, which waits for one that stands still")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as heir:
        heir.connect(f"{daemon.socket}.keeper")
        heir.send(b"TAKE=1")
        heir.settimeout(0.5)
        with pytest.raises(TimeoutError):
            heir.recv(8192)
    os.kill(held, signal.SIGCONT)
    wait_until(lambda: held not in daemon.workers, 20, "the end of the hand-over")
    daemon.first.reload()
    assert ask(port) == "hello"
    assert daemon.masters[0].poll() is None


def test_where_nobody_lets_others_take_over_it_is_said(sluice, servers, scratch):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    result = run([*daemon.command, "-x", str(daemon.directory / "stats.sock")])
    assert result.returncode == 1
    assert "expose-fd listeners" in result.stderr
    assert ask(port) == "hello"


def test_a_stop_leaves_no_keeper_and_no_file(family, servers):
    daemon = family(configuration(free_port(), servers(EchoServer()).at))
    daemon.note()
    assert Path(f"{daemon.socket}.keeper").is_socket()
    daemon.masters[0].send_signal(signal.SIGTERM)
    assert daemon.masters[0].wait(10) == 0
    wait_until(lambda: not daemon.alive, what=lambda: f"the end of {daemon.alive}")
    assert not Path(f"{daemon.socket}.keeper").exists()


def test_workers_that_end_without_a_master_take_their_keeper_along(family, servers):
    """Sockets that nobody polls would swallow connections."""
    port = free_port()
    daemon = family(configuration(port, servers(EchoServer()).at))
    daemon.note()
    programs.kill(daemon.masters[0].pid)
    daemon.masters[0].wait(10)
    for pid in daemon.workers:
        programs.kill(pid)
    wait_until(lambda: not daemon.named("sluice-keeper"), what="the end of the keeper")
    wait_until(lambda: _refuses(port), what="the port to be free")


def _refuses(port):
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_keeper_stays_over_reloads_and_holds_no_more_than_there_is(family, servers):
    port = free_port()
    text = configuration(port, servers(EchoServer()).at)
    daemon = family(text)
    keeper = daemon.named("sluice-keeper")
    (pid,) = keeper
    count = lambda: len(os.listdir(f"/proc/{pid}/fd"))  # noqa: E731
    daemon.first.reload()
    wait_until(lambda: len(daemon.workers) == 2)
    usual = count()
    for _ in range(5):
        daemon.first.reload()
    wait_until(lambda: len(daemon.workers) == 2)
    wait_until(lambda: count() == usual, what=lambda: f"{usual} descriptors, not {count()}")
    assert daemon.named("sluice-keeper") == keeper
    began = time.monotonic()
    programs.kill(daemon.masters[0].pid)
    daemon.masters[0].wait(10)
    daemon.take_over()
    assert ask(port) == "hello"
    assert time.monotonic() - began < 30
