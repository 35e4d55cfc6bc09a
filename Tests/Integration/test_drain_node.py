"""Taking a node out: not ready at once, accepting for a while, gone with the last connection."""

import subprocess


from harness import programs
from harness.clients import dial, ended_by, read_line, run
from harness.ports import free_port
from harness.servers import HoldingServer
from harness.waiting import wait_until


def configuration(port, server):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen l
    bind 127.0.0.1:{port}
    server s1 {server}
"""


def sluicectl(daemon, *words):
    return [programs.SLUICECTL, "--socket", str(daemon.control_socket), *words]


def is_refused(port):
    try:
        dial(port).close()
        return False
    except ConnectionError:
        return True


def test_it_waits_for_the_last_connection_and_tells_how_many_there_are(sluice, servers, scratch):
    port = free_port()
    daemon = sluice(configuration(port, servers(HoldingServer()).at), globals="drain-delay 3s")
    early = dial(port)
    assert read_line(early) == "held"
    told = scratch / "told"
    with open(told, "wb") as log:
        draining = subprocess.Popen(sluicectl(daemon, "drain-node", "--wait"), stdout=log, stderr=log)
    wait_until(lambda: int(daemon.stats.info()["Stopping"]) == 1, what="it to say that it is not ready")
    late = dial(port)
    assert read_line(late) == "held", "it still accepts"
    refused = run(sluicectl(daemon, "reload", "--wait"))
    assert refused.returncode == 1 and "taken out" in refused.stdout, refused
    assert "draining" in run(sluicectl(daemon, "status")).stdout
    wait_until(lambda: is_refused(port), what="the end of accepting")
    assert not daemon.notifications.matching(STOPPING="1"), "a service manager would give it half a minute from then on"
    early.close()
    late.sendall(b"still there")
    assert draining.poll() is None and daemon.process.poll() is None
    wait_until(lambda: "1 connection left" in told.read_text().splitlines(), what="the count of those who are left")
    late.close()
    assert draining.wait(20) == 0, told.read_text()
    assert daemon.process.wait(10) == 0
    daemon.notifications.wait_for(STOPPING="1")


def test_what_lasts_too_long_is_told_by_the_exit_status(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(HoldingServer()).at))
    with dial(port) as client:
        assert read_line(client) == "held"
        result = run(sluicectl(daemon, "drain-node", "--wait", "--timeout", "1"))
        assert result.returncode == 1 and "1 connection left after 1 s" in result.stderr, result
        assert is_refused(port)
    assert daemon.process.wait(10) == 0


def test_it_is_bounded_as_every_end_is(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(HoldingServer()).at), globals="hard-stop-after 1s")
    with dial(port) as client:
        assert read_line(client) == "held"
        assert run(sluicectl(daemon, "drain-node", "--wait")).returncode == 0
        assert ended_by(client) in ("FIN", "RST")
    assert daemon.process.wait(10) == 0
