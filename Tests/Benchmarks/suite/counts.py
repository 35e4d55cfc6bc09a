"""Counts that do not depend on the clock: system calls, instructions, wake-ups, bytes."""

import re, shutil, signal, subprocess, tempfile, time
from pathlib import Path

from .loads import failures, hold, load, units_of
from .machine import require, wait_until
from .proxies import Proxy

# Calls, by name, that one short connection takes sluice when fifty run at a time, and what each is for. CONTRIBUTING has
# what it costs to leave one out.
SHORT_CONNECTION = {
    "accept4": "the client's socket, non-blocking; the listener's options (TCP_NODELAY, keepalive) are inherited",
    "socket": "towards the server, non-blocking",
    "setsockopt": "TCP_NODELAY on it: there is no listener that it could inherit from",
    "connect": "begun; the event that it is writable, and not broken, tells that it succeeded: no getsockopt",
    "epoll_ctl": "2: each socket once, edge-triggered, for all that may happen to it; close(2) takes it out",
    "recvfrom": "4: request and answer, and the end of each; none finds nothing",
    "sendto": "2: request and answer",
    "shutdown": "the client's end, passed on to the server; the server's goes with close(2)",
    "close": "2",
    "epoll_wait": "shared by all that have news at a moment: one in fifteen connections, or four each when they come singly",
}


def small(arguments):
    """The same load for counting, where tracing makes everything slow."""
    arguments = dict(arguments)
    arguments["count"] = min(arguments["count"], max(600, arguments["connections"]))
    if "rounds" in arguments:
        arguments["rounds"] = min(arguments["rounds"], 100 if arguments["connections"] > 1 else 1000)
    for side in ("in", "out"):
        if arguments.get(side, 0) > 1 << 20:
            arguments[side] = min(arguments[side], (256 << 20) // arguments["connections"])
    return arguments


def calls(proxy, scratch, arguments, unit):
    """System calls a unit, in all and by name, and what the load reports; under strace(1)."""
    load(proxy, scratch, **dict(arguments, connections=1, count=1, rounds=1))  # listeners are there before workers
    pids = proxy.processes()
    report = proxy.directory / "calls"
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", report] + [f"-p{pid}" for pid in pids], stderr=subprocess.DEVNULL)
    statuses = lambda: [t.read_text() for pid in pids for t in Path(f"/proc/{pid}/task").glob("*/status")]
    wait_until(lambda: all(re.search(r"TracerPid:\s+[1-9]", status) for status in statuses()), "strace")
    result = load(proxy, scratch, **arguments)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)
    found = {row[-1]: int(row[3]) for line in report.read_text().splitlines()
             if len(row := line.split()) >= 5 and row[3].isdigit() and row[-1] != "total"}
    units = units_of(unit, result)
    return sum(found.values()) / units, {name: round(n / units, 2) for name, n in found.items() if n / units >= 0.01}, result


CAN_COUNT_INSTRUCTIONS = shutil.which("valgrind") is not None


def instructions(name, scratch, setup, arguments, unit):
    """User instructions a unit, by callgrind: the difference of two loads, so that starting counts for nothing."""
    fewer = dict(arguments, count=arguments["connections"] * 4) if unit == "connection" else dict(arguments, rounds=10)
    more = dict(fewer, **({"count": fewer["count"] + 1500} if unit == "connection" else {"rounds": 90}))
    totals, units = [], []
    for chosen in (fewer, more):
        reports = Path(tempfile.mkdtemp(prefix="callgrind.", dir=scratch))
        reports.chmod(0o777)  # workers have given up their rights when they end, and report
        with Proxy(name, scratch, setup, ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={reports}/%p", "--"]) as proxy:
            result = load(proxy, scratch, **chosen)
            require(not failures(result), f"instructions of {name}: {failures(result)}")
        units.append(units_of(unit, result))
        totals.append(sum(int(count) for report in reports.iterdir()
                          for count in re.findall(r"^(?:totals|summary): *(\d+)", report.read_text(errors="replace"), re.M)[:1]))
    return (totals[1] - totals[0]) / (units[1] - units[0])


def idle(proxy, scratch, count, seconds=3):
    """Wake-ups in some seconds without traffic, and private bytes a connection that waits, `count` on each pair."""
    load(proxy, scratch, connections=1, count=50)
    earlier = proxy.wakeups()
    time.sleep(seconds)
    wakeups = sum(n - earlier.get(task, n) for task, n in proxy.wakeups().items())
    before = proxy.private_bytes()
    holders = [hold(proxy, scratch, count, pair) for pair in range(proxy.setup.pairs)]
    held = sum(report["exchanges"] for _, report in holders)
    grown = proxy.private_bytes() - before
    earlier, spent = proxy.wakeups(), proxy.cpu()
    time.sleep(seconds)
    found = dict(
        held=held, bytes=grown / held, wakeups=wakeups / seconds, cpu_ms=(proxy.cpu() - spent) * 1e3 / seconds,
        wakeups_loaded=sum(n - earlier.get(task, n) for task, n in proxy.wakeups().items()) / seconds)
    for holder, _ in holders:
        holder.communicate()
    require(held == count * proxy.setup.pairs, f"{proxy.name}: {count} idle connections a port were asked for, {held} in all are held")
    return found
