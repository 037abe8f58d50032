"""Inference for many rows at once, some of whose values are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.inference.elimination import eliminated
from sparkml_dist.graphical.inference.factor import Factor, elimination_order
from sparkml_dist.graphical.network import Network

__all__ = ["Pattern", "filled", "log_likelihoods", "patterns", "posterior"]

# Cells of the largest table of a batch of rows.
_CELLS_AT_ONCE = 1 << 21

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """Rows of which the same variables are missing.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Positions of the rows.
    missing : tuple of int
    """

    rows: Ints
    missing: tuple[int, ...]


def patterns(codes: Codes) -> Iterator[Pattern]:
    """Yield the rows of a block by which of their values are missing."""
    missing = codes < 0
    if not missing.any():
        yield Pattern(np.arange(len(codes)), ())
        return
    packed = np.packbits(missing, axis=1)
    keys, inverse = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.searchsorted(inverse.ravel()[order], np.arange(len(keys) + 1))
    for k in range(len(keys)):
        rows = order[ends[k] : ends[k + 1]]
        yield Pattern(rows, tuple(int(v) for v in np.flatnonzero(missing[rows[0]])))


class _Case:
    """The factors of a pattern: what is left of the tables when observed values are filled in."""

    def __init__(self, network: Network, missing: Sequence[int]) -> None:
        self.network = network
        self.missing = set(missing)
        self.scopes = [
            tuple(w for w in network.family(v) if w in self.missing)
            for v in range(len(network.names))
        ]
        self.observed = [v for v, scope in enumerate(self.scopes) if not scope]

    def open_variables(self, keep: Sequence[int]) -> list[int]:
        """Return the variables whose tables matter: without missing ones that lead nowhere."""
        needed: set[int] = set()
        todo = [v for v in range(len(self.scopes)) if v not in self.missing or v in keep]
        while todo:
            v = todo.pop()
            if v not in needed:
                needed.add(v)
                todo.extend(p for p in self.network.parents[v] if p in self.missing)
        return [v for v in sorted(needed) if self.scopes[v]]

    def factor(self, v: int, codes: Codes) -> Factor:
        family, scope = self.network.family(v), self.scopes[v]
        seen = [w for w in family if w not in self.missing]
        axes = [family.index(w) for w in (*seen, *scope)]
        table = self.network.tables[v].transpose(axes)
        if not seen:
            return Factor(scope, table[None])
        return Factor(scope, table[tuple(codes[:, w] for w in seen)])

    def batches(self, keep: Sequence[int], rows: int) -> tuple[list[int], list[int], int]:
        """Return the variables whose tables matter, the order of elimination, and rows at once."""
        cards = self.network.variables.cards
        used = self.open_variables(keep)
        scopes = [set(self.scopes[v]) for v in used]
        over = set().union(*scopes) if scopes else set()
        order = elimination_order([tuple(s) for s in scopes], over - set(keep), cards)
        largest, left = self.network.variables.cells(tuple(keep)), list(scopes)
        for v in order:
            joined = set().union(*(s for s in left if v in s))
            largest = max(largest, self.network.variables.cells(tuple(joined)))
            left = [s for s in left if v not in s] + [joined - {v}]
        return used, order, min(rows, max(1, _CELLS_AT_ONCE // max(1, largest)))

    def joint(self, codes: Codes, keep: Sequence[int]) -> tuple[Floats, Floats]:
        """Return P(kept variables, observed values) of rows, and its logarithm's scale.

        Returns
        -------
        values : ndarray of shape (n, states of the kept variables…)
        log_scale : ndarray of shape (n,)
        """
        cards = self.network.variables.cards
        used, order, step = self.batches(keep, len(codes))
        shape = [int(cards[v]) for v in keep]
        values, scales = np.empty((len(codes), *shape)), np.zeros(len(codes))
        for at in range(0, len(codes), max(1, step)):
            part = codes[at : at + step]
            factors = [self.factor(v, part) for v in used]
            found, scale = eliminated(factors, keep, cards, order=order)
            values[at : at + step] = found.aligned(keep)
            scales[at : at + step] = scale
        with np.errstate(divide="ignore"):
            for v in self.observed:
                logs = np.log(self.network.tables[v])
                scales += logs[tuple(codes[:, w] for w in self.network.family(v))]
        return values, scales


def log_likelihoods(network: Network, codes: Codes) -> Floats:
    """Return the logarithm of the probability of the observed values of rows, shape (n,).

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing.
    """
    found = np.zeros(len(codes))
    for pattern in patterns(codes):
        part = codes[pattern.rows]
        if not pattern.missing:
            found[pattern.rows] = network.log_likelihoods(part)
            continue
        values, scales = _Case(network, pattern.missing).joint(part, ())
        with np.errstate(divide="ignore"):
            found[pattern.rows] = np.log(values) + scales
    return found


def posterior(network: Network, codes: Codes, keep: Sequence[int]) -> Floats:
    """Return the distribution of variables, given all other observed values of each row.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing; those of `keep` are not looked at.
    keep : sequence of int

    Returns
    -------
    ndarray of shape (n, states of the kept variables…)
        NaN where the observed values have the probability 0.
    """
    codes = codes.copy()
    codes[:, list(keep)] = -1
    shape = [int(network.variables.cards[v]) for v in keep]
    found = np.empty((len(codes), *shape))
    for pattern in patterns(codes):
        values, scales = _Case(network, pattern.missing).joint(codes[pattern.rows], keep)
        total = values.reshape(len(values), -1).sum(axis=1)
        total[~np.isfinite(scales)] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            found[pattern.rows] = np.where(
                (total > 0).reshape(-1, *(1,) * len(shape)),
                values / total.reshape(-1, *(1,) * len(shape)),
                np.nan,
            )
    return found


def filled(network: Network, codes: Codes) -> Codes:
    """Return rows whose missing values are each the most probable one, given the observed ones.

    A missing value stays -1 where the observed values have the probability 0.
    """
    found = codes.copy()
    for pattern in patterns(codes):
        for v in pattern.missing:
            shares = posterior(network, codes[pattern.rows], (v,))
            best = np.where(np.isnan(shares).any(axis=1), -1, np.nan_to_num(shares).argmax(axis=1))
            found[pattern.rows, v] = best
    return found
