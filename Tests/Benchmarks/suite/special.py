"""Cells that are no plain exchanges: idle, mixed, start and reload, overload, two workers. Each takes the number of rounds
and a place for files, prints its table, and returns what it found."""

import os, statistics, time

from .counts import idle
from .loads import begin, failures, finish, load, measure
from .machine import SLUICE, accepts, wait_until
from .proxies import Proxy, Setup, peers


def _daemons():
    """The limit is no daemon: it has no configuration and one process."""
    return [name for name in peers() if name != "limit"]


def _table(title, rows):
    print(f"\n{title}")
    for name, cells in rows:
        print(f"  {name:24} " + "  ".join(cells), flush=True)


def _median(rounds, key):
    return statistics.median(one[key] for one in rounds)


# ---- Idle ----

def idle_cell(rounds, scratch, count=9000, workers=8):
    found = {}
    for name in peers():
        with Proxy(name, scratch, Setup(maxconn=9500)) as proxy:
            found[name] = idle(proxy, scratch, count)
    for name in _daemons():
        # HAProxy's threads share one limit of descriptors: what they can hold together is a worker's share.
        each = count // workers if name == "haproxy" else count
        with Proxy(name, scratch, Setup(maxconn=9500 * (1 if name == "haproxy" else workers), workers=workers, pairs=workers)) as proxy:
            found[f"{name}, {workers} workers"] = idle(proxy, scratch, each)
    _table("idle: connections that wait, private bytes each; wake-ups and CPU of the whole daemon, a second", [
        (name, [f"{one['held']:6} held", f"{one['bytes']:7.0f} B each", f"{one['wakeups']:5.1f} wake-ups without connections",
                f"{one['wakeups_loaded']:5.1f} with", f"{one['cpu_ms']:5.2f} ms"]) for name, one in found.items()])
    return found


# ---- Mixed ----

PING = dict(connections=10, count=10, rounds=100_000, out=64, **{"in": 64})
BRIEF = dict(connections=10, count=1 << 30)
BULK = dict(connections=4, count=4, rounds=100_000, out=16 << 20, **{"in": 64})


def _beside(proxy, scratch, arguments, seconds, with_bulk):
    """A load for some seconds, with or without four bulk transfers beside it on the second pair."""
    transfers = begin(proxy, scratch, 1, **BULK, seconds=seconds + 1) if with_bulk else None
    if transfers:
        time.sleep(0.5)
    result = load(proxy, scratch, 0, **dict(arguments, seconds=seconds))
    found = dict(p50=result["exchange_us"]["p50"], p99=result["exchange_us"]["p99"], per_second=result["exchanges"] / result["seconds"],
                 errors=failures(result))
    if transfers:
        moved = finish(transfers)
        found["gib_per_second"] = moved["bytes_out"] / moved["seconds"] / (1 << 30)
        found["errors"].update(failures(moved))
    return found


def mixed(rounds, scratch, seconds=2):
    proxies = [Proxy(name, scratch, Setup(pairs=2)) for name in ["sluice"] + _daemons()[1:] + ["haproxy, splice"] * ("haproxy" in peers())]
    found = {proxy.name: [] for proxy in proxies}
    try:
        for turn in range(rounds):
            for proxy in proxies[turn % len(proxies):] + proxies[:turn % len(proxies)]:
                found[proxy.name].append({
                    "ping-pong alone": _beside(proxy, scratch, PING, seconds, False),
                    "ping-pong beside bulk": _beside(proxy, scratch, PING, seconds, True),
                    "short connections beside bulk": _beside(proxy, scratch, BRIEF, seconds, True)})
    finally:
        for proxy in proxies:
            proxy.stop()
    for load_name in ("ping-pong alone", "ping-pong beside bulk", "short connections beside bulk"):
        _table(f"mixed, {load_name}: ten connections at a time, four transfers", [
            (name, [f"p50 {_median([one[load_name] for one in rounds_], 'p50'):7.0f} µs",
                    f"p99 {_median([one[load_name] for one in rounds_], 'p99'):7.0f} µs",
                    f"{_median([one[load_name] for one in rounds_], 'per_second'):7.0f} a second",
                    f"bulk {statistics.median(one[load_name].get('gib_per_second', 0) for one in rounds_):5.2f} GiB/s",
                    f"{sum(sum(one[load_name]['errors'].values()) for one in rounds_)} errors"]) for name, rounds_ in found.items()])
    return found


# ---- Start and reload ----

SIZES = {
    "1 server": Setup(), "1,000 rules": Setup(rules=1000), "10,000 rules": Setup(rules=10_000), "100,000 rules": Setup(rules=100_000),
    "100,000 names in files": Setup(names=100_000), "10,000 servers": Setup(servers=10_000),
}


