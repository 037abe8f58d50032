"""Writes one shard inside a Spark task, one row group at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.feature_positions import packed_positions
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import ShardInfo
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.dataset.shard_counts import ShardCounts
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["INDICES", "KEY", "LABEL", "VALUES", "VECTOR", "WEIGHT", "ShardWriter", "footer_sha256"]

KEY, LABEL, WEIGHT = "_key", "_label", "_weight"
VECTOR, INDICES, VALUES = "_features", "_indices", "_values"

_COMPRESSION = "lz4"


@dataclass(frozen=True)
class ShardWriter:
    """Writes the batches of a shard to a Parquet file.

    Attributes
    ----------
    folder : Folder
        Folder of the shards.
    schema : FeatureSchema
    label : Label
    weighted : bool
        Whether the batches carry a weight.
    row_group_rows : int
        Rows in a row group.
    """

    folder: Folder
    schema: FeatureSchema
    label: Label
    weighted: bool
    row_group_rows: int

    def write(self, index: int, batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
        """Write shard `index`; return its `ShardInfo` and counts of its rows.

        Parameters
        ----------
        index : int
        batches : iterable of pyarrow.RecordBatch
            Columns: draw, key, label, weight if any, then those of `FeatureSchema.transport`;
            sorted by draw.

        Returns
        -------
        dict
            ``shard`` (fields of `ShardInfo`), ``missing_features`` (text of `packed_positions`),
            ``duplicates`` (rows equal to the row before), ``longest_run`` (of equal rows).

        Raises
        ------
        DataError
            ``infinite_feature``, ``vector_length``, ``null_vector``, ``label_null``.
        """
        counts, runs = ShardCounts(self.schema, len(self.label.classes), "one batch"), _Runs()
        regrouped = _regroup(batches, self.row_group_rows)
        info = self._write(index, (self._encode(batch, counts, runs) for batch in regrouped))
        return {
            "shard": counts.fill(info).to_dict(),
            "missing_features": packed_positions(counts.missing_features),
            "duplicates": runs.duplicates,
            "longest_run": runs.longest,
        }

    def write_blocks(self, index: int, blocks: Iterable[Block]) -> dict[str, Any]:
        """Write shard `index` from encoded rows, a row group for each block.

        Parameters
        ----------
        index : int
        blocks : iterable of Block
            As `read_block` returns them.

        Returns
        -------
        dict
            ``shard`` and ``missing_features``, as `write` returns them.
        """
        counts = ShardCounts(self.schema, len(self.label.classes), "one block")
        info = self._write(index, (self._table(block, counts) for block in blocks))
        return {
            "shard": counts.fill(info).to_dict(),
            "missing_features": packed_positions(counts.missing_features),
        }

    def _write(self, index: int, tables: Iterable[pa.Table]) -> ShardInfo:
        name = f"shard-{index:05d}.parquet"
        groups: list[int] = []
        with self.folder.committing(name) as sink:
            writer = pq.ParquetWriter(
                sink,
                self.arrow_schema(),
                compression=_COMPRESSION,
                use_dictionary=False,
                write_statistics=False,
                write_page_checksum=True,
                store_schema=True,
            )
            with writer:
                for table in tables:
                    writer.write_table(table, row_group_size=len(table))
                    groups.append(len(table))
        return ShardInfo(
            index=index,
            file=name,
            rows=sum(groups),
            bytes=self.folder.size(name),
            block_bytes=0,
            sha256=self.folder.sha256(name),
            footer_sha256=footer_sha256(self.folder, name),
            row_groups=tuple(groups),
        )

    def arrow_schema(self) -> pa.Schema:
        """Return the schema of a shard's file."""
        fields = [
            pa.field(KEY, pa.int64(), nullable=False),
            pa.field(LABEL, pa.float64() if self.label.is_regression else pa.int32(), False),
        ]
        if self.weighted:
            fields.append(pa.field(WEIGHT, self.schema.arrow_type, nullable=False))
        kind = self.schema.arrow_type
        if self.schema.layout == "columns":
            fields += [pa.field(n, kind, nullable=False) for n in self.schema.feature_names]
        elif self.schema.layout == "dense":
            item = pa.field("item", kind, nullable=False)
            fields.append(pa.field(VECTOR, pa.list_(item, self.schema.n_features), False))
        else:
            fields.append(pa.field(INDICES, pa.list_(pa.field("item", pa.int32(), False)), False))
            fields.append(pa.field(VALUES, pa.list_(pa.field("item", kind, False)), False))
        return pa.schema(fields)

    def _encode(self, batch: pa.RecordBatch, counts: ShardCounts, runs: _Runs) -> pa.Table:
        columns = list(batch.columns)
        draw = columns.pop(0).to_numpy(zero_copy_only=False)
        key = columns.pop(0)
        codes = self.label.encode(columns.pop(0))
        arrays: list[pa.Array] = [key, pa.array(codes)]
        if self.weighted:
            arrays.append(columns.pop(0).cast(self.schema.arrow_type))
        matrix = self.schema.encode(columns)
        counts.add(codes, matrix)
        runs.take(draw)
        arrays += _matrix_arrays(matrix, self.schema)
        return pa.Table.from_arrays(arrays, schema=self.arrow_schema())

    def _table(self, block: Block, counts: ShardCounts) -> pa.Table:
        arrays: list[pa.Array] = [pa.array(block.key), pa.array(block.y)]
        if block.weight is not None:
            arrays.append(pa.array(block.weight))
        counts.add(block.y, block.X)
        arrays += _matrix_arrays(block.X, self.schema)
        return pa.Table.from_arrays(arrays, schema=self.arrow_schema())


