"""Reads Parquet files that were adopted as shards without being rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.categories import category_texts
from sparkml_dist.dataset.hashing import hash_long, salt
from sparkml_dist.dataset.manifest import Manifest
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema, Matrix

__all__ = ["AdoptedColumns", "carried_columns"]


@dataclass(frozen=True)
class AdoptedColumns:
    """Converts the source's own columns to the content of a block.

    Attributes
    ----------
    manifest : Manifest
    names : list of str
        Columns to read from the files.
    """

    manifest: Manifest
    names: list[str]

    @classmethod
    def of(cls, manifest: Manifest) -> AdoptedColumns:
        """Return the columns to read from an adopted data set."""
        names = [c.name for c in manifest.schema.columns]
        extra = [manifest.label.column, *manifest.key]
        if manifest.weight:
            extra.append(manifest.weight)
        return cls(manifest, list(dict.fromkeys([*names, *extra])))

    def identity(self, batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
        """Return label, weight (or None) and key, each of shape (n,)."""
        label = self.manifest.label.encode(batch.column(self.manifest.label.column))
        weight = None
        if self.manifest.weight:
            kind = self.manifest.schema.arrow_type
            weight = batch.column(self.manifest.weight).cast(kind).to_numpy(False)
        if self.manifest.key:
            key = _hash_columns([batch.column(k) for k in self.manifest.key])
        else:
            key = self._hash_content(batch, label)
        return label, weight, key

    def matrix(self, batch: pa.RecordBatch) -> Matrix:
        """Return the features, shape (n, n_features)."""
        return self.manifest.schema.encode(carried_columns(self.manifest.schema, batch))

    def _hash_content(
        self, batch: pa.RecordBatch, label: npt.NDArray[Any]
    ) -> npt.NDArray[np.int64]:
        matrix = self.matrix(batch)
        h = hash_long(label.astype(np.float64).view(np.int64), salt("content"))
        if not isinstance(matrix, np.ndarray):
            bits = _bits(matrix.data)
            mixed = hash_long(bits, matrix.indices.astype(np.int64))
            # A sum does not depend on the order of the stored values.
            rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
            total = np.zeros(matrix.shape[0], np.uint64)
            np.add.at(total, rows, mixed)
            return hash_long(total, h).view(np.int64)
        for column in matrix.T:
            h = hash_long(_bits(np.ascontiguousarray(column)), h)
        return h.view(np.int64)


def carried_columns(schema: FeatureSchema, batch: pa.RecordBatch) -> list[pa.Array]:
    """Return the columns of rows of a file in the form of `FeatureSchema.transport`."""
    numeric = [c for c in schema.columns if c.kind == "numeric"]
    carried: list[pa.Array] = []
    if numeric:
        packed = np.empty((len(batch), len(numeric)), schema.dtype)
        for j, column in enumerate(numeric):
            values = batch.column(column.name)
            if values.type != schema.arrow_type:
                if not pa.types.is_integer(values.type):  # these are rounded once, as by Spark
                    values = values.cast(pa.float64(), safe=False)
                values = values.cast(schema.arrow_type, safe=False)
            packed[:, j] = values.to_numpy(zero_copy_only=False)
        flat = pa.array(packed.ravel())
        carried.append(pa.FixedSizeListArray.from_arrays(flat, len(numeric)))
    carried += [_other(batch, c) for c in schema.columns if c.kind != "numeric"]
    return carried


def _other(batch: pa.RecordBatch, column: FeatureColumn) -> pa.Array:
    values = batch.column(column.name)
    if column.kind != "categorical":
        return values
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        return category_texts(values.to_pylist())
    return values.cast(pa.string())


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    whole = np.int64 if values.dtype == np.float64 else np.int32
    return values.view(whole).astype(np.int64)


def _hash_columns(columns: list[pa.Array]) -> npt.NDArray[np.int64]:
    h: Any = salt("identity")
    for column in columns:
        if pa.types.is_integer(column.type):
            bits = pc.fill_null(column, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
        else:
            encoded = column.cast(pa.string()).dictionary_encode()
            words = np.array([salt(w or "") for w in encoded.dictionary.to_pylist()], np.int64)
            codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
            bits = np.append(words, 0)[codes]
        h = hash_long(bits, h)
    return np.asarray(h, np.uint64).view(np.int64)
