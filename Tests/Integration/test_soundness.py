"""What the programs are made of, and what they keep: facts that a reader of the code relies on."""

import re
import shutil
from pathlib import Path

import pytest

from harness import programs
from harness.clients import ask, dial, read_line, run
from harness.hello import client_hello
from harness.ports import free_port
from harness.servers import EchoServer, HoldingServer, NamingServer
from harness.waiting import settled, wait_until

LIBRARIES = {
    # The C and C++ run-time libraries; the Swift run-time library is linked statically.
    "linux-vdso", "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libgcc_s", "libstdc++",
    # libsystemd, and what it brings along.
    "libsystemd", "libcap", "libgcrypt", "libgpg-error", "liblzma", "liblz4", "libzstd",
    # Regular expressions.
    "libpcre2-8",
}  # fmt: skip

TLS_SYMBOLS = re.compile(r"^(SSL|TLS|EVP|X509|BIO|CRYPTO|gnutls|gcry|mbedtls|NSS|wolfSSL|CCryptoBoringSSL)_", re.IGNORECASE)

BYTE_PATH = Path(__file__).with_name("byte_path_functions.txt")
"""One mangled symbol, or a part of one that occurs once, a line; # begins a comment."""

FORBIDDEN_CALLS = re.compile(
    r"swift_(retain|release|bridgeObject\w*|unknownObject\w*|alloc\w*|dealloc\w*|slowAlloc|slowDealloc|beginAccess|"
    r"getWitnessTable|dynamicCast\w*|initStackObject|isUniquelyReferenced\w*|once)|\b(malloc|calloc|realloc|free)@plt"
)


def configuration(port, server):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend fe
    bind 127.0.0.1:{port}
    default_backend be

backend be
    server s1 {server}
"""


def test_the_data_plane_links_these_libraries_and_nothing_else():
    listing = run(["ldd", programs.SLUICE])
    assert listing.returncode == 0, listing.stderr
    linked = {Path(line.split()[0]).name.partition(".so")[0] for line in listing.stdout.splitlines() if line.strip()}
    assert linked <= LIBRARIES, linked - LIBRARIES
    assert {"libc", "libsystemd", "libpcre2-8"} <= linked


def test_the_data_plane_refers_to_no_symbol_of_a_tls_library():
    listing = run(["nm", "-D", "--undefined-only", programs.SLUICE])
    assert listing.returncode == 0, listing.stderr
    wanted = [line.split()[-1].partition("@")[0] for line in listing.stdout.splitlines()]
    assert wanted
    assert [symbol for symbol in wanted if TLS_SYMBOLS.match(symbol)] == []


def test_the_data_plane_holds_no_concurrency_run_time():
    """Neither Dispatch nor Swift's tasks: their names would be in the symbol table."""
    listing = run(["nm", programs.SLUICE], timeout=60).stdout + run(["nm", "-D", programs.SLUICE]).stdout
    for name in ("swift_task_create", "dispatch_async", "pthread_create"):
        assert not re.search(rf" [TU] {name}(@|$)", listing, re.MULTILINE), name


def _disassembly(symbol):
    """The instructions of one function, with the names of what it calls."""
    listing = run(["objdump", "--no-show-raw-insn", f"--disassemble={symbol}", programs.SLUICE], timeout=60)
    assert listing.returncode == 0, listing.stderr
    return listing.stdout


def _byte_path():
    """The whole symbols that the data file names."""
    named = [line.partition("#")[0].strip() for line in BYTE_PATH.read_text().splitlines()]
    defined = [line.split()[-1] for line in run(["nm", "--defined-only", programs.SLUICE], timeout=60).stdout.splitlines()]
    for part in filter(None, named):
        found = [symbol for symbol in defined if part == symbol] or [symbol for symbol in defined if part in symbol]
        assert found, f"{part} is no function of the program: it was renamed, or lives in its caller by now"
        yield from found


def test_the_functions_of_the_byte_path_neither_allocate_nor_count_references():
    symbols = sorted(set(_byte_path()))
    assert symbols
    guilty = {}
    for symbol in symbols:
        calls = {match[0] for match in FORBIDDEN_CALLS.finditer(_disassembly(symbol))}
        if calls:
            guilty[symbol] = sorted(calls)
    assert guilty == {}


