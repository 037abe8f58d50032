"""Counts of the rows of one block, in numpy: exact integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["Codes", "Target", "count_bases", "count_triples", "upper_cells"]

#: Codes of a block's rows, shape (n, d); -1 where a value is missing.
Codes = npt.NDArray[Any]
# Rows at once: float32 counts them exactly, and their indicators take a few megabytes.
_INDICATOR_BYTES = 16 << 20
_MOST_ROWS = 1 << 20
# With more states to a variable on average, counting cell by cell is faster.
_STATES_TO_MULTIPLY = 16


@dataclass(frozen=True)
class Target:
    """A base, whose cells are counted together with each state of other variables.

    Attributes
    ----------
    base : tuple of int
        Variables, ascending; may be empty.
    others : tuple of int or None
        Variables whose states are counted in each cell; None for all.
    without : tuple of (int, int)
        Variables of the base and a state of each: rows with such a value do not count.
    """

    base: tuple[int, ...]
    others: tuple[int, ...] | None = None
    without: tuple[tuple[int, int], ...] = ()


def _offsets(cards: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(cards)]).astype(np.int64)


def _indicators(codes: Codes, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return a column of zeros and ones for each state, shape (n, S)."""
    found = np.zeros((len(codes), int(offsets[-1])), np.float32)
    rows = np.arange(len(codes))
    for v in range(codes.shape[1]):
        here = codes[:, v]
        if here.size and here.min() < 0:
            known = here >= 0
            found[rows[known], offsets[v] + here[known]] = 1
        else:
            found[rows, offsets[v] + here] = 1
    return found


