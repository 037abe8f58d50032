"""Points: numeric columns, an array or an ML vector as an array of doubles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.many_columns import named_column, number_array
from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_column
from sparkml_dist.mining.point_columns import LARGEST

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["check_points", "matrix_of", "point_column"]


def point_column(df: DataFrame, column: str, columns: Sequence[str] | None) -> Column:
    """Return the points of a DataFrame as a column of type array<double>.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    column : str
        An array of numbers or an ML vector.
    columns : sequence of str, optional
        Numeric columns, in place of `column`.

    Raises
    ------
    DataError
        ``column_not_found`` or ``non_numeric_feature``.
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import ArrayType, BooleanType, NumericType

    if columns:
        for name in columns:
            kind = check_column(df, name, "features")
            if not isinstance(kind, NumericType | BooleanType):
                raise _not_numeric(name, kind.simpleString())
        return number_array(columns, "double")
    kind = check_column(df, column, "features")
    if isinstance(kind, VectorUDT):
        return vector_to_array(named_column(column))
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType):
        return named_column(column).cast("array<double>")
    raise _not_numeric(column, kind.simpleString())


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
        ``empty_data``, ``vector_length`` or ``not_finite``.
    """
    from pyspark.sql import functions as F

    odd = F.col("x").isNull() | F.exists(
        "x", lambda v: v.isNull() | F.isnan(v) | (F.abs(v) > LARGEST)
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
        raise DataError("empty_data", "There are no points: the data has no rows.")
    if row["odd"]:
        what = f"null, NaN, infinite or beyond ±{LARGEST:g}" + (
            ", or zero in all coordinates" if nonzero else ""
        )
        raise DataError(
            "not_finite",
            f"{row['odd']:,} of {row['n']:,} points are {what}.",
            "Impute or leave them out."
            + (" The cosine of a zero vector is not defined." if nonzero else ""),
        )
    if row["least"] != row["most"] or not row["most"]:
        raise DataError(
            "vector_length",
            f"Points must have the same number of coordinates, at least one. Got "
            f"{row['least']} to {row['most']}.",
        )
    return int(row["n"]), int(row["most"])


def matrix_of(lists: pa.Array, width: int) -> npt.NDArray[np.float64]:
    """Return an array of lists as a matrix, shape (n, width).

    Raises
    ------
    DataError
        ``vector_length`` or ``not_finite``.
    """
    lengths = lists.value_lengths()
    if lists.null_count or np.any(lengths.to_numpy(zero_copy_only=False) != width):
        raise DataError(
            "vector_length", f"Every point must have {width} coordinates, as those that were fit."
        )
    matrix: npt.NDArray[np.float64] = lists.flatten().to_numpy(zero_copy_only=False)
    if not (np.abs(matrix) <= LARGEST).all():
        raise DataError("not_finite", "A point is null, NaN or infinite.", "Leave it out.")
    return matrix.reshape(-1, width)
