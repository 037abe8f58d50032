"""Mean and spread of every feature and of a target, from a sample: a fair one, as shards are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.plan import Piece

__all__ = ["SAMPLE_ROWS", "feature_moments", "target_moments"]

SAMPLE_ROWS = 65_536


def feature_moments(
    read: Callable[[int, Sequence[int]], Block], pieces: Iterable[Piece], n_features: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the mean and standard deviation of every feature, missing values left out.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    pieces : iterable of Piece
        Row groups in random order; reading stops after `SAMPLE_ROWS` rows.
    n_features : int
        Features in a row.

    Returns
    -------
    mean, std : ndarray of float32, shape (n_features,)
        The standard deviation of a feature that does not vary is 1.
    """
    count = np.zeros(n_features)
    mean = np.zeros(n_features)
    squares = np.zeros(n_features)
    rows = 0
    for piece in pieces:
        block = read(piece.shard, [piece.row_group])
        # Chan, Golub and LeVeque (1983): sums of blocks are joined without cancellation.
        n, m, s = _sums(block.X)
        both = np.maximum(count + n, 1)
        gap = m - mean
        squares += s + gap**2 * count * n / both
        mean += gap * n / both
        count += n
        rows += len(block)
        if rows >= SAMPLE_ROWS:
            break
    std = np.sqrt(squares / np.maximum(count, 1))
    std[std <= 1e-6 * np.maximum(1.0, np.abs(mean))] = 1.0
    return mean.astype(np.float32), std.astype(np.float32)


def target_moments(
    read: Callable[[int, Sequence[int]], Block], pieces: Iterable[Piece]
) -> tuple[float, float]:
    """Return the mean and standard deviation of a regression's target.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    pieces : iterable of Piece
        Row groups in random order; reading stops after `SAMPLE_ROWS` rows.

    Returns
    -------
    mean, std : float
        The standard deviation of a target that does not vary is 1.
    """
    values: list[npt.NDArray[Any]] = []
    for piece in pieces:
        values.append(read(piece.shard, [piece.row_group]).y)
        if sum(map(len, values)) >= SAMPLE_ROWS:
            break
    y = np.concatenate(values) if values else np.zeros(1)
    mean, std = float(y.mean()), float(y.std())
    return mean, std if std > 1e-6 * max(1.0, abs(mean)) else 1.0


def _sums(X: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return for each feature the count, the mean, and the squares about it."""
    if not isinstance(X, np.ndarray):
        rows = X.shape[0]
        mean = np.asarray(X.sum(axis=0, dtype=np.float64)).ravel() / rows
        square = np.asarray(X.multiply(X).sum(axis=0, dtype=np.float64)).ravel()
        return np.full(X.shape[1], float(rows)), mean, np.maximum(square - rows * mean**2, 0.0)
    known = ~np.isnan(X)
    count = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, X, 0.0)
    mean = filled.sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    centred = np.where(known, X - mean.astype(np.float32), 0.0)
    return count, mean, np.square(centred).sum(axis=0, dtype=np.float64)
