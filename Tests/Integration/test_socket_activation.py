"""Listeners that somebody else opened (sd_listen_fds(3)), with systemd-socket-activate in that part."""

import os
import socket

import pytest

from harness.clients import ask, dial
from harness.ports import free_port
from harness.servers import EchoServer, NamingServer
from harness.waiting import wait_until


def configuration(server, *binds):
    return f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend fe
{"".join(f"    bind {bind}" + chr(10) for bind in binds)}    default_backend be

backend be
    server s1 {server}
"""


@pytest.fixture
def activated(sluice):
    """Puts systemd-socket-activate before the daemon: nothing of it runs before the first connection."""

    def start(text, *listens, names=None):
        wrapper = ["systemd-socket-activate", *(f"--listen={listen}" for listen in listens)]
        wrapper += [f"--fdname={names}"] if names else []
        wrapper += ["-E", "NOTIFY_SOCKET"]  # it hands nothing else down
        wrapper += [word for name in ("SLUICE_CONTROLLER",) if name in os.environ for word in ("-E", name)]
        daemon = sluice(text, wrapper=wrapper, launch_only=True)
        for listen in listens:
            wait_until(lambda listen=listen: _listens(listen), what=f"a listener on {listen}")
        assert not daemon.notifications.messages
        return daemon

    return start


def _listens(address):
    """Without connecting, which would start the daemon."""
    if address.startswith("/"):
        return os.path.exists(address)
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError:
            return True
    return False


@pytest.mark.reference
def test_a_socket_by_number(activated, servers):
    port = free_port()
    daemon = activated(configuration(servers(EchoServer()).at, "fd@3"), f"127.0.0.1:{port}")
    assert ask(port) == "hello"
    daemon.notifications.wait_for(READY="1")
    assert [ask(port) for _ in range(20)] == ["hello"] * 20


@pytest.mark.reference
def test_the_first_connections_wait_for_it(activated, servers):
    """Clients that come before and during the start are all served."""
    port = free_port()
    activated(configuration(servers(EchoServer()).at, "fd@3"), f"127.0.0.1:{port}")
    clients = [dial(port) for _ in range(20)]
    for number, client in enumerate(clients):
        client.sendall(b"%2d" % number)
    assert [client.recv(2) for client in clients] == [b"%2d" % number for number in range(20)]
    for client in clients:
        client.close()


def test_sockets_by_name(activated, servers, scratch):
    web, other = free_port(), free_port()
    text = f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s

listen by_name
    bind fd@web
    server s1 {servers(NamingServer("web")).at}

listen by_another_name
    bind fd@local
    server s1 {servers(NamingServer("local")).at}
"""
    # "web" stands for two sockets: one name, both are taken.
    activated(text, f"127.0.0.1:{web}", f"[::1]:{other}", f"{scratch}/local.sock", names="web:web:local")
    assert ask(web) == "web"
    assert ask(other, address="::1") == "web"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(f"{scratch}/local.sock")
        client.sendall(b"x")
        assert client.recv(100) == b"local\n"


def test_a_bind_of_the_same_address_takes_the_socket(activated, servers):
    """The address is in use already, by this very socket: only whoever takes it over can serve."""
    port = free_port()
    daemon = activated(configuration(servers(EchoServer()).at, f"127.0.0.1:{port}"), f"127.0.0.1:{port}")
    assert [ask(port) for _ in range(20)] == ["hello"] * 20
    assert "passed in" not in daemon.log


def test_a_socket_that_no_bind_wants_is_named_and_closed(activated, servers):
    port, unwanted = free_port(), free_port()
    daemon = activated(
        configuration(servers(EchoServer()).at, f"127.0.0.1:{port}"), f"127.0.0.1:{port}", f"127.0.0.1:{unwanted}"
    )
    assert ask(port) == "hello"
    daemon.notifications.wait_for(READY="1")
    assert f"127.0.0.1:{unwanted}" in daemon.log
    with pytest.raises(ConnectionRefusedError):
        dial(unwanted)


def test_a_name_that_nobody_passed_is_an_error(sluice, servers):
    daemon = sluice(configuration(servers(EchoServer()).at, "fd@nobody"), launch_only=True)
    daemon.process.wait(10)
    assert daemon.process.returncode != 0
    assert "nobody" in daemon.log


def test_sockets_meant_for_another_process_are_not_taken(sluice, servers):
    """LISTEN_PID is somebody else's."""
    port = free_port()
    daemon = sluice(
        configuration(servers(EchoServer()).at, f"127.0.0.1:{port}"), environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    )
    assert ask(port) == "hello"
    assert daemon.process.poll() is None


@pytest.mark.reference
def test_a_reload_keeps_the_socket(activated, servers):
    port = free_port()
    first, second = servers(NamingServer("first")), servers(NamingServer("second"))
    daemon = activated(configuration(first.at, "fd@3"), f"127.0.0.1:{port}")
    assert ask(port) == "first"
    daemon.notifications.wait_for(READY="1")
    for each in (second, first, second):
        daemon.reload(configuration(each.at, "fd@3"))
        wait_until(lambda each=each: ask(port) == each.name)


def test_workers_share_the_load_of_an_inherited_socket(activated, servers):
    """Whether by sockets of their own beside it or by taking turns: each serves some."""
    port = free_port()
    daemon = activated(configuration(servers(EchoServer()).at, f"127.0.0.1:{port}"), f"127.0.0.1:{port}")
    assert ask(port) == "hello"
    daemon.notifications.wait_for(READY="1")
    clients = []
    for _ in range(200):
        client = dial(port)
        client.sendall(b"x")
        clients.append(client)
    assert [client.recv(1) for client in clients] == [b"x"] * 200
    sockets = [sum(name.startswith("socket:") for name in worker.descriptors.values()) for worker in daemon.workers()]
    assert len(sockets) == 2 and min(sockets) > 20, sockets
    for client in clients:
        client.close()
