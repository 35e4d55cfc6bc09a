"""A program in a terminal of its own: types keys, reads the screen."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>78]|[\x0e\x0f]")
"""Escape sequences that move and colour; what is left is the text in the order of its painting."""


class Terminal:
    """Runs a full-screen program on a pseudo-terminal of 60 lines and 180 columns."""

    def __init__(self, command):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 180, 0, 0))
        environment = dict(os.environ, TERM="xterm", LANG="C.UTF-8")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._painted = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            while select.select([self._master], [], [])[0]:
                self._painted += os.read(self._master, 65536)
        except OSError:
            pass  # EIO: the program has ended

    @property
    def text(self):
        """All that was painted so far."""
        return CONTROL.sub(b" ", bytes(self._painted)).decode(errors="replace")

    def forget(self):
        """Drops what was painted so far."""
        self._painted.clear()

    def type(self, keys):
        os.write(self._master, keys)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)
        self._thread.join(5)
        os.close(self._master)
