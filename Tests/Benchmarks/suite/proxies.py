"""The proxies: how each is configured and started, and what it is seen to cost."""

import os, re, signal, subprocess, tempfile
from dataclasses import dataclass
from pathlib import Path

from .machine import CPUS, HAPROXY, NGINX, SLUICE, STREAM, accepts, next_ports, require, wait_until

BACKENDS = 10
NAME = "n{:06d}.bench.example"
LARGE_PIPE = 512 << 10
"""What sluice gives the pipes that carry bulk."""


@dataclass(frozen=True)
class Setup:
    """What a proxy is configured for, the same for all of them."""

    names: int = 0  # names in lists of ten backends
    rules: int = 0  # rules of a line each, a name each
    servers: int = 1
    log: bool = False
    workers: int = 1
    pairs: int = 1  # listening ports, each with a server port of its own
    maxconn: int = 4000
    frontend_maxconn: int = 0
    is_pinned: bool = True


class Proxy:
    """One running proxy. `port` is where it listens and `server` the port of who it passes connections to; further pairs
    of them follow."""

    def __init__(self, name, scratch, setup=Setup(), wrapper=()):
        self.name, self.setup = name, setup
        self.first = next_ports()
        self.port, self.server = self.first, self.first + 1
        self.directory = Path(tempfile.mkdtemp(prefix="p", dir=scratch))
        self.directory.chmod(0o755)
        self.wrapper = list(wrapper)
        self.command = self.wrapper + getattr(self, name.partition(",")[0].replace(" ", "_"))()
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, CPUS[-1:] if setup.workers == 1 and setup.is_pinned else CPUS))
        ports = [port for port, _ in self.pairs]
        wait_until(lambda: self.process.poll() is not None or all(map(accepts, ports)), f"{name} to listen", pause=0.001)
        require(self.process.poll() is None, f"{name} did not start: {(self.directory / 'output').read_text()}")

    @property
    def pairs(self):
        return [(self.first + 2 * number, self.first + 2 * number + 1) for number in range(self.setup.pairs)]

    def _write(self, text):
        (self.directory / "conf").write_text(text)
        return str(self.directory / "conf")

    # The language of sluice and HAProxy

    def _rules(self):
        if not self.setup.names and not self.setup.rules:
            return ""
        lines = ["tcp-request inspect-delay 5s", "tcp-request content accept if { req.ssl_hello_type 1 }"]
        for number in range(self.setup.rules):
            lines.append(f"use_backend b{number % BACKENDS} if {{ req.ssl_sni -i {NAME.format(number)} }}")
        for backend in range(BACKENDS if self.setup.names else 0):
            names = (NAME.format(n) + "\n" for n in range(backend, self.setup.names, BACKENDS))
            (self.directory / f"{backend}.lst").write_text("".join(names))
            lines.append(f"use_backend b{backend} if {{ req.ssl_sni -i -f {self.directory}/{backend}.lst }}")
        return "".join(f"    {line}\n" for line in lines)

    def _haproxy_language(self, globals_="", defaults="", more_ports=()):
        setup = self.setup
        log = "    log 127.0.0.1:514 local0\n    option tcplog\n" if setup.log else ""
        text = f"global\n    nbthread {setup.workers}\n    maxconn {setup.maxconn}\n{globals_}"
        text += f"defaults\n    mode tcp\n{log}{defaults}    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
        limit = f"    maxconn {setup.frontend_maxconn}\n" if setup.frontend_maxconn else ""
        pairs = self.pairs + [(port, self.server) for port in more_ports]
        for number, (port, server) in enumerate(pairs):
            rules = self._rules() if number == 0 else ""
            text += f"frontend f{number}\n    bind 127.0.0.1:{port} backlog 65535\n{limit}{rules}    default_backend s{number}\n"
            servers = "".join(f"    server s{n} 127.0.0.1:{server}\n" for n in range(setup.servers))
            text += f"backend s{number}\n{servers}"
        for backend in range(BACKENDS if setup.names or setup.rules else 0):
            text += f"backend b{backend}\n    server s 127.0.0.1:{self.server}\n"
        return self._write(text)

    def sluice(self, **more):
        return [SLUICE, "-f", self._haproxy_language(**more), "-S", str(self.directory / "control")]

    def haproxy(self, **more):
        options, pipes = "", ""
        if "splice" in self.name:
            options = "    option splice-auto\n"
        if "pipes" in self.name:
            pipes = f"    tune.pipesize {LARGE_PIPE}\n"
        mode = "-W" if "master" in self.name else "-db"
        return [HAPROXY, mode, "-f", self._haproxy_language(pipes, options, **more)]

    # nginx

    def nginx(self, more_ports=()):
        setup = self.setup
        log = "log_format l '$remote_addr $time_iso8601 $status $bytes_sent'; access_log syslog:server=127.0.0.1:514 l;"
        names = max(setup.names, setup.rules)
        text = ""
        if names:
            lines = "".join(f"{NAME.format(n)} b{n % BACKENDS};\n" for n in range(names))
            text = f"map_hash_max_size 262144; map_hash_bucket_size 64; map $ssl_preread_server_name $b {{ default b0;\n{lines} }}\n"
            text += "".join(f"upstream b{n} {{ server 127.0.0.1:{self.server}; }}\n" for n in range(BACKENDS))
        pairs = self.pairs + [(port, self.server) for port in more_ports]
        for number, (port, server) in enumerate(pairs):
            reuse = "reuseport" if setup.workers > 1 else ""
            servers = "".join(f"server 127.0.0.1:{server};\n" for _ in range(setup.servers))
            text += f"upstream s{number} {{ {servers} }}\n"
            # Half-closed connections go on, as with the others.
            text += f"server {{ listen 127.0.0.1:{port} backlog=65535 {reuse}; tcp_nodelay on; proxy_half_close on; "
            text += "ssl_preread on; proxy_pass $b; }\n" if names and number == 0 else f"proxy_pass s{number}; }}\n"
        limit = 2 * (setup.frontend_maxconn or setup.maxconn) + 100
        return [NGINX, "-p", str(self.directory), "-e", str(self.directory / "errors"), "-c", self._write(
            f"load_module {STREAM}; daemon off; worker_processes {setup.workers}; pid {self.directory}/pid;\n"
            f"worker_rlimit_nofile 20000; error_log {self.directory}/errors; events {{ worker_connections {limit}; }}\n"
            f"stream {{ {log if setup.log else ''} {text} }}\n")]

    def limit(self):
        return [str(self.directory.parent / "limit"), str(self.port), str(self.server)] + ["--copy"] * ("copy" in self.name)

    # What it costs

    def processes(self):
        found, left = [], [self.process.pid]
        while left:
            found.append(left.pop())
            try:
                for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
                    left += map(int, task.read_text().split())
            except OSError:
                continue  # it ended meanwhile
        return found

    def _tasks(self, pids=None):
        return [task for pid in pids or self.processes() for task in Path(f"/proc/{pid}/task").glob("*")]

    def cpu_by_task(self):
        """Seconds of user and system time of each thread, to the nanosecond."""
        return {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in self._tasks()}

    def cpu(self):
        return sum(self.cpu_by_task().values())

    def _memory(self, kind):
        rollups = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes())
        return 1024 * sum(map(int, re.findall(rf"^{kind}: +(\d+)", rollups, re.M)))

    def private_bytes(self):
        return self._memory("Private_(?:Clean|Dirty)")

    def proportional_bytes(self):
        return self._memory("Pss")

    def data_plane(self):
        """Master and workers: the controller, which starts at leisure, is not on the way of a byte."""
        return [pid for pid in self.processes() if "-" not in Path(f"/proc/{pid}/comm").read_text()]

    def wakeups(self):
        """How often each thread of the data plane went to sleep."""
        count = lambda status: int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])
        return {task.name: count((task / "status").read_text()) for task in self._tasks(self.data_plane())}

    def reload(self, port):
        """Orders the same configuration with one more port, and waits until that port is served."""
        getattr(self, self.name.partition(",")[0])(more_ports=[port])
        self.process.send_signal(signal.SIGHUP if self.name == "nginx" else signal.SIGUSR2)
        wait_until(lambda: accepts(port), f"{self.name} to reload", pause=0.0005)

    def stop(self):
        pids = self.processes()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def peers(*more):
    """All there are to compare with, sluice first."""
    return ["sluice", "limit"] + ["nginx"] * bool(NGINX) + ["haproxy"] * bool(HAPROXY) + [name for name in more if HAPROXY]