def test_that_gate_can_fail():
    """Reading a configuration allocates, of course: the same look at its functions finds that."""
    defined = [line.split()[-1] for line in run(["nm", "--defined-only", programs.SLUICE], timeout=60).stdout.splitlines()]
    reading = [symbol for symbol in defined if "13Configuration" in symbol and symbol.endswith("F")]
    assert any(FORBIDDEN_CALLS.search(_disassembly(symbol)) for symbol in reading[:100])


@pytest.mark.reference
def test_a_thousand_connections_leak_no_descriptor(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    for number in range(50):
        assert ask(port, b"%d\n" % number) == str(number)
    count = lambda: {member.pid: len(member.descriptors) for member in daemon.tree()}  # noqa: E731
    before = settled(count)
    for number in range(1000):
        assert ask(port, b"%d\n" % number) == str(number)

    def as_before():
        now = count()
        # Pipes are pooled, one by one as they are first needed.
        assert all(now[pid] <= before[pid] + 8 for pid in before), (before, now)
        return now.keys() == before.keys()

    wait_until(as_before)


def test_master_and_workers_have_one_thread(sluice, servers):
    port = free_port()
    server = servers(EchoServer())
    daemon = sluice(
        configuration(port, server.at + " check").replace(
            "    default_backend be", "    use_backend be if { req.ssl_sni -m reg ^a.*b$ }\n    default_backend be"
        )
    )
    hello = client_hello("axb")
    with dial(port) as client:
        client.sendall(hello)
        assert client.recv(65536)
    daemon.reload()
    assert len(daemon.workers()) >= 2
    assert {member: member.threads for member in [daemon.tree()[0], *daemon.workers()]} == {
        member: 1 for member in [daemon.tree()[0], *daemon.workers()]
    }


def test_workers_hold_no_rights_and_no_more_descriptors_than_they_need(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, servers(EchoServer()).at))
    for worker in [*daemon.workers(), daemon.controller()]:
        assert worker.status["Uid"].split()[0] != "0"
        assert int(worker.status["CapEff"], 16) == 0
        assert int(worker.status["CapPrm"], 16) == 0
        assert worker.status["NoNewPrivs"] == "1"
    for worker in daemon.workers():
        # A bell for each worker that there may ever be, and little else.
        bells = sum("eventfd" in name for name in worker.descriptors.values())
        assert len(worker.descriptors) - bells < 40


def test_nobody_writes_to_what_the_programs_run_from(sluice, servers):
    """The configuration is a snapshot: changing or removing the file changes nothing that runs."""
    port = free_port()
    daemon = sluice(configuration(port, servers(NamingServer("here")).at))
    daemon.file.unlink()
    daemon.expects_crash = True
    for worker in daemon.workers():
        programs.kill(worker.pid)
    wait_until(lambda: len(daemon.workers()) == daemon.workers_wanted)
    assert [ask(port) for _ in range(10)] == ["here"] * 10
    programs.kill(daemon.controller().pid)
    wait_until(lambda: _answers(daemon), what="the new controller to know the configuration")
    daemon.file.write_text("")


def _answers(daemon):
    try:
        return daemon.stats.row("be", "s1")
    except OSError:
        return None


def test_memory_of_an_idle_connection_is_small(sluice, servers):
    """Five hundred idle connections cost less than 1 KiB each in the workers."""
    port = free_port()
    daemon = sluice(configuration(port, servers(HoldingServer()).at))
    warm = [dial(port) for _ in range(100)]
    for client in warm:
        assert read_line(client) == "held"
    resident = lambda: sum(worker.resident_bytes for worker in daemon.workers())  # noqa: E731
    before = resident()
    clients = [dial(port) for _ in range(500)]
    for client in clients:
        assert read_line(client) == "held"
    assert resident() - before < 500 * 1024
    for client in warm + clients:
        client.close()


def test_the_programs_are_there():
    for program in (programs.SLUICE, programs.SLUICECTL):
        assert shutil.which(program)
    assert run([programs.SLUICECTL, "--help"]).returncode == 0
