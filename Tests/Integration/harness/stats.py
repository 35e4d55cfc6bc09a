"""A client of the stats socket (the runtime API): one connection a question."""

import csv
import socket

SERVER_STATUS_UP = ("UP", "no check")


def _value(text):
    return int(text) if text.removeprefix("-").isdigit() else text


class StatsSocket:
    """Speaks to a stats socket at a path, or at an (address, port)."""

    def __init__(self, address, timeout=5.0):
        self.address = str(address) if not isinstance(address, tuple) else address
        self.timeout = timeout

    def connect(self):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(self.timeout)
        connection.connect(self.address)
        return connection

    def raw(self, text):
        """Sends `text` and returns everything up to the end of the connection, as it came."""
        with self.connect() as connection:
            connection.sendall(text.encode())
            answer = bytearray()
            while received := connection.recv(65536):
                answer += received
        return answer.decode()

    def command(self, line):
        """The answer to one command, without the empty line that ends it."""
        answer = self.raw(line + "\n")
        assert answer.endswith("\n"), f"{line!r} was answered by {answer!r}, which no empty line ends"
        return answer[:-1].rstrip("\n")

    def table(self, line):
        """An answer in CSV as a list of rows, each a dictionary by column name; numbers are ints."""
        answer = self.command(line)
        assert answer.startswith("# "), f"{line!r} was answered by {answer!r}"
        lines = [row.removesuffix(",") for row in answer[2:].splitlines() if row]
        return [
            {name: _value(value) for name, value in row.items() if name}
            for row in csv.DictReader(lines, strict=True)
        ]

    def rows(self):
        return self.table("show stat")

    def row(self, proxy, service):
        """The `show stat` row of (pxname, svname)."""
        found = [row for row in self.rows() if (row["pxname"], row["svname"]) == (proxy, service)]
        assert len(found) == 1, f"{len(found)} rows for {proxy}/{service}"
        return found[0]

    def info(self):
        lines = self.command("show info").splitlines()
        return {name: _value(value) for name, value in (line.split(": ", 1) for line in lines)}

    def sessions(self):
        """The lines of `show sess` that are about clients' connections, not about this question itself."""
        return [line for line in self.command("show sess").splitlines() if "proto=tcp" in line]

    def servers(self):
        """`show servers state` as a list of dictionaries."""
        version, header, *rows = self.command("show servers state").splitlines()
        assert version == "1"
        names = header.removeprefix("# ").split()
        return [dict(zip(names, map(_value, row.split()), strict=True)) for row in rows if row]
