"""Cells of exchanges: the same load on each proxy in turn, its cost a unit beside its peers'."""

import random, statistics

from .counts import CAN_COUNT_INSTRUCTIONS, calls, instructions, small
from .loads import measure
from .proxies import Proxy, Setup, peers


def exchange(connections, rounds, size, count=None):
    return dict(connections=connections, rounds=rounds, count=count or connections, out=size, **{"in": size})


def bulk(connections, up, down, duplex=False):
    """Bytes of each connection, up and down; both at once with `duplex`."""
    return dict(connections=connections, count=connections, out=up, **{"in": down}, **({"duplex": True} if duplex else {}))


MIB = 1 << 20
SHORT = dict(connections=50, count=8000)
NAMED = dict(connections=50, count=6000, hello=600)

# A load is: arguments of the generator, its unit (exchanges, or MiB of bulk), and what the proxies are set up for.
CELLS = {
    "short": (SHORT, "connection", Setup()),
    "short, one at a time": (dict(connections=1, count=2000), "connection", Setup()),
    "short, logs": (SHORT, "connection", Setup(log=True)),
    "ping-pong 64 B": (exchange(50, 600, 64), "round trip", Setup()),
    "ping-pong 64 B, 1 connection": (exchange(1, 6000, 64), "round trip", Setup()),
    "ping-pong 64 B, 2,000 connections": (exchange(2000, 15, 64), "round trip", Setup()),
    "ping-pong 16 KiB": (exchange(50, 300, 16384), "round trip", Setup()),
    "ping-pong 16 KiB, 1 connection": (exchange(1, 3000, 16384), "round trip", Setup()),
    "ping-pong 16 KiB, 2,000 connections": (exchange(2000, 8, 16384), "round trip", Setup()),
    "bulk up": (bulk(4, 256 * MIB, 64), "MiB", Setup()),
    "bulk up, 1 connection": (bulk(1, 512 * MIB, 64), "MiB", Setup()),
    "bulk up, 64 connections": (bulk(64, 16 * MIB, 64), "MiB", Setup()),
    "bulk down": (bulk(4, 64, 256 * MIB), "MiB", Setup()),
    "bulk down, 1 connection": (bulk(1, 64, 512 * MIB), "MiB", Setup()),
    "bulk down, 64 connections": (bulk(64, 64, 16 * MIB), "MiB", Setup()),
    "bulk both ways": (bulk(4, 128 * MIB, 128 * MIB, True), "MiB", Setup()),
    "names, 10": (dict(NAMED, names=10), "connection", Setup(names=10)),
    "names, 10, logs": (dict(NAMED, names=10), "connection", Setup(names=10, log=True)),
    "names, 10, post-quantum": (dict(NAMED, hello=1800, names=10), "connection", Setup(names=10)),
    "names, 1,000": (dict(NAMED, names=1000), "connection", Setup(names=1000)),
    "names, 100,000": (dict(NAMED, names=100_000), "connection", Setup(names=100_000)),
}

COUNTED = ["short", "ping-pong 64 B", "names, 10", "names, 10, logs"]
"""Cells whose user instructions are counted as well."""


def interval(ours, theirs, draws=2000):
    """The ratio of medians, and where it lies in 95 of 100 resamplings (percentile bootstrap)."""
    dice = random.Random(1)
    median = lambda values: statistics.median(dice.choices(values, k=len(values)))
    ratios = sorted(median(ours) / median(theirs) for _ in range(draws))
    return statistics.median(ours) / statistics.median(theirs), ratios[int(draws * 0.025)], ratios[int(draws * 0.975)]


def contenders(cell):
    return peers("haproxy, splice", "haproxy, splice, equal pipes") if cell.startswith("bulk") else peers()


def run(cell, rounds, scratch):
    arguments, unit, setup = CELLS[cell]
    proxies = [Proxy(name, scratch, setup) for name in contenders(cell)]
    results = {proxy.name: [] for proxy in proxies}
    try:
        for proxy in proxies:
            measure(proxy, scratch, small(arguments), unit)
        for turn in range(rounds):
            for proxy in proxies[turn % len(proxies):] + proxies[:turn % len(proxies)]:
                results[proxy.name].append(measure(proxy, scratch, arguments, unit))
        counted = {proxy.name: calls(proxy, scratch, small(arguments), unit)[:2] for proxy in proxies}
    finally:
        for proxy in proxies:
            proxy.stop()
    found = dict(cell=cell, unit=unit, rounds=results, calls=counted)
    if cell in COUNTED and CAN_COUNT_INSTRUCTIONS:
        found["instructions"] = {name: instructions(name, scratch, setup, arguments, unit) for name in results}
    return found


def show(found):
    print(f"\n{found['cell']}: proxy CPU µs a {found['unit']}")
    print(f"  {'':28} {'median':>8} {'range':>17} {'sluice to it':>22} {'a second':>9} {'p50 µs':>8} {'p99':>8} {'calls':>7} "
          f"{'instructions':>12}  errors")
    ours = [one["cpu_us"] for one in found["rounds"]["sluice"]]
    for name, rounds in found["rounds"].items():
        costs = [one["cpu_us"] for one in rounds]
        middle = lambda key: statistics.median(one[key] for one in rounds)
        ratio = "" if name == "sluice" else "{:.2f} [{:.2f}, {:.2f}]".format(*interval(ours, costs))
        failed = sum(sum(one["errors"].values()) for one in rounds)
        counted = found.get("instructions", {}).get(name)
        print(f"  {name:28} {middle('cpu_us'):8.1f} {min(costs):8.1f}-{max(costs):8.1f} {ratio:>22} {middle('per_second'):9.0f} "
              f"{middle('p50'):8.0f} {middle('p99'):8.0f} {found['calls'][name][0]:7.2f} "
              f"{f'{counted:,.0f}' if counted else '':>12}  {failed}", flush=True)