def _chunks(codes: Codes, states: int) -> list[Codes]:
    step = max(256, min(_MOST_ROWS, _INDICATOR_BYTES // (4 * max(1, states))))
    return [codes[at : at + step] for at in range(0, len(codes), step)]


def _multiplies(cards: npt.NDArray[np.int64]) -> bool:
    return bool(cards.sum() <= _STATES_TO_MULTIPLY * len(cards))


def upper_cells(cards: npt.NDArray[np.int64]) -> int:
    """Return the number of cells that `count_triples` returns."""
    left = cards[::-1].cumsum()[::-1] - cards
    return int((cards * left * left).sum())


def count_triples(codes: Codes, cards: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """Count all pairs and all triples of variables.

    Parameters
    ----------
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing; such a row counts for the families without that variable.
    cards : ndarray of int64, shape (d,)
        Number of states of each variable.

    Returns
    -------
    dict of ndarray
        ``rows``: their number; ``pairs`` of shape (S, S), S being the number of all states; and
        ``triples``: for each variable v, an array of shape (r_v, S_v, S_v) of the states of the
        variables after v, all arrays flat and one after the other.

    Notes
    -----
    The counts of a state of v with all pairs of other states are the product BᵀB of the indicators
    B of the rows in that state, a product of matrices of float32 in which all numbers are whole and
    below 2**24; of the most frequent state, the difference of the pairs and these. Where variables
    have many states, cells are counted one by one.
    """
    offsets = _offsets(cards)
    states, d = int(offsets[-1]), len(cards)
    pairs = np.zeros((states, states), np.int64)
    triples = [
        np.zeros((int(cards[v]), states - int(offsets[v + 1]), states - int(offsets[v + 1])))
        for v in range(d)
    ]
    for part in _chunks(codes, states):
        marks = _indicators(part, offsets)
        both = marks.T @ marks
        pairs += both.astype(np.int64)
        if _multiplies(cards):
            for v in range(d):
                after = int(offsets[v + 1])
                if after < states:
                    _triples_by_state(
                        part[:, v], marks[:, after:], both[after:, after:], triples[v]
                    )
        else:
            _triples_by_cell(part, cards, offsets, triples)
    flat = [t.ravel() for t in triples]
    return {
        "rows": np.array(len(codes), np.int64),
        "pairs": pairs,
        "triples": np.concatenate(flat).astype(np.int64) if flat else np.zeros(0, np.int64),
    }


def _triples_by_state(
    column: Codes,
    marks: npt.NDArray[np.float32],
    both: npt.NDArray[np.float32],
    into: npt.NDArray[Any],
) -> None:
    """Add the counts of each state of a variable with all pairs of others.

    Parameters
    ----------
    column : ndarray of int, shape (n,)
        The variable.
    marks : ndarray of float32, shape (n, s)
        Indicators of the others.
    both : ndarray of float32, shape (s, s)
        The counts of pairs of the others.
    into : ndarray of shape (r, s, s)
    """
    order = np.argsort(column, kind="stable")
    ends = np.searchsorted(column[order], np.arange(-1, len(into) + 1))
    frequent = int(np.diff(ends[1:]).argmax())
    rest = both.copy()
    for s in range(-1, len(into)):
        rows = order[ends[s + 1] : ends[s + 2]]
        if s == frequent or not len(rows):
            continue
        some = marks[rows]
        product = some.T @ some
        rest -= product
        if s >= 0:
            into[s] += product
    into[frequent] += rest


def _triples_by_cell(
    codes: Codes,
    cards: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    triples: list[npt.NDArray[Any]],
) -> None:
    d = len(cards)
    for v in range(d):
        for w in range(v + 1, d):
            table = _cells(codes, (v, w), cards, tuple(range(w, d)))
            first = int(offsets[w] - offsets[v + 1])
            block = table.reshape(int(cards[v]), int(cards[w]), -1)
            end = first + int(cards[w])
            triples[v][:, first:end, first:] += block
            triples[v][:, end:, first:end] += block[:, :, int(cards[w]) :].transpose(0, 2, 1)


def _base_codes(columns: Sequence[Codes], cards: Sequence[int], rows: int) -> npt.NDArray[np.int64]:
    """Return the cell of each row in the table of a base; -1 where a value is missing."""
    found = np.zeros(rows, np.int64)
    missing = np.zeros(rows, bool)
    for here, r in zip(columns, cards, strict=True):
        found *= r
        found += here
        missing |= here < 0
    found[missing] = -1
    return found


def _cells(
    codes: Codes, base: Sequence[int], cards: npt.NDArray[np.int64], others: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Count each cell of a base with the states of others, one variable after another."""
    size = int(np.prod([cards[v] for v in base], dtype=np.int64))
    cell = _base_codes([codes[:, v] for v in base], [int(cards[v]) for v in base], len(codes))
    known = cell >= 0
    complete = bool(known.all())
    parts = []
    for y in others:
        here, r = codes[:, y], int(cards[y])
        if complete and not (here.size and here.min() < 0):
            code = cell * r + here
        else:
            both = known & (here >= 0)
            code = cell[both] * r + here[both]
        parts.append(np.bincount(code, minlength=size * r).reshape(size, r))
    return np.concatenate(parts, axis=1) if parts else np.zeros((size, 0), np.int64)


def count_bases(
    codes: Codes, cards: npt.NDArray[np.int64], targets: Sequence[Target]
) -> dict[str, npt.NDArray[np.int64]]:
    """Count the cells of bases, each with the states of other variables.

    Parameters
    ----------
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing; such a row does not count for the families of the variable.
    cards : ndarray of int64, shape (d,)
    targets : sequence of Target

    Returns
    -------
    dict of ndarray
        ``rows``, and ``0``, ``1``, … for the targets, of shape (cells of the base, states of the
        others).
    """
    offsets = _offsets(cards)
    states, everything = int(offsets[-1]), tuple(range(len(cards)))
    found = {"rows": np.array(len(codes), np.int64)}
    for i, target in enumerate(targets):
        size = int(np.prod([cards[v] for v in target.base], dtype=np.int64))
        others = everything if target.others is None else target.others
        found[str(i)] = np.zeros((size, int(cards[list(others)].sum())), np.int64)
    whole = _multiplies(cards) and any(t.others is None for t in targets)
    for part in _chunks(codes, states if whole else 64):
        marks = _indicators(part, offsets) if whole else None
        columns = np.ascontiguousarray(part.T)
        outside = {pair: columns[pair[0]] != pair[1] for t in targets for pair in t.without}
        every = np.arange(len(part) + 1, dtype=np.int32)
        for i, target in enumerate(targets):
            into = found[str(i)]
            some = None
            for pair in target.without:
                some = outside[pair] if some is None else some & outside[pair]
            if marks is None or target.others is not None:
                others = everything if target.others is None else target.others
                into += _cells(part if some is None else part[some], target.base, cards, others)
                continue
            rows: Any = slice(None)
            starts = every
            if some is not None:
                rows = np.flatnonzero(some)
                starts = np.zeros_like(every)
                np.cumsum(some, out=starts[1:])
            base = [columns[v][rows] for v in target.base]
            cell = _base_codes(base, [int(cards[v]) for v in target.base], int(starts[-1]))
            weight = (cell >= 0).astype(np.float32)
            column = sp.csc_matrix(
                (weight, np.maximum(cell, 0), starts), shape=(len(into), len(part))
            )
            into += np.asarray(column @ marks).astype(np.int64)
    return found
