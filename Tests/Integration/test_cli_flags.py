"""The command line: the reference's flags, exit statuses and signals."""

import os
import signal
import subprocess

import pytest

from harness import processes, programs
from harness.clients import ask, dial, read_line, run
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.stats import StatsSocket
from harness.waiting import stays, wait_until

pytestmark = pytest.mark.reference


def configuration(port, server, further=""):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

listen fe
    bind 127.0.0.1:{port}
    server s1 {server}
{further}
"""


@pytest.fixture
def file(scratch):
    """Writes a configuration file and returns its path."""

    def write(text, name="sluice.cfg"):
        path = scratch / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def sluice_command(*arguments, **options):
    return run([programs.SLUICE, *arguments], **options)


# Checking


def test_c_accepts_a_good_file_and_opens_nothing(file, servers):
    server = servers(EchoServer())  # its port is taken: a check that binds would fail
    good = file(configuration(server.port, "127.0.0.1:1"))
    assert sluice_command("-c", "-f", good).returncode == 0
    verbose = sluice_command("-c", "-V", "-f", good)
    assert verbose.returncode == 0
    assert "Configuration file is valid" in verbose.stdout + verbose.stderr
    quiet = sluice_command("-c", "-q", "-f", good)
    assert (quiet.returncode, quiet.stdout) == (0, "")


def test_c_names_file_and_line_of_every_error(file):
    bad = file("global\n    nonsense 1\n\nlisten a\n    mode tcp\n    bind 127.0.0.1:1\n    servr s 127.0.0.1:2\n")
    result = sluice_command("-c", "-f", bad)
    assert result.returncode == 1
    assert f"{bad}:2" in result.stderr and "nonsense" in result.stderr
    assert f"{bad}:7" in result.stderr and "servr" in result.stderr


@pytest.mark.parametrize("text", ["", "backend b\n    mode tcp\n    server s 127.0.0.1:1\n"])
def test_c_refuses_what_would_not_start(file, text):
    """The reference says so too, by another status."""
    assert sluice_command("-c", "-f", file(text)).returncode != 0


@pytest.mark.skipif(programs.KIND != "sluice", reason="sluice's own way to say it")
def test_a_bad_regular_expression_is_told_with_the_other_errors(file):
    bad = file(
        configuration(1, "127.0.0.1:1")
        + """    acl numbered req.ssl_sni -m reg ^[0-9]+$ ^www(
    use_backend fe if numbered
    blance roundrobin
"""
    )
    checked = sluice_command("-c", "-f", bad)
    assert checked.returncode == 1
    lines = bad.read_text().splitlines()
    line = next(number for number, line in enumerate(lines, 1) if "^www(" in line)
    column = lines[line - 1].index("^www(") + 1 + len("^www(")
    assert f"{bad}:{line}:{column}: error: bad regular expression '^www('" in checked.stderr
    assert f"{bad}:{line + 2}:5: error: unknown keyword 'blance'" in checked.stderr


@pytest.mark.skipif(programs.KIND != "sluice", reason="sluice's own way to say it")
def test_errors_show_the_line_the_column_and_the_nearest_word(file):
    bad = file("listen a\n    mode tcp\n    bind 127.0.0.1:1\n    balance roundrobbin\n    servr s 127.0.0.1:2\n")
    result = sluice_command("-c", "-f", bad)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert any(line.startswith(f"{bad}:4:13:") or f"{bad}:4:13" in line for line in lines), result.stderr
    at = next(number for number, line in enumerate(lines) if "servr s 127.0.0.1:2" in line)
    assert "^" in lines[at + 1]
    assert "server" in result.stderr and "roundrobin" in result.stderr


def test_c_needs_no_root_and_no_names(file):
    """Names that do not resolve are no reason to refuse, nor are ports below 1024."""
    good = file(
        "listen a\n    mode tcp\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
        "    bind 127.0.0.1:443\n    server s nowhere.invalid:1 init-addr none\n"
    )
    as_nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    assert sluice_command("-c", "-f", good, **as_nobody).returncode == 0


def test_a_file_that_is_missing(scratch):
    result = sluice_command("-c", "-f", scratch / "nothing.cfg")
    assert result.returncode == 1
    assert "nothing.cfg" in result.stderr


def test_dw_makes_warnings_fatal(file):
    warned = file("listen a\n    mode tcp\n    bind 127.0.0.1:1\n    server s 127.0.0.1:2\n")  # no timeouts
    assert sluice_command("-c", "-f", warned).returncode == 0
    assert sluice_command("-c", "-dW", "-f", warned).returncode == 1


def test_zero_warning_in_the_file_does_the_same(file):
    warned = file("global\n    zero-warning\nlisten a\n    bind 127.0.0.1:1\n    server s 127.0.0.1:2\n")
    refused = sluice_command("-c", "-f", warned)
    assert refused.returncode == 1
    assert "zero-warning" in refused.stderr


@pytest.mark.parametrize(
    "condition, status",
    [
        ("1", 0),
        ("0", 1),
        ("defined(HOME)", 0),
        ("!defined(NOBODY_DEFINES_THIS)", 0),
        ("streq(a,b)", 1),
        ("version_atleast(1.0)", 0),
        ("nonsense(", 2),
    ],
)
def test_cc_evaluates_a_condition(condition, status):
    assert sluice_command("-cc", condition).returncode == status


# Saying


def test_versions():
    result = sluice_command("-v")
    assert result.returncode == 0
    assert "version" in result.stdout
    result = sluice_command("-vv")
    assert result.returncode == 0
    assert "PCRE2" in result.stdout and "epoll" in result.stdout


def test_an_unknown_flag_prints_the_usage():
    result = sluice_command("-Y")
    assert result.returncode == 1
    assert "Usage" in result.stdout + result.stderr


def test_no_file_at_all():
    assert sluice_command("-c").returncode == 1


# Running


class Launched:
    """The program with flags of the test's own, ended by pid afterwards."""

    def __init__(self, *arguments, **options):
        self.process = subprocess.Popen(
            [programs.SLUICE, *map(str, arguments)], stdin=subprocess.DEVNULL, start_new_session=True, **options
        )

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        processes.end_forcibly(self.process.pid)
        self.process.wait(5)


def answers(port, expected="hello"):
    def asked():
        try:
            return ask(port) == expected
        except OSError:
            return False

    return asked


FOREGROUND = ["-W", "-db"] if programs.KIND == "haproxy" else []


@pytest.fixture
def stats_line(scratch):
    return f"global\n    stats socket {scratch}/stats.sock level admin\n"


def test_files_add_up_in_order(file, servers, stats_line):
    port = free_port()
    defaults = "defaults\n    mode tcp\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n"
    one = file(stats_line + defaults, "1.cfg")
    two = file(f"listen fe\n    bind 127.0.0.1:{port}\n    server s1 {servers(EchoServer()).at}\n", "2.cfg")
    with Launched(*FOREGROUND, "-f", one, "-f", two):
        wait_until(answers(port), what="an answer")


def test_a_directory_stands_for_its_files_in_order(file, scratch, servers):
    port = free_port()
    directory = scratch / "conf.d"
    file("defaults\n    mode tcp\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n", "conf.d/10.cfg")
    file(f"listen fe\n    bind 127.0.0.1:{port}\n    server s1 {servers(EchoServer()).at}\n", "conf.d/20.cfg")
    file("this is no configuration", "conf.d/30.cfg.bak")
    file("neither is this", "conf.d/.40.cfg")
    with Launched(*FOREGROUND, "-f", directory):
        wait_until(answers(port), what="an answer")


def test_big_c_changes_the_directory_first(file, scratch, servers):
    port = free_port()
    file(configuration(port, servers(EchoServer()).at), "here/relative.cfg")
    with Launched(*FOREGROUND, "-C", scratch / "here", "-f", "relative.cfg"):
        wait_until(answers(port), what="an answer")


def test_p_writes_the_masters_pid_once_it_serves(file, scratch, servers):
    port = free_port()
    pid_file = scratch / "pid"
    with Launched(*FOREGROUND, "-f", file(configuration(port, servers(EchoServer()).at)), "-p", pid_file) as process:
        wait_until(answers(port))
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), what="the pid file")
        assert int(pid_file.read_text().split()[0]) == process.pid


