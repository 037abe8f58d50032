"""What both ends of the control line send: who they are, and messages that nobody else can make.

The line is TCP between executors, where others may listen, speak in between, or change what is
said. Both ends know the gang's token. Each chooses a nonce; from the token and both nonces come a
key for each direction, and each message carries an HMAC-SHA256 over its number and its content. One
that was altered, left out, repeated, moved, taken from the other direction or from another
connection, or made up, is not accepted, and ends the connection. Nothing is encrypted: what is said
is which rank has failed and how.

On the line: the server's nonce; the rank's `hello` (its nonce, its number, its proof); then frames
in both directions: 4 bytes of length, 32 of HMAC, the message as JSON. The first that the server
sends is its own proof.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import math
import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any

__all__ = [
    "HANDSHAKE_SECONDS",
    "HELLO",
    "NONCE_BYTES",
    "ForgedMessageError",
    "Line",
    "Record",
    "Secrets",
    "beat_seconds",
    "hang_up",
    "hello",
    "keep_alive",
    "silent",
]

Record = dict[str, Any]

#: In which a stranger has to prove that it is none.
HANDSHAKE_SECONDS = 5.0
NONCE_BYTES = 32
HELLO = struct.Struct(f"!{NONCE_BYTES}sI32s")  # nonce, rank, proof
_HEAD = struct.Struct("!I32s")  # length, HMAC
_LONGEST_MESSAGE = 1 << 20
_BEAT_SECONDS = 2.0
# How long one reading or writing may wait; a line on which nothing comes may be a good one.
_WAIT_SECONDS, _STUCK_SECONDS = 1, 10


class ForgedMessageError(ConnectionError):
    """A message does not come from the other end, or not as it was sent."""


def beat_seconds(silence_seconds: float | None) -> float:
    """Return how often to say that one is there, where so many seconds without it are silence."""
    return min(_BEAT_SECONDS, (silence_seconds or math.inf) / 4)


def silent(rank: int, seconds: float) -> Record:
    """Return the record of a rank whose task says nothing; Spark goes on waiting for that task."""
    return {"rank": rank, "kind": "silent", "seconds": seconds, "echo": False, "task": True}


@dataclass(frozen=True)
class Secrets:
    """What follows from the gang's token for one connection.

    Attributes
    ----------
    proof : bytes
        That the rank knows the token.
    of_rank, of_server : bytes
        Keys of the messages that each sends.
    """

    proof: bytes
    of_rank: bytes
    of_server: bytes

    @classmethod
    def of(cls, token: str, server_nonce: bytes, rank_nonce: bytes, rank: int) -> Secrets:
        """Return those of the connection with these nonces."""
        place = server_nonce + rank_nonce + rank.to_bytes(4, "big")

        def derived(use: bytes) -> bytes:
            return hmac.digest(token.encode(), use + b"\0" + place, "sha256")

        return cls(derived(b"proof"), derived(b"of the rank"), derived(b"of the server"))


def hello(token: str, server_nonce: bytes, rank: int) -> tuple[bytes, Secrets]:
    """Return what a rank answers to the server's nonce, and the secrets of the connection."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    found = Secrets.of(token, server_nonce, nonce, rank)
    return HELLO.pack(nonce, rank, found.proof), found


class Line:
    """One end of an established line.

    Parameters
    ----------
    connection : socket.socket
        Connected; taken over.
    own, other : bytes
        Key of what this end sends, and of what the other does.
    """

    def __init__(self, connection: socket.socket, own: bytes, other: bytes) -> None:
        connection.settimeout(None)
        # Of the kernel, so that reading may time out in one thread while another one writes.
        for option, seconds in (
            (socket.SO_RCVTIMEO, _WAIT_SECONDS),
            (socket.SO_SNDTIMEO, _STUCK_SECONDS),
        ):
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
        self._connection = connection
        self._own, self._other = own, other
        self._sent = self._received = 0
        self._buffer = bytearray()
        self._lock = threading.Lock()

    def send(self, message: Record) -> None:
        """Send one message, from any thread; silently nothing when the other end has hung up.

        Raises
        ------
        ValueError
            It is longer than the other end would take.
        """
        content = json.dumps(message).encode()
        if len(content) > _LONGEST_MESSAGE:
            raise ValueError(f"a message of {len(content):,} bytes is too long")
        with self._lock:
            tag = _tag(self._own, self._sent, content)
            self._sent += 1
            try:
                self._connection.sendall(_HEAD.pack(len(content), tag) + content)
            except OSError:
                # Who cannot be told is counted as lost by whoever reads from it. Half a message may
                # be on its way: there must be no other one behind it.
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def read(self) -> Record | None:
        """Return the next message; None when the other end has hung up.

        Raises
        ------
        TimeoutError
            No whole message has come for a second; what has come of it is kept.
        ForgedMessageError
            The message is not what the other end sent.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        try:
            length, tag = _HEAD.unpack(self._upto(_HEAD.size, deadline))
            if length > _LONGEST_MESSAGE:
                raise ForgedMessageError(f"a message of {length:,} bytes is announced")
            content = self._upto(_HEAD.size + length, deadline)[_HEAD.size :]
        except BlockingIOError:
            raise TimeoutError("nothing has come") from None
        except EOFError:
            return None
        if not hmac.compare_digest(tag, _tag(self._other, self._received, content)):
            raise ForgedMessageError(f"message {self._received} is not what was sent")
        self._received += 1
        self._buffer.clear()
        message = json.loads(content)
        return message if isinstance(message, dict) else {}

    def close(self) -> None:
        """Hang up."""
        hang_up(self._connection)

    def _upto(self, size: int, deadline: float) -> bytes:
        """Return the first `size` bytes of the message, of which some may have come before."""
        while (missing := size - len(self._buffer)) > 0:
            if time.monotonic() > deadline:  # or who sends byte by byte would hold the reader
                raise BlockingIOError
            try:
                data = self._connection.recv(missing)
            except BlockingIOError:
                raise
            except OSError:
                data = b""
            if not data:
                raise EOFError
            self._buffer += data
        return bytes(self._buffer[:size])


def _tag(key: bytes, number: int, content: bytes) -> bytes:
    return hmac.digest(key, number.to_bytes(8, "big") + content, "sha256")


def keep_alive(connection: socket.socket) -> None:
    """Notice within half a minute when the other end has gone without a word."""
    # A host that loses power sends no farewell: let the kernel ask after 10 s of silence.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def hang_up(connection: socket.socket) -> None:
    """Close a connection that may be closed already."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