def _start(name, scratch, setup):
    began = time.monotonic()
    with Proxy(name, scratch, setup) as proxy:
        started = time.monotonic() - began
        load(proxy, scratch, connections=1, count=5)
        time.sleep(0.3)  # what is done at leisure after the start is done
        memory = proxy.proportional_bytes()
        began = time.monotonic()
        proxy.reload(proxy.first + 30)
        return dict(start=started, memory=memory, reload=time.monotonic() - began)


def start(rounds, scratch, sizes=SIZES):
    found = {}
    names = [name.replace("haproxy", "haproxy, master") for name in _daemons()]
    for size, setup in sizes.items():
        found[size] = {name: [] for name in names}
        for turn in range(min(rounds, 3)):
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                found[size][name].append(_start(name, scratch, setup))
        _table(f"start and reload, {size}: until it serves (writing the file included); memory of all its processes (PSS)", [
            (name, [f"start {_median(runs, 'start') * 1e3:7.0f} ms", f"reload {_median(runs, 'reload') * 1e3:7.0f} ms",
                    f"{_median(runs, 'memory') / 1e6:7.1f} MB"]) for name, runs in found[size].items()])
    found["binary"] = os.path.getsize(SLUICE)
    print(f"  the binary of sluice has {found['binary'] / 1e6:.1f} MB, symbols and all")
    return found


# ---- Overload ----

FITS = 200
"""Connections that each proxy may carry at a time."""


def overload(rounds, scratch, seconds=3):
    """Five times as many clients as fit, with a server that thinks for 10 ms; then one after the other again."""
    found = {}
    for name in _daemons():
        with Proxy(name, scratch, Setup(frontend_maxconn=FITS, maxconn=2000)) as proxy:
            calm = load(proxy, scratch, connections=FITS, count=1 << 30, seconds=seconds, think=10, timeout=5000)
            crowd = load(proxy, scratch, connections=5 * FITS, count=1 << 30, seconds=seconds, think=10, timeout=5000)
            began = time.monotonic()
            after = load(proxy, scratch, connections=1, count=20, think=10, timeout=5000)
            found[name] = dict(
                fits=calm["exchanges"] / calm["seconds"], goodput=crowd["exchanges"] / crowd["seconds"], p50=crowd["exchange_us"]["p50"],
                p99=crowd["exchange_us"]["p99"], errors=failures(crowd), recovery=time.monotonic() - began,
                slowest_after=after["exchange_us"]["maximum"])
    _table(f"overload: {5 * FITS} clients where {FITS} fit, the server thinks for 10 ms", [
        (name, [f"{one['fits']:6.0f} a second when all fit", f"{one['goodput']:6.0f} in overload", f"p50 {one['p50'] / 1e3:6.1f} ms",
                f"p99 {one['p99'] / 1e3:6.1f} ms", f"slowest right after it {one['slowest_after'] / 1e3:6.1f} ms",
                f"errors {one['errors'] or 0}"]) for name, one in found.items()])
    return found


# ---- Two workers ----

TWO = {"short": (dict(connections=50, count=8000), "connection"),
       "ping-pong 64 B": (dict(connections=50, rounds=600, count=50, out=64, **{"in": 64}), "round trip")}


def two_workers(rounds, scratch):
    """CPU a unit with two workers to that with one, none pinned, and how evenly the two were busy."""
    found = {}
    for load_name, (arguments, unit) in TWO.items():
        rows = []
        for name in _daemons():
            proxies = {workers: Proxy(name, scratch, Setup(workers=workers, is_pinned=False)) for workers in (1, 2)}
            costs, shares = {1: [], 2: []}, []
            try:
                for turn in range(rounds):
                    for workers in ((1, 2) if turn % 2 else (2, 1)):
                        before = proxies[workers].cpu_by_task()
                        costs[workers].append(measure(proxies[workers], scratch, arguments, unit)["cpu_us"])
                        if workers == 2:
                            busy = sorted((seconds - before.get(task, 0) for task, seconds in proxies[2].cpu_by_task().items()), reverse=True)
                            shares.append(busy[1] / max(busy[0], 1e-9))
            finally:
                for proxy in proxies.values():
                    proxy.stop()
            found[f"{load_name}, {name}"] = dict(one=costs[1], two=costs[2], balance=shares)
            rows.append((name, [f"one {statistics.median(costs[1]):6.1f} µs", f"two {statistics.median(costs[2]):6.1f} µs",
                                f"{statistics.median(costs[2]) / statistics.median(costs[1]):5.2f} of it",
                                f"the less busy worker did {statistics.median(shares):4.2f} of the other's work"]))
        _table(f"two workers, {load_name}: CPU a {unit}", rows)
    return found


SPECIAL = {"idle": idle_cell, "mixed": mixed, "start": start, "overload": overload, "two workers": two_workers}