def test_big_d_goes_to_the_background_when_it_serves(file, scratch, servers):
    port = free_port()
    pid_file = scratch / "pid"
    workers = ["-W"] if programs.KIND == "haproxy" else []
    command = ["-D", *workers, "-f", file(configuration(port, servers(EchoServer()).at)), "-p", pid_file]
    with open(scratch / "output", "w") as output:
        status = subprocess.run(
            [programs.SLUICE, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=20
        )
    assert status.returncode == 0, (scratch / "output").read_text()
    master = int(wait_until(lambda: pid_file.exists() and pid_file.read_text().split())[0])
    family = processes.tree(master)
    try:
        assert ask(port) == "hello"  # no waiting: it returned when it served
        assert processes.Process(master).parent != os.getpid()
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: not any(member.is_alive for member in family), what="its end")
    finally:
        processes.end_forcibly(master)


def test_big_d_fails_where_it_cannot_serve(file, servers):
    taken = servers(EchoServer())
    result = sluice_command("-D", "-f", file(configuration(taken.port, "127.0.0.1:1")))
    assert result.returncode == 1
    assert f":{taken.port}" in result.stderr


def test_an_address_in_use_is_an_error(file, servers):
    taken = servers(EchoServer())
    result = sluice_command(*FOREGROUND, "-f", file(configuration(taken.port, "127.0.0.1:1")))
    assert result.returncode != 0
    assert f":{taken.port}" in result.stderr


