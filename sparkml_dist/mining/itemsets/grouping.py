"""How the classes are put into groups: balanced by estimated work, bounded in memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grouping", "group_classes"]

# Bytes of a task for each item of its baskets: its code as it comes in, as it is joined and
# merged, and the arrays of positions beside it.
_BYTES_PER_ENTRY = 80
# What a worker's interpreter holds with numpy and Arrow.
_BASE = 160 << 20
# Seconds for an itemset and for an item of a basket; only their proportion counts.
_PER_ITEMSET = 1e-6
_PER_ENTRY = 1e-7


@dataclass(frozen=True)
class Grouping:
    """Which group mines which class.

    Attributes
    ----------
    owner : ndarray of int32, shape (n_codes,)
        Group of each class, by the rank of its rarest item.
    groups : int
    largest_entries : float
        Estimated items of the baskets of the largest group.
    """

    owner: npt.NDArray[np.int32]
    groups: int
    largest_entries: float


def group_classes(
    itemsets: npt.NDArray[np.float64],
    entries: npt.NDArray[np.float64],
    memory: int,
    at_least: int,
    exactly: int | None = None,
) -> Grouping:
    """Put classes into groups of about equal work, the largest ones first (Graham 1969).

    Parameters
    ----------
    itemsets, entries : ndarray of float, shape (n_codes,)
        Estimates for each class.
    memory : int
        Bytes that a task may use.
    at_least : int
        Groups that are wanted, so that no slot waits.
    exactly : int, optional
        Make so many groups instead.

    Returns
    -------
    Grouping
    """
    work = itemsets * _PER_ITEMSET + entries * _PER_ENTRY
    limit = max(1 << 16, (memory - _BASE) / _BYTES_PER_ENTRY)
    number = exactly or max(at_least, int(np.ceil(entries.sum() / limit)))
    number = max(1, min(number, len(work)))
    while True:
        owner = _assigned(work, number)
        largest = float(np.bincount(owner, entries, minlength=number).max())
        if exactly or largest <= limit or number >= len(work):
            return Grouping(owner, number, largest)
        number = min(len(work), number * 2)


def _assigned(work: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.int32]:
    owner = np.zeros(len(work), np.int32)
    loads = [(0.0, group) for group in range(number)]
    for code in np.argsort(-work, kind="stable"):
        load, group = heapq.heappop(loads)
        owner[code] = group
        heapq.heappush(loads, (load + float(work[code]), group))
    return owner
