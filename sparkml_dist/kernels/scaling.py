"""Rows as a kernel takes them: dense, complete and, if wanted, standardized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.errors import DataError

__all__ = ["Scaling", "row_sums", "square_sums"]


# An indicator of a category: rows of two categories are at a distance of 1.
_INDICATOR = np.sqrt(0.5)


@dataclass(frozen=True)
class Scaling:
    """Makes coordinates of features: categories as indicators, numbers less a mean, over a scale.

    Attributes
    ----------
    mean : ndarray of float64, shape (e,)
        Of each coordinate.
    scale : ndarray of float64, shape (e,)
    fill : ndarray of float64, shape (d,), or None
        What takes the place of missing numbers; they are refused where None.
    counts : tuple of int
        Number of categories of each feature, 0 for numbers; empty where all are numbers. A category
        is a coordinate of its own; one that is missing or was not seen has none.
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    fill: npt.NDArray[np.float64] | None = None
    counts: tuple[int, ...] = ()

    @classmethod
    def none(cls, width: int, counts: Sequence[int] = ()) -> Scaling:
        """Return a scaling that changes no numbers."""
        return cls.of_numbers(np.zeros(width), np.ones(width), None, counts)

    @classmethod
    def of_numbers(
        cls,
        mean: npt.NDArray[np.float64],
        scale: npt.NDArray[np.float64],
        fill: npt.NDArray[np.float64] | None,
        counts: Sequence[int],
    ) -> Scaling:
        """Return the scaling with a mean and a scale of each feature, which categories ignore."""
        if not any(counts):
            return cls(mean, scale, fill)
        means, scales = [], []
        for m, s, count in zip(mean, scale, counts, strict=True):
            means.append(np.zeros(count) if count else np.array([m]))
            scales.append(np.full(count, 1 / _INDICATOR) if count else np.array([s]))
        return cls(np.concatenate(means), np.concatenate(scales), fill, tuple(counts))

    @property
    def width(self) -> int:
        """Number of coordinates."""
        return len(self.mean)

    def apply(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the coordinates of rows (n, d), a dense matrix of the shape (n, width).

        Raises
        ------
        DataError
            ``not_finite``.
        """
        rows = dense(X)
        if self.fill is not None:
            rows = np.where(np.isnan(rows), self.fill, rows)
        if self.counts:
            rows = _with_indicators(rows, self.counts)
        if not np.isfinite(rows).all():
            raise not_finite(int((~np.isfinite(rows)).any(axis=1).sum()), len(rows))
        return (rows - self.mean) / self.scale


def _with_indicators(
    rows: npt.NDArray[np.float64], counts: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Return rows with a column for each category in the place of its code."""
    parts = [
        rows[:, [i]] == np.arange(count) if count else rows[:, [i]]
        for i, count in enumerate(counts)
    ]
    return np.hstack(parts).astype(np.float64, copy=False)


def dense(X: Any) -> npt.NDArray[np.float64]:
    """Return a dense or CSR matrix as a dense one of float64."""
    return np.asarray(X.toarray() if sp.issparse(X) else X, np.float64)


def not_finite(bad: int, rows: int) -> DataError:
    """Return the error of rows without a place in the space of a kernel."""
    return DataError(
        "not_finite",
        f"{bad:,} of {rows:,} rows that were looked at have missing, NaN or infinite features.",
        'Drop those rows or fill them in; missing="mean" puts the mean in place of missing values.',
    )


def row_sums(block: Any, numbers: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return sums and numbers of the values of each feature of a block; missing ones are none.

    Parameters
    ----------
    block : Block
    numbers : ndarray of bool, shape (d,)
        Which features are numbers; the others may be missing.
    """
    rows = dense(block.X)
    known = ~np.isnan(rows)
    return {
        "rows": len(rows),
        "infinite": int(np.isinf(rows).any(axis=1).sum()) if len(rows) else 0,
        "missing": int((~known[:, numbers]).any(axis=1).sum()),
        "number": known.sum(axis=0),
        "sum": np.where(known, rows, 0.0).sum(axis=0),
    }


def square_sums(block: Any, mean: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the sums of squared distances to the mean of each feature of a block."""
    away = dense(block.X) - mean
    return {"square": np.where(np.isnan(away), 0.0, away**2).sum(axis=0)}
