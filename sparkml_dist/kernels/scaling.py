"""Rows as a kernel takes them: dense, complete and, if wanted, standardized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.errors import DataError

__all__ = ["Scaling", "row_sums", "square_sums"]


@dataclass(frozen=True)
class Scaling:
    """Subtracts a mean from each feature and divides it by a scale.

    Attributes
    ----------
    mean : ndarray of float64, shape (d,)
    scale : ndarray of float64, shape (d,)
    fill : ndarray of float64, shape (d,), or None
        What takes the place of missing values; they are refused where None.
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    fill: npt.NDArray[np.float64] | None = None

    @classmethod
    def none(cls, width: int) -> Scaling:
        """Return a scaling that changes nothing."""
        return cls(np.zeros(width), np.ones(width))

    def apply(self, X: Any) -> npt.NDArray[np.float64]:
        """Return rows as a dense matrix, shape (n, d).

        Raises
        ------
        DataError
            ``not_finite``.
        """
        rows = dense(X)
        if self.fill is not None:
            rows = np.where(np.isnan(rows), self.fill, rows)
        if not np.isfinite(rows).all():
            raise not_finite(int((~np.isfinite(rows)).any(axis=1).sum()), len(rows))
        return (rows - self.mean) / self.scale


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


def row_sums(block: Any) -> dict[str, Any]:
    """Return sums and numbers of the values of each feature of a block; missing ones are none."""
    rows = dense(block.X)
    known = ~np.isnan(rows)
    return {
        "rows": len(rows),
        "infinite": int(np.isinf(rows).any(axis=1).sum()) if len(rows) else 0,
        "missing": int((~known).any(axis=1).sum()),
        "number": known.sum(axis=0),
        "sum": np.where(known, rows, 0.0).sum(axis=0),
    }


def square_sums(block: Any, mean: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the sums of squared distances to the mean of each feature of a block."""
    away = dense(block.X) - mean
    return {"square": np.where(np.isnan(away), 0.0, away**2).sum(axis=0)}
