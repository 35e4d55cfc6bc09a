"""Which programs are tested, and how each kind is called.

SLUICE             the daemon; a path whose file name begins with "haproxy" makes it the reference
SLUICECTL          the operators' command
SLUICE_CONTROLLER  the control plane's program, where it does not lie beside the daemon
SLUICE_NEXT        the daemon of the release to come: the same sources, built with -DNEXT_LAYOUT (`make next`)
"""

import os
import signal
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
BUILD = REPOSITORY / ".build" / "release"

SLUICE = os.environ.get("SLUICE", str(BUILD / "sluice"))
SLUICECTL = os.environ.get("SLUICECTL", str(Path(SLUICE).with_name("sluicectl")))

NEXT = os.environ.get("SLUICE_NEXT", str(REPOSITORY / ".build" / "next" / "debug" / "sluice"))

KIND = "haproxy" if Path(SLUICE).name.startswith("haproxy") else "sluice"


def daemon_command(configuration_files, control_socket, program=None):
    """The command line that runs the daemon in the foreground as a service manager would."""
    files = [argument for file in configuration_files for argument in ("-f", str(file))]
    foreground = ["-Ws"] if KIND == "haproxy" else []
    return [str(program or SLUICE), *foreground, *files, "-S", str(control_socket)]


def kill(pid):
    """kill -9: the program gets no chance to do anything about it."""
    os.kill(pid, signal.SIGKILL)
