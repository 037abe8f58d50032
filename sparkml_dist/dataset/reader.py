"""Reads shards with pyarrow into preallocated blocks, without the JVM."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from pyarrow import fs as pafs

from sparkml_dist.dataset.adopted import AdoptedColumns
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.block_builder import BlockBuilder
from sparkml_dist.dataset.footers import Footers
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.writer import (
    INDICES,
    KEY,
    LABEL,
    VALUES,
    VECTOR,
    WEIGHT,
    footer_sha256,
)
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import is_uri, parent_and_name

__all__ = ["locate", "read_block"]

# Bytes that are decoded and transposed at a time. They stay in a core's cache while column after
# column is written, and are few beside a block. Row groups of files that others wrote may be of any
# size, and two at a time could be larger than a small shard.
_PIECE_BYTES = 1 << 20
_LEAST_STRIP_ROWS = 256
_LEAST_BATCH_ROWS = 2048  # every batch has a cost for each of its columns
# How a file is read. On a local disk: each column in small pieces as it is decoded. From a remote
# store, where each piece is a request: the columns of a row group together and ahead.
_LITTLE_MEMORY = {"pre_buffer": False, "buffer_size": 1 << 16}
_FEW_REQUESTS = {"pre_buffer": True, "buffer_size": 0}

_verified: set[tuple[object, int]] = set()
_MOST_VERIFIED = 100_000
# Footers of files that are read one row group at a time.
_footers = Footers()


def read_block(
    folder: Folder,
    manifest: Manifest,
    shards: Sequence[int],
    *,
    row_groups: Sequence[int] | None = None,
    features: Sequence[int] | None = None,
    dtype: npt.DTypeLike = np.float32,
    verify: bool = True,
) -> Block:
    """Read shards, or row groups of one shard, as one block.

    Memory: the block and, while it is filled, a page of each column and a batch of about a
    megabyte; for shards on a remote store, one row group as it is stored.

    Parameters
    ----------
    folder : Folder
        Folder of the manifest.
    manifest : Manifest
    shards : sequence of int
        Shards to read, in this order.
    row_groups : sequence of int, optional
        Row groups to read, when `shards` has one shard only.
    features : sequence of int, optional
        Features to read, in this order; where each feature has a Parquet column, only these
        columns are read.
    dtype : dtype, default=float32
        Type of a dense matrix.
    verify : bool, default=True
        Check file sizes, footers and page checksums; of each row group once per process, as long
        as the file's size and modification time stay the same.

    Returns
    -------
    Block

    Raises
    ------
    StorageError
        ``file_not_found`` or ``file_altered``.
    """
    parts = [manifest.shards[s] for s in shards]
    if row_groups is not None and len(parts) != 1:
        raise ValueError("row_groups can be given for one shard only")
    rows = sum(
        p.rows if row_groups is None else sum(p.row_groups[g] for g in row_groups) for p in parts
    )
    # Checked before memory is allocated for the rows of the manifest.
    found = [_file_info(folder, part, verify=verify) for part in parts]
    sparse = manifest.schema.layout == "sparse"
    builder = BlockBuilder(
        rows,
        manifest.schema.n_features if features is None else len(features),
        dtype=dtype,
        label_dtype=np.float64 if manifest.label.is_regression else np.int32,
        weighted=manifest.weight is not None,
        stored=manifest.schema.dtype,
        # A stored value is a float32 and an index of at least four bytes.
        capacity=sum(p.block_bytes for p in parts) // 8 if sparse else None,
    )
    reading = _Reading(manifest, features)
    for part, info in zip(parts, found, strict=True):
        for batch in _batches(folder, part, info, reading, row_groups, verify):
            try:
                place = builder.add(*reading.identity(batch))
                if sparse:
                    builder.add_sparse(place, reading.sparse(batch))
                else:
                    reading.fill(batch, builder.dense(place))
            except (BufferError, ValueError, TypeError, pa.ArrowException) as error:
                raise _damaged(folder, part, str(error)) from error
    if builder.rows != rows:
        raise _damaged(folder, parts[-1], f"it has {builder.rows} rows instead of {rows}")
    if row_groups is None:
        # Arrow's allocator keeps memory for its next reading, which the learner needs now. Readers
        # of single row groups would pay for the release each time.
        pa.default_memory_pool().release_unused()
    return builder.block()


class _Reading:
    """The columns to read, and their conversion to arrays."""

    def __init__(self, manifest: Manifest, features: Sequence[int] | None) -> None:
        self._schema = manifest.schema
        self._features = features
        self._weighted = manifest.weight is not None
        self._adopted = None if manifest.encoded else AdoptedColumns.of(manifest)
        self._strip = max(_LEAST_STRIP_ROWS, _PIECE_BYTES // (4 * self._schema.n_features))
        self.batch_rows = max(_LEAST_BATCH_ROWS, self._strip)
        self.names: list[str]
        if self._adopted is not None:
            self.names = self._adopted.names
            return
        self.names = [KEY, LABEL, *([WEIGHT] if self._weighted else [])]
        self._first = len(self.names)
        if self._schema.layout == "columns":
            every = self._schema.feature_names
            self.names += every if features is None else [every[i] for i in features]
        elif self._schema.layout == "dense":
            self.names.append(VECTOR)
        else:
            self.names += [INDICES, VALUES]

    def identity(self, batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
        """Return label, weight (or None) and key of a batch, each of shape (n,)."""
        if self._adopted is not None:
            return self._adopted.identity(batch)
        weight = _numpy(batch, WEIGHT) if self._weighted else None
        return _numpy(batch, LABEL), weight, _numpy(batch, KEY)

    def fill(self, batch: pa.RecordBatch, out: npt.NDArray[Any]) -> None:
        """Copy the features of a batch into `out`, shape (n, width)."""
        if self._adopted is not None:
            matrix = self._adopted.matrix(batch)
            out[:] = matrix if self._features is None else matrix[:, self._features]
        elif self._schema.layout == "columns":
            columns = [_numpy(batch, name) for name in self.names[self._first :]]
            for start in range(0, len(out), self._strip):
                rows = slice(start, start + self._strip)
                strip = out[rows]
                for j, column in enumerate(columns):
                    strip[:, j] = column[rows]
        else:
            flat = batch.column(VECTOR).flatten().to_numpy(zero_copy_only=False)
            matrix = flat.reshape(len(batch), self._schema.n_features)
            out[:] = matrix if self._features is None else matrix[:, self._features]

    def sparse(self, batch: pa.RecordBatch) -> sp.csr_matrix:
        """Return the features of a batch as CSR, shape (n, width)."""
        if self._adopted is not None:
            matrix = self._adopted.matrix(batch)
        else:
            values, indices = batch.column(VALUES), batch.column(INDICES)
            offsets, width = values.offsets.to_numpy(), self._schema.n_features
            places = indices.flatten().to_numpy(zero_copy_only=False)
            # Compiled code of learners uses these indices without bounds checks.
            if len(places) and not 0 <= places.min() <= places.max() < width:
                raise ValueError(f"a row has a feature index beyond the manifest's {width:,}")
            matrix = sp.csr_matrix(
                (values.flatten().to_numpy(zero_copy_only=False), places, offsets - offsets[0]),
                shape=(len(batch), width),
            )
        return matrix if self._features is None else sp.csr_matrix(matrix[:, self._features])


def _numpy(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    result: npt.NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)
    return result


def _batches(
    folder: Folder,
    shard: ShardInfo,
    found: pafs.FileInfo,
    reading: _Reading,
    row_groups: Sequence[int] | None,
    verify: bool,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shard in batches; check its file against the manifest."""
    home, name = locate(folder, shard)

    def guarded(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FileNotFoundError as error:
            raise StorageError(
                "file_not_found",
                f"Shard {shard.index} is missing: there is no file {home.uri(name)!r}.",
                "Every worker must reach the data set's folder; if it was deleted, partition the "
                "data again.",
            ) from error
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise _damaged(folder, shard, str(error).splitlines()[0]) from error

    wanted = range(len(shard.row_groups)) if row_groups is None else row_groups
    state = (home.location, name, shard.sha256, found.size, found.mtime_ns, tuple(reading.names))
    # Members read a shard many times, and ranks in every epoch: this process need not check again
    # what it has checked once and what has not changed since.
    verify = verify and not all((state, group) in _verified for group in wanted)
    if verify and guarded(lambda: footer_sha256(home, name)) != shard.footer_sha256:
        raise _damaged(folder, shard, "its footer does not match the manifest")
    source = guarded(lambda: home.open_input(name))
    with source:
        local = isinstance(home.filesystem, pafs.LocalFileSystem)
        options = _LITTLE_MEMORY if local else _FEW_REQUESTS
        # A footer that is checked is parsed again; otherwise the file has not changed.
        footer = None if verify else _footers.get(state)
        file = guarded(
            lambda: pq.ParquetFile(
                source, metadata=footer, page_checksum_verification=verify, **options
            )
        )
        if verify and (absent := set(reading.names).difference(file.schema_arrow.names)):
            raise _damaged(folder, shard, f"it has no column {min(absent)!r}")
        if row_groups is not None:
            _footers.keep(state, file.metadata)
        groups = tuple(
            file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)
        )
        if groups != shard.row_groups:
            raise _damaged(
                folder,
                shard,
                f"it has row groups of {_listed(groups)} rows instead of "
                f"{_listed(shard.row_groups)}",
            )
        for group in wanted:
            batches = file.iter_batches(
                reading.batch_rows, row_groups=[group], columns=reading.names, use_threads=False
            )
            while (batch := guarded(functools.partial(next, batches, None))) is not None:
                yield batch
            if verify:
                if len(_verified) > _MOST_VERIFIED:
                    _verified.clear()
                _verified.add((state, group))


