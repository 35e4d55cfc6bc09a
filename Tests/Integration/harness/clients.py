"""Clients of the daemon."""

import socket
import subprocess

from .servers import receive_all


def dial(port, address="127.0.0.1", timeout=10.0, source=None, receive_buffer=None):
    """A connected socket with Nagle's algorithm off; operations on it end after `timeout` seconds."""
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        connection.bind((source, 0))
    connection.connect((address, port))
    return connection


def ask(port, request=b"hello\n", **options):
    """Sends `request`, reads the answer's first line, ends the connection and returns the line."""
    with dial(port, **options) as connection:
        connection.sendall(request)
        line = read_line(connection)
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)
    return line


def read_line(connection):
    """One line without its end; what there was of it when the connection ended before."""
    line = bytearray()
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    return line.decode().rstrip("\n")


def ended_by(connection):
    """How the peer ended the connection: "FIN" or "RST". Bytes before the end are thrown away."""
    try:
        receive_all(connection)
    except ConnectionResetError:
        return "RST"
    return "FIN"


def run(command, **options):
    """Runs a program to its end, and returns what subprocess.run gives, with text output."""
    options = {"timeout": 30, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
