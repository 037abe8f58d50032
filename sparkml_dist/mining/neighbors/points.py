"""Points: numeric columns, an array or an ML vector as an array of doubles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import number_array
from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_column

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["check_points", "feature_names", "matrix_of", "point_column"]


def point_column(df: DataFrame, column: str, columns: Sequence[str] | None) -> Column:
    """Return the points of a DataFrame as a column of type array<double>.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    column : str
        An array of numbers or an ML vector.
    columns : sequence of str, optional
        Numeric columns, by name or glob, in place of `column`.

    Raises
    ------
    DataError
        ``column_not_found`` or ``non_numeric_feature``.
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, BooleanType, NumericType

    if columns:
        names = feature_names(df, columns)
        for name in names:
            kind = check_column(df, name, "features")
            if not isinstance(kind, NumericType | BooleanType):
                raise _not_numeric(name, kind.simpleString())
        return number_array(names, "double")
    kind = check_column(df, column, "features")
    if isinstance(kind, VectorUDT):
        return vector_to_array(F.col(f"`{column}`"))
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType):
        return F.col(f"`{column}`").cast("array<double>")
    raise _not_numeric(column, kind.simpleString())


def feature_names(df: DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns of a DataFrame that names and globs stand for."""
    types = {field.name: field.dataType for field in df.schema.fields}
    return match_columns("features", list(columns), types)


def _not_numeric(name: str, kind: str) -> DataError:
    return DataError(
        "non_numeric_feature",
        f"The feature column {name!r} has the type {kind}.",
        "Features are numeric columns (featuresCols), or an array of numbers or an ML vector "
        "(featuresCol).",
    )


def check_points(points: DataFrame, *, nonzero: bool) -> tuple[int, int]:
    """Return the number of points and their width.

    Parameters
    ----------
    points : pyspark.sql.DataFrame
        With ``x``, array of double.
    nonzero : bool
        Whether a point may not be zero in all coordinates.

    Raises
    ------
    DataError
        ``no_rows``, ``ragged_features`` or ``not_finite``.
    """
    from pyspark.sql import functions as F

    odd = F.col("x").isNull() | F.exists(
        "x", lambda v: v.isNull() | F.isnan(v) | (F.abs(v) == float("inf"))
    )
    if nonzero:
        odd = odd | F.forall("x", lambda v: v == 0)
    width = F.size("x")
    row = points.agg(
        F.count("*").alias("n"),
        F.min(width).alias("least"),
        F.max(width).alias("most"),
        F.sum(F.coalesce(odd, F.lit(True)).cast("long")).alias("odd"),
    ).first()
    assert row is not None  # an aggregate of no rows is a row
    if not row["n"]:
        raise DataError("no_rows", "There are no points: the data has no rows.")
    if row["odd"]:
        what = "null, NaN, infinite" + (", or zero in all coordinates" if nonzero else "")
        raise DataError(
            "not_finite",
            f"{row['odd']:,} of {row['n']:,} points are {what}.",
            "Impute or leave them out."
            + (" The cosine of a zero vector is not defined." if nonzero else ""),
        )
    if row["least"] != row["most"] or not row["most"]:
        raise DataError(
            "ragged_features",
            f"Points must have the same number of coordinates, at least one. Got "
            f"{row['least']} to {row['most']}.",
        )
    return int(row["n"]), int(row["most"])


def matrix_of(lists: pa.Array, width: int) -> npt.NDArray[np.float64]:
    """Return an array of lists as a matrix, shape (n, width).

    Raises
    ------
    DataError
        ``ragged_features`` or ``not_finite``.
    """
    lengths = lists.value_lengths()
    if lists.null_count or np.any(lengths.to_numpy(zero_copy_only=False) != width):
        raise DataError(
            "ragged_features", f"Every point must have {width} coordinates, as those that were fit."
        )
    matrix: npt.NDArray[np.float64] = lists.flatten().to_numpy(zero_copy_only=False)
    if not np.isfinite(matrix).all():
        raise DataError("not_finite", "A point is null, NaN or infinite.", "Leave it out.")
    return matrix.reshape(-1, width)
