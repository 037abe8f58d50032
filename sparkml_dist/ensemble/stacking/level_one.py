"""Level-one data: base learners' predictions for rows held out from them, as a data set."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.dataset.shard_commits import committed_shard, write_shards
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.ensemble.stacking.level_one_columns import LevelOneColumns
from sparkml_dist.ensemble.voting.row_subsets import part_of
from sparkml_dist.errors import DataError, TrainingError
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.models.scoring import loaded
from sparkml_dist.persistence.arrays import read_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LevelOneWriting", "Part", "meta_groups", "write_level_one"]


@dataclass(frozen=True)
class Part:
    """Rows, and base learners that have not seen them.

    Attributes
    ----------
    rows : Subset
    bases : tuple of Combiner or None
        None if a base learner's outputs are in a file beside the shard.
    """

    rows: Subset
    bases: tuple[Combiner | None, ...]


@dataclass(frozen=True)
class LevelOneWriting:
    """Writes one shard of level one, in a task, with the rows and order of the source shard.

    A row's features are the outputs of the base learners of its part; rows in no part are left out.

    Attributes
    ----------
    data : PartitionedDataset
    home : Folder
        Folder of level one.
    columns : LevelOneColumns
    parts : tuple of Part
    beside : dict of int to Folder
        For base learners without members: the folder of ``shard-00000.npy``, … with their outputs
        of shape (rows, n_classes) or (rows,).
    memory : int
        Bytes that members and rows may take.
    """

    data: PartitionedDataset
    home: Folder
    columns: LevelOneColumns
    parts: tuple[Part, ...]
    beside: dict[int, Folder]
    memory: int

    def __call__(self, shard: int) -> dict[str, Any]:
        """Write and commit a shard, or return its committed record."""
        return committed_shard(self.home, shard, lambda: self._written(shard))

    def _written(self, shard: int) -> dict[str, Any]:
        label = self.data.manifest.label
        codes = Label(label.column, "integer", tuple(range(len(label.classes))))
        writer = ShardWriter(
            self.home,
            self.columns.schema(stored=True),
            label if label.is_regression else codes,
            self.data.manifest.weight is not None,
            max((1, *self.data.shards[shard].row_groups)),
        )
        spent = [0.0]
        outcome = writer.write(shard, self._batches(shard, spent))
        return {**outcome, "predict_seconds": round(spent[0], 4)}

    def _batches(self, shard: int, spent: list[float]) -> Iterator[pa.RecordBatch]:
        """Yield a shard's rows; add the seconds of members' predictions to `spent`."""
        rows = self.data.shards[shard].rows
        name = f"shard-{shard:05d}.npy"
        beside = {
            base: read_array(folder, name, rows=rows)
            for base, folder in self.beside.items()
            if folder.exists(name)
        }
        base_of = self._loader()
        at = 0
        for groups in self._strides(shard):
            block = self.data.read_block(shard, groups)
            n = len(block)
            found = part_of(block.key, [part.rows for part in self.parts])
            outputs = np.empty((n, self.columns.n_outputs), np.float32)
            for p, part in enumerate(self.parts):
                chosen = np.flatnonzero(found == p)
                X = block.X[chosen] if len(chosen) else None
                for b in range(len(part.bases) if X is not None else 0):
                    if b in self.beside:
                        output = self._stored_output(b, beside, at + chosen)
                    else:
                        base = base_of(p, b)
                        start = time.perf_counter()
                        output = base(X)
                        spent[0] += time.perf_counter() - start
                    outputs[chosen, self.columns.columns_of(b)] = self.columns.output(output)
            at += n
            kept = np.flatnonzero(found >= 0)
            if len(kept):
                yield self._batch(block, outputs, kept, at - n)

    def _stored_output(
        self, base: int, arrays: dict[int, npt.NDArray[Any]], rows: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Return the stored outputs of a base learner without members; raise if any is missing."""
        if base not in arrays or np.isnan(output := arrays[base][rows]).any():
            raise TrainingError(
                "output_missing",
                f"The base learner {self.columns.names[base]!r} has no output for some rows.",
                "Does it drop rows that it cannot score? Make it keep them (handleInvalid).",
            )
        return output

    def _strides(self, shard: int) -> list[list[int]]:
        """Return row groups to read together: one, or many if the members do not fit in memory."""
        groups = self.data.shards[shard].row_groups
        if self._members_fit:
            return [[g] for g in range(len(groups))]
        row_bytes = 4 * (self.data.n_features + 2 * self.columns.n_outputs)
        strides: list[list[int]] = []
        room = 0
        for g, rows in enumerate(groups):
            if not strides or rows > room:
                strides.append([])
                room = max(rows, self.memory // 3 // row_bytes)
            strides[-1].append(g)
            room -= rows
        return strides

    @cached_property
    def _members_fit(self) -> bool:
        sizes = (b.bank.size() for part in self.parts for b in part.bases if b is not None)
        return sum(sizes) <= self.memory // 3

    @property
    def _cache_key(self) -> str:
        keys = [b.cache_key for part in self.parts for b in part.bases if b is not None]
        return "level one " + hashlib.sha256("".join(keys).encode()).hexdigest()

    def _loader(self) -> Callable[[int, int], Callable[[Matrix], npt.NDArray[Any]]]:
        # If all members fit, a worker loads them once for all shards that it writes.
        kept: dict[tuple[int, int], Any] = (
            loaded(self._cache_key, dict) if self._members_fit else {}
        )

        def base_of(part: int, base: int) -> Callable[[Matrix], npt.NDArray[Any]]:
            if (part, base) not in kept:
                combiner = self.parts[part].bases[base]
                assert combiner is not None
                if not self._members_fit:
                    kept.clear()  # one base at a time
                kept[part, base] = combiner.load()
            found: Callable[[Matrix], npt.NDArray[Any]] = kept[part, base]
            return found

        return base_of

    def _batch(
        self, block: Block, outputs: npt.NDArray[np.float32], kept: npt.NDArray[Any], at: int
    ) -> pa.RecordBatch:
        """Return rows in the form that `ShardWriter` takes."""
        features = self.columns.matrix(outputs[kept], block.X[kept])
        arrays = [pa.array(at + kept), pa.array(block.key[kept]), pa.array(block.y[kept])]
        if block.weight is not None:
            arrays.append(pa.array(block.weight[kept]))
        if isinstance(features, np.ndarray):
            flat = pa.array(np.ascontiguousarray(features, np.float32).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, features.shape[1]))
        else:
            offsets = pa.array(features.indptr.astype(np.int32))
            size = pa.array(np.full(len(kept), features.shape[1]))
            indices = pa.ListArray.from_arrays(offsets, pa.array(features.indices))
            values = pa.ListArray.from_arrays(offsets, pa.array(features.data))
            struct = pa.StructArray.from_arrays(
                [size, indices, values], ["size", "indices", "values"]
            )
            arrays.append(struct)
        return pa.RecordBatch.from_arrays(arrays, [f"c{i}" for i in range(len(arrays))])


