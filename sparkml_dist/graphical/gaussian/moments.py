"""Means and covariances of numeric columns in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import number_array, quoted
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Moments", "moments_of", "numeric_columns"]

_FIRST_ROWS = 1000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """First and second moments of complete rows.

    Attributes
    ----------
    names : tuple of str
    rows : int
    skipped : int
        Rows with missing values.
    mean : ndarray of shape (d,)
    covariance : ndarray of shape (d, d)
        Divided by the number of rows.
    """

    names: tuple[str, ...]
    rows: int
    skipped: int
    mean: Floats
    covariance: Floats


def numeric_columns(df: DataFrame, patterns: Sequence[str] | None) -> list[str]:
    """Return the columns of numbers that the names or globs select; all of them by default.

    Raises
    ------
    DataError
        ``column_not_found``, ``duplicate_columns``, ``non_numeric_feature``, ``no_features``.
    """
    from pyspark.sql.types import NumericType

    types = {field.name: field.dataType for field in df.schema.fields}
    if patterns is None:
        names = [name for name, kind in types.items() if isinstance(kind, NumericType)]
    else:
        names = match_columns("features", list(patterns), types)
    refuse_ambiguous(df, names)
    for name in names:
        if not isinstance(types[name], NumericType):
            raise DataError(
                "non_numeric_feature",
                f"The column {name!r} holds {types[name].simpleString()}, not numbers.",
                "Leave it out, or use BayesianNetwork for categories.",
            )
    if not names:
        raise DataError("no_features", "There is no column of numbers.", "Name some.")
    return names


def moments_of(df: DataFrame, names: Sequence[str]) -> Moments:
    """Return the moments of columns in one pass over the rows.

    The columns are first shifted by their means over the first rows, so that large means do not
    cost digits of the covariances.

    Raises
    ------
    DataError
        ``empty_data``; ``missing_values`` where no row is complete; ``constant_feature``.
    """
    averages = [f"avg(nanvl({c}, null)) AS m{i}" for i, c in enumerate(_doubles(names))]
    first = df.select(*quoted(names)).limit(_FIRST_ROWS).selectExpr(*averages).first()
    shift = np.array([x if x is not None and np.isfinite(x) else 0.0 for x in first or ()])
    rows = df.select(number_array(list(names), "double", null_is_nan=True).alias("row"))
    sums = sum_over_partitions(
        rows, partial(_sums, shift=shift), description="moments of the columns"
    )
    n, skipped = int(sums["rows"]), int(sums["skipped"])
    if n + skipped == 0:
        raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
    if n == 0:
        raise DataError(
            "missing_values",
            "No row is complete: each has a missing value.",
            "Leave out the columns with the most missing values, or fill some in.",
        )
    mean = sums["sum"] / n
    covariance = sums["gram"] / n - np.outer(mean, mean)
    flat = [
        name
        for i, name in enumerate(names)
        if covariance[i, i] <= 1e-14 * max(1e-300, float(sums["gram"][i, i]) / n)
    ]
    if flat:
        raise DataError(
            "constant_feature",
            f"{len(flat)} column(s) have no variance: {', '.join(map(repr, flat[:6]))}.",
            "Leave them out of featuresCols.",
        )
    return Moments(tuple(names), n, skipped, mean + shift, covariance)


def _doubles(names: Sequence[str]) -> list[str]:
    return [f"cast({name} AS double)" for name in quoted(names)]


def _sums(batches: Iterator[pa.RecordBatch], *, shift: Floats) -> Arrays:
    return sum_in_order(_parts(batches, shift))


def _parts(batches: Iterator[pa.RecordBatch], shift: Floats) -> Iterator[dict[str, Any]]:
    width, nothing = len(shift), True
    for batch in batches:
        X = batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        yield _block(X, shift)
        nothing = False
    if nothing:
        yield _block(np.empty((0, width)), shift)


def _block(X: Floats, shift: Floats) -> dict[str, Any]:
    complete = np.isfinite(X).all(axis=1)
    rows = X[complete] - shift
    return {
        "rows": len(rows),
        "skipped": int((~complete).sum()),
        "sum": rows.sum(axis=0),
        "gram": rows.T @ rows,
    }
