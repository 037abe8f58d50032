"""Reads shards with pyarrow into preallocated blocks; no JVM takes part."""

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

__all__ = ["locate", "read_block"]

# Decoded and transposed at a time. It stays in the cache of a core while column after column is
# written into it, and is little beside a block; whole row groups, one while the one before is
# still there, would weigh more than a small shard, and files that others wrote may have any.
_PIECE_BYTES = 1 << 20
_LEAST_STRIP_ROWS = 256
_LEAST_BATCH_ROWS = 2048  # every batch costs something for each of its columns
# How a file is read. On a local disk, each column in small pieces as it is decoded; from a store
# across a network, where a piece is a request, a row group's columns together and ahead.
_LITTLE_MEMORY = {"pre_buffer": False, "buffer_size": 1 << 16}
_FEW_REQUESTS = {"pre_buffer": True, "buffer_size": 0}

_verified: set[tuple[object, int]] = set()
_MOST_VERIFIED = 100_000
# Footers of the files that are read row group after row group.
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

    Memory: the block, and beside it, while it is filled, a page of each column and a batch of
    about a megabyte; where shards do not lie on a local disk, one row group as it lies there.

    Parameters
    ----------
    folder : Folder
        Where the manifest lies.
    manifest : Manifest
    shards : sequence of int
        Shards to read, one below the other.
    row_groups : sequence of int, optional
        Row groups to read, when `shards` names one shard only.
    features : sequence of int, optional
        Features to read, in this order; only their columns are touched on disk where each
        feature has its own.
    dtype : dtype, default=float32
        Type of a dense matrix.
    verify : bool, default=True
        Check file sizes, footers and page checksums; those of a row group once in a process, as
        long as the file's size and time of change stay.

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
    # Before memory is taken for what they are said to hold.
    found = [_found(folder, part, verify=verify) for part in parts]
    sparse = manifest.schema.layout == "sparse"
    builder = BlockBuilder(
        rows,
        manifest.schema.n_features if features is None else len(features),
        dtype=dtype,
        label_dtype=np.float64 if manifest.label.is_regression else np.int32,
        weighted=manifest.weight is not None,
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
        raise _damaged(folder, parts[-1], f"{builder.rows} rows where the manifest has {rows}")
    if row_groups is None:
        # A learner comes now, and would pay for what Arrow's allocator keeps for the next reading.
        # Who reads row group after row group would pay for its release each time.
        pa.default_memory_pool().release_unused()
    return builder.block()


class _Reading:
    """Knows which columns to read and how to make arrays of them."""

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
            # Learners' compiled code goes where these lead.
            if len(places) and not 0 <= places.min() <= places.max() < width:
                raise ValueError(f"a row has a feature beyond the {width:,} of the manifest")
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
    """Yield the rows of a shard in batches, with its file checked against the manifest."""
    home, name = locate(folder, shard)

    def guarded(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FileNotFoundError as error:
            raise StorageError(
                "file_not_found",
                f"Shard {shard.index} is gone: there is no file {home.uri(name)!r}.",
                "Every worker must see the data set's folder; if it is deleted, cut it anew.",
            ) from error
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise _damaged(folder, shard, str(error).splitlines()[0]) from error

    wanted = range(len(shard.row_groups)) if row_groups is None else row_groups
    state = (home.location, name, shard.sha256, found.size, found.mtime_ns, tuple(reading.names))
    # Members read a shard many times, and ranks in every epoch: what this process has checked
    # once, and nobody has touched since, need not be checked again.
    verify = verify and not all((state, group) in _verified for group in wanted)
    if verify and guarded(lambda: footer_sha256(home, name)) != shard.footer_sha256:
        raise _damaged(folder, shard, "its footer does not match the manifest")
    source = guarded(lambda: home.filesystem.open_input_file(home.path(name)))
    with source:
        local = isinstance(home.filesystem, pafs.LocalFileSystem)
        options = _LITTLE_MEMORY if local else _FEW_REQUESTS
        # What is checked is parsed anew; nobody has touched the file since then.
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
                f"it has row groups of {_listed(groups)} rows where the manifest has "
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


def _found(folder: Folder, shard: ShardInfo, *, verify: bool) -> pafs.FileInfo:
    """Return what there is of a shard's file, which must have the size that the manifest has."""
    home, name = locate(folder, shard)
    found = home.info(name)
    if verify and found.size is not None and found.size != shard.bytes:
        raise StorageError(
            "file_altered",
            f"Shard {shard.index} ({home.uri(name)!r}) has {found.size:,} bytes where the manifest "
            f"has {shard.bytes:,}.",
            "The file was cut or replaced; cut the data set anew.",
        )
    return found


def _listed(groups: Sequence[int]) -> str:
    return " + ".join(f"{rows:,}" for rows in groups) or "no"


def locate(folder: Folder, shard: ShardInfo) -> tuple[Folder, str]:
    """Return the folder and name of a shard's file; adopted files lie anywhere."""
    head, _, tail = shard.file.rpartition("/")
    if head.startswith("/") or "://" in head:
        return Folder(head), tail
    return (folder.child(head), tail) if head else (folder, tail)


def _damaged(folder: Folder, shard: ShardInfo, why: str) -> StorageError:
    home, name = locate(folder, shard)
    return StorageError(
        "file_altered",
        f"Shard {shard.index} ({home.uri(name)!r}) is damaged: {why}.",
        "The file was altered after it was written; restore it, or cut the data set anew.",
    )
