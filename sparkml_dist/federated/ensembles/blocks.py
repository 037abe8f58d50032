"""Blocks of a silo in the form that sums need."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.errors import DataError

__all__ = ["dense", "row_weights", "without_missing"]


def dense(X: Matrix) -> npt.NDArray[Any]:
    """Return a matrix as an array."""
    return X if isinstance(X, np.ndarray) else np.asarray(X.toarray())


def row_weights(block: Block) -> npt.NDArray[np.float64]:
    """Return the weight of each row, 1 where there are none."""
    if block.weight is None:
        return np.ones(len(block))
    return block.weight.astype(np.float64)


def without_missing(X: Matrix, what: str) -> npt.NDArray[Any]:
    """Return a matrix as an array, which has no missing values.

    Raises
    ------
    DataError
        ``missing_values``.
    """
    found = dense(X)
    if np.isnan(found).any():
        raise DataError(
            "missing_values",
            f"A silo's rows have missing values, which {what} does not accept.",
            "Fill them in, or use boosted trees, which accept them.",
        )
    return found
