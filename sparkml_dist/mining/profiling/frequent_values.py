"""The most frequent values, with a bound on the error of their counts."""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasketches import frequent_items_error_type, frequent_strings_sketch

__all__ = ["FrequentValues", "as_texts", "readable"]

_HEAD = struct.Struct("<qq")
_ALL = frequent_items_error_type.NO_FALSE_NEGATIVES
#: Characters of long strings, or bytes of long binary values, that are kept.
_KEPT = 200


class FrequentValues:
    """The frequent strings sketch of Apache DataSketches.

    Anderson, Bevan, Lang, Liberty, Rhodes, Thaler (2017), "A high-performance algorithm for
    identifying frequent items in data streams", arXiv 1705.07001. Counts are never too high, and
    too low by at most `error`, which is at most ``3.5 * n / 2**lg``. Up to ``0.75 * 2**lg``
    distinct values it is exact.

    An empty sketch loses its error when it is serialized or merged (datasketches 5.2); this class
    stores the error too.

    Parameters
    ----------
    lg : int
        Binary logarithm of the size of the sketch's table, at least 3.

    Attributes
    ----------
    total : int
        Number of values added, repetitions included.
    """

    def __init__(self, lg: int, content: bytes | None = None) -> None:
        self.lg = lg
        self.total = self._error_beside = 0
        if content is None:
            self._sketch = frequent_strings_sketch(lg)
        else:
            self.total, self._error_beside = _HEAD.unpack_from(content)
            self._sketch = frequent_strings_sketch.deserialize(content[_HEAD.size :])

    def __len__(self) -> int:
        """Return the number of values in the sketch: all distinct values if `error` is 0."""
        return int(self._sketch.num_active_items)

    @property
    def error(self) -> int:
        """Greatest error of a count; values outside the sketch occur at most this often."""
        return self._error_beside + self._error_inside

    @property
    def _error_inside(self) -> int:
        return int(self._sketch.get_upper_bound("") - self._sketch.get_lower_bound(""))

    def update(self, values: pa.Array, counts: np.ndarray[Any, Any]) -> None:
        """Add distinct values and how often each occurs."""
        self.total += int(counts.sum())
        places = 1 << self.lg
        if len(counts) > places:
            # As in Misra and Gries (1982), the count after the greatest ones is subtracted from
            # all: values that cannot be frequent need no conversion to strings.
            lost = int(np.partition(counts, -places - 1)[-places - 1])
            kept = np.flatnonzero(counts > lost)
            values, counts = values.take(pa.array(kept)), counts[kept] - lost
            self._error_beside += lost
        deque(map(self._sketch.update, as_texts(values).to_pylist(), counts.tolist()), 0)

    def merge(self, other: FrequentValues) -> None:
        """Add another sketch."""
        self.total += other.total
        self._error_beside += other._error_beside if len(other) else other.error
        self._sketch.merge(other._sketch)

    def top(self, most: int) -> list[tuple[str, int]]:
        """Return up to `most` strings and lower bounds of their counts, most frequent first."""
        items = self._sketch.get_frequent_items(_ALL)
        ranked = sorted(((text, least) for text, _, least, _ in items), key=lambda v: (-v[1], v[0]))
        return ranked[:most]

    def to_bytes(self) -> bytes:
        """Return the state, for the argument `content` of the class."""
        beside = self._error_beside if len(self) else self.error
        return _HEAD.pack(self.total, beside) + bytes(self._sketch.serialize())


def as_texts(values: pa.Array) -> pa.Array:
    r"""Return values as strings: bytes in hexadecimal digits, long values shortened.

    Shortened values end with their length and a hash of the whole, and bytes that are not valid
    UTF-8 are escaped (``caf\xe9``): different values stay different.
    """
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return pa.array(
            [None if v is None else _digits(v) for v in values.to_pylist()], pa.string()
        )
    texts = readable(pc.cast(values, pa.string()))
    if (pc.max(pc.binary_length(texts)).as_py() or 0) <= _KEPT:
        return texts
    return pa.array([None if v is None else _short(v) for v in texts.to_pylist()], pa.string())


def readable(texts: pa.Array) -> pa.Array:
    """Return strings with bytes that are not valid UTF-8 escaped in hexadecimal digits."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        words = texts.cast(pa.binary()).to_pylist()
        decoded = [None if w is None else w.decode(errors="backslashreplace") for w in words]
        return pa.array(decoded, pa.string())
    return texts


def _short(text: str) -> str:
    if len(text) <= _KEPT:
        return text
    return f"{text[:_KEPT]}… ({len(text):,} letters, {_hash(text.encode())})"


def _digits(value: bytes) -> str:
    if len(value) <= _KEPT:
        return value.hex()
    return f"{value[:_KEPT].hex()}… ({len(value):,} bytes, {_hash(value)})"


def _hash(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=8).hexdigest()
