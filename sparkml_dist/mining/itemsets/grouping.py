"""How the classes are put into groups: balanced by estimated work, bounded in memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grouping", "Split", "group_classes"]

# Bytes of a task for each item of its baskets: its code as it comes in, as it is joined and
# merged, and the arrays of positions beside it.
_BYTES_PER_ENTRY = 80
# Groups are not made smaller than this, however little memory there is.
_LEAST_ENTRIES = 1 << 16
# How far a group of whole baskets may exceed its estimate.
_OVER = 3
# What a worker's interpreter holds with numpy and Arrow.
_BASE = 160 << 20
# Seconds for an itemset and for an item of a basket; only their proportion counts.
_PER_ITEMSET = 1e-6
_PER_ENTRY = 1e-7


@dataclass(frozen=True)
class Split:
    """A class too large for one task: its second items are dealt out to several.

    Attributes
    ----------
    code : int
        Rank of the class's rarest item.
    first_group : int
        The first of its groups.
    parts : int
        Number of its groups; the one of a second item is its rank modulo this.
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
        Items of the distinct baskets of a group at which its task gives up; 0 for no limit.
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
        Groups that are wanted, so that no slot waits.
    exactly : int, optional
        Make so many groups instead.
    lengths : ndarray of float, shape (n_codes,), optional
        Mean number of items of a class's baskets, where parts of a class need whole ones.

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
        # A part's baskets begin with its first item, so that two parts share some entries; whole
        # ones go to as many parts as they have items.
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
