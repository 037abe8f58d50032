"""Some of the rows: those without missing values, or as often as a bootstrap draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.variables import Variables

__all__ = ["BootstrapRows", "CompleteRows", "OfChosen", "drawn"]

_DRAWN_AT_ONCE = 1 << 20
# P(N <= k) of a Poisson variable of mean 1; more than ten draws of a row are cut off.
_LIMITS = np.cumsum(np.exp(-1.0) / np.cumprod([1.0, *range(1, 11)]))

Weights = npt.NDArray[np.int64]


class Choose(Protocol):
    """Chooses rows of a block, or tells how often it chooses each of distinct rows."""

    def __call__(self, codes: Codes) -> Codes:
        """Return the chosen rows of a block."""
        ...

    def often(self, codes: Codes, weights: Weights) -> Weights:
        """Return how often each of distinct rows is chosen, which occur as often as given."""
        ...


class _ChosenRows:
    """Rows of others."""

    def __init__(self, rows: CodedRows) -> None:
        self.rows = rows

    @property
    def variables(self) -> Variables:
        """The variables."""
        return self.rows.variables

    def _choose(self) -> Choose:
        raise NotImplementedError

    def sum(
        self,
        function: Callable[..., Summands],
        parameters: Sequence[Any] = (),
        *,
        description: str = "sum over rows",
    ) -> Arrays:
        """Return the sums of what a function returns for each block of the chosen rows."""
        return self.rows.sum(
            OfChosen(self._choose(), function), parameters, description=description
        )

    def held(self) -> HeldRows | None:
        """Return the chosen rows where all of them are in this process's memory."""
        rows = self.rows.held()
        return None if rows is None else self._chosen(rows)

    def _chosen(self, rows: HeldRows) -> HeldRows:
        raise NotImplementedError

    def close(self) -> None:
        """Free what the others keep."""
        self.rows.close()


@dataclass(frozen=True)
class OfChosen:
    """A function of chosen rows, as a function of those from which they are chosen."""

    choose: Choose
    function: Callable[..., Summands]

    def __call__(self, codes: Codes, *parameters: Any) -> Summands:
        """Return what the function returns for the chosen rows of a block."""
        return self.function(self.choose(codes), *parameters)

    def often(self, codes: Codes, weights: Weights) -> Weights:
        """Return how often each of distinct rows is chosen."""
        return self.choose.often(codes, weights)


class CompleteRows(_ChosenRows):
    """The rows without missing values."""

    def _choose(self) -> Choose:
        return _Complete()

    def merged(self) -> CompleteRows:
        """Return the complete ones of the merged rows."""
        return CompleteRows(self.rows.merged())

    def _chosen(self, rows: HeldRows) -> HeldRows:
        known = (rows.codes >= 0).all(axis=1)
        return HeldRows(rows.variables, rows.codes[known], rows.weights[known])


@dataclass(frozen=True)
class _Complete:
    def __call__(self, codes: Codes) -> Codes:
        found: Codes = codes[(codes >= 0).all(axis=1)]
        return found

    def often(self, codes: Codes, weights: Weights) -> Weights:
        return np.where((codes >= 0).all(axis=1), weights, 0)


class BootstrapRows(_ChosenRows):
    """Rows as often as a bootstrap of independent Poisson counts draws them.

    Parameters
    ----------
    rows : CodedRows
    seed, replicate : int
        With the row's content, and its number among equal rows, they decide how often it is drawn:
        a task that is retried draws the same rows. Of rows that were not merged (see
        `CodedRows.merged`), equal ones are numbered within their block, so that the draws depend on
        the blocks.

    References
    ----------
    Chamandy et al. (2012), "Estimating uncertainty for massive data streams", Google.
    """

    def __init__(self, rows: CodedRows, seed: int, replicate: int) -> None:
        super().__init__(rows)
        self.seed = seed
        self.replicate = replicate

    def _choose(self) -> Choose:
        return _Bootstrap(self.seed, self.replicate)

    def merged(self) -> BootstrapRows:
        """Return those that are drawn of the merged rows."""
        return BootstrapRows(self.rows.merged(), self.seed, self.replicate)

    def _chosen(self, rows: HeldRows) -> HeldRows:
        often = drawn_of_distinct(rows.codes, rows.weights, self.seed, self.replicate)
        return HeldRows(rows.variables, rows.codes[often > 0], often[often > 0])


@dataclass(frozen=True)
class _Bootstrap:
    seed: int
    replicate: int

    def __call__(self, codes: Codes) -> Codes:
        found: Codes = np.repeat(codes, drawn(codes, self.seed, self.replicate), axis=0)
        return found

    def often(self, codes: Codes, weights: Weights) -> Weights:
        return drawn_of_distinct(codes, weights, self.seed, self.replicate)


def drawn(codes: Codes, seed: int, replicate: int) -> npt.NDArray[np.int64]:
    """Return how often each row of a block is drawn, shape (n,)."""
    hashes = _seeded(codes, seed)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(codes)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(codes)), 0))
    among = np.empty(len(codes), np.int64)
    among[order] = np.arange(len(codes)) - starts
    return _draws(hashes, among, replicate)


def drawn_of_distinct(
    codes: Codes, weights: npt.NDArray[np.int64], seed: int, replicate: int
) -> npt.NDArray[np.int64]:
    """Return how often distinct rows are drawn, as `drawn` does of one block with all of them.

    Parameters
    ----------
    codes : ndarray of int, shape (m, d)
    weights : ndarray of int64, shape (m,)
        How often each occurs.
    seed, replicate : int

    Returns
    -------
    ndarray of int64, shape (m,)
    """
    hashes = _seeded(codes, seed)
    found = np.zeros(len(codes), np.int64)
    ends = np.cumsum(weights)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, _DRAWN_AT_ONCE):
        numbers = np.arange(begin, min(begin + _DRAWN_AT_ONCE, total))
        row = np.searchsorted(ends, numbers, side="right")
        draws = _draws(hashes[row], numbers - (ends - weights)[row], replicate)
        found += np.bincount(row, draws, minlength=len(found)).astype(np.int64)
    return found


def _seeded(codes: Codes, seed: int) -> npt.NDArray[np.uint64]:
    hashes = np.full(len(codes), np.uint64(seed % 2**63), np.uint64)
    for v in range(codes.shape[1]):
        hashes = _mixed(hashes ^ codes[:, v].astype(np.int64).view(np.uint64))
    return hashes


def _draws(
    hashes: npt.NDArray[np.uint64], among: npt.NDArray[np.int64], replicate: int
) -> npt.NDArray[np.int64]:
    for more in (among, np.full(len(hashes), replicate)):
        hashes = _mixed(hashes ^ more.astype(np.int64).view(np.uint64))
    share = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.searchsorted(_LIMITS, share, side="right").astype(np.int64)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return values through the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
