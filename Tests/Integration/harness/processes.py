"""What /proc tells of a process and its descendants (proc(5))."""

import contextlib
import os
import signal
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """A running process, by its id. Reading from one that has ended raises FileNotFoundError or ProcessLookupError."""

    def __init__(self, pid):
        self.pid = pid
        self.root = Path(f"/proc/{pid}")

    def __repr__(self):
        try:
            return f"{self.pid} {self.name}"
        except OSError:
            return f"{self.pid} (ended)"

    def __eq__(self, other):
        return isinstance(other, Process) and self.pid == other.pid

    def __hash__(self):
        return hash(self.pid)

    @property
    def name(self):
        return Path(self.command_line[0]).name if self.command_line else (self.root / "comm").read_text().strip()

    @property
    def executable(self):
        """The name of the program file that runs, also when that file has been replaced since."""
        try:
            return Path(os.readlink(self.root / "exe").removesuffix(" (deleted)")).name
        except OSError:
            return ""  # it has ended

    @property
    def command_line(self):
        return [part.decode() for part in (self.root / "cmdline").read_bytes().split(b"\0") if part]

    @property
    def status(self):
        lines = (self.root / "status").read_text().splitlines()
        return dict((key, value.strip()) for key, _, value in (line.partition(":") for line in lines))

    @property
    def is_alive(self):
        """False for a zombie, too: it runs nothing any more."""
        try:
            return self.status["State"][0] not in "ZX"
        except OSError:
            return False

    @property
    def parent(self):
        return int(self.status["PPid"])

    @property
    def threads(self):
        return len(os.listdir(self.root / "task"))

    @property
    def descriptors(self):
        """Open descriptors: number to what it refers to."""
        found = {}
        for entry in os.listdir(self.root / "fd"):
            try:
                found[int(entry)] = os.readlink(self.root / "fd" / entry)
            except FileNotFoundError:
                pass  # closed while we read
        return found

    @property
    def resident_bytes(self):
        return int(self.status["VmRSS"].split()[0]) * 1024

    @property
    def cpu_seconds(self):
        """User and system time of all its threads."""
        fields = (self.root / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    @property
    def wake_ups(self):
        """How often its threads have gone to sleep, hence woken up (voluntary context switches)."""
        total = 0
        for task in (self.root / "task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
        return total


def children(pid):
    """The children of every thread of `pid`, in the order of their start."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        pass  # it ended while we looked
    return sorted(found)


def is_worker(pid):
    """Whether it is a worker by now, and not the process that checks a configuration."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "sluice-worker"
    except OSError:
        return False


def tree(pid):
    """`pid` and all its living descendants, parents before children."""
    found = [Process(pid)] if Process(pid).is_alive else []
    for child in children(pid):
        found += tree(child)
    return found


def end_forcibly(pid):
    """Kills `pid` and its descendants. It is stopped first: it cannot replace those that die before it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    for member in tree(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member.pid, signal.SIGKILL)
