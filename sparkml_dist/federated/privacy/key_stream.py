"""Pseudo-random words from a key: AES-256 in counter mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkml_dist.federated.privacy.packages import needed

# Bytes of a stream that are made at a time: they and the sum stay in the processor's cache.
_AT_ONCE = 1 << 17
_ZEROS = bytes(_AT_ONCE)


class KeyStream:
    """The stream of bytes that a key of 32 bytes stands for. A key is for one stream."""

    def __init__(self, key: bytes) -> None:
        ciphers = needed("cryptography.hazmat.primitives.ciphers")
        self._next = ciphers.Cipher(
            ciphers.algorithms.AES(key), ciphers.modes.CTR(bytes(16))
        ).encryptor()

    def fill(self, room: bytearray, size: int) -> None:
        """Write the next `size` bytes to `room`, which is 15 bytes longer at least."""
        self._next.update_into(_ZEROS if size == _AT_ONCE else bytes(size), room)

    def words(self, count: int) -> np.ndarray:
        """Return the next words, shape (count,), ``uint64``."""
        room = bytearray(8 * count + 15)
        self.fill(room, 8 * count)
        return np.frombuffer(room, "<u8", count)


def add_streams(words: np.ndarray, keys: Sequence[tuple[bytes, int]]) -> None:
    """Add streams to `words` in place, modulo the word's size.

    Parameters
    ----------
    words : numpy.ndarray of shape (n,), ``<u4`` or ``<u8``
    keys : sequence of (bytes, int)
        Keys of the streams, and 1 to add a stream or -1 to subtract it.
    """
    streams: list[tuple[Any, Any]] = [
        (KeyStream(key), np.add if sign > 0 else np.subtract) for key, sign in keys
    ]
    at_once = _AT_ONCE // words.itemsize
    room = bytearray(_AT_ONCE + 15)
    for start in range(0, len(words), at_once):
        part = words[start : start + at_once]
        mask = np.frombuffer(room, words.dtype, len(part))
        for stream, combine in streams:
            stream.fill(room, part.nbytes)
            combine(part, mask, out=part)
