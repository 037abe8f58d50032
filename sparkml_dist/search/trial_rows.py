"""The rows that trials learn from and are scored on: read once by a worker, and kept there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Subset, Validation
from sparkml_dist.errors import DataError

__all__ = ["HeldOutParts", "TrialRows", "labels_and_weights"]

# Blocks of this worker process, the latest last; shared by all tasks and searches that it runs.
_kept: OrderedDict[Any, Any] = OrderedDict()


@dataclass(frozen=True)
class HeldOutParts:
    """Which rows are held out from trials, and read to score them.

    Attributes
    ----------
    parts : tuple of Subset
        One held-out set, or the folds. A trial is fitted once for each, without these rows.
    shards : tuple of int
        Shards whose held-out rows are read.
    """

    parts: tuple[Subset, ...]
    shards: tuple[int, ...]


@dataclass(frozen=True)
class TrialRows:
    """Reads the rows of trials in a worker; blocks are kept for the next trial.

    Attributes
    ----------
    data : PartitionedDataset
    held_out : HeldOutParts
    memory : int
        Bytes of blocks that a worker keeps; the latest is kept in any case.
    """

    data: PartitionedDataset
    held_out: HeldOutParts
    memory: int

    def training(self, shards: Sequence[int], part: int, dtype: str) -> Block:
        """Return the rows of shards that are not in a held-out part.

        Raises
        ------
        DataError
            ``no_training_rows``.
        """
        subset = self.held_out.parts[part]
        # Folds leave out different rows: one block serves them all, and a fit copies its share.
        whole = not isinstance(subset, Validation)
        key = (self._source, tuple(shards), dtype, None if whole else repr(subset))
        block: Block = self._kept(key, lambda: self._read(shards, None if whole else subset, dtype))
        return block

    def without(self, part: int) -> Subset | None:
        """Return the rows that `training` has not left out yet."""
        subset = self.held_out.parts[part]
        return None if isinstance(subset, Validation) else subset

    def scored(self) -> list[Block]:
        """Return the held-out rows, a block for each part.

        Raises
        ------
        DataError
            ``no_validation_rows``.
        """
        key = (self._source, self.held_out.shards, repr(self.held_out.parts))
        blocks: list[Block] = self._kept(key, self._read_held_out)
        return blocks

    @property
    def _source(self) -> tuple[str, str]:
        return self.data.location, self.data.manifest.content_sha256

    def _read(self, shards: Sequence[int], subset: Subset | None, dtype: str) -> Block:
        block = self.data.read_block(shards, dtype=np.dtype(dtype))
        if subset is None:
            return block
        rows = np.flatnonzero(~subset.mask(block.key))
        if not len(rows):
            raise DataError(
                "no_training_rows",
                f"All {len(block):,} rows of shard(s) {', '.join(map(str, shards))} are held out.",
                "Make fewer shards, hold out fewer rows, or use a key with more values.",
            )
        return _taken(block, rows)

    def _read_held_out(self) -> list[Block]:
        found: list[list[Block]] = [[] for _ in self.held_out.parts]
        for shard in self.held_out.shards:
            block = self.data.read_block(shard)
            for part, subset in enumerate(self.held_out.parts):
                rows = np.flatnonzero(subset.mask(block.key))
                if len(rows):
                    found[part].append(_taken(block, rows))
        if not all(found):
            raise DataError(
                "no_validation_rows",
                "No row is held out to score trials on."
                if len(found) == 1
                else f"Of {len(found)} folds some have no row.",
                "Raise validationFraction, use fewer folds, or a key with more values.",
            )
        return [_joined(blocks) for blocks in found]

    def _kept(self, key: Any, read: Any) -> Any:
        if key in _kept:
            _kept.move_to_end(key)
        else:
            _kept[key] = read()
            while len(_kept) > 1 and sum(map(_bytes, _kept.values())) > self.memory:
                _kept.popitem(last=False)
        return _kept[key]


def _bytes(value: Any) -> int:
    return sum(b.nbytes for b in value) if isinstance(value, list) else int(value.nbytes)


def _taken(block: Block, rows: npt.NDArray[Any]) -> Block:
    weight = None if block.weight is None else block.weight[rows]
    return Block(block.X[rows], block.y[rows], weight, block.key[rows])


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    X: Any = [b.X for b in blocks]
    X = sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X)
    weights = [b.weight for b in blocks if b.weight is not None]
    return Block(
        X,
        np.concatenate([b.y for b in blocks]),
        np.concatenate(weights) if weights else None,
        np.concatenate([b.key for b in blocks]),
    )


def labels_and_weights(
    blocks: Sequence[Block],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return the labels of blocks' rows, and their weights: 1 where the data has none.

    Parameters
    ----------
    blocks : sequence of Block

    Returns
    -------
    y, weight : ndarray of shape (n,)
    """
    weights = [np.ones(len(b)) if b.weight is None else b.weight for b in blocks]
    return np.concatenate([b.y for b in blocks]), np.concatenate(weights).astype(np.float64)
