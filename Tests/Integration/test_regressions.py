"""What once went wrong, a test each."""

import select
import socket

import pytest

from harness.clients import dial, ended_by, read_line
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, receive_exactly
from harness.waiting import wait_until


def proxies(frontend, backend):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout queue 20s

frontend fe
    {frontend}
    default_backend be

backend be
    {backend}
"""


def test_bytes_behind_urgent_data_arrive(sluice, servers):
    """A read stops in front of the urgent byte: that it came short does not mean that nothing is left."""
    port = free_port()
    sluice(proxies(f"bind 127.0.0.1:{port}", f"server s1 {servers(EchoServer()).at}"))
    with dial(port) as client:
        for _ in range(200):
            client.sendall(b"abc")
            client.send(b"!", socket.MSG_OOB)
            client.sendall(b"def")
            assert receive_exactly(client, 6) == b"abcdef"


def test_who_waits_for_a_server_that_stops_is_given_another(sluice, servers):
    port = free_port()
    first, second = servers(HoldingServer()), servers(HoldingServer())
    daemon = sluice(
        proxies(
            f"bind 127.0.0.1:{port}",
            f"""balance source
    option redispatch
    server s1 {first.at} maxconn 1
    server s2 {second.at} maxconn 1""",
        ),
        workers=1,
    )
    with dial(port) as served:
        assert read_line(served) == "held"
        chosen, other = ("s1", "s2") if daemon.stats.row("be", "s1")["scur"] else ("s2", "s1")
        with dial(port) as waiting:
            wait_until(lambda: daemon.stats.row("be", chosen)["qcur"] == 1)
            daemon.stats.command(f"disable server be/{chosen}")
            assert read_line(waiting) == "held"
            assert daemon.stats.row("be", other)["scur"] == 1


def test_nobody_joins_a_queue_that_no_server_will_serve(sluice, servers):
    port = free_port()
    daemon = sluice(
        proxies(f"bind 127.0.0.1:{port}", f"server s1 {servers(HoldingServer()).at} maxconn 1"), workers=1
    )
    with dial(port) as served:
        assert read_line(served) == "held"
        with dial(port):
            wait_until(lambda: daemon.stats.row("be", "BACKEND")["qcur"] == 1)
            daemon.stats.command("disable server be/s1")
            with dial(port) as late:
                late.settimeout(5)
                ended_by(late)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bind_that_goes_while_its_frontend_is_full_loses_nobody(sluice, servers, workers):
    kept, removed = free_port(), free_port()
    backend = f"server s1 {servers(EchoServer()).at}"
    daemon = sluice(
        proxies(f"bind 127.0.0.1:{kept}\n    bind 127.0.0.1:{removed}\n    maxconn 1", backend), workers=workers
    )
    first = dial(kept)
    assert ask_on(first) == b"first"
    waiting = [dial(removed) for _ in range(3)]
    daemon.reload(proxies(f"bind 127.0.0.1:{kept}\n    maxconn 1", backend))
    first.close()
    for client in waiting:
        client.sendall(b"first")
    # One at a time, in an order that depends on whose queue they are in.
    while waiting:
        served, _, _ = select.select(waiting, [], [], 10)
        assert served, f"{len(waiting)} are still waiting"
        with served[0] as client:
            assert receive_exactly(client, 5) == b"first"
        waiting.remove(client)


def ask_on(client):
    client.sendall(b"first")
    return receive_exactly(client, 5)
