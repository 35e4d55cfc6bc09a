"""The units under a real systemd; and what the daemon tells any service manager."""

import signal
import time
from pathlib import Path

import pytest

from harness import programs
from harness.clients import ask, dial, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.systemd import System, why_impossible
from harness.waiting import wait_until


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
    server s1 {server}
"""


# Notifications (sd_notify(3))


@pytest.mark.reference
def test_ready_comes_from_the_master_when_it_serves(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at), launch_only=True)
    ready = daemon.notifications.wait_for(READY="1")
    assert ask(port) == "hello"  # no waiting
    assert ready.pid == daemon.pid
    assert ready.variables["STATUS"]


@pytest.mark.reference
def test_reloading_carries_the_time_and_is_followed_by_ready(sluice, servers):
    """MONOTONIC_USEC lies between the signal and the message, as Type=notify-reload demands."""
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    for _ in range(3 if programs.KIND == "sluice" else 1):  # the reference is deaf for a moment after READY
        seen = len(daemon.notifications.messages)
        before = time.monotonic_ns() // 1000
        daemon.process.send_signal(signal.SIGHUP)
        reloading = daemon.notifications.wait_for(since=seen, RELOADING="1")
        assert before <= int(reloading.variables["MONOTONIC_USEC"]) <= reloading.received
        daemon.notifications.wait_for(since=daemon.notifications.messages.index(reloading), READY="1")


@pytest.mark.reference
def test_stopping_is_said(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    daemon.stop()
    daemon.notifications.wait_for(STOPPING="1")


def test_the_watchdog_is_fed_in_time_also_while_reloading(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at), environment={"WATCHDOG_USEC": "600000"})
    daemon.notifications.wait_for(WATCHDOG="1")
    began = len(daemon.notifications.messages)
    for _ in range(6):
        daemon.reload()
        time.sleep(0.2)
    daemon.notifications.wait_for(since=len(daemon.notifications.messages), WATCHDOG="1")
    fed = [message.received for message in daemon.notifications.matching(began, WATCHDOG="1")]
    assert max(later - earlier for earlier, later in zip(fed, fed[1:])) < 600_000


def test_without_watchdog_nobody_is_fed(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    assert not daemon.notifications.matching(WATCHDOG=None)


def test_status_tells_what_runs(sluice, servers):
    """What `systemctl status` shows: after a refused reload, that it was refused."""
    port = free_port()
    good = configuration(port, servers(EchoServer()).at)
    daemon = sluice(good)
    usual = daemon.notifications.matching(READY="1")[-1].variables["STATUS"]
    refused = daemon.reload(good.replace("server s1", "servr s1")).variables["STATUS"]
    assert refused != usual
    assert daemon.reload(good).variables["STATUS"] != refused


# A real systemd


REFERENCE_UNIT = f"""
[Service]
Type=notify
ExecStart={programs.SLUICE} -Ws -f /etc/sluice/sluice.cfg
ExecReload=/bin/sh -c '{programs.SLUICE} -c -f /etc/sluice/sluice.cfg && kill -USR2 $MAINPID && sleep 0.1'
Restart=on-failure
RestartSec=100ms
"""


@pytest.fixture(scope="module")
def machine():
    """A booted systemd with the daemon installed as `make install` does it."""
    if reason := why_impossible():
        pytest.skip(reason)
    system = System(programs.REPOSITORY, *{Path(programs.SLUICE).resolve().parent} - {programs.BUILD.resolve()})
    try:
        if programs.KIND == "haproxy":
            system.write("/etc/systemd/system/sluice.service", REFERENCE_UNIT)
        else:
            system.run("make", "-C", programs.REPOSITORY, "install", "prefix=/usr", f"BUILT={Path(programs.SLUICE).parent}")
            system.run("systemd-sysusers")
        system.systemctl("daemon-reload")
        yield system
    finally:
        system.close()


class Service:
    """sluice.service with a configuration of the test's own."""

    def __init__(self, system):
        self.system = system

    def configure(self, text):
        self.system.write("/etc/sluice/sluice.cfg", text)

    def start(self, text):
        self.configure(text)
        self.system.systemctl("reset-failed", check=False)
        started = self.system.systemctl("start", "sluice", check=False)
        assert started.returncode == 0, started.stderr + self.system.journal("sluice")

    def property(self, name):
        return self.system.property("sluice", name)


@pytest.fixture
def service(machine, request):
    running = Service(machine)
    yield running
    if request.node.session.testsfailed:
        print(machine.journal("sluice")[-5000:])
    machine.systemctl("stop", "sluice.socket", "sluice.service", check=False)
    machine.run("rm", "-rf", "/etc/systemd/system/sluice.service.d", "/etc/systemd/system/sluice.socket.d")
    machine.systemctl("daemon-reload")


