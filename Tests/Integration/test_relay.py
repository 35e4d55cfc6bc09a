"""What goes in comes out, and every end is passed on: both ways of moving bytes."""

import os
import socket
import time

import pytest

from harness.clients import dial, ended_by, read_line
from harness.ports import free_port
from harness.servers import (
    Counting,
    EchoServer,
    SinkServer,
    SourceServer,
    TCPServer,
    receive_all,
    receive_exactly,
    reset,
)
from harness.waiting import settled, wait_until

BULK_MEBIBYTES = int(os.environ.get("SLUICE_BULK_MIB", "1024"))


def one_server(port, server, *lines):
    """A frontend and the one server behind it."""
    return f"""
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 60s
    timeout server 60s
{"".join(f"    {line}" + chr(10) for line in lines)}
frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server}
"""


@pytest.fixture
def relayed(sluice, servers, relay):
    """Puts the daemon before a server: returns (daemon, port)."""

    def start(server, *lines, **options):
        servers(server)
        port = free_port()
        return sluice(one_server(port, server.at, *lines), relay, **options), port

    return start


@pytest.mark.reference
@pytest.mark.slow
def test_carries_bulk_both_ways_at_once_through_one_connection(sluice, traffic, relay):
    port, server_port = free_port(), free_port()
    daemon = sluice(one_server(port, f"127.0.0.1:{server_port}"), relay)
    server = traffic("exchange", "server", server_port, BULK_MEBIBYTES)
    client = traffic("exchange", "client", port, BULK_MEBIBYTES)
    upper, lower = client.finish(120), server.finish(10)
    assert (lower["received"], lower["received_crc"]) == (upper["sent"], upper["sent_crc"])
    assert (upper["received"], upper["received_crc"]) == (lower["sent"], lower["sent_crc"])
    row = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row)
    assert (row["bin"], row["bout"]) == (upper["sent"], lower["sent"])


@pytest.mark.reference
def test_passes_on_the_clients_half_close_and_still_carries_the_answer(relayed):
    _, port = relayed(SinkServer())
    with dial(port) as client:
        client.sendall(bytes(3_000_000))
        client.shutdown(socket.SHUT_WR)
        assert read_line(client) == "3000000"
        assert client.recv(1) == b""


@pytest.mark.reference
def test_passes_on_the_servers_half_close_and_still_carries_the_request(relayed):
    late = []

    def speaks_first(connection):
        connection.sendall(b"greeting\n")
        connection.shutdown(socket.SHUT_WR)
        late.append(receive_all(connection))

    _, port = relayed(TCPServer(speaks_first))
    with dial(port) as client:
        assert receive_all(client) == b"greeting\n"
        client.sendall(b"x" * 2_000_000)
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: late, what="the server to see the end of the request")
    assert late == [b"x" * 2_000_000]


@pytest.mark.reference
def test_a_half_closed_connection_costs_no_time(relayed):
    """A side that has ended stays readable for ever: whoever forgets to stop listening to it spins."""
    half_closed = []

    def keeps_it(connection):
        receive_all(connection)
        half_closed.append(connection)
        connection.settimeout(5)
        connection.recv(1)

    daemon, port = relayed(TCPServer(keeps_it))
    spent = lambda: sum(member.cpu_seconds for member in daemon.tree())  # noqa: E731
    with dial(port) as client:
        client.sendall(b"request")
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: half_closed, what="the half-close to arrive")
        before = spent()
        time.sleep(1)
        assert spent() - before < 0.2


def test_passes_on_the_clients_reset_as_a_reset(relayed):
    ends = []
    server = TCPServer(lambda connection: ends.append(ended_by(connection)))
    _, port = relayed(server)
    client = dial(port)
    client.sendall(b"something")
    wait_until(lambda: server.accepted == 1)
    reset(client)
    wait_until(lambda: ends, what="the server to see the end")
    assert ends == ["RST"]


def test_passes_on_the_servers_reset_as_a_reset(relayed):
    def resets(connection):
        connection.recv(100)
        reset(connection)

    _, port = relayed(TCPServer(resets))
    with dial(port) as client:
        client.sendall(b"go")
        assert ended_by(client) == "RST"


def test_a_reset_does_not_overtake_the_bytes_before_it(relayed):
    """What the daemon had already taken from the client is owed to the server."""
    received = []

    def reads_late(connection):
        time.sleep(0.5)
        total = 0
        try:
            while part := connection.recv(65536):
                total += len(part)
        except ConnectionResetError:
            received.append(total)

    daemon, port = relayed(TCPServer(reads_late))
    client = dial(port)
    client.sendall(bytes(200_000))
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["bin"] in (0, 200_000))
    reset(client)
    wait_until(lambda: received, what="the server to see the reset")
    taken = wait_until(lambda: (row := daemon.stats.row("fe", "FRONTEND"))["scur"] == 0 and row["bin"])
    assert received == [taken]


