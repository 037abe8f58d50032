"""Authenticated frames of bytes between ranks, for arrays of any size."""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Sequence

from sparkml_dist.cluster.control_wire import ForgedMessageError, close_connection, keep_alive

__all__ = ["RANK_GONE", "Frames"]

#: In the error of a rank whose connection to another one has ended: a consequence, not a cause.
RANK_GONE = "another rank of the gang has closed its connection"

_HEAD = struct.Struct("!Q32s")  # length, HMAC
_PIECE = 1 << 20


class Frames:
    """One end of a connection over which frames are sent; each carries an HMAC-SHA256.

    A frame that was altered, dropped, repeated, reordered, reflected or forged is rejected, as
    those of `sparkml_dist.cluster.control_wire` are. Nothing is encrypted. Reading waits as long
    as the other end lives: the gang ends ranks that stall.

    Parameters
    ----------
    connection : socket.socket
        Connected; closed by `close`.
    own, other : bytes
        Keys of the frames that this end and the other end send.
    """

    def __init__(self, connection: socket.socket, own: bytes, other: bytes) -> None:
        connection.settimeout(None)
        keep_alive(connection)
        self._connection = connection
        self._own, self._other = own, other
        self._sent = self._received = 0

    def send(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send one frame, the concatenation of `parts`.

        Raises
        ------
        ConnectionError
            The other end is gone.
        """
        length = sum(len(part) for part in parts)
        tag = _Tag(self._own, self._sent, length)
        for part in parts:
            tag.add(part)
        self._sent += 1
        try:
            self._connection.sendall(_HEAD.pack(length, tag.digest()))
            for part in parts:
                self._connection.sendall(part)
        except OSError as error:
            raise ConnectionError(RANK_GONE) from error

    def receive(self, limit: int) -> bytearray:
        """Return the next frame.

        Parameters
        ----------
        limit : int
            Most bytes of a frame.

        Raises
        ------
        ConnectionError
            The other end is gone; `ForgedMessageError` where the frame is not what it sent.
        """
        length, expected = _HEAD.unpack(self._read(_HEAD.size))
        if length > limit:
            raise ForgedMessageError(f"a frame of {length:,} bytes is announced")
        content = self._read(length)
        tag = _Tag(self._other, self._received, length)
        tag.add(memoryview(content))
        if not hmac.compare_digest(expected, tag.digest()):
            raise ForgedMessageError(f"frame {self._received} is not what was sent")
        self._received += 1
        return content

    def close(self) -> None:
        """Close the connection."""
        close_connection(self._connection)

    def _read(self, size: int) -> bytearray:
        found = bytearray()
        while len(found) < size:
            # In pieces: a length that was made up must not claim memory.
            try:
                data = self._connection.recv(min(_PIECE, size - len(found)))
            except OSError as error:
                raise ConnectionError(RANK_GONE) from error
            if not data:
                raise ConnectionError(RANK_GONE)
            found += data
        return found


class _Tag:
    """The HMAC of a frame: over its number, its length and its content."""

    def __init__(self, key: bytes, number: int, length: int) -> None:
        head = number.to_bytes(8, "big") + length.to_bytes(8, "big")
        self._found = hmac.new(key, head, "sha256")

    def add(self, part: bytes | memoryview) -> None:
        self._found.update(part)

    def digest(self) -> bytes:
        return self._found.digest()
