#!/usr/bin/env python3
"""Captures the ClientHellos of real clients, and says what is in them.

usage: capture.py [NAME…]

Listens on loopback, runs each client that is installed against it, and writes what the client sent
up to the end of its hello to NAME.bin. Then hellos.json is written anew for all files here: the facts
as this script reads them, with a parser that shares nothing with the one under test.

Clients that are not installed are passed over, and their files stay as they are. Browsers' hellos
come from curl_cffi (`pip install curl_cffi`), which drives BoringSSL as the browser would.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_SECONDS = 10

PYTHON = """
import socket, ssl, sys
port, name, low, high, protocols = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if low:
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion[low]
if high:
    context.maximum_version = ssl.TLSVersion[high]
if protocols:
    context.set_alpn_protocols(protocols.split(","))
with socket.create_connection(("127.0.0.1", int(port))) as plain:
    context.wrap_socket(plain, server_hostname=name or None)
"""

BROWSER = """
import sys
from curl_cffi import CurlOpt, requests
port, browser = sys.argv[1:]
name = f"browser.example.test:{port}"
requests.get(f"https://{name}/", impersonate=browser, timeout=5,
             curl_options={CurlOpt.RESOLVE: [name + ":127.0.0.1"]})
"""

GO = """
package main

import ("crypto/tls"; "os")

func main() {
    config := &tls.Config{ServerName: "go.example.test", InsecureSkipVerify: true}
    if len(os.Args) > 2 { config.NextProtos = os.Args[2:] }
    tls.Dial("tcp", "127.0.0.1:" + os.Args[1], config)
}
"""

NODE = """
const [port, ...protocols] = process.argv.slice(1);
require('tls').connect({port, host: '127.0.0.1', servername: 'node.example.test',
    rejectUnauthorized: false, ALPNProtocols: protocols}).on('error', () => process.exit(0));
"""


def openssl(*options):
    return ["openssl", "s_client", "-connect", "127.0.0.1:{port}", *options]


def gnutls(*options):
    return ["gnutls-cli", "--insecure", "--port", "{port}", *options, "127.0.0.1"]


def python(name="", low="", high="", protocols=""):
    return [sys.executable, "-c", PYTHON, "{port}", name, low, high, protocols]


def curl(*options):
    name = "curl.example.test:{port}"
    return ["curl", "-sk", "--resolve", name + ":127.0.0.1", *options, f"https://{name}/"]


def browser(name):
    return [sys.executable, "-c", BROWSER, "{port}", name]


CLIENTS = {
    "openssl_default": openssl("-servername", "openssl.example.test"),
    "openssl_no_sni": openssl("-noservername"),
    "openssl_mixed_case_dot": openssl("-servername", "OpenSSL.Example.Test."),
    "openssl_alpn": openssl("-servername", "openssl.example.test", "-alpn", "h2,http/1.1,acme-tls/1"),
    "openssl_tls12": openssl("-servername", "openssl.example.test", "-tls1_2"),
    "openssl_tls13": openssl("-servername", "openssl.example.test", "-tls1_3"),
    "openssl_tls1": openssl("-servername", "openssl.example.test", "-tls1", "-cipher", "ALL:@SECLEVEL=0"),
    "openssl_no_ticket": openssl("-servername", "openssl.example.test", "-no_ticket"),
    "openssl_long_name": openssl("-servername", ".".join(["a" * 63] * 3 + ["b" * 50])),
    "openssl_fragmented": openssl("-servername", "openssl.example.test", "-max_send_frag", "512",
                                  "-alpn", ",".join(["a" * 60] * 12)),
    "gnutls_default": gnutls("--sni-hostname", "gnutls.example.test"),
    "gnutls_alpn": gnutls("--sni-hostname", "gnutls.example.test", "--alpn", "h2", "--alpn", "http/1.1"),
    "gnutls_no_sni": gnutls("--disable-sni"),
    "gnutls_tls12": gnutls("--sni-hostname", "gnutls.example.test", "--priority", "NORMAL:-VERS-TLS1.3"),
    "gnutls_tls1_extensionless": gnutls("--disable-sni", "--priority",
                                        "NORMAL:-VERS-ALL:+VERS-TLS1.0:%NO_EXTENSIONS"),
    "curl_default": curl(),
    "curl_http1": curl("--http1.1"),
    "curl_tls12": curl("--tls-max", "1.2"),
    "python_default": python("python.example.test"),
    "python_no_sni": python(),
    "python_tls1_to_tls1_1": python("python.example.test", "TLSv1", "TLSv1_1"),
    "python_tls1_2_only": python("python.example.test", "TLSv1_2", "TLSv1_2"),
    "python_tls1_3_only": python("python.example.test", "TLSv1_3", "TLSv1_3"),
    "python_many_protocols": python("python.example.test", protocols=",".join(f"proto-{i:02}" for i in range(40))),
    "python_postgresql": python("db.example.test", protocols="postgresql"),
    "node_default": ["node", "-e", NODE, "{port}"],
    "node_alpn": ["node", "-e", NODE, "{port}", "h2", "http/1.1"],
    "go_default": ["go", "run", "{go}", "{port}"],
    "go_alpn": ["go", "run", "{go}", "{port}", "h2", "http/1.1"],
    "nss_default": ["tstclnt", "-h", "127.0.0.1", "-p", "{port}", "-a", "nss.example.test", "-D", "-o"],
    "chrome_151": browser("chrome151"),
    "chrome_136": browser("chrome136"),
    "chrome_100": browser("chrome100"),
    "firefox_155": browser("firefox155"),
    "safari_270": browser("safari270"),
    "tor_145": browser("tor145"),
}


def receive_hello(connection):
    """Reads records until they hold a whole handshake message."""
    connection.settimeout(TIMEOUT_SECONDS)
    raw = b""
    while True:
        end = end_of_hello(raw)
        if end is not None:
            return raw[:end]
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the client left after {len(raw)} bytes")
        raw += piece


def end_of_hello(raw):
    message, position = b"", 0
    while position + 5 <= len(raw):
        length = int.from_bytes(raw[position + 3:position + 5], "big")
        message += raw[position + 5:position + 5 + length]
        position += 5 + length
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return position
    return None


def capture(command, go_source):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(2 * TIMEOUT_SECONDS)
        port = str(listener.getsockname()[1])
        words = [word.replace("{port}", port).replace("{go}", go_source) for word in command]
        client = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            connection, _ = listener.accept()
            with connection:
                return receive_hello(connection)
        finally:
            client.terminate()
            client.wait(TIMEOUT_SECONDS)


class Fields:
    """Takes fields off the front of some bytes."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        assert len(self.data) >= count, "field overruns"
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, width):
        return int.from_bytes(self.take(width), "big")

    def counted(self, width):
        return Fields(self.take(self.number(width)))

    def all(self, take):
        while self.data:
            yield take(self)