def write_level_one(
    spark: SparkSession, writing: LevelOneWriting
) -> tuple[PartitionedDataset, float]:
    """Write level one, with one task per shard; committed shards are kept.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    writing : LevelOneWriting

    Returns
    -------
    PartitionedDataset
        Its shards have the rows, order, keys, labels and weights of their source shards.
        `open_partitioned` opens it again.
    float
        Seconds that the base learners took to predict, over all tasks.

    Raises
    ------
    DataError
        ``no_validation_rows``.

    References
    ----------
    Wolpert (1992), "Stacked generalization".
    """
    data = writing.data
    shards, missing, notes = write_shards(
        spark, len(data.shards), writing, description="write level-one data"
    )
    if not sum(s.rows for s in shards):
        raise DataError(
            "no_validation_rows",
            "No row is held out from the base learners for the final estimator.",
            "Raise validationFraction, or use fewer columns as the key.",
        )
    manifest = Manifest(
        schema=writing.columns.schema(),
        label=data.manifest.label,
        weight=data.manifest.weight,
        key=data.manifest.key,
        seed=data.manifest.seed,
        shards=shards,
        missing_features=missing,
        library_version=__version__,
    )
    manifest.write(writing.home)
    seconds = sum(note["predict_seconds"] for note in notes)
    return PartitionedDataset(writing.home, manifest), seconds


def meta_groups(shards: Sequence[ShardInfo], memory: int) -> list[tuple[int, ...]]:
    """Return groups of level-one shards that each fit the memory of a task, as few as possible.

    Parameters
    ----------
    shards : sequence of ShardInfo
    memory : int
        Bytes of a task, which holds a block and up to twice as much for the learner.
    """
    filled = [s for s in shards if s.rows]
    total = sum(s.block_bytes for s in filled)
    count = min(len(filled), max(1, -(-total * 3 // memory)))
    return [tuple(s.index for s in part) for part in _even(filled, count)]


def _even(items: Sequence[ShardInfo], count: int) -> list[Sequence[ShardInfo]]:
    bounds = [round(i * len(items) / count) for i in range(count + 1)]
    return [items[a:b] for a, b in itertools.pairwise(bounds)]