@pytest.mark.skipif(programs.KIND != "sluice", reason="the reference shares the port in silence")
def test_a_second_daemon_on_the_same_address_refuses_to_start(sluice, file, servers):
    port = free_port()
    sluice(configuration(port, servers(EchoServer()).at))
    result = sluice_command("-f", file(configuration(port, "127.0.0.1:1")))
    assert result.returncode != 0
    assert f":{port}" in result.stderr
    assert ask(port) == "hello"


def test_n_limits_the_connections(sluice, servers):
    server = servers(HoldingServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at), arguments=["-n", "2"])
    assert daemon.stats.info()["Maxconn"] == 2
    clients = [dial(port), dial(port)]
    for client in clients:
        assert read_line(client) == "held"
    with dial(port):
        stays(lambda: server.accepted == 2, 0.3, "waiting")
    for client in clients:
        client.close()


@pytest.mark.parametrize("flag, by", [("-sf", "orderly"), ("-st", "at once")])
def test_taking_over_from_an_old_process(sluice, file, servers, flag, by, scratch):
    """The new one binds beside the old, and then tells it to go."""
    first, second = servers(HoldingServer("first")), servers(HoldingServer("second"))
    port = free_port()
    old = sluice(configuration(port, first.at))
    old.expects_crash = True
    with dial(port) as client:
        assert read_line(client) == "first"
        target = old.pid if programs.KIND == "sluice" else old.workers()[0].pid
        with Launched(*FOREGROUND, "-f", file(configuration(port, second.at)), flag, target):
            # The old one's listeners share the port for a moment: what they accept they serve.
            seen = lambda: _first_line(port) == "second"  # noqa: E731
            wait_until(lambda: all(seen() for _ in range(8)), what="the new one to serve alone")
            if by == "orderly":
                client.sendall(b"still there")
                wait_until(lambda: first.received == 11)
                client.close()
            wait_until(lambda: not processes.Process(target).is_alive, what="the old one to go")


def _first_line(port):
    try:
        with dial(port) as client:
            return read_line(client)
    except OSError:
        return None


# Signals


def test_term_ends_at_once_and_says_so(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(HoldingServer()).at))
    with dial(port) as client:
        assert read_line(client) == "held"
        assert daemon.stop(signal.SIGTERM, timeout=5) in (0, 143)
    daemon.notifications.wait_for(STOPPING="1")


def test_interrupt_ends_it(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    assert daemon.stop(signal.SIGINT, timeout=5) in (0, 130, -signal.SIGINT)


def test_usr1_lets_connections_end(sluice, servers):
    server = servers(EchoServer())
    port = free_port()
    daemon = sluice(configuration(port, server.at))
    with dial(port) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        daemon.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: _first_line_refused(port), what="the listener to close")
        client.sendall(b"after!")
        assert client.recv(6) == b"after!"
        assert daemon.process.poll() is None
    daemon.process.wait(10)
    assert daemon.process.returncode == 0


def _first_line_refused(port):
    try:
        dial(port, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.skipif(programs.KIND != "sluice", reason="sluice's own flags")
def test_flags_without_meaning_here_are_accepted(file, servers):
    good = file(configuration(free_port(), servers(EchoServer()).at))
    for flags in ("-dI", "-dM", "-L name", "-db", "-W", "-Ws", "-d", "-q", "-dr", "-dS", "-N 100", "-m 500"):
        result = sluice_command("-c", *flags.split(), "-f", good)
        assert result.returncode == 0, f"{flags}: {result.stderr}"


@pytest.mark.skipif(programs.KIND != "sluice", reason="the reference shows listeners over its own socket only")
def test_a_control_socket_is_there_without_a_line_in_the_file(file, scratch, servers):
    port = free_port()
    with Launched("-f", file(configuration(port, servers(NamingServer("s")).at)), "-S", scratch / "c.sock"):
        wait_until(answers(port, "s"), what="an answer")
        assert StatsSocket(scratch / "c.sock").info()["Name"] == "HAProxy"
        assert (scratch / "c.sock").stat().st_mode & 0o777 == 0o600

