"""Numbers the states that occur, and finds the numbers of given states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["StateTable"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class StateTable:
    """The distinct rows of a matrix, such as states, in the order of their features.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, d)
        In any order, also repeatedly.

    Attributes
    ----------
    states : ndarray of float64, shape (n_states, d)
    codes : ndarray of int64, shape (n,)
        Number of each of the rows.
    """

    def __init__(self, rows: Floats) -> None:
        rows = np.asarray(rows, np.float64) + 0.0  # -0.0 is 0.0
        # Column after column, the numbers of the rows' beginnings and the values of a column give
        # the numbers of longer beginnings: binary searches of integers, whatever the width.
        self._values: list[Floats] = []
        self._keys: list[Ints] = []
        codes = np.zeros(len(rows), np.int64)
        for column in rows.T:
            values, at = np.unique(column, return_inverse=True)
            keys, codes = np.unique(codes * len(values) + at, return_inverse=True)
            self._values.append(values)
            self._keys.append(keys)
        first = np.zeros(int(codes.max()) + 1 if len(codes) else 0, np.int64)
        first[codes[::-1]] = np.arange(len(rows))[::-1]
        self.states: Floats = rows[first]
        self.codes: Ints = codes.astype(np.int64)

    def __len__(self) -> int:
        return len(self.states)

    def find(self, rows: npt.ArrayLike) -> Ints:
        """Return the numbers of states of shape (n, d): shape (n,), -1 where there is none."""
        found = np.asarray(rows, np.float64) + 0.0
        codes = np.zeros(len(found), np.int64)
        known = np.full(len(found), len(self) > 0)
        for column, values, keys in zip(found.T, self._values, self._keys, strict=True):
            at = _search(values, column, known)
            codes = _search(keys, codes * len(values) + at, known)
        return np.where(known, codes, -1)


def _search(known: npt.NDArray[Any], values: npt.NDArray[Any], found: npt.NDArray[Any]) -> Ints:
    """Return the places of values in a sorted array; clear `found` where they are not in it."""
    if not len(known):
        return np.zeros(len(values), np.int64)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    found &= known[at] == values
    return at.astype(np.int64)
