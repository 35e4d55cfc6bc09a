"""TLS ends: certificates made by openssl, servers that own one each, and a client that can cut its hello to pieces."""

import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .servers import TCPServer


@dataclass
class Certificate:
    """A self-signed certificate and its key, in PEM files; `common_name` tells it from every other."""

    common_name: str
    certificate: Path
    key: Path


def make_certificate(directory, common_name, names=("www.example.test",)):
    """A fresh P-256 certificate for `names`, by openssl(1)."""
    made = Certificate(common_name, directory / f"{common_name}.crt", directory / f"{common_name}.key")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", f"/CN={common_name}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
            "-keyout", made.key, "-out", made.certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


class TLSServer(TCPServer):
    """An HTTPS server that answers every request with its own name.

    `handshakes` has (server name, ALPN protocol) of each completed handshake. A connection that sends nothing, as a
    health check does, is no error.
    """

    def __init__(self, certificate, protocols=("http/1.1",), **options):
        self.name = certificate.common_name
        self.handshakes = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._context.set_alpn_protocols(list(protocols))
        self._context.sni_callback = self._remember
        super().__init__(self.serve, **options)

    @staticmethod
    def _remember(connection, server_name, _):
        connection.asked_for = server_name

    def serve(self, connection):
        if not connection.recv(1, socket.MSG_PEEK):
            return
        with self._context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True) as secured:
            self.handshakes.append((getattr(secured, "asked_for", None), secured.selected_alpn_protocol()))
            request = b""
            while part := secured.recv(65536):
                request += part
                if b"\r\n\r\n" in request:
                    break
            body = self.name.encode() + b"\n"
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            secured.sendall(head + body)
            self.count(received=len(request), sent=len(head + body))


class ScriptedClient:
    """A TLS client without a socket: OpenSSL's bytes pass through the test, which sends them as it pleases."""

    def __init__(self, server_name=None, protocols=(), trusted=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if trusted:
            context.load_verify_locations(trusted)
        else:
            context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def hello(self):
        """The ClientHello as OpenSSL would send it: one TLS record."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def finish(self, connection, request=b"GET / HTTP/1.0\r\n\r\n"):
        """Completes the handshake over `connection`, to which the hello has been sent, and returns the answer's body."""
        self._pump(connection, self._tls.do_handshake)
        self._tls.write(request)
        self._flush(connection)
        answer = b""
        while part := self._pump(connection, lambda: self._tls.read(65536)):
            answer += part
        return answer.partition(b"\r\n\r\n")[2].decode().strip()

    def peer_certificate(self):
        """The server's certificate in DER."""
        return self._tls.getpeercert(True)

    def _flush(self, connection):
        if pending := self._outgoing.read():
            connection.sendall(pending)

    def _pump(self, connection, step):
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush(connection)
                received = connection.recv(65536)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""
            else:
                self._flush(connection)
                return result
