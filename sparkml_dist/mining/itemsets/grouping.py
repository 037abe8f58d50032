"""Groups of classes, balanced by estimated work and bounded in memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grouping", "Split", "group_classes"]

# Bytes of a task per basket entry: its code as received, concatenated and merged, and arrays of
# positions.
_BYTES_PER_ENTRY = 80
# Least memory of a group.
_LEAST_ENTRIES = 1 << 16
# Factor by which a group of whole baskets may exceed its estimate.
_OVER = 3
# Memory of a worker's interpreter with numpy and Arrow.
_BASE = 160 << 20
# Estimated seconds per itemset and per basket entry; only their ratio matters.
_PER_ITEMSET = 1e-6
_PER_ENTRY = 1e-7


@dataclass(frozen=True)
class Split:
    """A class too large for one task: its second items are distributed over several.

    Attributes
    ----------
    code : int
        Rank of the class's rarest item.
    first_group : int
        The first of its groups.
    parts : int
        Number of its groups; a second item belongs to the group of its rank modulo this.
    """

    code: int
    first_group: int
    parts: int


@dataclass(frozen=True)
class Grouping:
    """Which group mines which class.

    Attributes
    ----------
    owner : ndarray of int32, shape (n_codes,)
        Group of each class, by the rank of its rarest item; -1 for those that are split.
    groups : int
        Number of groups, those of split classes included; they come last.
    largest_entries : float
        Estimated items of the baskets of the largest group that is not part of a class.
    splits : tuple of Split
    most_entries : int
        Entries of the distinct baskets of a group above which its task raises; 0 for no limit.
    """

    owner: npt.NDArray[np.int32]
    groups: int
    largest_entries: float
    splits: tuple[Split, ...] = ()
    most_entries: int = 0


def group_classes(
    itemsets: npt.NDArray[np.float64],
    entries: npt.NDArray[np.float64],
    memory: int,
    at_least: int,
    exactly: int | None = None,
    *,
    lengths: npt.NDArray[np.float64] | None = None,
) -> Grouping:
    """Put classes into groups of about equal work, the largest ones first (Graham 1969).

    Parameters
    ----------
    itemsets, entries : ndarray of float, shape (n_codes,)
        Estimates for each class.
    memory : int
        Bytes that a task may use.
    at_least : int
        Least number of groups, so that no task slot is idle.
    exactly : int, optional
        Number of groups, in place of the estimate.
    lengths : ndarray of float, shape (n_codes,), optional
        Mean number of items of a class's baskets; needed where the target needs whole baskets.

    Notes
    -----
    Classes that are too large for a task are split, unless `exactly` is given.

    Returns
    -------
    Grouping
    """
    work = itemsets * _PER_ITEMSET + entries * _PER_ENTRY
    limit = max(float(_LEAST_ENTRIES), (memory - _BASE) / _BYTES_PER_ENTRY)
    large = entries > limit if exactly is None else np.zeros(len(work), bool)
    whole = np.flatnonzero(~large)
    number = exactly or max(at_least, int(np.ceil(entries[whole].sum() / limit)))
    number = max(1, min(number, len(whole))) if len(whole) else 0
    owner = np.full(len(work), -1, np.int32)
    largest = 0.0
    while number:
        owner[whole] = _assigned(work[whole], number)
        largest = float(np.bincount(owner[whole], entries[whole], minlength=number).max())
        if exactly or largest <= limit or number >= len(whole):
            break
        number = min(len(whole), number * 2)
    splits = []
    for code in np.flatnonzero(large):
        # Parts share entries: a basket goes to each part from the part's first item on, or as a
        # whole to as many parts as it has items.
        shares = 1.0 if lengths is None else max(1.0, lengths[code])
        parts = 2 * int(np.ceil(entries[code] / limit * shares))
        parts = max(1, min(parts, len(work) - 1 - int(code)))  # there are no more second items
        splits.append(Split(int(code), number, parts))
        number += parts
    most = int(limit * _OVER) if lengths is not None and exactly is None else 0
    return Grouping(owner, number, largest, tuple(splits), most)


def _assigned(work: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.int32]:
    owner = np.zeros(len(work), np.int32)
    loads = [(0.0, group) for group in range(number)]
    for code in np.argsort(-work, kind="stable"):
        load, group = heapq.heappop(loads)
        owner[code] = group
        heapq.heappush(loads, (load + float(work[code]), group))
    return owner
