"""Limits hold exactly, over all workers; what is beyond them waits, in order, and is not lost."""

import os
import pwd
import resource
import time

import pytest

from harness import programs
from harness.clients import ask, dial, ended_by, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, receive_exactly
from harness.waiting import stays, wait_until


def configuration(port, server, *, frontend="", options="", further=""):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout queue 20s

frontend fe
    bind 127.0.0.1:{port}
    {frontend}
    default_backend be

backend be
    server s1 {server} {options}
    {further}
"""


def greeted(client):
    """Has the server's greeting arrived? (Without waiting for it.)"""
    client.setblocking(False)
    try:
        return client.recv(100) != b""
    except BlockingIOError:
        return False
    finally:
        client.settimeout(10)


@pytest.mark.reference
def test_maxconn_of_a_frontend_leaves_the_others_waiting(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at, frontend="maxconn 2"))
    served = [dial(port), dial(port)]
    assert [read_line(client) for client in served] == ["held", "held"]
    with dial(port) as third:  # the kernel accepts it for us; the daemon does not
        stays(lambda: not greeted(third), 0.5, "the third's waiting")
        assert server.peak == 2
        row = daemon.stats.row("fe", "FRONTEND")
        assert (row["scur"], row["smax"], row["slim"]) == (2, 2, 2)
        served.pop().close()
        assert read_line(third) == "held"
    served.pop().close()


@pytest.mark.reference
def test_maxconn_of_the_process_leaves_the_others_waiting(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at), "maxconn 3")
    served = [dial(port) for _ in range(3)]
    assert [read_line(client) for client in served] == ["held"] * 3
    with dial(port) as fourth:
        stays(lambda: not greeted(fourth), 0.5, "the fourth's waiting")
        assert server.peak == 3
        assert daemon.stats.info()["Maxconn"] == 3
        served.pop().close()
        assert read_line(fourth) == "held"
    for client in served:
        client.close()


@pytest.mark.reference
def test_maxconn_of_a_server_queues_the_others(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at, options="maxconn 1"))
    with dial(port) as first:
        assert read_line(first) == "held"
        waiting = [dial(port) for _ in range(3)]
        wait_until(lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"] == 3)
        assert server.peak == 1
    while waiting:
        served = wait_until(lambda: [client for client in waiting if greeted(client)])
        assert len(served) == 1
        waiting.remove(served[0])
        served[0].close()
    wait_until(lambda: daemon.stats.row("be", "BACKEND")["scur"] == 0)
    assert server.peak == 1
    row = daemon.stats.row("be", "BACKEND")
    assert (row["qcur"], max(row["qmax"], daemon.stats.row("be", "s1")["qmax"])) == (0, 3)
    assert daemon.stats.row("be", "s1")["smax"] == 1
    assert server.accepted == 4


@pytest.mark.reference
def test_the_queue_is_first_in_first_out_over_all_workers(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at, options="maxconn 1"))
    queued = lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"]  # noqa: E731
    first = dial(port)
    first.sendall(b"x")
    assert first.recv(1) == b"x"
    waiting = []
    for number in range(12):
        client = dial(port)
        client.sendall(b"%d\n" % number)
        waiting.append(client)
        wait_until(lambda number=number: queued() == number + 1)
    first.close()
    for number, client in enumerate(waiting):
        assert read_line(client) == str(number)
        later = [other for other in waiting[number + 1 :] if greeted(other)]
        assert not later, f"client {number} was overtaken"
        client.close()


@pytest.mark.reference
def test_maxconn_of_a_server_holds_under_a_crowd(sluice, servers):
    """Forty clients at once over all workers: the server never sees more than three, and all are served."""
    server = servers(EchoServer())
    port = free_port()
    sluice(configuration(port, server.at, options="maxconn 3"), workers=4 if programs.KIND == "sluice" else 2)
    clients = []
    for number in range(40):
        client = dial(port, timeout=20)
        client.sendall(b"%d\n" % number)
        clients.append(client)
    pending = dict(enumerate(clients))
    deadline = time.monotonic() + 20
    while pending:
        assert time.monotonic() < deadline, f"{len(pending)} clients were never served"
        for number, client in list(pending.items()):
            client.settimeout(0.002)
            try:
                line = client.recv(100)
            except TimeoutError:
                continue
            assert line == b"%d\n" % number
            client.close()
            del pending[number]
    assert server.accepted == 40
    assert server.peak == 3