def is_grease(value):
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def facts(raw):
    records, outer = [], Fields(raw)
    while outer.data:
        assert outer.number(1) == 22
        version = outer.number(2)
        records.append((version, outer.counted(2).data))
    message = Fields(b"".join(fragment for _, fragment in records))
    assert message.number(1) == 1
    body = message.counted(3)
    legacy_version = body.number(2)
    body.take(32)
    session_id = body.counted(1).data
    ciphers = list(body.counted(2).all(lambda it: it.number(2)))
    body.counted(1)
    extensions = []
    if body.data:
        extensions = list(body.counted(2).all(lambda it: (it.number(2), it.counted(2).data)))
    known = dict(extensions)
    name = ""
    if 0 in known:
        names = list(Fields(known[0]).counted(2).all(lambda it: (it.number(1), it.counted(2).data)))
        name = next(name for kind, name in names if kind == 0).decode("latin-1")
    protocols = []
    if 16 in known:
        protocols = [it.decode() for it in Fields(known[16]).counted(2).all(lambda it: it.counted(1).data)]
    versions = list(Fields(known[43]).counted(1).all(lambda it: it.number(2))) if 43 in known else []
    return {
        "serverName": name,
        "protocols": protocols,
        "recordVersion": records[0][0],
        "records": len(records),
        "legacyVersion": legacy_version,
        "versions": [it for it in versions if 0x0300 <= it <= 0x0304],
        "sessionIDLength": len(session_id),
        "cipherSuites": len(ciphers),
        "extensions": [kind for kind, _ in extensions],
        "sessionTicket": 0 if 35 not in known else 2 if known[35] else 1,
        "hasSupportedGroups": 10 in known,
        "hasECH": 0xFE0D in known,
        "hasGREASE": any(map(is_grease, ciphers + versions + [kind for kind, _ in extensions])),
        "helloLength": 4 + int.from_bytes(b"".join(it for _, it in records)[1:4], "big"),
    }


def main():
    wanted = sys.argv[1:] or list(CLIENTS)
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        go_source = pathlib.Path(directory, "client.go")
        go_source.write_text(GO)
        for name in wanted:
            command = CLIENTS[name]
            if not shutil.which(command[0]):
                print(f"{name}: {command[0]} is not installed")
                continue
            try:
                raw = capture(command, str(go_source))
            except (OSError, RuntimeError) as error:
                print(f"{name}: {error}")
                failures += 1
                continue
            (HERE / f"{name}.bin").write_bytes(raw)
            print(f"{name}: {len(raw)} bytes")
    files = sorted(HERE.glob("*.bin"))
    summary = {path.stem: facts(path.read_bytes()) for path in files}
    lines = [f"  {json.dumps(name)}: {json.dumps(fact)}" for name, fact in summary.items()]
    (HERE / "hellos.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
