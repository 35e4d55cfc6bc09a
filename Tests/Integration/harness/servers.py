"""Servers behind the daemon: threads of the test, so that what they saw can be asked directly."""

import contextlib
import os
import socket
import struct
import threading
import traceback

from .ports import free_port

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger for SO_LINGER: close(2) sends RST and forgets what was not sent yet (socket(7))."""


def reset(connection):
    """Ends a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.close()


def receive_exactly(connection, count):
    """`count` bytes, or fewer when the connection ended before."""
    received = bytearray()
    while len(received) < count and (part := connection.recv(min(65536, count - len(received)))):
        received += part
    return bytes(received)


def receive_all(connection):
    """Everything up to the peer's FIN."""
    received = bytearray()
    while part := connection.recv(262144):
        received += part
    return bytes(received)


class TCPServer:
    """Accepts on a port of the loopback and runs `handler(connection)` in a thread for each.

    `accepted` counts connections, `current` those that run now and `peak` their largest number at once. `received` and
    `sent` are for handlers to add to; what a handler raises is in `errors`.
    """

    def __init__(self, handler, port=None, address="127.0.0.1", backlog=1024, path=None, receive_buffer=None):
        self.handler, self.address, self.backlog, self.path = handler, address, backlog, path
        self.port = None if path else port or free_port()
        self.receive_buffer = receive_buffer
        self.lock = threading.Lock()
        self.accepted = self.current = self.peak = self.received = self.sent = 0
        self.errors, self.connections = [], []
        self._listener = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def at(self):
        """Its address as the configuration writes it."""
        return str(self.path) if self.path else f"{self.address}:{self.port}"

    def start(self):
        if self.path:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(self.path))
            os.chmod(self.path, 0o666)
        else:
            listener = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.receive_buffer:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            listener.bind((self.address, self.port))
        listener.listen(self.backlog)
        self._listener = listener
        self._thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._thread.start()
        return self

    def refuse(self):
        """Stops listening: new connections are refused, running ones go on."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
            self._thread.join(5)
            self._listener.close()
            self._listener = None

    def stop(self):
        """Stops listening and cuts what runs."""
        self.refuse()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def count(self, received=0, sent=0):
        with self.lock:
            self.received += received
            self.sent += sent

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self.current += 1
                self.peak = max(self.peak, self.current)
                self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.handler(connection)
        except Exception as error:  # noqa: BLE001 - whatever it was, the test shall see it
            self.errors.append(error)
            traceback.print_exc()
        finally:
            with self.lock:
                self.current -= 1
                self.connections.remove(connection)
            connection.close()


class Counting(TCPServer):
    """A server whose handler is a method and counts the bytes it moves."""

    def __init__(self, **options):
        super().__init__(self.serve, **options)


class EchoServer(Counting):
    """Sends back what it receives, and FIN for FIN."""

    def serve(self, connection):
        while part := connection.recv(262144):
            self.count(received=len(part))
            connection.sendall(part)
            self.count(sent=len(part))


class NamingServer(Counting):
    """Waits for the first bytes, answers with its name and a line feed, and closes after the client's FIN.

    `requests` keeps the bytes of each connection. A connection that ends without a byte (a health check) is not kept.
    """

    def __init__(self, name, **options):
        self.name, self.requests = name, []
        super().__init__(**options)

    def serve(self, connection):
        request = bytearray()
        while part := connection.recv(65536):
            self.count(received=len(part))
            is_first = not request
            request += part
            if is_first:
                self.requests.append(request)
                connection.sendall(self.name.encode() + b"\n")
                self.count(sent=len(self.name) + 1)


class HoldingServer(Counting):
    """Greets with its name and then keeps the connection until the client ends it."""

    def __init__(self, name="held", **options):
        self.name = name
        super().__init__(**options)

    def serve(self, connection):
        connection.sendall(self.name.encode() + b"\n")
        self.count(sent=len(self.name) + 1)
        while part := connection.recv(65536):
            self.count(received=len(part))


class SourceServer(Counting):
    """Sends without end until the connection breaks."""

    BLOCK = bytes(range(256)) * 256

    def serve(self, connection):
        with contextlib.suppress(OSError):
            while True:
                self.count(sent=connection.send(self.BLOCK))


class SinkServer(Counting):
    """Receives until FIN, then answers with the number of bytes as a line."""

    def serve(self, connection):
        total = 0
        while part := connection.recv(262144):
            total += len(part)
            self.count(received=len(part))
        answer = b"%d\n" % total
        connection.sendall(answer)
        self.count(sent=len(answer))


class Blackhole:
    """An address that never answers a SYN: a listener whose accept queue is full (listen(2), tcp_abort_on_overflow=0)."""

    def __init__(self):
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.port = free_port()
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(0)
        self._fill = []
        while self._connects():
            assert len(self._fill) < 16, "the accept queue does not fill"

    at = property(lambda self: f"127.0.0.1:{self.port}")

    def _connects(self):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(0.3)
        self._fill.append(client)
        try:
            client.connect(("127.0.0.1", self.port))
        except TimeoutError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self._fill:
            client.close()
        self._listener.close()
