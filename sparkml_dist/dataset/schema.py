"""Encodes columns as a matrix of floats; used to partition, to adopt and to score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from sparkml_dist.dataset.categories import category_codes
from sparkml_dist.dataset.many_columns import named_column, number_array
from sparkml_dist.dataset.packed_columns import packed_values
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.fields import items, natural, one_of, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

__all__ = [
    "UNSEEN",
    "FeatureColumn",
    "FeatureSchema",
    "Matrix",
    "Precision",
    "is_unseen",
    "with_unseen_codes",
]

FeatureKind = Literal["numeric", "categorical", "array", "vector", "struct"]
Layout = Literal["columns", "dense", "sparse"]
#: Type of the features on disk, and in the blocks that learners take.
Precision = Literal["float32", "float64"]
Matrix: TypeAlias = "npt.NDArray[Any] | sp.csr_matrix"

_MOST_FEATURES = 2**31 - 1
# Beyond this width, separate columns cost more in Parquet's metadata than a list does in decoding.
_MAX_NAMED_COLUMNS = 1024

#: Code of a category that is not in the list: a special NaN, so that code that does not check for
#: it sees a missing value.
UNSEEN = np.uint32(0x7FC0_0001).view(np.float32)
_UNSEEN_DOUBLE = np.uint64(0x7FF8_0000_2000_0000).view(np.float64)  # the same NaN as a double


def is_unseen(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which features are `UNSEEN`; none unless they are float32 or float64."""
    found: npt.NDArray[np.bool_]
    if values.dtype == np.float64:
        found = values.view(np.uint64) == _UNSEEN_DOUBLE.view(np.uint64)
    elif values.dtype == np.float32:
        found = values.view(np.uint32) == UNSEEN.view(np.uint32)
    else:
        found = np.zeros(values.shape, bool)
    return found


def with_unseen_codes(X: Any, counts: Sequence[int]) -> Any:
    """Return features with `UNSEEN` replaced by the next code; `X` itself when there is none.

    Parameters
    ----------
    X : ndarray or csr_matrix, shape (n, d)
    counts : sequence of int
        Number of categories of each feature, 0 for numbers.
    """
    features = [i for i, n in enumerate(counts) if n]
    if not features or X.dtype not in (np.float32, np.float64):
        return X
    if sp.issparse(X):
        unseen = is_unseen(X.data)
        if not unseen.any():
            return X
        coded = X.copy()
        coded.data[unseen] = np.asarray(counts, X.dtype)[X.indices[unseen]]
        return coded
    if not any(is_unseen(X[:, i]).any() for i in features):
        return X
    coded = X.copy()
    for i in features:
        coded[is_unseen(X[:, i]), i] = counts[i]
    return coded


@dataclass(frozen=True)
class FeatureColumn:
    """A column of the source that becomes one or more features.

    Attributes
    ----------
    name : str
        Name of the column.
    kind : {"numeric", "categorical", "array", "vector", "struct"}
        ``"vector"`` is an ML vector, ``"struct"`` a sparse row ``(size, indices, values)``.
    size : int
        Number of its features.
    categories : tuple of str
        Categories of a categorical column, in canonical form; a row's feature is the position
        here, NaN for nulls, and `UNSEEN` (also a NaN) for other categories.
    names : tuple of str
        Names of the features where the source has them (ML attributes); may be empty.
    """

    name: str
    kind: FeatureKind
    size: int = 1
    categories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def feature_names(self) -> list[str]:
        """Return the names of the column's features."""
        if self.names:
            return list(self.names)
        if self.kind in ("numeric", "categorical"):
            return [self.name]
        return [f"{self.name}[{i}]" for i in range(self.size)]


