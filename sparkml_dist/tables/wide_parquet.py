"""Reads Parquet files of thousands of numeric columns in tasks, with the columns as one array."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.dataset.packed_columns import PACKED, WIDE, packed_field
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import SessionInfo
from sparkml_dist.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["packed_table"]

_logger = logging.getLogger(__name__)

# Types of the columns that are not packed; others, such as times, are left to Spark's reader.
_PLAIN = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "boolean")
# Types whose values float32 holds exactly, so that the array may have this type.
_FLOATS = ("tinyint", "smallint", "float", "boolean")
_BATCH_BYTES = 8 << 20
# More files than that are one task each; fewer are divided by their row groups.
_FEW_FILES = 64


def packed_table(table: Table) -> DataFrame | None:
    """Return the rows of a wide Parquet table, its numeric features packed into one array.

    The tasks read the files with pyarrow, so that Spark never plans the single columns.

    Parameters
    ----------
    table : Table
        As `read_table` returns it.

    Returns
    -------
    pyspark.sql.DataFrame or None
        None where the table is not wide, or has columns or files for Spark's reader only.
    """
    schema = table.schema
    if schema.format != "parquet" or len(schema.features) < WIDE:
        return None
    kinds = {f.name: f.dataType.simpleString() for f in table.df.schema.fields}
    chosen = {*schema.categorical}
    numeric = [n for n in schema.features if n not in chosen and kinds[n] in _NUMBERS]
    if len(numeric) < WIDE:
        return None
    packed = {*numeric}
    others = [n for n in schema.columns if n not in packed]
    if not all(kinds[n] in _PLAIN for n in others):
        return None
    try:
        pieces = _pieces(table.df, schema.columns)
    except (SparkMLDistError, OSError, pa.ArrowException):
        _logger.debug("pyarrow does not read the files of the table", exc_info=True)
        return None
    if pieces is None:
        return None
    from pyspark.sql.types import StructType

    kind = "float" if all(kinds[n] in _FLOATS for n in numeric) else "double"
    fields = [f for f in table.df.schema.fields if f.name not in packed]
    reading = _Reading(
        tuple(pieces), tuple(others), tuple(kinds[n] for n in others), tuple(numeric), kind
    )
    spark = table.df.sparkSession
    tasks = min(len(pieces), 4 * (SessionInfo.of(spark).slots or len(pieces)))
    return spark.range(0, len(pieces), 1, tasks).mapInArrow(
        reading, StructType([*fields, packed_field(numeric, schema.columns, kind)])
    )


def _pieces(df: DataFrame, columns: Sequence[str]) -> list[tuple[str, tuple[int, ...]]] | None:
    """Return files and their row groups; None where a file lacks columns, as with partitions."""
    files = [Folder.at(uri) for uri in sorted(df.inputFiles())]
    pieces: list[tuple[str, tuple[int, ...]]] = []
    for at, file in enumerate(files):
        if len(files) > _FEW_FILES and at:
            pieces.append((file.location, ()))
            continue
        with file.filesystem.open_input_file(file.path()) as stream:
            footer = pq.ParquetFile(stream)
            if at == 0 and not {*columns} <= {*footer.schema_arrow.names}:
                return None
            groups = range(footer.num_row_groups)
        pieces += [(file.location, (group,)) for group in groups]
    return pieces or None


@dataclass(frozen=True)
class _Reading:
    """Reads pieces of files in a task.

    Attributes
    ----------
    pieces : tuple of (str, tuple of int)
        File, and its row groups; none for all.
    others, kinds : tuple of str
        Columns that stay columns, and their Spark types.
    numeric : tuple of str
        Columns that are packed.
    kind : {"float", "double"}
    """

    pieces: tuple[tuple[str, tuple[int, ...]], ...]
    others: tuple[str, ...]
    kinds: tuple[str, ...]
    numeric: tuple[str, ...]
    kind: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for piece in batch.column(0).to_pylist():
                yield from self._read(*self.pieces[piece])

    def _read(self, location: str, groups: tuple[int, ...]) -> Iterator[pa.RecordBatch]:
        file = Folder(location)
        rows = max(16, _BATCH_BYTES // (8 * len(self.numeric)))
        with file.filesystem.open_input_file(file.path()) as stream:
            source = pq.ParquetFile(stream)
            wanted = list(groups) if groups else None
            columns = [*self.others, *self.numeric]
            for batch in source.iter_batches(rows, wanted, columns, use_threads=False):
                yield self._packed(batch)

    def _packed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        matrix = np.empty((len(batch), len(self.numeric)), "f4" if self.kind == "float" else "f8")
        for at, name in enumerate(self.numeric):
            values = batch.column(name)
            if pa.types.is_boolean(values.type):
                values = values.cast(pa.int8())
            matrix[:, at] = values.to_numpy(zero_copy_only=False)
        ends = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
        arrays = [
            batch.column(name).cast(_PLAIN[kind])
            for name, kind in zip(self.others, self.kinds, strict=True)
        ]
        arrays.append(pa.ListArray.from_arrays(pa.array(ends), pa.array(matrix.ravel())))
        return pa.RecordBatch.from_arrays(arrays, [*self.others, PACKED])
