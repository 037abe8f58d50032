"""Mean and standard deviation of features and target, from a random sample of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block

__all__ = ["SAMPLE_ROWS", "Moments", "sample_moments"]

SAMPLE_ROWS = 65_536
# Rounding errors of float64 sums of a constant are smaller, and so are differences within float32.
_ROUNDING = 1e-9
_SMALLEST = float(np.finfo(np.float32).tiny)

Gather = Callable[[npt.NDArray[np.float64]], Sequence[npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class Moments:
    """Sums over rows that give mean and standard deviation, without missing values.

    Attributes
    ----------
    sums : ndarray of shape (3, d)
        For each column the number of known values, their mean, and the sum of squared deviations.
    """

    sums: npt.NDArray[np.float64]

    @classmethod
    def none(cls, width: int) -> Moments:
        """Return the moments of no rows."""
        return cls(np.zeros((3, width)))

    @classmethod
    def of(cls, X: Any) -> Moments:
        """Return the moments of a dense or CSR matrix, shape (n, d).

        In float64, around an estimate of the mean, so that neither small units nor a large mean
        lose digits.
        """
        if not isinstance(X, np.ndarray):
            return cls._of_sparse(X)
        known = ~np.isnan(X)
        count = known.sum(axis=0).astype(np.float64)
        total = X.sum(axis=0, dtype=np.float64, where=known)
        guess = (total / np.maximum(count, 1)).astype(X.dtype)
        centred = np.subtract(X, guess, out=np.zeros_like(X), where=known)
        return cls._about(
            guess,
            count,
            centred.sum(axis=0, dtype=np.float64),
            np.einsum("ij,ij->j", centred, centred, dtype=np.float64),
        )

    @classmethod
    def _of_sparse(cls, X: Any) -> Moments:
        """Return the moments of a CSR matrix; its zeros are known values."""
        width, data = X.shape[1], X.data.astype(np.float64)
        known = ~np.isnan(data)
        column, data = X.indices[known], data[known]
        unknown = X.indices[~known]

        def per_column(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.bincount(column, weights, minlength=width).astype(np.float64, copy=False)

        count = X.shape[0] - np.bincount(unknown, minlength=width).astype(np.float64)
        zeros = count - np.bincount(column, minlength=width)
        mean = per_column(data) / np.maximum(count, 1)
        squares = per_column(np.square(data - mean[column])) + zeros * mean**2
        return cls(np.stack([count, mean, squares]))

    @classmethod
    def _about(
        cls,
        guess: npt.NDArray[Any],
        count: npt.NDArray[np.float64],
        total: npt.NDArray[np.float64],
        squares: npt.NDArray[np.float64],
    ) -> Moments:
        """Return the moments from sums of differences from `guess` and of their squares."""
        off = total / np.maximum(count, 1)
        mean = guess.astype(np.float64) + off
        return cls(np.stack([count, mean, np.maximum(squares - total * off, 0.0)]))

    def joined(self, other: Moments) -> Moments:
        """Return the moments of the rows of both.

        Without cancellation: Chan, Golub, LeVeque (1983), "Algorithms for computing the sample
        variance: analysis and recommendations", The American Statistician 37.
        """
        (n, mean, squares), (more, other_mean, other_squares) = self.sums, other.sums
        both = np.maximum(n + more, 1)
        gap = other_mean - mean
        return Moments(
            np.stack(
                [
                    n + more,
                    mean + gap * more / both,
                    squares + other_squares + gap**2 * n * more / both,
                ]
            )
        )

    def mean_and_std(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and standard deviation; the latter is 1 for a constant column.

        A column is constant if its deviation is rounding error relative to the mean, in any unit.
        """
        count, mean, squares = self.sums
        std = np.sqrt(squares / np.maximum(count, 1))
        std[std <= np.maximum(_ROUNDING * np.abs(mean), _SMALLEST)] = 1.0
        return mean.astype(np.float32), std.astype(np.float32)


def sample_moments(
    read: Callable[[int, Sequence[int]], Block],
    row_groups: Iterable[tuple[int, int, int]],
    n_features: int,
    *,
    rank: int = 0,
    ranks: int = 1,
    gather: Gather | None = None,
) -> tuple[Moments, Moments]:
    """Return the moments of features and label, from about `SAMPLE_ROWS` rows.

    Each rank reads every `ranks`-th row group of the sample, and all get the same result.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    row_groups : iterable of (int, int, int)
        Shard, row group and its rows, in random order.
    n_features : int
        Number of features.
    rank, ranks : int
        This rank, and the number of ranks.
    gather : callable, optional
        Returns the arrays of all ranks, in order, for an array of this rank.

    Returns
    -------
    features : Moments
        Of `n_features` columns.
    label : Moments
        Of one column.
    """
    own, rows = Moments.none(n_features + 1), 0
    for i, (shard, group, size) in enumerate(row_groups):
        if rows >= SAMPLE_ROWS:
            break
        rows += size
        if i % ranks != rank:
            continue
        block = read(shard, [group])
        parts = [Moments.of(block.X).sums, Moments.of(block.y[:, None].astype(np.float64)).sums]
        own = own.joined(Moments(np.hstack(parts)))
    found = own
    if gather is not None:
        found = Moments.none(n_features + 1)
        for sums in gather(own.sums):
            found = found.joined(Moments(sums))
    return Moments(found.sums[:, :n_features]), Moments(found.sums[:, n_features:])
