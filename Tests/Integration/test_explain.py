"""`explain`: what it says would happen is what happens."""

import pytest

from harness import programs
from harness.clients import dial, read_line, run
from harness.hello import client_hello
from harness.ports import free_port
from harness.rulesets import BACKENDS, rule_set, write_files
from harness.servers import NamingServer


def configuration(port, servers):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s

frontend web
    bind 127.0.0.1:{port}
    acl api req.ssl_sni -i api.example.com
    tcp-request content set-var(txn.first) req.ssl_sni,field(1,.)
    tcp-request content reject if {{ req.ssl_sni secret.example.com }} !{{ src 10.0.0.0/8 }}
    use_backend first if api {{ req.ssl_alpn h2 }}
    use_backend first if {{ req.ssl_sni one.example.com }}
    use_backend second if {{ req.ssl_sni two.example.com }}
    use_backend %[var(txn.first)] if {{ req.ssl_sni -m end .named.example.com }}
    default_backend second

backend first
    server a {servers[0].at}

backend second
    use-server c if {{ req.ssl_sni -m beg c. }}
    server b {servers[1].at}
    server c {servers[2].at} backup
"""


def explain(*arguments):
    return run([programs.SLUICE, *arguments])


def answer(port, name, protocols):
    """The name of the server that gets the connection; empty if nobody does."""
    with dial(port) as client:
        client.sendall(client_hello(name, protocols))
        try:
            return read_line(client)
        except ConnectionResetError:
            return ""


@pytest.mark.parametrize("name, protocols, server, words", [
    ("api.example.com", ["h2"], "a", ["yes: api (", "{ req.ssl_alpn h2 }"]),
    ("api.example.com", ["http/1.1"], "b", ["no: { req.ssl_alpn h2 } does not hold", "default_backend"]),
    ("two.example.com", [], "b", ["yes", "backend 'second'"]),
    ("second.named.example.com", [], "b", ["the name is 'second'"]),
    ("nobody.named.example.com", [], "b", ["the name is 'nobody', which is no backend", "default_backend"]),
    ("c.example.com", [], "c", ["-> server 'c', by that rule"]),
    ("secret.example.com", [], "", ["-> refused by a rule"]),
])
def test_explains_what_happens(sluice, servers, name, protocols, server, words):
    port = free_port()
    daemon = sluice(configuration(port, [servers(NamingServer(each)) for each in "abc"]))
    assert answer(port, name, protocols) == server
    flags = ["--sni", name] + (["--alpn", ",".join(protocols)] if protocols else [])
    by_file = explain("-f", daemon.file, "explain", *flags)
    running = run([programs.SLUICECTL, "explain", "-s", daemon.control_socket, *flags])
    assert by_file.stdout == running.stdout, "the file and what runs are the same"
    assert by_file.returncode == (0 if server else 1)
    for each in words:
        assert each in by_file.stdout, by_file.stdout
    if server == "b":
        assert "b " in by_file.stdout and "c " in by_file.stdout and "a backup, while others can be used" in by_file.stdout


def test_tells_how_servers_stand_now(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, [servers(NamingServer(each)) for each in "abc"]))
    assert daemon.stats.command("set server second/b state maint").strip() == ""
    told = run([programs.SLUICECTL, "explain", "-s", daemon.control_socket, "--sni", "two.example.com"]).stdout
    assert "none, in maintenance" in told and "-> server 'c'" in told, told
    assert answer(port, "two.example.com", []) == "c"


def test_says_what_it_cannot_explain(sluice, servers):
    port = free_port()
    daemon = sluice(configuration(port, [servers(NamingServer(each)) for each in "abc"]))
    for arguments, message in [
        (["--dst-port", "1"], "no 'bind' line would take a connection to any address, port 1"),
        (["--frontend", "nobody"], "there is no frontend 'nobody'"),
        (["--src", "somewhere"], "needs an address"),
        (["--sni"], "needs a value"),
    ]:
        for by in ([programs.SLUICE, "-f", daemon.file, "explain"],
                   [programs.SLUICECTL, "explain", "-s", daemon.control_socket]):
            told = run([*by, *arguments])
            assert told.returncode != 0
            assert message in told.stderr or arguments == ["--sni"], told.stderr


def test_agrees_with_connections_made_by_lot(sluice, servers, scratch):
    """The explanation's last words, against sixty rule sets: `default` and all."""
    write_files(scratch)
    ports = [free_port() for _ in range(60)]
    lines = ["defaults", "    mode tcp", "    timeout connect 5s", "    timeout client 9s", "    timeout server 9s"]
    sets = [rule_set(seed, scratch, 1) for seed in range(700, 760)]
    for number, (port, each) in enumerate(zip(ports, sets)):
        lines += [f"frontend f{number}", f"    bind 127.0.0.1:{port}", *("    " + line for line in each.lines)]
    for name in BACKENDS:
        lines += [f"backend {name}", f"    server {name} {servers(NamingServer(name)).at}"]
    daemon = sluice("\n".join(lines) + "\n")
    seen = set()
    for number, (port, each) in enumerate(zip(ports, sets)):
        (connection,) = each.connections
        name = connection.server_name or "a.example.com"
        with dial(port) as client:
            flags = ["--sni", name, "--src", "%s:%d" % client.getsockname(), "--dst", f"127.0.0.1:{port}"]
            if connection.protocols:
                flags += ["--alpn", ",".join(connection.protocols)]
            client.sendall(client_hello(name, connection.protocols))
            try:
                server = read_line(client)
            except ConnectionResetError:
                server = ""
        told = run([programs.SLUICECTL, "explain", "-s", daemon.control_socket, *flags, "--frontend", f"f{number}"]).stdout
        seen.add(server)
        expected = f"-> server '{server}'" if server else ("refused by a rule", "-> closed")
        assert any(each in told for each in ([expected] if server else expected)), told
    assert len(seen) > 4, f"the lot is poor: {seen}"