def _file_info(folder: Folder, shard: ShardInfo, *, verify: bool) -> pafs.FileInfo:
    """Return the file information of a shard; raise unless its size is that of the manifest."""
    home, name = locate(folder, shard)
    found = home.info(name)
    if verify and found.size is not None and found.size != shard.bytes:
        raise StorageError(
            "file_altered",
            f"Shard {shard.index} ({home.uri(name)!r}) has {found.size:,} bytes instead of the "
            f"manifest's {shard.bytes:,}.",
            "The file was truncated or replaced; restore it, or partition the data again.",
        )
    return found


def _listed(groups: Sequence[int]) -> str:
    return " + ".join(f"{rows:,}" for rows in groups) or "no"


def locate(folder: Folder, shard: ShardInfo) -> tuple[Folder, str]:
    """Return the folder and name of a shard's file; adopted files may be anywhere."""
    head, tail = parent_and_name(shard.file)
    if head.startswith("/") or is_uri(head):
        return Folder(head), tail
    return (folder.child(head), tail) if head else (folder, tail)


def _damaged(folder: Folder, shard: ShardInfo, why: str) -> StorageError:
    home, name = locate(folder, shard)
    return StorageError(
        "file_altered",
        f"Shard {shard.index} ({home.uri(name)!r}) is damaged: {why}.",
        "The file was altered after it was written; restore it, or partition the data again.",
    )