@pytest.mark.reference
def test_the_service_starts_serves_reloads_and_stops(service, servers):
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    port = free_port()
    service.start(configuration(port, first.at))
    assert service.property("ActiveState") == "active"
    assert service.property("StatusText")
    assert ask(port) == "first"
    pid = service.property("MainPID")

    service.configure(configuration(port, second.at))
    service.system.systemctl("reload", "sluice")
    wait_until(lambda: ask(port) == "second")
    assert service.property("MainPID") == pid

    service.system.systemctl("stop", "sluice")
    assert service.property("Result") == "success"
    with pytest.raises(ConnectionRefusedError):
        dial(port)


def test_a_file_that_says_daemon_runs_under_the_unit(service, servers):
    """Files of the reference often do; a process that forks away would be lost to the service manager."""
    port = free_port()
    service.start("global\n    daemon\n" + configuration(port, servers(NamingServer("here")).at))
    assert ask(port) == "here"


@pytest.mark.reference
def test_a_refused_reload_fails_and_leaves_it_running(service, servers):
    port = free_port()
    good = configuration(port, servers(NamingServer("here")).at)
    service.start(good)
    service.configure(good.replace("server s1", "servr s1"))
    assert service.system.systemctl("reload", "sluice", check=False).returncode != 0
    assert service.property("ActiveState") == "active"
    assert ask(port) == "here"
    journal = service.system.journal("sluice")
    assert "servr" in journal
    if programs.KIND == "sluice":
        assert journal.count("unknown keyword 'servr'") == 1, journal  # not by the command that reloads too


def test_a_reload_loses_no_connection_under_systemd(service, servers):
    server = servers(EchoServer())
    port = free_port()
    service.start(configuration(port, server.at))
    with dial(port) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        for _ in range(3):
            service.system.systemctl("reload", "sluice")
            assert ask(port) == "hello"
        client.sendall(b"after!")
        assert client.recv(6) == b"after!"


@pytest.mark.reference
def test_a_killed_master_is_started_again(service, servers):
    port = free_port()
    service.start(configuration(port, servers(EchoServer()).at))
    service.system.systemctl("kill", "--kill-who=main", "--signal=KILL", "sluice")
    service.system.wait_for("sluice", "NRestarts", "1")
    service.system.wait_for("sluice", "ActiveState", "active")
    wait_until(lambda: _answers(port), what="an answer")


def _answers(port):
    try:
        return ask(port) == "hello"
    except OSError:
        return False


def test_a_hung_master_is_killed_by_the_watchdog(service, servers):
    service.system.write("/etc/systemd/system/sluice.service.d/watchdog.conf", "[Service]\nWatchdogSec=1\n")
    service.system.systemctl("daemon-reload")
    port = free_port()
    service.start(configuration(port, servers(EchoServer()).at))
    time.sleep(1.5)  # longer than the watchdog's time: it is fed
    assert service.property("NRestarts") in ("", "0")
    service.system.systemctl("kill", "--kill-who=main", "--signal=STOP", "sluice")
    service.system.wait_for("sluice", "NRestarts", "1")
    service.system.wait_for("sluice", "ActiveState", "active")
    wait_until(lambda: _answers(port), what="an answer")


def test_the_socket_unit_starts_it_on_the_first_connection(service, servers):
    port = free_port()
    service.system.write(
        "/etc/systemd/system/sluice.socket.d/address.conf", f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n"
    )
    service.system.systemctl("daemon-reload")
    service.configure(configuration(port, servers(HoldingServer()).at))
    service.system.systemctl("start", "sluice.socket")
    assert service.system.systemctl("is-active", "sluice", check=False).stdout.strip() == "inactive"
    with dial(port, timeout=20) as client:
        assert read_line(client) == "held"
    service.system.wait_for("sluice", "ActiveState", "active")  # a worker serves before all are ready
    service.system.systemctl("restart", "sluice")
    with dial(port) as client:
        assert read_line(client) == "held"


def test_under_its_unit_workers_have_no_rights(service, servers):
    port = free_port()
    service.start(configuration(port, servers(EchoServer()).at))
    main = int(service.property("MainPID"))
    listing = service.system.run("ps", "-e", "-o", "pid=,ppid=,user=,comm=").stdout
    children = [line.split() for line in listing.splitlines() if line.split()[1] == str(main)]
    assert len(children) >= 2, listing
    for pid, _, user, _ in children:
        assert user == "sluice"
        status = service.system.run("cat", f"/proc/{pid}/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"].strip() == "1"


def test_sluicectl_finds_the_service_by_itself(service, servers):
    port = free_port()
    service.start(configuration(port, servers(EchoServer()).at))
    status = service.system.run("sluicectl", "status")
    assert "s1" in status.stdout


def test_the_units_have_no_fault(machine):
    if programs.KIND == "haproxy":
        pytest.skip("sluice's own units")
    units = [f"/usr/lib/systemd/system/sluice.{kind}" for kind in ("service", "socket")]
    machine.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=one", *units)
    result = machine.run("systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", units[0], check=False)
    assert result.returncode == 0, result.stdout[-500:]
