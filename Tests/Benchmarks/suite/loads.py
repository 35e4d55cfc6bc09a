"""Loads: one run of the generator, and what a proxy spent on it."""

import json, os, subprocess

from .machine import CPUS


def arguments_of(proxy, scratch, pair=0, **arguments):
    port, server = proxy.pairs[pair]
    command = [str(scratch / "load"), "--listen", str(server), "--target", str(port)]
    for key, value in arguments.items():
        command += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    return command


def begin(proxy, scratch, pair=0, **arguments):
    """A load that runs beside another; `finish` waits for its report."""
    return subprocess.Popen(
        arguments_of(proxy, scratch, pair, **arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, CPUS[:1]))


def finish(running, seconds=180):
    output, _ = running.communicate(timeout=seconds)
    return json.loads(output)


def load(proxy, scratch, pair=0, **arguments):
    return finish(begin(proxy, scratch, pair, **arguments))


def failures(result):
    return {kind: n for kind, n in result["errors"].items() if n}


def units_of(unit, result):
    return max(1, (result["bytes_out"] + result["bytes_in"]) / (1 << 20) if unit == "MiB" else result["exchanges"])


def measure(proxy, scratch, arguments, unit):
    before = proxy.cpu()
    result = load(proxy, scratch, **arguments)
    units = units_of(unit, result)
    latency = result["exchange_us"]
    return dict(cpu_us=(proxy.cpu() - before) * 1e6 / units, per_second=units / result["seconds"], p50=latency["p50"],
                p99=latency["p99"], p999=latency["p99.9"], errors=failures(result))


def hold(proxy, scratch, count, pair=0):
    """`count` connections that have exchanged 64 bytes and wait. Closing the standard input of what is returned ends them."""
    holder = begin(proxy, scratch, pair, hold=True, connections=count, count=count, out=64, **{"in": 64})
    return holder, json.loads(holder.stdout.readline())