@pytest.mark.reference
def test_a_client_that_leaves_the_queue_gives_its_place_away(sluice, servers):
    """With abortonclose: without it, the reference keeps the place of a client that has gone."""
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at, options="maxconn 1", further="option abortonclose"))
    queued = lambda: daemon.stats.row("be", "BACKEND")["qcur"] + daemon.stats.row("be", "s1")["qcur"]  # noqa: E731
    first = dial(port)
    first.sendall(b"x")
    assert first.recv(1) == b"x"
    leaving = dial(port)
    wait_until(lambda: queued() == 1)
    leaving.close()
    wait_until(lambda: queued() == 0)
    first.close()
    assert ask(port, b"hello\n") == "hello"
    assert server.accepted == 2


@pytest.mark.reference
def test_a_full_server_is_passed_over_while_another_has_room(sluice, servers):
    small, other = servers(HoldingServer("small")), servers(HoldingServer("other"))
    port = free_port()
    further = f"server s2 {other.at}\n    balance roundrobin"
    sluice(configuration(port, small.at, options="maxconn 1", further=further))
    clients = [dial(port) for _ in range(10)]
    assert sorted(read_line(client) for client in clients) == ["other"] * 9 + ["small"]
    for client in clients:
        client.close()


OURS = f"user {pwd.getpwuid(os.geteuid()).pw_name}"


class Squeezed:
    """Lowers a running process's limit of descriptors to what it uses now plus `spare`.

    That of another user's process takes CAP_SYS_RESOURCE (prlimit(2)), so the processes must be ours.
    """

    def __init__(self, processes, spare):
        self._before = {each.pid: resource.prlimit(each.pid, resource.RLIMIT_NOFILE) for each in processes}
        for each in processes:
            limit = max(each.descriptors) + 1 + spare
            resource.prlimit(each.pid, resource.RLIMIT_NOFILE, (limit, self._before[each.pid][1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid, before in self._before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_running_out_of_descriptors_pauses_accepting_without_spin_or_loss(sluice, servers):
    """Sixty clients, descriptors for about ten: the others wait in the kernel's queue until there are some again."""
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at), OURS)
    assert ask(port, b"warm\n") == "warm"
    spent = lambda: sum(worker.cpu_seconds for worker in daemon.workers())  # noqa: E731
    clients = []
    with Squeezed(daemon.workers(), spare=20):
        for number in range(60):
            client = dial(port, timeout=15)
            client.sendall(b"%8d\n" % number)
            clients.append(client)
        wait_until(lambda: server.current >= 10)
        before = spent()
        time.sleep(1.5)
        assert spent() - before < 0.3, "it spins"
    answers = []
    for number, client in enumerate(clients):
        client.settimeout(15)
        answers.append(receive_exactly(client, 9))
        client.close()
    assert answers == [b"%8d\n" % number for number in range(60)]
    assert ask(port, b"again\n") == "again"


@pytest.mark.reference
def test_a_starved_daemon_recovers_when_clients_leave(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at), OURS)
    assert ask(port, b"warm\n") == "warm"
    with Squeezed(daemon.workers(), spare=20):
        clients = [dial(port) for _ in range(40)]
        wait_until(lambda: server.current >= 5)
        for client in clients:
            client.close()
        wait_until(lambda: server.current == 0)
        assert ask(port, b"again\n") == "again"


@pytest.mark.reference
def test_a_connection_rule_refuses_at_once(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at, frontend="tcp-request connection reject if { src 127.0.0.2 }"))
    assert ask(port, b"hello\n") == "hello"
    with pytest.raises(ConnectionResetError):
        with dial(port, source="127.0.0.2") as client:
            client.sendall(b"x")
            if ended_by(client) == "RST":
                raise ConnectionResetError
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["dcon"] and row)
    assert (row["dcon"], row["stot"], row["conn_tot"]) == (1, 1, 2)
    assert server.accepted == 1