def _matrix_arrays(matrix: Matrix, schema: FeatureSchema) -> list[pa.Array]:
    if isinstance(matrix, np.ndarray):
        if schema.layout == "columns":
            by_feature = np.ascontiguousarray(matrix.T)
            return [pa.array(row) for row in by_feature]
        item = pa.field("item", schema.arrow_type, nullable=False)
        kind = pa.list_(item, schema.n_features)
        return [pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), type=kind)]
    offsets = pa.array(matrix.indptr.astype(np.int32))
    indices = pa.array(matrix.indices.astype(np.int32, copy=False))
    i32 = pa.list_(pa.field("item", pa.int32(), False))
    stored = pa.list_(pa.field("item", schema.arrow_type, False))
    return [
        pa.ListArray.from_arrays(offsets, indices, type=i32),
        pa.ListArray.from_arrays(offsets, pa.array(matrix.data), type=stored),
    ]


class _Runs:
    """Counts rows with the same draw as the row before: rows of equal content."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.longest = 0
        self._last: int | None = None
        self._run = 0

    def take(self, draw: npt.NDArray[Any]) -> None:
        if not len(draw):
            return
        same = draw[1:] == draw[:-1]
        continues = self._last is not None and int(draw[0]) == self._last
        self.duplicates += int(same.sum()) + int(continues)
        ends = np.flatnonzero(~same)
        starts = np.concatenate(([0], ends + 1))
        lengths = np.diff(np.concatenate((starts, [len(draw)])))
        if continues:
            lengths[0] += self._run
        self.longest = max(self.longest, int(lengths.max()))
        self._run, self._last = int(lengths[-1]), int(draw[-1])


def _regroup(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Slice and join batches so that each has `rows` rows, the last one fewer."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, rows - count)
            batch = batch.slice(part.num_rows)
            held.append(part)
            count += part.num_rows
            if count == rows:
                yield _join(held)
                held, count = [], 0
    if held:
        yield _join(held)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def footer_sha256(folder: Folder, name: str) -> str:
    """Return the SHA-256 of a Parquet file's footer (its metadata and last eight bytes)."""
    with folder.open_input(name) as file:
        size = file.size()
        file.seek(size - 8)
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or length + 8 > size:
            raise ValueError("no Parquet footer")
        file.seek(size - 8 - length)
        return hashlib.sha256(file.read(length + 8)).hexdigest()
