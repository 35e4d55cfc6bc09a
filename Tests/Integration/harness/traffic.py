"""Traffic generators in processes of their own: python3 -m harness.traffic MODE ARGUMENTS.

Each prints "ready" when its connections stand, runs until its work is done or its standard input ends, and prints one
line of JSON with what it saw.
"""

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


def echo(port):
    """An echo server that counts bytes and connections; a connection without a byte is a health check."""
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    lock = threading.Lock()
    seen = {"connections": 0, "received": 0, "sent": 0, "resets": 0}

    def serve(connection):
        received = sent = resets = 0
        try:
            while part := connection.recv(262144):
                received += len(part)
                connection.sendall(part)
                sent += len(part)
        except OSError:
            resets = 1
        connection.close()
        with lock:
            seen["connections"] += received > 0
            seen["received"] += received
            seen["sent"] += sent
            seen["resets"] += resets

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    with lock:
        return dict(seen)


def stream(port, count, pause="0.05"):
    """`count` long transfers through an echo server, block after block with a pause, until standard input ends.

    Every byte sent must come back, in order: the CRCs of both ways are compared.
    """
    stop = threading.Event()
    results = []

    def transfer(number):
        outcome = {"sent": 0, "received": 0, "intact": False, "failure": None}
        results.append(outcome)
        block = bytearray(random.Random(number).randbytes(65536))
        sent_crc = 0
        received = {"count": 0, "crc": 0}

        def receive():
            try:
                received["count"], received["crc"] = _receive(connection)
            except OSError as error:
                outcome["failure"] = f"{type(error).__name__}: {error}"

        try:
            connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
            receiver = threading.Thread(target=receive)
            receiver.start()
            while not stop.is_set() and not outcome["failure"]:
                block[:8] = outcome["sent"].to_bytes(8, "big")
                connection.sendall(block)
                sent_crc = zlib.crc32(block, sent_crc)
                outcome["sent"] += len(block)
                stop.wait(float(pause))
            connection.shutdown(socket.SHUT_WR)
            receiver.join()
        except OSError as error:
            outcome["failure"] = outcome["failure"] or f"{type(error).__name__}: {error}"
        outcome["received"] = received["count"]
        outcome["intact"] = (received["count"], received["crc"]) == (outcome["sent"], sent_crc)

    running = [threading.Thread(target=transfer, args=(number,)) for number in range(int(count))]
    for thread in running:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in running:
        thread.join()
    return results


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
