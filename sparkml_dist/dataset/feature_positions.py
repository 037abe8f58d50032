"""Positions of features as bits, for the notes of shards."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["all_positions", "packed_positions"]


def packed_positions(positions: Sequence[int]) -> str:
    """Return positions as a text of their bits (base64); empty for none.

    The note of a shard with thousands of features that miss values is a few hundred characters
    long: a list of them for each of a hundred thousand shards would be gigabytes for the driver.
    """
    if not len(positions):
        return ""
    bits = np.zeros(max(positions) + 1, bool)
    bits[list(positions)] = True
    return base64.b64encode(np.packbits(bits, bitorder="little").tobytes()).decode()


def all_positions(notes: Iterable[str | Sequence[int]]) -> tuple[int, ...]:
    """Return the sorted positions that any of the texts has.

    Parameters
    ----------
    notes : iterable of str
        As `packed_positions` returns them; lists, in notes of version 0.1.0, are taken too.
    """
    found = b""
    for text in dict.fromkeys(n if isinstance(n, str) else packed_positions(n) for n in notes):
        bits = base64.b64decode(text)
        width = max(len(found), len(bits))
        merged = int.from_bytes(found, "little") | int.from_bytes(bits, "little")
        found = merged.to_bytes(width, "little")
    flags = np.unpackbits(np.frombuffer(found, np.uint8), bitorder="little")
    return tuple(np.flatnonzero(flags).tolist())
