"""The columns that hold a point's coordinates, and their conversion to a matrix of doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import named_column, number_array
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.persistence.fields import items, text

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["PointColumns", "point_matrix"]

#: Largest absolute value of a coordinate: squares of larger ones, and their sums, overflow.
LARGEST = 1e150


@dataclass(frozen=True)
class PointColumns:
    """The columns that hold coordinates.

    Attributes
    ----------
    kind : {"numeric", "array", "vector", "struct"}
        Numeric columns, or one column of arrays, of ML vectors or of sparse rows
        ``(size, indices, values)``.
    names : tuple of str
    """

    kind: str
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, df: DataFrame, features_col: str | None, features_cols: Sequence[str] | None
    ) -> PointColumns:
        """Choose the columns by the schema; no row is read.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
        features_col : str or None
            Column of arrays, vectors or numbers. It is used if it exists and `features_cols` is
            None.
        features_cols : sequence of str, or None
            Names or globs of numeric columns, or the name of one column of arrays or vectors; all
            numeric columns where neither is given.

        Raises
        ------
        DataError
            ``column_not_found``, ``non_numeric_feature``, ``no_features``.
        """
        from pyspark.sql.types import NumericType

        types = {field.name: field.dataType for field in df.schema.fields}
        if features_cols is not None:
            chosen = match_columns("features", list(features_cols), types)
        elif features_col in types:
            chosen = [str(features_col)]
        else:
            chosen = [name for name, kind in types.items() if isinstance(kind, NumericType)]
        if not chosen:
            raise DataError(
                "no_features",
                "There is no numeric column to take coordinates from.",
                f"Columns are: {', '.join(types)}.",
            )
        refuse_ambiguous(df, chosen)
        kinds = {name: _kind(types[name]) for name in chosen}
        for name, kind in kinds.items():
            if not kind or (kind != "numeric" and len(chosen) > 1):
                raise DataError(
                    "non_numeric_feature",
                    f"The feature column {name!r} has the type {types[name].simpleString()}"
                    + (", beside other feature columns." if kind else ", which is not numeric."),
                    "Coordinates are numeric columns, or one column of arrays or ML vectors.",
                )
        return cls(kinds[chosen[0]], tuple(chosen))

    def check(self, df: DataFrame) -> None:
        """Raise unless `df` has these columns in a usable type.

        Raises
        ------
        DataError
            ``column_not_found``, ``duplicate_columns``, ``non_numeric_feature``.
        """
        refuse_ambiguous(df, self.names)
        for name in self.names:
            if name not in df.columns:
                raise DataError(
                    "column_not_found",
                    f"The model needs the column {name!r}, which the data lacks."
                    f"{nearest(name, df.columns)}",
                    f"Columns are: {', '.join(df.columns[:12])}.",
                )
            if _kind(df.schema[name].dataType) != self.kind:
                raise DataError(
                    "non_numeric_feature",
                    f"The model needs {self.kind} values in {name!r}. "
                    f"Got {df.schema[name].dataType.simpleString()}.",
                )

    def column(self) -> Column:
        """Return the Spark column of arrays of doubles, one array for each row."""
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F

        if self.kind == "numeric":
            return number_array(self.names, "double")
        row = named_column(self.names[0])
        if self.kind == "vector":
            return vector_to_array(row)
        if self.kind == "struct":
            entries = F.map_from_arrays(row["indices"], row["values"].cast("array<double>"))
            return F.transform(
                F.sequence(F.lit(0), row["size"] - 1),
                lambda i: F.coalesce(F.try_element_at(entries, i), F.lit(0.0)),
            )
        return row.cast("array<double>")

    def points(self, df: DataFrame) -> DataFrame:
        """Return `df` as one column ``point`` of arrays."""
        return df.select(self.column().alias("point"))

    def feature_names(self, width: int) -> list[str]:
        """Return a name for each coordinate."""
        if self.kind == "numeric":
            return list(self.names)
        return [f"{self.names[0]}[{i}]" for i in range(width)]

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as JSON values for a manifest."""
        return {"kind": self.kind, "names": list(self.names)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> PointColumns:
        """Return the columns that `to_dict` described; raises KeyError or TypeError."""
        names = [text(name, "names") for name in items(value["names"], "names")]
        if value["kind"] not in ("numeric", "array", "vector", "struct"):
            raise TypeError(f"{value['kind']!r} is no kind of columns")
        return cls(value["kind"], tuple(names))


def _kind(data_type: Any) -> str:
    """Return the kind of a column's type; an empty string if it holds no coordinates."""
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import ArrayType, BooleanType, NumericType, StructType

    if isinstance(data_type, StructType) and set(data_type.names) == {"size", "indices", "values"}:
        return "struct"
    if isinstance(data_type, NumericType | BooleanType):
        return "numeric"
    if isinstance(data_type, ArrayType) and isinstance(data_type.elementType, NumericType):
        return "array"
    return "vector" if isinstance(data_type, VectorUDT) else ""


def point_matrix(values: pa.Array, width: int) -> npt.NDArray[np.float64]:
    """Return a batch of points as a matrix.

    Parameters
    ----------
    values : pyarrow.Array of lists of double, shape (n,)
    width : int
        Number of coordinates of a point.

    Returns
    -------
    ndarray of float64, shape (n, width)

    Raises
    ------
    DataError
        ``vector_length``, ``not_finite``.
    """
    flat = np.asarray(values.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
    lengths = np.diff(values.offsets.to_numpy())
    if not values.null_count and len(lengths) and (lengths != width).any():
        raise DataError(
            "vector_length",
            f"A point must have {width} coordinates. Got one with "
            f"{int(lengths[lengths != width][0])}.",
            "Give all rows the same length.",
        )
    if values.null_count or not (np.abs(flat) <= LARGEST).all():
        raise DataError(
            "not_finite",
            f"A row has null, NaN or infinite coordinates, or some beyond ±{LARGEST:g}.",
            "Drop those rows or fill them in.",
        )
    return flat.reshape(len(values), width)
