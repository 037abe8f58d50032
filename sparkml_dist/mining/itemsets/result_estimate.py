"""Estimates of the number of itemsets per class, by random probes of the search space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.pair_counts import both_sided_counts

__all__ = ["ClassEstimates", "estimate_classes"]

# Most classes that are probed; the others are interpolated by width.
_PROBED = 160
_PROBES = 48
# Most rows of a class that its probes read.
_ROWS = 4096
_CELLS = 1 << 22


@dataclass(frozen=True)
class ClassEstimates:
    """Estimates for each class, by the rank of its rarest item.

    Attributes
    ----------
    itemsets : ndarray of float, shape (n_codes,)
    entries : ndarray of float, shape (n_codes,)
        Items in the distinct rows that a class is mined from.
    """

    itemsets: npt.NDArray[np.float64]
    entries: npt.NDArray[np.float64]


def estimate_classes(
    rows: BasketRows, n_codes: int, min_count: float, *, whole: bool = False, seed: int = 0
) -> ClassEstimates:
    """Estimate the number of frequent itemsets of every class.

    A probe walks down the search tree of a class and takes one branch at random at each step; the
    inverse probability of its path estimates the number of itemsets at its depth (Knuth 1975). Half
    of the choices favour branches with many items left, which have larger subtrees (Chen 1992).

    Parameters
    ----------
    rows : BasketRows
        All baskets, or a random sample.
    n_codes : int
    min_count : float
        Threshold for these rows.
    whole : bool, default=False
        Whether a class is mined from its whole baskets, for `ClassEstimates.entries`.
    seed : int, default=0

    Returns
    -------
    ClassEstimates
    """
    rng = np.random.default_rng(seed)
    lengths = rows.lengths
    if whole:
        reach = np.repeat(lengths, lengths)
    else:
        reach = np.repeat(rows.offsets[1:], lengths) - np.arange(len(rows.codes))
    entries = np.bincount(rows.codes, reach, minlength=n_codes).astype(np.float64)
    later = np.zeros(n_codes, np.int64)
    partners: dict[int, npt.NDArray[np.int64]] = {}
    step = max(1, _CELLS // max(1, n_codes))
    for low in range(0, n_codes, step):
        block = np.arange(low, min(low + step, n_codes))
        beside = both_sided_counts(rows, n_codes, block) >= min_count
        for code, row in zip(block, beside, strict=True):
            partners[int(code)] = np.flatnonzero(row[code:]) + code
            later[code] = len(partners[int(code)])
    order = np.argsort(later, kind="stable")
    wide = order[later[order] > 1]
    itemsets = (1 + later).astype(np.float64)
    if not len(wide):
        return ClassEstimates(itemsets, entries)
    picked = wide[np.unique(np.linspace(0, len(wide) - 1, _PROBED).astype(np.int64))]
    by_code = np.argsort(rows.codes, kind="stable")
    bounds = np.searchsorted(rows.codes[by_code], np.arange(n_codes + 1))
    found = np.zeros(len(picked))
    for i, code in enumerate(picked):
        at = by_code[bounds[code] : bounds[code + 1]]
        found[i] = _probed(rows, at, partners[int(code)], min_count, rng)
    # Other classes are interpolated between those of similar width.
    at = np.searchsorted(later[picked], later[wide], side="left")
    itemsets[wide] = np.maximum(itemsets[wide], found[at])
    itemsets[picked] = found
    return ClassEstimates(itemsets, entries)


def _probed(
    rows: BasketRows,
    entries: npt.NDArray[np.int64],
    partners: npt.NDArray[np.int64],
    min_count: float,
    rng: np.random.Generator,
) -> float:
    """Return the estimated number of itemsets of the class whose item is at `entries`."""
    scale = 1.0
    if len(entries) > _ROWS:
        scale = len(entries) / _ROWS
        entries = rng.choice(entries, _ROWS, replace=False)
    part = rows.take(np.searchsorted(rows.offsets, entries, side="right") - 1)
    k = len(partners)
    place = np.full(max(int(part.codes.max()), int(partners[-1])) + 1, -1, np.int32)
    place[partners] = np.arange(k)
    codes = place[part.codes]
    used = codes >= 0
    X = np.zeros((len(part), k), np.float32)
    X[np.repeat(np.arange(len(part)), part.lengths)[used], codes[used]] = 1
    weighted = X * (part.weights * scale).astype(np.float32)[:, None]
    held = np.ones((_PROBES, len(X)), np.float32)
    reach = np.ones((_PROBES, k), bool)
    factor = np.ones(_PROBES)
    total = float(_PROBES)
    while len(held):
        branches = reach & (held @ weighted >= min_count - 0.5)
        number = branches.sum(axis=1)
        total += float(factor @ number)
        going = number > 0
        held, branches, factor = held[going], branches[going], factor[going]
        if not len(held):
            break
        left = np.cumsum(branches[:, ::-1], axis=1)[:, ::-1] - number[going, None]
        growth = np.where(branches, 2.0**left, 0.0)
        growth /= growth.sum(axis=1, keepdims=True)
        chance = 0.5 * growth + 0.5 * branches / number[going, None]
        reached = np.cumsum(chance, axis=1) < rng.random((len(held), 1))
        drawn = np.minimum(reached.sum(axis=1), k - 1)
        at = np.arange(len(held))
        factor = factor / np.maximum(chance[at, drawn], 1e-12)
        held = held * X[:, drawn].T
        reach = branches & (np.arange(k) > drawn[:, None])
    return total / _PROBES
