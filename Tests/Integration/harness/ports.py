"""Ports that nobody uses: below the ephemeral range, so that no client's own port can take one between probe and use."""

import os
import random
import socket

LOWEST, HIGHEST = 10_000, 32_000
"""The kernel gives clients ports from 32768 (net.ipv4.ip_local_port_range)."""


def _candidates():
    """Every port of the range, once, in a random order; sessions of one machine that run side by side share none."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = [port for port in range(LOWEST, HIGHEST) if port % workers == worker]
    random.Random(os.urandom(8)).shuffle(ports)
    yield from ports


_remaining = _candidates()


def free_port():
    """A TCP and UDP port free on every address, IPv4 and IPv6; never given twice in one session."""
    return next(port for port in _remaining if _is_free(port))


def free_ports(count):
    """`count` neighbouring free ports, for port ranges; returns the first."""
    while True:
        first = free_port()
        if all(_is_free(first + step) for step in range(1, count)):
            return first


def _is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, kind) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                probe.bind(("::", port))
            except OSError:
                return False
    return True
