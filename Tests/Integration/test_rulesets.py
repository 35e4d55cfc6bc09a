"""The same rules, the same connections, the same backends: rule sets made by lot, decided by sluice and by HAProxy.

All rule sets are frontends of one file, on unix sockets behind PROXY headers, so that each program starts once and
connections come from wherever they say.
"""

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import programs
from harness.rulesets import BACKENDS, rule_set, write_files
from harness.servers import NamingServer
from harness.waiting import wait_until

HAPROXY = os.environ.get("HAPROXY") or shutil.which("haproxy")
COUNT = int(os.environ.get("SLUICE_RULE_SETS", "1000"))
FIRST_SEED = int(os.environ.get("SLUICE_SEED", "1"))
CONNECTIONS = 6
"""To each rule set."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAPROXY, reason="there is no haproxy in PATH, and HAPROXY names none"),
]


def configuration(rule_sets, at, backends):
    lines = ["defaults", "    mode tcp", "    timeout connect 5s", "    timeout client 30s", "    timeout server 30s"]
    for number, each in enumerate(rule_sets):
        lines += ["", f"frontend f{number}", f"    bind unix@{at}/f{number} accept-proxy mode 666"]
        lines += ["    " + line for line in each.lines]
    for backend in backends:
        lines += ["", f"backend {backend.name}", f"    server s unix@{backend.path}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def haproxy(scratch):
    """Starts HAProxy on a file of its own, and ends it with the test."""
    running = []

    def start(text, ready):
        file = scratch / "haproxy.cfg"
        file.write_text(f"global\n    maxconn 4000\n{text}")
        log = (scratch / "haproxy.log").open("w+")
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running.append((process, log))

        def is_ready():
            assert process.poll() is None, (scratch / "haproxy.log").read_text()[-4000:]
            return ready.exists()

        wait_until(is_ready, 30, "HAProxy's sockets")

    yield start
    for process, log in running:
        process.terminate()
        process.wait(10)
        log.close()


def answer(path, connection):
    """The name of the backend that got the connection; empty if nobody did."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(str(path))
        received = b""
        try:
            client.sendall(connection.bytes)
            while not received.endswith(b"\n") and (part := client.recv(64)):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            return ""
    return received.decode().rstrip("\n")


def answers(rule_sets, at):
    """Of each rule set, of each of its connections."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(
            lambda numbered: [answer(at / f"f{numbered[0]}", each) for each in numbered[1].connections],
            enumerate(rule_sets)))


def differences(rule_sets, ours, theirs):
    for number, each in enumerate(rule_sets):
        for connection, our, their in zip(each.connections, ours[number], theirs[number]):
            if our != their:
                rules = "\n".join("    " + line for line in each.lines)
                yield f"seed {FIRST_SEED + number}: sluice {our or '-'}, HAProxy {their or '-'}\n{connection}\n{rules}"


def test_sluice_and_haproxy_choose_the_same_backends(sluice, haproxy, servers, scratch):
    write_files(scratch)
    rule_sets = [rule_set(seed, scratch, CONNECTIONS) for seed in range(FIRST_SEED, FIRST_SEED + COUNT)]
    backends = [servers(NamingServer(name, path=scratch / name)) for name in BACKENDS]
    sockets = {kind: scratch / kind for kind in ("ours", "theirs")}
    for directory in sockets.values():
        directory.mkdir()
        directory.chmod(0o777)

    haproxy(configuration(rule_sets, sockets["theirs"], backends), sockets["theirs"] / f"f{COUNT - 1}")
    sluice(configuration(rule_sets, sockets["ours"], backends), "maxconn 4000")
    ours, theirs = (answers(rule_sets, sockets[kind]) for kind in ("ours", "theirs"))

    chosen = {name: sum(row.count(name) for row in theirs) for name in [*BACKENDS, ""]}
    assert min(chosen.values()) > COUNT * CONNECTIONS / 50, f"the lot is poor: {chosen}"
    found = list(differences(rule_sets, ours, theirs))
    assert not found, f"{len(found)} of {COUNT * CONNECTIONS} differ\n\n" + "\n\n".join(found[:8])
