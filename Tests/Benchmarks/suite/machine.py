"""What all parts of the suite share: where things are, waiting, and a network of one's own."""

import itertools, os, platform, re, shutil, socket, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SLUICE = os.environ.get("SLUICE", str(HERE.parents[1] / ".build/release/sluice"))
SEARCHED = os.environ["PATH"] + ":/usr/sbin"
HAPROXY = os.environ.get("HAPROXY") or shutil.which("haproxy", path=SEARCHED)
NGINX = shutil.which("nginx", path=SEARCHED)
STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
if not STREAM.exists():
    NGINX = None

CPUS = sorted(os.sched_getaffinity(0))
"""Load runs on the first, one worker on the last: on one and the same if there is only one."""

_ports = itertools.cycle(range(2000, 10_000, 32))
"""Below the ports that clients take."""


def next_ports():
    """The first of 32 ports that nobody has."""
    return next(_ports)


def require(condition, what):
    if not condition:
        raise SystemExit(f"benchmark: {what}")


def wait_until(ready, what, seconds=60, pause=0.01):
    end = time.monotonic() + seconds
    while not ready():
        require(time.monotonic() < end, f"waited {seconds} s for {what}")
        time.sleep(pause)


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def build_tools(scratch):
    for program in ("load", "limit"):
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", scratch / program, HERE / f"{program}.c"]
        subprocess.run(command, check=True)


def enter_namespace():
    """Starts anew in a network of its own: no other's ports, and no other's sockets in TIME_WAIT."""
    if os.environ.get("BENCHMARK_INSIDE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10240 65535")
        Path("/proc/sys/net/core/somaxconn").write_text("65535")
        return
    unshare = ["unshare", "--net"] + ["--map-root-user"] * (os.getuid() != 0)
    os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], dict(os.environ, BENCHMARK_INSIDE="1"))


def described():
    """The machine and the programs, for whoever reads the figures later."""
    cpu = re.search(r"model name\s+: (.*)", Path("/proc/cpuinfo").read_text())
    say = lambda *command: subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.splitlines()[0]
    return dict(
        processor=cpu and cpu[1], processors=len(CPUS), kernel=platform.release(), sluice=say(SLUICE, "-v"),
        haproxy=HAPROXY and say(HAPROXY, "-v"), nginx=NGINX and say(NGINX, "-v"), load_average=os.getloadavg()[0])
