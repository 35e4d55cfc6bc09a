"""ClientHello messages built byte by byte (RFC 8446 section 4.1.2), and ways to cut them for the wire."""

import os
import struct
import time

HANDSHAKE, CLIENT_HELLO = 22, 1
SERVER_NAME, SUPPORTED_GROUPS, ALPN, PADDING = 0, 10, 16, 21
SUPPORTED_VERSIONS, KEY_SHARE, SIGNATURE_ALGORITHMS = 43, 51, 13
X25519, X25519MLKEM768 = 0x001D, 0x11EC
X25519_POINT = bytes([9]) + bytes(31)
"""The curve's base point: a valid public key (RFC 7748)."""


def _vector(width, content):
    """`content` behind its length in `width` bytes."""
    return len(content).to_bytes(width, "big") + content


def _extension(kind, content):
    return struct.pack("!H", kind) + _vector(2, content)


def client_hello(server_name=None, protocols=(), post_quantum=False, extensions_size=None, extra=b""):
    """A TLS 1.3 hello in one record.

    `post_quantum` adds the 1216-byte key share of X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), which makes the hello
    longer than an Ethernet segment. `extensions_size` fills up with padding (RFC 7685), placed before the server name,
    until the extensions have this many bytes.
    """
    groups = [X25519MLKEM768, X25519] if post_quantum else [X25519]
    shares = _extension_share(X25519MLKEM768, os.urandom(1216)) if post_quantum else b""
    shares += _extension_share(X25519, X25519_POINT)
    extensions = _extension(SUPPORTED_VERSIONS, _vector(1, b"\x03\x04\x03\x03"))
    extensions += _extension(SUPPORTED_GROUPS, _vector(2, b"".join(struct.pack("!H", group) for group in groups)))
    extensions += _extension(SIGNATURE_ALGORITHMS, _vector(2, b"\x04\x03\x08\x04\x08\x05\x08\x06"))
    extensions += _extension(KEY_SHARE, _vector(2, shares)) + extra
    last = b""
    if server_name is not None:
        last += _extension(SERVER_NAME, _vector(2, b"\0" + _vector(2, server_name.encode())))
    if protocols:
        last += _extension(ALPN, _vector(2, b"".join(_vector(1, protocol.encode()) for protocol in protocols)))
    if extensions_size is not None:
        extensions += _extension(PADDING, bytes(extensions_size - len(extensions) - len(last) - 4))
    ciphers = b"\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f"
    body = b"\x03\x03" + os.urandom(32) + _vector(1, os.urandom(32)) + _vector(2, ciphers) + b"\x01\0"
    body += _vector(2, extensions + last)
    return record(bytes([CLIENT_HELLO]) + _vector(3, body))


def _extension_share(group, key):
    return struct.pack("!H", group) + _vector(2, key)


def record(fragment):
    return bytes([HANDSHAKE]) + b"\x03\x01" + _vector(2, fragment)


def in_records(hello, size=1):
    """The same handshake bytes in TLS records of `size` bytes each (RFC 8446 section 5.1 allows any split)."""
    handshake = b""
    while hello:
        length = int.from_bytes(hello[3:5], "big")
        handshake += hello[5 : 5 + length]
        hello = hello[5 + length :]
    return b"".join(record(handshake[at : at + size]) for at in range(0, len(handshake), size))


def send_in_segments(connection, data, size=1):
    """Sends `size` bytes a segment: TCP_NODELAY is on, and the pause lets the receiver see each by itself."""
    for at in range(0, len(data), size):
        connection.sendall(data[at : at + size])
        time.sleep(0.0002)
