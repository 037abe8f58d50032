"""Folds and held-out sets as functions of row keys, in Spark and in numpy alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.hashable import hashable, needs_conversion
from sparkml_dist.dataset.hashing import spark_uniform, uniform
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import ConfigurationError, DataError, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["folds", "holdout", "row_key", "split"]


def row_key(df: DataFrame, key: str | Sequence[str] | None = None) -> Column:
    """Return a column of 64-bit row keys: hashes of each row's identity, or of its content.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    key : str or sequence of str, optional
        Identity columns, of any types; all columns by default.

    Raises
    ------
    DataError
        ``column_not_found`` or ``duplicate_columns``.
    """
    from pyspark.sql import functions as F

    kinds = {field.name: field.dataType for field in df.schema.fields}
    names = [key] if isinstance(key, str) else list(key or df.columns)
    for name in names:
        if name not in kinds:
            raise DataError(
                "column_not_found",
                f"There is no column {name!r} for key.{nearest(name, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )
    refuse_ambiguous(df, names)
    return F.xxhash64(
        *[
            hashable(F.col(column), kinds[name]) if needs_conversion(kinds[name]) else column
            for name, column in zip(names, quoted(names), strict=True)
        ]
    )


def split(
    df: DataFrame, fraction: float, *, seed: int = 0, key: str | Sequence[str] | None = None
) -> tuple[DataFrame, DataFrame]:
    """Split off a held-out set by hashed row keys; the same rows at every evaluation.

    Rows with equal keys stay together, so that no copy of a held-out row is in the training set.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    fraction : float
        Share of the rows to hold out, between 0 and 1.
    seed : int, default=0
    key : str or sequence of str, optional
        Identity columns; all columns by default.

    Returns
    -------
    train, test : pyspark.sql.DataFrame
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(
            "invalid_param", f"fraction must be between 0 and 1. Got {fraction!r}."
        )
    held = spark_uniform(row_key(df, key), seed, "holdout") < fraction
    return df.where(~held), df.where(held)


def holdout(key: npt.ArrayLike, fraction: float, *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Tell which row keys are held out; the same rows as `split` with the same keys.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
    fraction : float
    seed : int, default=0

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return uniform(key, seed, "holdout") < fraction


def folds(key: npt.ArrayLike, n_folds: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the fold of each row key.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
    n_folds : int
    seed : int, default=0

    Returns
    -------
    ndarray of int64, shape (n,), values in 0..n_folds-1
    """
    if n_folds < 2:
        raise ConfigurationError("invalid_param", f"n_folds must be >= 2. Got {n_folds!r}.")
    return (uniform(key, seed, "fold") * n_folds).astype(np.int64)
