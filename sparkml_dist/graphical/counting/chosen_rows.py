"""Some of the rows: those without missing values, or as often as a bootstrap draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.variables import Variables

__all__ = ["BootstrapRows", "CompleteRows", "drawn"]

# P(N <= k) of a Poisson variable of mean 1; more than ten draws of a row are cut off.
_LIMITS = np.cumsum(np.exp(-1.0) / np.cumprod([1.0, *range(1, 11)]))

Choose = Callable[[Codes], Codes]


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
        return self.rows.sum(_Chosen(self._choose(), function), parameters, description=description)

    def close(self) -> None:
        """Do nothing: the rows are those of another."""


@dataclass(frozen=True)
class _Chosen:
    choose: Choose
    function: Callable[..., Summands]

    def __call__(self, codes: Codes, *parameters: Any) -> Summands:
        return self.function(self.choose(codes), *parameters)


class CompleteRows(_ChosenRows):
    """The rows without missing values."""

    def _choose(self) -> Choose:
        return _complete


def _complete(codes: Codes) -> Codes:
    found: Codes = codes[(codes >= 0).all(axis=1)]
    return found


class BootstrapRows(_ChosenRows):
    """Rows as often as a bootstrap of independent Poisson counts draws them.

    Parameters
    ----------
    rows : CodedRows
    seed, replicate : int
        With the row's content, and its number among equal rows of a block, they decide how often
        it is drawn: a task that is retried draws the same rows.

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


@dataclass(frozen=True)
class _Bootstrap:
    seed: int
    replicate: int

    def __call__(self, codes: Codes) -> Codes:
        found: Codes = np.repeat(codes, drawn(codes, self.seed, self.replicate), axis=0)
        return found


def drawn(codes: Codes, seed: int, replicate: int) -> npt.NDArray[np.int64]:
    """Return how often each row of a block is drawn, shape (n,)."""
    hashes = np.full(len(codes), np.uint64(seed % 2**63), np.uint64)
    for v in range(codes.shape[1]):
        hashes = _mixed(hashes ^ codes[:, v].astype(np.int64).view(np.uint64))
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(codes)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(codes)), 0))
    among = np.empty(len(codes), np.int64)
    among[order] = np.arange(len(codes)) - starts
    for more in (among, np.full(len(codes), replicate)):
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