@pytest.mark.reference
def test_holds_the_sender_back_when_the_receiver_does_not_read(relayed):
    source = SourceServer()
    _, port = relayed(source)
    with dial(port, receive_buffer=65536) as client:
        wait_until(lambda: source.sent > 0)
        stopped_at = settled(lambda: source.sent, what="the source to be held back")
        assert stopped_at < 64 << 20
        received = receive_exactly(client, 2 * stopped_at)
    assert received == (SourceServer.BLOCK * (len(received) // len(SourceServer.BLOCK) + 1))[: len(received)]
    assert source.sent >= len(received)


@pytest.mark.reference
def test_two_hundred_slow_readers_do_not_grow_memory(relayed):
    source = SourceServer()
    daemon, port = relayed(source)
    with dial(port) as first:
        receive_exactly(first, 1_000_000)  # all that a first connection costs is paid
    resident = lambda: sum(worker.resident_bytes for worker in daemon.workers())  # noqa: E731
    before = resident()
    clients = [dial(port, receive_buffer=16384) for _ in range(200)]
    wait_until(lambda: source.current == 200)
    settled(lambda: source.sent, what="200 sources to be held back", timeout=30)
    assert resident() - before < 16 << 20
    for client in clients:
        assert receive_exactly(client, 100_000) == (SourceServer.BLOCK * 2)[:100_000]
        client.close()
    wait_until(lambda: source.current == 0, what="the sources to see the end")
    assert resident() - before < 16 << 20


@pytest.mark.reference
@pytest.mark.parametrize("size", [1, 100, 600, 1448])
def test_small_segments_through_a_paused_reader_arrive_intact(relayed, size):
    """Each segment fills a slot of a pipe, however short it is: a pipe of 64 KiB may be full after 16 bytes."""
    count = 4000
    message = (bytes(range(251)) * (size * count // 251 + 1))[: size * count]

    class PausedReader(Counting):
        def serve(self, connection):
            paused.append(connection)
            wait_until(lambda: go_on, timeout=20)
            connection.sendall(receive_all(connection))

    paused, go_on = [], []
    _, port = relayed(PausedReader(receive_buffer=4096))
    with dial(port, timeout=20) as client:
        wait_until(lambda: paused)
        client.setblocking(False)
        sent = 0
        for at in range(0, len(message), size):
            try:
                sent = at + client.send(message[at : at + size])
            except BlockingIOError:
                break
        client.settimeout(20)
        go_on.append(True)
        client.sendall(message[sent:])
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == message


@pytest.mark.reference
@pytest.mark.parametrize("size", [1, 1000, 48 * 1024, 300 * 1024])
def test_ping_pong_is_not_corked(relayed, size):
    """A relay that tells the kernel of more to come makes each turn wait 200 ms: 200 turns would take 40 s."""
    _, port = relayed(EchoServer())
    message = os.urandom(size)
    with dial(port) as client:
        began = time.monotonic()
        for _ in range(200):
            client.sendall(message)
            assert receive_exactly(client, size) == message
        assert time.monotonic() - began < 10


@pytest.mark.reference
def test_connections_do_not_share_bytes_after_errors(relayed):
    """A buffer or pipe that held bytes of a broken connection must not reach the next one."""
    received = []

    def reads_some(connection):
        received.append(connection.recv(20))

    _, port = relayed(TCPServer(reads_some))
    for number in range(100):
        client = dial(port)
        client.sendall(b"%19d\n" % number + bytes([number]) * 400_000 if number % 2 == 0 else b"%19d\n" % number)
        wait_until(lambda number=number: len(received) == number + 1)
        reset(client)
    assert sorted(received) == sorted(b"%19d\n" % number for number in range(100))


@pytest.mark.slow
def test_idle_connections_wake_nobody(sluice, traffic):
    """9,000 connections a worker that say nothing: at most 20 wake-ups in 10 s, over all processes."""
    workers, per_worker = 2, 9_000
    port = free_port()
    behind = [free_port() for _ in range(workers)]
    listed = "\n".join(f"    server s{number} 127.0.0.1:{each}" for number, each in enumerate(behind))
    keepers = [traffic("keep", each) for each in behind]
    daemon = sluice(
        f"""
defaults
    mode tcp
    timeout connect 30s
    timeout client 1h
    timeout server 1h

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
{listed}
""",
        "maxconn 18100",
        workers=workers,
    )
    total = workers * per_worker * 95 // 100  # the kernel deals them out at random: some worker gets more than its half
    holders = [traffic("hold", port, total // workers) for _ in range(workers)]
    wait_until(lambda: daemon.stats.row("fe", "FRONTEND")["scur"] == total, timeout=30)
    count = lambda: {member: member.wake_ups for member in daemon.tree()}  # noqa: E731
    # Keepalive towards the server is asked for when a connection is ten seconds old, within a second: before that it is
    # no idle one. By then the time limits of the questions above are over too.
    settled(
        lambda: [worker.wake_ups for worker in daemon.workers()], quiet=12, timeout=60, what="the workers to fall asleep"
    )
    before = count()
    time.sleep(10)
    after = count()
    assert before.keys() == after.keys()
    woken = {member: after[member] - before[member] for member in after}
    assert sum(woken.values()) <= 20, woken
    for holder in holders:
        result = holder.finish()
        assert result["alive"] == result["held"]
    for keeper in keepers:
        keeper.finish()
