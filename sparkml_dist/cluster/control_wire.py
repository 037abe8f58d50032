"""The protocol of the control connection: handshake and authenticated messages.

The connection is TCP between executors, where others may listen, insert messages, or alter them.
Both ends know the gang's token. Each chooses a nonce; the token and both nonces give a key for each
direction, and each message carries an HMAC-SHA256 over its number and its content. A message that
was altered, dropped, repeated, reordered, reflected, replayed from another connection, or forged
is rejected and ends the connection. Nothing is encrypted: the messages only say which rank failed,
and how.

Sequence: the server's nonce; the rank's `hello` (its nonce, its number, its proof); then frames in
both directions: 4 bytes of length, 32 of HMAC, the message as JSON. The server's first frame is its
proof.
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
    "Channel",
    "ChannelKeys",
    "ForgedMessageError",
    "Record",
    "close_connection",
    "heartbeat_seconds",
    "hello",
    "keep_alive",
    "silent_record",
]

Record = dict[str, Any]

#: Time limit for the handshake.
HANDSHAKE_SECONDS = 5.0
NONCE_BYTES = 32
HELLO = struct.Struct(f"!{NONCE_BYTES}sI32s")  # nonce, rank, proof
_HEAD = struct.Struct("!I32s")  # length, HMAC
_LONGEST_MESSAGE = 1 << 20
_BEAT_SECONDS = 2.0
# How long one read or write may wait. A connection without messages may be healthy.
_WAIT_SECONDS, _STUCK_SECONDS = 1, 10


class ForgedMessageError(ConnectionError):
    """A message was not sent by the other end, or was altered on its way."""


def heartbeat_seconds(silence_seconds: float | None) -> float:
    """Return the interval of heartbeats for a limit of silence, in seconds."""
    return min(_BEAT_SECONDS, (silence_seconds or math.inf) / 4)


def silent_record(rank: int, seconds: float) -> Record:
    """Return the record of a silent_record rank whose task Spark still waits for."""
    return {"rank": rank, "kind": "silent", "seconds": seconds, "echo": False, "task": True}


@dataclass(frozen=True)
class ChannelKeys:
    """Keys of one connection, derived from the gang's token and both nonces.

    Attributes
    ----------
    proof : bytes
        Proves that the rank knows the token.
    of_rank, of_server : bytes
        Keys of the messages that the rank and the server send.
    """

    proof: bytes
    of_rank: bytes
    of_server: bytes

    @classmethod
    def of(cls, token: str, server_nonce: bytes, rank_nonce: bytes, rank: int) -> ChannelKeys:
        """Return the keys of the connection with these nonces."""
        place = server_nonce + rank_nonce + rank.to_bytes(4, "big")

        def derived(use: bytes) -> bytes:
            return hmac.digest(token.encode(), use + b"\0" + place, "sha256")

        return cls(derived(b"proof"), derived(b"of the rank"), derived(b"of the server"))


def hello(token: str, server_nonce: bytes, rank: int) -> tuple[bytes, ChannelKeys]:
    """Return a rank's answer to the server's nonce, and the keys of the connection."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    found = ChannelKeys.of(token, server_nonce, nonce, rank)
    return HELLO.pack(nonce, rank, found.proof), found


class Channel:
    """One end of an authenticated connection.

    Parameters
    ----------
    connection : socket.socket
        Connected; closed by `close`.
    own, other : bytes
        Keys of the messages that this end and the other end send.
    """

    def __init__(self, connection: socket.socket, own: bytes, other: bytes) -> None:
        connection.settimeout(None)
        # Timeouts of the kernel: one thread may time out reading while another one writes.
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
        """Send one message, from any thread; does nothing when the other end has closed.

        Raises
        ------
        ValueError
            The message is longer than the other end accepts.
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
                # The reading side reports the lost connection. Half a message may be on its way:
                # nothing must follow it.
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def read(self) -> Record | None:
        """Return the next message; None when the other end has closed the connection.

        Raises
        ------
        TimeoutError
            No whole message has come within a second; its first part stays in the buffer.
        ForgedMessageError
            The message was not sent by the other end, or was altered.
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
        """Close the connection."""
        close_connection(self._connection)

    def _upto(self, size: int, deadline: float) -> bytes:
        """Return the first `size` bytes of the message, some of which may be buffered."""
        while (missing := size - len(self._buffer)) > 0:
            if time.monotonic() > deadline:  # a peer that sends byte by byte must not block us
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
    """Make the kernel detect within half a minute that the other end is gone."""
    # A host that loses power sends no FIN: probe after 10 s without traffic.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def close_connection(connection: socket.socket) -> None:
    """Close a connection, which may be closed already."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