@dataclass(frozen=True)
class FeatureSchema:
    """The feature columns in the order of the matrix, and the layout of shards on disk.

    Attributes
    ----------
    columns : tuple of FeatureColumn
        In matrix order.
    layout : {"columns", "dense", "sparse"}
        A Parquet column for each feature, one list column, or index and value lists (CSR).
    precision : {"float32", "float64"}
        Type of the features.
    """

    columns: tuple[FeatureColumn, ...]
    layout: Layout = "columns"
    precision: Precision = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the features."""
        return np.dtype(self.precision)

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the features in Arrow."""
        return pa.from_numpy_dtype(self.dtype)

    @classmethod
    def build(
        cls,
        columns: Sequence[FeatureColumn],
        *,
        sparse: bool,
        precision: Precision = "float32",
    ) -> FeatureSchema:
        """Return the schema of `columns` with a suitable layout."""
        scalars = all(c.kind in ("numeric", "categorical") for c in columns)
        layout: Layout = "dense"
        if sparse:
            layout = "sparse"
        elif scalars and len(columns) <= _MAX_NAMED_COLUMNS:
            layout = "columns"
        return cls(tuple(columns), layout, precision)

    @cached_property
    def n_features(self) -> int:
        """Width of the matrix."""
        return sum(c.size for c in self.columns)

    @cached_property
    def feature_names(self) -> list[str]:
        """Name of each feature, in matrix order."""
        return [name for c in self.columns for name in c.feature_names()]

    @cached_property
    def categorical_features(self) -> list[int]:
        """Positions of the categorical features in the matrix."""
        found, at = [], 0
        for column in self.columns:
            if column.kind == "categorical":
                found.append(at)
            at += column.size
        return found

    def category_counts(self, features: Sequence[int] | None = None) -> list[int]:
        """Return the number of categories of each feature, 0 for numbers.

        Parameters
        ----------
        features : sequence of int, optional
            Which features, in which order; all by default.
        """
        counts = [len(c.categories) for c in self.columns for _ in range(c.size)]
        return counts if features is None else [counts[int(i)] for i in features]

    def with_categories(self, categories: dict[str, tuple[str, ...]]) -> FeatureSchema:
        """Return the schema with the category lists filled in."""
        columns = tuple(
            replace(c, categories=categories[c.name]) if c.name in categories else c
            for c in self.columns
        )
        return replace(self, columns=columns)

    # -- In Spark ---------------------------------------------------------------------------

    def transport(self, df: DataFrame | None = None) -> list[Column]:
        """Return the Spark columns that transfer rows to Python, as input of `encode`.

        Numeric columns are packed into one array of floats: an Arrow list is one buffer, and costs
        a third of a column for each feature.

        Parameters
        ----------
        df : pyspark.sql.DataFrame, optional
            The rows, if they may hold their numeric columns as one array already.
        """
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F

        def named(column: FeatureColumn) -> Column:
            return named_column(column.name)

        numeric = [c for c in self.columns if c.kind == "numeric"]
        kind: Literal["float", "double"] = "double" if self.precision == "float64" else "float"
        carried: list[Column] = []
        if numeric:
            names = [c.name for c in numeric]
            packed = None if df is None else packed_values(df, names, kind)
            if packed is None:
                packed = number_array(names, kind, null_is_nan=True)
            carried.append(packed.alias("_numeric"))
        for i, column in enumerate(c for c in self.columns if c.kind != "numeric"):
            if column.kind == "categorical":
                value = named(column).cast("string")
                if "NaN" not in column.categories:  # a NaN of a double is missing
                    value = F.nullif(value, F.lit("NaN"))
            elif column.kind == "array":
                value = named(column).cast(f"array<{kind}>")
            elif column.kind == "vector" and self.layout != "sparse":
                value = vector_to_array(named(column), self.precision)
            else:
                value = named(column)
            carried.append(value.alias(f"_feature{i}"))
        return carried

    @property
    def n_transported(self) -> int:
        """Number of columns of `transport`."""
        numeric = any(c.kind == "numeric" for c in self.columns)
        return int(numeric) + sum(c.kind != "numeric" for c in self.columns)

    # -- In Python --------------------------------------------------------------------------

    def encode(self, carried: Sequence[pa.Array]) -> Matrix:
        """Return the matrix of a batch of `transport`, of the type `dtype`.

        Parameters
        ----------
        carried : sequence of pyarrow.Array, each of shape (n,)
            The columns of `transport`, in its order.

        Returns
        -------
        ndarray of shape (n, n_features), C-contiguous, or scipy.sparse.csr_matrix
            Sparse for the sparse layout.

        Raises
        ------
        DataError
            ``vector_length``, ``null_vector``.
        """
        rows = len(carried[0])
        remaining = list(carried)
        packed = None
        if any(c.kind == "numeric" for c in self.columns):
            numeric = sum(c.kind == "numeric" for c in self.columns)
            packed = _list_matrix(remaining.pop(0), numeric, "numeric columns", self.arrow_type)
            if numeric == self.n_features and self.layout != "sparse":
                return packed
        blocks: list[Any] = []
        at = 0
        for column in self.columns:
            if column.kind == "numeric":
                assert packed is not None
                blocks.append(packed[:, at : at + 1])
                at += 1
            else:
                blocks.append(_encode_column(column, remaining.pop(0), self))
        if self.layout == "sparse":
            joined = blocks[0] if len(blocks) == 1 else sp.hstack(blocks, format="csr")
            return sp.csr_matrix(joined, dtype=self.dtype)
        if len(blocks) == 1:
            return np.ascontiguousarray(blocks[0], dtype=self.dtype)
        out = np.empty((rows, self.n_features), self.dtype)
        at = 0
        for block in blocks:
            out[:, at : at + block.shape[1]] = block
            at += block.shape[1]
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return the schema's entry in a manifest."""
        columns = []
        for c in self.columns:
            entry: dict[str, Any] = {"name": c.name, "kind": c.kind}
            if c.size != 1 or c.kind not in ("numeric", "categorical"):
                entry["size"] = c.size
            if c.categories:
                entry["categories"] = list(c.categories)
            if c.names:
                entry["names"] = list(c.names)
            columns.append(entry)
        value: dict[str, Any] = {"layout": self.layout, "columns": columns}
        if self.precision != "float32":
            value["precision"] = self.precision
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> FeatureSchema:
        """Return the schema of an entry; raise KeyError or TypeError for others."""
        columns = tuple(
            FeatureColumn(
                text(c["name"], "name"),
                one_of(c["kind"], "kind", get_args(FeatureKind)),
                natural(c.get("size", 1), "size", _MOST_FEATURES),
                tuple(text(x, "categories") for x in items(c.get("categories", []), "categories")),
                tuple(text(x, "names") for x in items(c.get("names", []), "names")),
            )
            for c in items(value["columns"], "columns")
        )
        layout = one_of(value["layout"], "layout", get_args(Layout))
        precision = one_of(value.get("precision", "float32"), "precision", get_args(Precision))
        return cls(columns, layout, precision)


