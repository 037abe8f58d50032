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

from sparkml_dist.dataset.adopted import AdoptedColumns
from sparkml_dist.dataset.block import Block
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

# Rows transposed at a time: small enough that a strip of the matrix stays in the CPU's cache
# while each of its columns is filled.
_STRIP = 1024

_verified: set[tuple[object, int]] = set()
_MOST_VERIFIED = 100_000


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

    Memory: the block, and one row group beside it while it is filled.

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
        ``shard_missing``, ``shard_truncated`` or ``shard_damaged``.
    """
    parts = [manifest.shards[s] for s in shards]
    if row_groups is not None and len(parts) != 1:
        raise ValueError("row_groups can be given for one shard only")
    sizes = [
        [p.row_groups[g] for g in row_groups] if row_groups is not None else list(p.row_groups)
        for p in parts
    ]
    rows = sum(map(sum, sizes))
    width = manifest.schema.n_features if features is None else len(features)
    y = np.empty(rows, np.float64 if manifest.label.is_regression else np.int32)
    key = np.empty(rows, np.int64)
    weight = np.empty(rows, np.float32) if manifest.weight else None
    sparse = manifest.schema.layout == "sparse"
    X: Any = None if sparse else np.empty((rows, width), dtype)
    strips: list[sp.csr_matrix] = []
    reading = _Reading(manifest, features)
    at = 0
    for part, groups in zip(parts, sizes, strict=True):
        for table in _tables(folder, part, reading.names, row_groups, verify):
            end = at + len(table)
            label, weights, keys = reading.identity(table)
            y[at:end], key[at:end] = label, keys
            if weight is not None:
                weight[at:end] = weights
            if sparse:
                strips.append(reading.sparse(table))
            else:
                reading.fill(table, X[at:end])
            at = end
        if at > rows or len(groups) == 0:
            break
    if at != rows:
        raise _damaged(folder, parts[-1], f"{at} rows where the manifest has {rows}")
    if sparse:
        X = strips[0] if len(strips) == 1 else sp.vstack(strips, format="csr", dtype=np.float32)
    return Block(X, y, weight, key)


class _Reading:
    """Knows which columns to read and how to make arrays of them."""

    def __init__(self, manifest: Manifest, features: Sequence[int] | None) -> None:
        self._schema = manifest.schema
        self._features = features
        self._weighted = manifest.weight is not None
        self._adopted = None if manifest.encoded else AdoptedColumns.of(manifest)
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

    def identity(self, table: pa.Table) -> tuple[Any, Any, Any]:
        """Return label, weight (or None) and key of a row group, each of shape (n,)."""
        if self._adopted is not None:
            return self._adopted.identity(table)
        weight = _numpy(table, WEIGHT) if self._weighted else None
        return _numpy(table, LABEL), weight, _numpy(table, KEY)

    def fill(self, table: pa.Table, out: npt.NDArray[Any]) -> None:
        """Copy the features of a row group into `out`, shape (n, width)."""
        if self._adopted is not None:
            matrix = self._adopted.matrix(table)
            out[:] = matrix if self._features is None else matrix[:, self._features]
        elif self._schema.layout == "columns":
            columns = [_numpy(table, name) for name in self.names[self._first :]]
            for start in range(0, len(out), _STRIP):
                strip = out[start : start + _STRIP]
                for j, column in enumerate(columns):
                    strip[:, j] = column[start : start + _STRIP]
        else:
            flat = _one_chunk(table, VECTOR).flatten().to_numpy(zero_copy_only=False)
            matrix = flat.reshape(len(table), self._schema.n_features)
            out[:] = matrix if self._features is None else matrix[:, self._features]

    def sparse(self, table: pa.Table) -> sp.csr_matrix:
        """Return the features of a row group as CSR, shape (n, width)."""
        if self._adopted is not None:
            matrix = self._adopted.matrix(table)
        else:
            values, indices = _one_chunk(table, VALUES), _one_chunk(table, INDICES)
            offsets = values.offsets.to_numpy()
            matrix = sp.csr_matrix(
                (
                    values.flatten().to_numpy(zero_copy_only=False),
                    indices.flatten().to_numpy(zero_copy_only=False),
                    offsets - offsets[0],
                ),
                shape=(len(table), self._schema.n_features),
            )
        return matrix if self._features is None else sp.csr_matrix(matrix[:, self._features])


def _one_chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numpy(table: pa.Table, name: str) -> npt.NDArray[Any]:
    result: npt.NDArray[Any] = _one_chunk(table, name).to_numpy(zero_copy_only=False)
    return result


def _tables(
    folder: Folder,
    shard: ShardInfo,
    names: list[str],
    row_groups: Sequence[int] | None,
    verify: bool,
) -> Iterator[pa.Table]:
    """Yield the row groups of a shard, with its file checked against the manifest."""
    home, name = locate(folder, shard)

    def guarded(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FileNotFoundError as error:
            raise StorageError(
                "shard_missing",
                f"Shard {shard.index} is gone: there is no file {home.uri(name)!r}.",
                "Every worker must see the data set's folder; if it is deleted, cut it anew.",
            ) from error
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise _damaged(folder, shard, str(error).splitlines()[0]) from error

    found = home.info(name)
    if verify and found.size is not None and found.size != shard.bytes:
        raise StorageError(
            "shard_truncated",
            f"Shard {shard.index} ({home.uri(name)!r}) has {found.size:,} bytes where the manifest "
            f"has {shard.bytes:,}.",
            "The file was cut or replaced; cut the data set anew.",
        )
    wanted = range(len(shard.row_groups)) if row_groups is None else row_groups
    state = (home.location, name, shard.sha256, found.size, found.mtime_ns, tuple(names))
    # Members read a shard many times, and ranks in every epoch: what this process has checked
    # once, and nobody has touched since, need not be checked again.
    verify = verify and not all((state, group) in _verified for group in wanted)
    if verify and guarded(lambda: footer_sha256(home, name)) != shard.footer_sha256:
        raise _damaged(folder, shard, "its footer does not match the manifest")
    source = guarded(lambda: home.filesystem.open_input_file(home.path(name)))
    with source:
        file = guarded(lambda: pq.ParquetFile(source, page_checksum_verification=verify))
        for group in wanted:
            yield guarded(
                functools.partial(file.read_row_group, group, columns=names, use_threads=False)
            )
            if verify:
                if len(_verified) > _MOST_VERIFIED:
                    _verified.clear()
                _verified.add((state, group))


def locate(folder: Folder, shard: ShardInfo) -> tuple[Folder, str]:
    """Return the folder and name of a shard's file; adopted files lie anywhere."""
    head, _, tail = shard.file.rpartition("/")
    if head.startswith("/") or "://" in head:
        return Folder(head), tail
    return (folder.child(head), tail) if head else (folder, tail)


def _damaged(folder: Folder, shard: ShardInfo, why: str) -> StorageError:
    home, name = locate(folder, shard)
    return StorageError(
        "shard_damaged",
        f"Shard {shard.index} ({home.uri(name)!r}) is damaged: {why}.",
        "The file was altered after it was written; restore it, or cut the data set anew.",
    )
