"""A real systemd as pid 1 of namespaces of its own, on a throw-away overlay of the file system: the script `sdns`."""

import os
import subprocess
import tempfile
from pathlib import Path

from .waiting import wait_until

SCRIPT = Path(__file__).with_name("sdns")


def why_impossible():
    """Why no systemd can be started here; None when one can."""
    if os.geteuid() != 0:
        return "a systemd of its own needs root"
    if not any(" cgroup2 " in line for line in Path("/proc/self/mountinfo").read_text().splitlines()):
        return "a systemd of its own needs a mounted cgroup2"
    tried = subprocess.run(
        ["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "true"], capture_output=True, text=True
    )
    if tried.returncode != 0:
        return f"unshare(1) is not permitted here: {tried.stderr.strip()}"
    return None


class System:
    """Boots on creation; shares the network with the test, so that clients and servers reach it on the loopback."""

    def __init__(self, *shown):
        """`shown`: directories of the host that are visible inside, for reading and writing."""
        self._directory = tempfile.TemporaryDirectory(prefix="sluice.sdns.", dir="/var/tmp")
        self.directory = Path(self._directory.name)
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "SDNS_NET": "host",
            "SDNS_BIND": " ".join(map(str, [*shown, self.directory])),
        }
        self._script("start", self.directory)

    def _script(self, *arguments, check=True, **options):
        result = subprocess.run(
            [SCRIPT, *map(str, arguments)],
            env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options,
        )  # fmt: skip
        if check and result.returncode != 0:
            raise AssertionError(f"sdns {arguments} failed:\n{result.stdout}{result.stderr}")
        return result

    def run(self, *command, check=True):
        """Runs a program inside and returns its output, as subprocess.run does."""
        return self._script("exec", self.directory, *command, check=check)

    def systemctl(self, *arguments, check=True):
        return self.run("systemctl", *arguments, check=check)

    def write(self, path, text, mode="644"):
        """Writes a file inside."""
        staged = self.directory / "staged"
        staged.write_text(text)
        self.run("install", "-D", "-m", mode, staged, path)

    def property(self, unit, name):
        return self.systemctl("show", unit, "--property", name, "--value").stdout.strip()

    def wait_for(self, unit, name, *values, timeout=15):
        return wait_until(
            lambda: self.property(unit, name) in values, timeout, lambda: f"{name} {values} of {unit}:\n{self.journal(unit)}"
        )

    def journal(self, unit):
        return self.run("journalctl", "--unit", unit, "--output", "cat", "--no-pager", check=False).stdout

    def close(self):
        try:
            self._script("stop", self.directory, check=False)
        finally:
            self._directory.cleanup()
