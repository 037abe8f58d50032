"""Mean and spread of every feature and of the target, from a sample: a fair one, as shards are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block

__all__ = ["SAMPLE_ROWS", "Moments", "sample_moments"]

SAMPLE_ROWS = 65_536

Gather = Callable[[npt.NDArray[np.float64]], Sequence[npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class Moments:
    """Sums over rows, from which mean and standard deviation follow; missing values left out.

    Attributes
    ----------
    sums : ndarray of shape (3, d)
        For each column the number of known values, their mean, and the sum of the squares about it.
    """

    sums: npt.NDArray[np.float64]

    @classmethod
    def none(cls, width: int) -> Moments:
        """Return the moments of no rows."""
        return cls(np.zeros((3, width)))

    @classmethod
    def of(cls, X: Any) -> Moments:
        """Return the moments of a dense or CSR matrix, shape (n, d)."""
        if not isinstance(X, np.ndarray):
            rows = X.shape[0]
            mean = np.asarray(X.sum(axis=0, dtype=np.float64)).ravel() / max(rows, 1)
            square = np.asarray(X.multiply(X).sum(axis=0, dtype=np.float64)).ravel()
            spread = np.maximum(square - rows * mean**2, 0.0)
            return cls(np.stack([np.full(X.shape[1], float(rows)), mean, spread]))
        total = X.sum(axis=0, dtype=np.float64)
        if not np.isnan(total).any():
            count = np.full(X.shape[1], float(len(X)))
            mean = total / max(len(X), 1)
            centred = X - mean.astype(X.dtype)
        else:
            known = ~np.isnan(X)
            count = known.sum(axis=0).astype(np.float64)
            mean = np.where(known, X, 0.0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
            centred = np.where(known, X - mean.astype(X.dtype), 0.0)
        np.square(centred, out=centred)
        return cls(np.stack([count, mean, centred.sum(axis=0, dtype=np.float64)]))

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
        """Return mean and standard deviation; 1 for a column that does not vary."""
        count, mean, squares = self.sums
        std = np.sqrt(squares / np.maximum(count, 1))
        std[std <= 1e-6 * np.maximum(1.0, np.abs(mean))] = 1.0
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
    """Return the moments of the features and of the label of about `SAMPLE_ROWS` rows.

    Each rank reads every `ranks`-th row group of the sample, and all learn the same.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    row_groups : iterable of (int, int, int)
        Shard, row group and its rows, in random order.
    n_features : int
        Features in a row.
    rank, ranks : int
        Which of how many.
    gather : callable, optional
        From an array of this rank to those of all ranks, in their order.

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