def _encode_column(column: FeatureColumn, values: pa.Array, schema: FeatureSchema) -> Any:
    if column.kind == "categorical":
        codes = category_codes(values, column.categories)
        found = codes.cast(schema.arrow_type).to_numpy(zero_copy_only=False)
        if codes.null_count > values.null_count:
            unseen = pc.and_(pc.is_null(codes), pc.is_valid(values))
            code = _UNSEEN_DOUBLE if schema.precision == "float64" else UNSEEN
            found = np.where(unseen.to_numpy(zero_copy_only=False), code, found)
        return found.reshape(-1, 1)
    if pa.types.is_struct(values.type):
        matrix = _sparse_rows(values, column, schema.dtype)
        return matrix if schema.layout == "sparse" else matrix.toarray()
    return _list_matrix(values, column.size, f"column {column.name!r}", schema.arrow_type)


def _list_matrix(values: pa.Array, size: int, what: str, kind: pa.DataType) -> npt.NDArray[Any]:
    if values.null_count:
        raise DataError(
            "null_vector",
            f"The {what} holds null in place of a vector.",
            "Drop those rows or fill them in.",
        )
    flat = values.flatten()
    if len(flat) != len(values) * size or not _all_lengths(values, size):
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        raise _vector_length(what, size, [n for n in lengths if n != size])
    if flat.type != kind:
        flat = flat.cast(kind, safe=False)
    matrix = flat.to_numpy(zero_copy_only=False)  # nulls come out as NaN
    return np.asarray(matrix, dtype=kind.to_pandas_dtype()).reshape(len(values), size)


def _all_lengths(values: pa.Array, size: int) -> bool:
    if pa.types.is_fixed_size_list(values.type):
        return bool(values.type.list_size == size)
    offsets = values.offsets.to_numpy()
    return bool((np.diff(offsets) == size).all())


def _sparse_rows(values: pa.Array, column: FeatureColumn, dtype: Any) -> sp.csr_matrix:
    """Return a CSR matrix of transferred ML vectors, or of (size, indices, values) rows."""
    what = f"column {column.name!r}"
    if values.null_count:
        raise DataError(
            "null_vector",
            f"The {what} holds null in place of a vector.",
            "Drop those rows or fill them in.",
        )
    rows = len(values)
    data, indices = values.field("values"), values.field("indices")
    lengths = pc.fill_null(pc.list_value_length(data), 0).to_numpy().astype(np.int64)
    kinds = (
        values.field("type").to_numpy()
        if values.type.get_field_index("type") >= 0
        else np.zeros(rows, np.int8)
    )
    dense = kinds == 1
    declared = pc.fill_null(values.field("size"), -1).to_numpy().astype(np.int64)
    sizes = np.where(dense, lengths, declared)
    if (sizes != column.size).any():
        wrong = sorted(set(sizes[sizes != column.size].tolist()))
        raise _vector_length(what, column.size, wrong)
    indptr = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    flat = data.flatten().to_numpy(zero_copy_only=False).astype(dtype)
    if not dense.any():
        where = indices.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
    else:
        where = np.empty(len(flat), np.int32)
        from_dense = np.repeat(dense, lengths)
        where[from_dense] = np.tile(np.arange(column.size, dtype=np.int32), int(dense.sum()))
        where[~from_dense] = indices.flatten().to_numpy(zero_copy_only=False)
    if len(where) and (where.min() < 0 or where.max() >= column.size):
        raise DataError(
            "vector_index",
            f"A sparse row of {what} has an index outside 0..{column.size - 1}.",
            "Check the source's number of features.",
        )
    matrix = sp.csr_matrix((flat, where, indptr), shape=(rows, column.size))
    if dense.any():
        matrix.eliminate_zeros()
    if not matrix.has_sorted_indices:
        matrix.sort_indices()
    return matrix


def _vector_length(what: str, size: int, found: list[Any]) -> DataError:
    return DataError(
        "vector_length",
        f"The {what} must hold {size} values in every row. Got a row with "
        f"{found[0] if found else 'another number'}.",
        "Make all rows the same length.",
    )
