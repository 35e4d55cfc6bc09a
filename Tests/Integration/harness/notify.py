"""A fake service manager: the receiving end of NOTIFY_SOCKET (sd_notify(3))."""

import array
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass

from .waiting import wait_until


@dataclass
class Notification:
    """One datagram: its variables, who sent it and when (CLOCK_MONOTONIC, microseconds)."""

    variables: dict
    pid: int
    received: int
    descriptors: int = 0


class NotifySocket:
    """Listens like systemd does, and remembers every message in order."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self):
        room = socket.CMSG_SPACE(4 * 253) + socket.CMSG_SPACE(12)
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(8192, room, socket.MSG_CMSG_CLOEXEC)
            if data == b"":
                return
            now = time.monotonic_ns() // 1000
            variables = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            message = Notification(variables, 0, now)
            for _, kind, payload in ancillary:
                if kind == socket.SCM_RIGHTS:
                    descriptors = array.array("i")
                    descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
                    message.descriptors = len(descriptors)
                    for descriptor in descriptors:
                        os.close(descriptor)  # for BARRIER=1, closing is the answer
                elif kind == socket.SCM_CREDENTIALS:
                    message.pid = struct.unpack("3i", payload)[0]
            self.messages.append(message)

    def matching(self, since=0, **wanted):
        """Messages number `since` and later that carry all the `wanted` variables; None stands for any value."""
        return [
            message
            for message in self.messages[since:]
            if all(
                name in message.variables and value in (None, message.variables[name])
                for name, value in wanted.items()
            )
        ]

    def wait_for(self, timeout=10.0, since=0, **wanted):
        found = wait_until(
            lambda: self.matching(since, **wanted),
            timeout,
            lambda: f"a notification with {wanted}, among {[message.variables for message in self.messages[since:]]}",
        )
        return found[0]

    def wait_for_reload(self, since, timeout=30.0):
        """The end of a reload: the READY that follows its RELOADING, whatever else has come by then."""
        reloading = self.wait_for(timeout, since, RELOADING="1")
        began = next(number for number, message in enumerate(self.messages) if message is reloading)
        return self.wait_for(timeout, began, READY="1")

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as farewell:
            farewell.sendto(b"", self.path)
        self._thread.join(5)
        self._socket.close()
