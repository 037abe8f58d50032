"""Encodes pandas DataFrames and matrices without Spark, as executors encode rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from sparkml_dist.dataset.categories import category_texts
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema, Matrix
from sparkml_dist.errors import DataError, nearest

__all__ = ["feature_blocks"]

# Members need memory in proportion to the rows of a block.
_BLOCK_ROWS = 1 << 16


def feature_blocks(X: Any, schema: FeatureSchema) -> Iterator[Matrix]:
    """Yield the encoded features of `X` in blocks of rows.

    Parameters
    ----------
    X : pandas.DataFrame, array-like or sparse matrix
        A DataFrame with the model's columns (categories as in the training data), or encoded
        features, shape (n, n_features).
    schema : FeatureSchema

    Yields
    ------
    ndarray of float32, shape (rows, n_features), or csr_matrix
        No block when `X` has no rows.

    Raises
    ------
    DataError
        ``column_not_found``, ``non_numeric_feature``, ``vector_length`` or
        ``null_vector``.
    """
    frame = hasattr(X, "columns") and hasattr(X, "iloc")
    if frame:
        _check_columns(X, schema)
    else:
        X = _checked_matrix(X, schema)
    for start in range(0, X.shape[0], _BLOCK_ROWS):
        if frame:
            yield _encode_frame(X.iloc[start : start + _BLOCK_ROWS], schema)
        else:
            yield _in_layout(X[start : start + _BLOCK_ROWS], schema)


def _check_columns(frame: Any, schema: FeatureSchema) -> None:
    names = [str(c) for c in frame.columns]
    for column in schema.columns:
        if column.name not in names:
            raise DataError(
                "column_not_found",
                f"The model needs the feature column {column.name!r}, which the data lacks."
                f"{nearest(column.name, names)}",
                f"Columns are: {', '.join(names[:12])}.",
            )


def _checked_matrix(X: Any, schema: FeatureSchema) -> Any:
    matrix = sp.csr_matrix(X, dtype=schema.dtype) if sp.issparse(X) else np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] != schema.n_features:
        raise DataError(
            "vector_length",
            f"X must have the shape (n, {schema.n_features}). Got {matrix.shape}.",
            "Give encoded features, or a DataFrame with the model's columns.",
        )
    return matrix


def _in_layout(part: Any, schema: FeatureSchema) -> Matrix:
    if schema.layout == "sparse":
        return sp.csr_matrix(part, dtype=schema.dtype)
    dense = part.toarray() if sp.issparse(part) else part
    return np.ascontiguousarray(dense, dtype=schema.dtype)


def _encode_frame(frame: Any, schema: FeatureSchema) -> Matrix:
    """Return the matrix of a frame, through the same arrays as Spark's `transport`."""
    rows = len(frame)
    numeric = [c for c in schema.columns if c.kind == "numeric"]
    carried: list[pa.Array] = []
    if numeric:
        packed = np.empty((rows, len(numeric)), schema.dtype)
        for i, column in enumerate(numeric):
            packed[:, i] = _numbers(frame[column.name], column.name, schema.dtype)
        carried.append(_lists(packed))
    for column in schema.columns:
        if column.kind == "categorical":
            carried.append(_categories(frame[column.name]))
        elif column.kind == "struct" or (column.kind == "vector" and schema.layout == "sparse"):
            carried.append(_sparse_cells(frame[column.name]))
        elif column.kind != "numeric":
            carried.append(_dense_cells(frame[column.name], column, schema.dtype))
    return schema.encode(carried)


def _numbers(values: Any, name: str, dtype: Any) -> npt.NDArray[Any]:
    try:
        with np.errstate(over="ignore"):
            found = values.to_numpy(dtype=np.float64, na_value=np.nan).astype(dtype)
    except (TypeError, ValueError) as error:
        raise DataError(
            "non_numeric_feature",
            f"The model needs numeric values in {name!r}. Got {values.dtype}.",
            "Read the data in the same way as the training data.",
        ) from error
    return np.asarray(found)


def _categories(values: Any) -> pa.Array:
    import pandas as pd

    missing = pd.isna(values).to_numpy()
    return category_texts(
        None if gone else value for value, gone in zip(values, missing, strict=True)
    )


def _lists(matrix: npt.NDArray[Any]) -> pa.Array:
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)[: rows + 1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))


def _dense_cells(values: Any, column: FeatureColumn, dtype: Any) -> pa.Array:
    cells = [v.toArray() if hasattr(v, "toArray") else v for v in values]
    try:
        matrix = np.asarray(cells, dtype=dtype)
    except (TypeError, ValueError):
        matrix = np.empty(0, dtype)
    if matrix.shape == (len(cells), column.size):
        return _lists(matrix)
    # `FeatureSchema.encode` raises for cells of other lengths.
    return pa.array([None if c is None else list(c) for c in cells], pa.list_(pa.float64()))


def _sparse_cells(values: Any) -> pa.Array:
    kind = pa.struct(
        [
            ("type", pa.int8()),
            ("size", pa.int32()),
            ("indices", pa.list_(pa.int32())),
            ("values", pa.list_(pa.float64())),
        ]
    )
    return pa.array([_sparse_cell(v) for v in values], kind)


def _sparse_cell(cell: Any) -> dict[str, Any] | None:
    if cell is None:
        return None
    if isinstance(cell, dict):
        size, indices, values = cell["size"], cell["indices"], cell["values"]
    elif hasattr(cell, "indices"):  # an ML SparseVector, or a Row of that shape
        size, indices, values = cell.size, cell.indices, cell.values
    else:
        dense = cell.toArray() if hasattr(cell, "toArray") else cell
        return {"type": 1, "values": np.asarray(dense, dtype=np.float64)}
    return {"type": 0, "size": int(size), "indices": list(indices), "values": list(values)}
