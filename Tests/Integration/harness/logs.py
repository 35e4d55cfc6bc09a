"""Receivers of log lines, and the meaning of a `tcplog` line."""

import os
import re
import socket
import threading

from .waiting import wait_until

TCPLOG = re.compile(
    r"(?P<client>\S+):(?P<client_port>\d+) \[(?P<accepted>[^\]]+)\] (?P<frontend>\S+) (?P<backend>[^/ ]+)/(?P<server>\S+) "
    r"(?P<queued>-?\d+)/(?P<connected>-?\d+)/(?P<total>\+?\d+) (?P<bytes>\+?\d+) (?P<termination>..) "
    r"(?P<active>\d+)/(?P<frontend_connections>\d+)/(?P<backend_connections>\d+)/(?P<server_connections>\d+)/(?P<retries>\+?\d+) "
    r"(?P<server_queue>\d+)/(?P<backend_queue>\d+)"
)


class LogReceiver:
    """A syslog server on a UDP port of the loopback, or on a unix datagram socket."""

    def __init__(self, path=None):
        self.lines = []
        if path is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(str(path))
            os.chmod(path, 0o666)  # as /dev/log: writers are unprivileged
            self.address = str(path)
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self):
        while line := self._socket.recv(65536):
            self.lines.append(line.decode(errors="replace").rstrip("\n"))

    def wait_for(self, pattern, count=1, timeout=10.0):
        """The first match of `pattern` in each of the first `count` lines that have one."""

        def found():
            matches = [match for match in (re.search(pattern, line) for line in list(self.lines)) if match]
            return matches if len(matches) >= count else None

        matches = wait_until(found, timeout, lambda: f"{count} log line(s) like {pattern!r} among {self.lines[-20:]}")
        return matches[0] if count == 1 else matches

    def sessions(self, count=1, timeout=10.0):
        """The first `count` tcplog lines, each a dictionary of its fields."""
        wait_until(lambda: len(self._sessions()) >= count, timeout, lambda: f"{count} session(s) in the log {self.lines}")
        return self._sessions()

    def session(self, timeout=10.0):
        """The one tcplog line."""
        (session,) = self.sessions(1, timeout)
        return session

    def _sessions(self):
        return [match.groupdict() for match in map(TCPLOG.search, list(self.lines)) if match]

    def close(self):
        name = self._socket.getsockname()
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as farewell:
            farewell.sendto(b"", name)
        self._thread.join(5)
        self._socket.close()
