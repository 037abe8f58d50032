"""The shards of a manifest in columns, for the way to workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.shard_info import ShardInfo

__all__ = ["PackedShards"]

_NUMBERS = ("index", "rows", "bytes", "block_bytes", "missing")
_TEXTS = ("file", "sha256", "footer_sha256")
_LISTS = ("row_groups", "class_rows")


class PackedShards(Sequence[ShardInfo]):
    """Shards as arrays, from which the entry of one is made when it is asked for.

    Every task unpickles the data set that it works on. A hundred thousand entries as objects take
    it seconds and hundreds of megabytes; their arrays take milliseconds, and a task reads a few
    shards only.

    Parameters
    ----------
    shards : sequence of ShardInfo
    """

    def __init__(self, shards: Sequence[ShardInfo]) -> None:
        # Column by column, so that a data set is not held twice as Python objects.
        self._numbers = {n: _fitting([getattr(s, n) for s in shards]) for n in _NUMBERS}
        # Fixed widths: UTF-8 of names and hexadecimal digits has no zero bytes at its end.
        self._texts = {n: np.array([getattr(s, n).encode() for s in shards], "S") for n in _TEXTS}
        self._lists = {n: _Lists.of([getattr(s, n) for s in shards]) for n in _LISTS}

    def __len__(self) -> int:
        return len(self._numbers["index"])

    @overload
    def __getitem__(self, at: int) -> ShardInfo: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[ShardInfo, ...]: ...

    def __getitem__(self, at: int | slice) -> ShardInfo | tuple[ShardInfo, ...]:
        if isinstance(at, slice):
            return tuple(self[i] for i in range(*at.indices(len(self))))
        if not -len(self) <= at < len(self):
            raise IndexError(f"there is no shard {at}")
        at = int(at) % len(self)
        values: dict[str, Any] = {n: int(column[at]) for n, column in self._numbers.items()}
        values |= {n: column[at].decode() for n, column in self._texts.items()}
        values |= {n: column[at] for n, column in self._lists.items()}
        return ShardInfo(**values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def total(self, name: str) -> int:
        """Return the sum of a number over all shards, for example of ``"rows"``."""
        return int(self._numbers[name].sum(dtype=np.int64))


class _Lists:
    """Lists of integers, one after the other."""

    def __init__(self, values: npt.NDArray[Any], starts: npt.NDArray[Any]) -> None:
        self._values = values
        self._starts = starts

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> _Lists:
        starts = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(x) for x in lists], out=starts[1:])
        return cls(_fitting([n for x in lists for n in x]), _fitting(starts))

    def __getitem__(self, at: int) -> tuple[int, ...]:
        return tuple(self._values[self._starts[at] : self._starts[at + 1]].tolist())


def _fitting(values: Any) -> npt.NDArray[Any]:
    """Return integers in four bytes each where these hold all of them, else in eight."""
    found = np.asarray(values, np.int64)
    narrow = found.astype(np.int32)
    return narrow if (narrow == found).all() else found
