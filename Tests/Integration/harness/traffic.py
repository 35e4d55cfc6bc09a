"""Traffic generators in processes of their own: python3 -m harness.traffic MODE ARGUMENTS.

Each prints "ready" when its connections stand, runs until its work is done or its standard input ends, and prints one
line of JSON with what it saw.
"""

import contextlib
import heapq
import json
import os
import random
import resource
import select
import socket
import sys
import threading
import time
import zlib
from pathlib import Path

BLOCK = 1 << 20


def _pattern(seed):
    """One block of bytes that do not repeat within it."""
    return random.Random(seed).randbytes(BLOCK)


def _send_pattern(connection, seed, total, pause=0.0):
    """Sends `total` bytes, then FIN; returns their CRC. Each block carries its number, so that none is like another."""
    block, sent, checksum = bytearray(_pattern(seed)), 0, 0
    while sent < total:
        block[:8] = sent.to_bytes(8, "big")
        part = memoryview(block)[: min(BLOCK, total - sent)]
        connection.sendall(part)
        checksum = zlib.crc32(part, checksum)
        sent += len(part)
        if pause:
            time.sleep(pause)
    connection.shutdown(socket.SHUT_WR)
    return checksum


def _receive(connection):
    """Receives up to FIN; returns (bytes, CRC)."""
    buffer, received, checksum = bytearray(BLOCK), 0, 0
    view = memoryview(buffer)
    while count := connection.recv_into(buffer):
        checksum = zlib.crc32(view[:count], checksum)
        received += count
    return received, checksum


def _both_ways(connection, seed, total, pause=0.0):
    sent = {}
    sender = threading.Thread(target=lambda: sent.update(crc=_send_pattern(connection, seed, total, pause)))
    sender.start()
    received, checksum = _receive(connection)
    sender.join()
    connection.close()
    return {"sent": total, "sent_crc": sent.get("crc"), "received": received, "received_crc": checksum}


def exchange(role, port, megabytes, pause="0"):
    """One connection that carries `megabytes` each way at once; the server takes one connection."""
    total = int(float(megabytes) * BLOCK)
    if role == "server":
        listener = socket.create_server(("127.0.0.1", int(port)))
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if connection.recv(1, socket.MSG_PEEK):
                break
            connection.close()  # a health check
    else:
        connection = socket.create_connection(("127.0.0.1", int(port)))
        print("ready", flush=True)
    return _both_ways(connection, role, total, float(pause))


def hold(port, count, greeting="1"):
    """`count` idle connections; with a greeting, each has first received one byte from its server."""
    _raise_limit()
    held = []
    for number in range(int(count)):
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
        held.append(connection)
        if greeting == "1":
            assert connection.recv(1), f"connection {number} was closed"
    print("ready", flush=True)
    sys.stdin.read()
    alive = sum(1 for connection in held if not _has_ended(connection))
    return {"held": len(held), "alive": alive}


