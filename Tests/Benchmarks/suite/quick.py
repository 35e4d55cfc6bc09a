"""What continuous integration runs: sluice alone. Is every byte right, and are the counts within their bounds? The clock
has no say in any of it."""

from .cells import CELLS
from .counts import CAN_COUNT_INSTRUCTIONS, calls, idle, instructions, small
from .loads import begin, failures, finish, load
from .machine import require
from .proxies import Proxy, Setup

MOST_CALLS = {
    "short": 16.0, "short, logs": 17.5, "short, one at a time": 23.0, "ping-pong 64 B": 4.4, "ping-pong 16 KiB": 4.6, "bulk up": 20.0,
    "bulk down": 20.0, "names, 10": 17.0, "names, 1,000": 17.0}
"""System calls a unit. Bulk depends on how full pipes come: the bound tells splicing from copying, which takes 64."""
MOST_INSTRUCTIONS = {"short": 10_000, "names, 10": 20_000, "names, 10, logs": 31_000, "ping-pong 64 B": 2400}
"""User instructions a unit."""
MOST_WAKEUPS, MOST_BYTES = 2.0, 1024
"""Wake-ups a second of an idle daemon, and private bytes of an idle connection."""
SKIPPED = ("100,000", "2,000")


class Verdict:
    def __init__(self):
        self.wrong = []

    def count(self, what, found, bound, unit):
        print(f"  {what:36} {found:9.2f} {unit}{f', {bound:g} allowed' if bound else ''}", flush=True)
        if bound and found > bound:
            self.wrong.append(f"{what}: {found:.2f} {unit}, {bound:g} are allowed")

    def errors(self, what, found):
        if found:
            self.wrong.append(f"{what}: errors {found}")


def quick(scratch, only):
    verdict = Verdict()
    for cell, (arguments, unit, setup) in CELLS.items():
        if any(word in cell for word in SKIPPED) or only not in cell:
            continue
        with Proxy("sluice", scratch, setup) as proxy:
            found, by_name, result = calls(proxy, scratch, small(arguments), unit)
            verdict.count(cell, found, MOST_CALLS.get(cell), f"system calls a {unit}")
            verdict.errors(cell, failures(result))
    if CAN_COUNT_INSTRUCTIONS:
        for cell, bound in MOST_INSTRUCTIONS.items():
            if only in cell:
                arguments, unit, setup = CELLS[cell]
                verdict.count(cell, instructions("sluice", scratch, setup, arguments, unit), bound, f"user instructions a {unit}")
    for name, check in {"idle": _idle, "mixed": _mixed, "overload": _overload, "two workers": _two_workers}.items():
        if only in name:
            check(scratch, verdict)
    require(not verdict.wrong, "\n  ".join(["out of bounds", *verdict.wrong]))


def _idle(scratch, verdict):
    with Proxy("sluice", scratch) as proxy:
        found = idle(proxy, scratch, 1000)
    verdict.count("idle", found["wakeups"], MOST_WAKEUPS, "wake-ups a second")
    verdict.count("idle", found["bytes"], MOST_BYTES, "private bytes a connection")


def _mixed(scratch, verdict):
    """Bulk both starves nobody and loses nothing: a fixed amount of each, at the same time."""
    with Proxy("sluice", scratch, Setup(pairs=2)) as proxy:
        transfers = begin(proxy, scratch, 1, connections=4, count=4, out=64 << 20, **{"in": 64})
        pings = load(proxy, scratch, connections=10, count=10, rounds=200, out=64, **{"in": 64})
        verdict.errors("mixed, ping-pong", failures(pings))
        verdict.errors("mixed, bulk", failures(finish(transfers)))


def _overload(scratch, verdict):
    with Proxy("sluice", scratch, Setup(frontend_maxconn=20)) as proxy:
        crowd = load(proxy, scratch, connections=100, count=400, think=2)
    verdict.errors("overload", failures(crowd))


def _two_workers(scratch, verdict):
    with Proxy("sluice", scratch, Setup(workers=2, pairs=1)) as proxy:
        result = load(proxy, scratch, connections=50, count=600)
    verdict.errors("two workers", failures(result))
