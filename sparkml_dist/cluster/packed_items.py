"""A sequence whose items are unpickled one by one, for closures that all tasks get."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, overload

__all__ = ["PackedItems"]

_Item = TypeVar("_Item")


class PackedItems(Sequence[_Item]):
    """Items of which each task needs one.

    Every task unpickles its closure: with n items for n tasks, that is n² objects. Here it is one
    string of bytes for each item, and one object.

    Parameters
    ----------
    items : iterable
        Of a library class, which every worker can import.
    """

    def __init__(self, items: Iterable[_Item]) -> None:
        self._pickled: tuple[bytes, ...] = tuple(map(pickle.dumps, items))

    def __len__(self) -> int:
        return len(self._pickled)

    @overload
    def __getitem__(self, at: int) -> _Item: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[_Item, ...]: ...

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return tuple(map(pickle.loads, self._pickled[at]))
        return pickle.loads(self._pickled[at])  # noqa: S301 - pickled above, in the same closure