def _has_ended(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def keep(port):
    """A server that greets every connection with one byte and then keeps it without reading."""
    _raise_limit()
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    listener.setblocking(False)
    poller, kept = select.epoll(), {}
    poller.register(listener.fileno(), select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    print("ready", flush=True)
    accepted = 0
    while True:
        for number, _ in poller.poll():
            if number == sys.stdin.fileno():
                return {"accepted": accepted}
            if number == listener.fileno():
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                accepted += 1
                connection.send(b"!")
                kept[connection.fileno()] = connection
                poller.register(connection.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
            else:
                kept.pop(number).close()


def churn(port, threads="4", request="ping\n"):
    """New connections all the time: each sends a request, expects its echo and ends in order."""
    stop, lock = threading.Event(), threading.Lock()
    seen = {"attempts": 0, "failures": [], "longest": 0.0}
    message = request.encode()

    def attempt():
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as connection:
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            if answer != message:
                raise ValueError(f"answered {answer!r}")

    def worker():
        while not stop.is_set():
            began, failure = time.monotonic(), None
            try:
                attempt()
            except (OSError, ValueError) as error:
                failure = f"{type(error).__name__}: {error}"
                stop.wait(0.005)
            with lock:
                seen["attempts"] += 1
                seen["longest"] = max(seen["longest"], time.monotonic() - began)
                if failure and len(seen["failures"]) < 1000:
                    seen["failures"].append(failure)

    running = [threading.Thread(target=worker) for _ in range(int(threads))]
    for thread in running:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in running:
        thread.join()
    return seen


class _Echo:
    """One connection of an echo server: what came and has not gone back yet stops the reading of more."""

    def __init__(self, connection):
        self.connection = connection
        self.pending = memoryview(b"")
        self.received = self.sent = self.resets = 0

    def turn(self):
        """Reads and sends once; returns what to wait for next, or None when it is over."""
        try:
            if not self.pending:
                part = self.connection.recv(262144)
                if not part:
                    return None
                self.received += len(part)
                self.pending = memoryview(part)
            count = self.connection.send(self.pending)
            self.sent += count
            self.pending = self.pending[count:]
        except BlockingIOError:
            pass
        except OSError:
            self.resets = 1
            return None
        return select.EPOLLOUT if self.pending else select.EPOLLIN


def echo(port):
    """An echo server that counts bytes and connections; a connection without a byte is a health check."""
    _raise_limit()
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    listener.setblocking(False)
    poller, served = select.epoll(), {}
    poller.register(listener.fileno(), select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    seen = {"connections": 0, "received": 0, "sent": 0, "resets": 0}
    print("ready", flush=True)

    def welcome():
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        served[connection.fileno()] = _Echo(connection)
        poller.register(connection.fileno(), select.EPOLLIN)

    def serve(number, happened):
        waits = served[number].turn()
        if waits is None:
            end(served.pop(number))
        elif waits != happened:
            poller.modify(number, waits)

    def end(client):
        client.connection.close()
        seen["connections"] += client.received > 0
        for name in ("received", "sent", "resets"):
            seen[name] += getattr(client, name)

    while True:
        for number, happened in poller.poll():
            if number == sys.stdin.fileno():
                for client in served.values():
                    end(client)
                return seen
            if number == listener.fileno():
                welcome()
            else:
                serve(number, happened)


class _Stream:
    """One transfer through an echo server; its blocks carry their position, so that none is like another."""

    def __init__(self, number, port):
        self.outcome = {"sent": 0, "received": 0, "intact": False, "failure": None, "longest": 0.0}
        self.block = bytearray(random.Random(number).randbytes(65536))
        self.rest = memoryview(b"")
        self.sent_crc = self.received_crc = 0
        self.is_ending = False
        self.heard = 0.0
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.connection.setblocking(False)

    def begin_block(self):
        self.block[:8] = self.outcome["sent"].to_bytes(8, "big")
        self.sent_crc = zlib.crc32(self.block, self.sent_crc)
        if self.outcome["sent"] == self.outcome["received"]:
            self.heard = time.monotonic()
        self.outcome["sent"] += len(self.block)
        self.rest = memoryview(self.block)

    def send(self):
        """Sends once; returns whether the block is out."""
        with contextlib.suppress(BlockingIOError):
            self.rest = self.rest[self.connection.send(self.rest) :]
        return not self.rest

    def receive(self):
        """Receives once; returns whether that was the end."""
        try:
            part = self.connection.recv(262144)
        except BlockingIOError:
            return False
        # How long nothing came though something was to come.
        now = time.monotonic()
        self.outcome["longest"] = max(self.outcome["longest"], now - self.heard)
        self.heard = now
        self.outcome["received"] += len(part)
        self.received_crc = zlib.crc32(part, self.received_crc)
        return not part

    def conclude(self, failure=None):
        self.connection.close()
        self.outcome["failure"] = failure
        sent, received = self.outcome["sent"], self.outcome["received"]
        self.outcome["intact"] = failure is None and (sent, self.sent_crc) == (received, self.received_crc)


def stream(port, count, pause="0.05"):
    """`count` long transfers through an echo server, block after block with a pause, until standard input ends.

    Every byte sent must come back, in order: the CRCs of both ways are compared. `longest` is the longest time, in seconds,
    in which nothing of what was under way came back.
    """
    _raise_limit()
    pause = float(pause)
    poller, streams, due, outcomes = select.epoll(), {}, [], []
    poller.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    is_stopping = False

    def conclude(number, failure=None):
        streams.pop(number).conclude(failure)

    def end(number):
        """Sends FIN, once what has been begun is out."""
        transfer = streams[number]
        if not transfer.is_ending and not transfer.rest:
            transfer.is_ending = True
            transfer.connection.shutdown(socket.SHUT_WR)

    def next_block(number):
        if number in streams and not streams[number].is_ending:
            streams[number].begin_block()
            poller.modify(number, select.EPOLLIN | select.EPOLLOUT)

    def sent_block(number):
        if is_stopping:
            poller.modify(number, select.EPOLLIN)
            end(number)
        elif pause:
            poller.modify(number, select.EPOLLIN)
            heapq.heappush(due, (time.monotonic() + pause, number))
        else:
            streams[number].begin_block()

    def turn(number, happened):
        try:
            if happened & ~select.EPOLLOUT and streams[number].receive():
                failure = None if streams[number].is_ending else "ended before its time"
                return conclude(number, failure)
            if happened & select.EPOLLOUT and streams[number].send():
                sent_block(number)
        except OSError as error:
            conclude(number, f"{type(error).__name__}: {error}")

    for order in range(int(count)):
        try:
            transfer = _Stream(order, int(port))
        except OSError as error:
            outcomes.append({"sent": 0, "received": 0, "intact": False, "failure": f"{type(error).__name__}: {error}"})
            continue
        outcomes.append(transfer.outcome)
        streams[transfer.connection.fileno()] = transfer
        poller.register(transfer.connection.fileno(), select.EPOLLIN)
        # Not all at once, where they pause.
        heapq.heappush(due, (time.monotonic() + pause * order / int(count), transfer.connection.fileno()))
    print("ready", flush=True)
    while streams:
        while due and due[0][0] <= time.monotonic():
            next_block(heapq.heappop(due)[1])
        wait = max(0.0, due[0][0] - time.monotonic()) if due else -1
        for number, happened in poller.poll(wait):
            if number == sys.stdin.fileno():
                poller.unregister(number)
                is_stopping, due = True, []
                for each in list(streams):
                    try:
                        end(each)
                    except OSError as error:
                        conclude(each, f"{type(error).__name__}: {error}")
            elif number in streams:
                turn(number, happened)
    return outcomes


def _raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


MODES = {mode.__name__: mode for mode in (exchange, hold, keep, churn, echo, stream)}


class Traffic:
    """One generator process, seen from the test: waits for "ready" on creation, `finish()` returns what it saw."""

    def __init__(self, mode, *arguments):
        import subprocess

        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.traffic", mode, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1],
        )  # fmt: skip
        first = self._process.stdout.readline()
        assert first == "ready\n", f"traffic {mode} {arguments} said {first!r} and ended with {self._process.wait(5)}"

    pid = property(lambda self: self._process.pid)

    def finish(self, timeout=60):
        """Ends its standard input, waits for it, and returns its result."""
        output, _ = self._process.communicate("", timeout)
        assert self._process.returncode == 0, f"the traffic generator ended with {self._process.returncode}"
        return json.loads(output)

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


if __name__ == "__main__":
    print(json.dumps(MODES[sys.argv[1]](*sys.argv[2:])), flush=True)
    os._exit(0)  # threads may still sit in accept(2)
