"""JSON lines over TCP, and the proof of a shared secret: what both ends of the control line use."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import time
from typing import Any, BinaryIO

__all__ = [
    "HANDSHAKE_SECONDS",
    "Record",
    "answer",
    "connect",
    "hang_up",
    "keep_alive",
    "read",
    "send",
]

Record = dict[str, Any]

HANDSHAKE_SECONDS = 10.0
_LONGEST_LINE = 1 << 20


def answer(token: str, nonce: str, rank: int) -> str:
    """Return the proof that `rank` knows the `token`, for one challenge."""
    return hmac.new(token.encode(), f"{nonce}:{rank}".encode(), "sha256").hexdigest()


def connect(address: str, port: int, seconds: float) -> socket.socket:
    """Connect, trying again for `seconds`.

    Raises
    ------
    ConnectionRefusedError
        At once: who gives away an address listens on it until the end.
    OSError
        When the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection((address, port), timeout=HANDSHAKE_SECONDS)
        except ConnectionRefusedError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            keep_alive(connection)
            return connection


def keep_alive(connection: socket.socket) -> None:
    """Notice within half a minute when the other end has gone without a word."""
    # A host that loses power sends no farewell: let the kernel ask after 10 s of silence.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def send(connection: socket.socket, message: Record) -> None:
    """Send one line; silently nothing when the other end has hung up."""
    # Who cannot be told has hung up, and is counted as lost by whoever reads from it.
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def read(stream: BinaryIO) -> Record | None:
    """Return the next message; None at the end or when it makes no sense."""
    try:
        line = stream.readline(_LONGEST_LINE)
        message = json.loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def hang_up(connection: socket.socket) -> None:
    """Close a connection that may be closed already."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
