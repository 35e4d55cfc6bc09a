"""The daemon under test: started as a service manager would, watched from outside."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from . import processes, programs
from .notify import NotifySocket
from .stats import StatsSocket
from .waiting import wait_until

CRASH = ("Fatal error:", "SIGSEGV", "Segmentation fault", "killed by signal 11", "killed by signal 4", "AddressSanitizer")
"""What no log may contain when a test ends."""


class Daemon:
    """One running daemon with a configuration of its own.

    `configuration` is the text after the `global` section that the harness writes; `globals` are further lines of that
    section. With `complete=True` the text is the whole file.
    """

    def __init__(
        self, configuration, globals="", *, workers=2, complete=False, arguments=(), environment=None, wrapper=(),
        program=None
    ):
        # Not pytest's directory: a unix socket's path has at most 107 bytes.
        self._directory = tempfile.TemporaryDirectory(prefix="sluice.")
        self.directory = Path(self._directory.name)
        self.directory.chmod(0o755)
        self.file = self.directory / "sluice.cfg"
        self.control_socket = self.directory / "control.sock"
        self.stats = StatsSocket(self.control_socket if complete else self.directory / "stats.sock")
        self.log_file = self.directory / "log"
        self.notifications = NotifySocket(self.directory / "notify.sock")
        self.globals, self.workers_wanted, self.complete = globals, workers, complete
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.program = program
        self.process = None
        self.expects_crash = False
        self.write(configuration)

    # The file

    def write(self, configuration):
        """Replaces the configuration file; what runs does not change before a reload."""
        self.configuration = configuration
        self.file.write_text(configuration if self.complete else self._global_section() + configuration)

    def _global_section(self):
        lines = [f"stats socket {self.directory}/stats.sock mode 600 level admin", f"nbthread {self.workers_wanted}"]
        lines += self.globals.strip().splitlines()
        return "global\n" + "".join(f"    {line.strip()}\n" for line in lines) + "\n"

    # Its life

    @property
    def command(self):
        return [*self.wrapper, *programs.daemon_command([self.file], self.control_socket, self.program), *self.arguments]

    def launch(self):
        """Starts it and does not wait."""
        environment = dict(os.environ, NOTIFY_SOCKET=self.notifications.path, **self.environment)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        return self

    def start(self, timeout=15.0):
        """Starts it and waits until it says READY=1."""
        seen = len(self.notifications.messages)
        self.launch()

        def ready():
            assert self.process.poll() is None, f"it ended with {self.process.returncode} instead of starting"
            return self.notifications.matching(seen, READY="1")

        wait_until(ready, timeout, "READY=1")
        return self

    def reload(self, configuration=None, timeout=30.0, by=signal.SIGUSR2):
        """Reloads, waits until it is over, and returns the notification that said so."""
        if configuration is not None:
            self.write(configuration)
        seen = len(self.notifications.messages)
        self.process.send_signal(by)
        return self.notifications.wait_for_reload(seen, timeout)

    def stop(self, by=signal.SIGTERM, timeout=10.0):
        """Ends it, waits until no process of it is left, and returns the exit status."""
        family = self.tree()
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {timeout:g} s after {signal.Signals(by).name}: {self.tree()}") from None
        wait_until(lambda: not any(member.is_alive for member in family), timeout, f"the end of {family}")
        return self.process.returncode

    def close(self):
        """Ends what is left of it, and checks that it ended well."""
        try:
            if self.process is not None:
                family = self.tree()
                try:
                    if self.process.poll() is None:
                        self.stop()
                finally:
                    self._end_forcibly(family)
                if not self.expects_crash:
                    crashes = [word for word in CRASH if word in self.log]
                    assert not crashes, f"the log speaks of {crashes}"
        finally:
            self.notifications.close()
            self._directory.cleanup()

    def _end_forcibly(self, family):
        processes.end_forcibly(self.pid)
        for member in family:
            if member.is_alive:
                programs.kill(member.pid)
        self.process.wait(10)

    # Looking at it

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        """All it wrote to standard output and standard error."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def tree(self):
        """Master, workers and controller."""
        return processes.tree(self.pid) if self.process else []

    def workers(self):
        """The processes that carry connections."""
        return [member for member in self.tree()[1:] if _runs_data_plane(member)]

    def controller(self):
        (found,) = self.controllers()
        return found

    def controllers(self):
        return [member for member in self.tree()[1:] if not _runs_data_plane(member)]

    def report(self):
        """Everything one wants to see of it when a test failed."""
        sections = [("configuration", self.file.read_text()), ("log", self.log)]
        sections.append(("processes", "\n".join(map(repr, self.tree()))))
        sections.append(("notifications", "\n".join(str(m.variables) for m in self.notifications.messages)))
        try:
            rows = StatsSocket(self.stats.address, 2).rows()
            sections.append(("show stat, without what is empty or zero", "\n".join(map(_in_brief, rows))))
        except (OSError, AssertionError) as error:
            sections.append(("show stat", f"({error})"))
        return sections


def _runs_data_plane(member):
    try:
        return "controller" not in member.executable
    except OSError:
        return True  # it has ended meanwhile, whatever it was


def _in_brief(row):
    fields = " ".join(f"{name}={value}" for name, value in row.items() if value not in ("", 0, "-"))
    return fields.removeprefix("pxname=").replace(" svname=", "/", 1)
