"""Gives a rank's rows to XGBoost in blocks; imported in ranks only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xgboost

from sparkml_dist.boosting.rank_rows import RankRows
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.schema import FeatureSchema

__all__ = ["Batches", "feature_types"]


def feature_types(schema: FeatureSchema) -> list[str] | None:
    """Return XGBoost's types of the features; None where none is categorical."""
    categorical = schema.categorical_features
    if not categorical:
        return None
    types = ["q"] * schema.n_features
    for feature in categorical:
        types[feature] = "c"
    return types


class Batches(xgboost.DataIter):
    """The blocks of a rank, which XGBoost reads several times while it bins the features.

    Parameters
    ----------
    rows : RankRows
    cache : str or None
        Prefix of the files for binned rows; None to keep them in memory.
    on_block : callable
        Called before each block is read.
    keep : bool, default=False
        Whether to keep the blocks of the first reading for the others.
    on_gpu : bool, default=False
        Whether trees are grown on a GPU.
    """

    def __init__(
        self,
        rows: RankRows,
        cache: str | None,
        on_block: Callable[[], None],
        *,
        keep: bool = False,
        on_gpu: bool = False,
    ) -> None:
        self._rows = rows
        # XGBoost bins for a GPU, on disk, only what is in the GPU's memory.
        self._on_gpu = on_gpu and cache is not None
        self._types = feature_types(rows.data.schema)
        self._on_block = on_block
        self._blocks: Iterator[Block] = iter(())
        self._kept: list[Block] | None = [] if keep else None
        self._whole = False
        self._sent = 0
        super().__init__(cache_prefix=cache)

    def reset(self) -> None:
        """Begin again."""
        self._sent = 0
        if self._kept is not None and self._whole:
            self._blocks = iter(self._kept)
            return
        self._blocks = self._rows.blocks()
        if self._kept is not None:
            self._kept.clear()

    def next(self, input_data: Callable[..., None]) -> bool:
        """Give the next block to XGBoost; return False after the last one."""
        self._on_block()
        block = next(self._blocks, None)
        if block is not None and self._kept is not None and not self._whole:
            self._kept.append(block)
        if block is None:
            self._whole = True
            if self._sent:
                return False
            block = self._nothing()  # XGBoost needs a block of every rank
        self._sent += 1
        X: Any = block.X
        if self._on_gpu:
            import cupy

            X = cupy.asarray(X)
        input_data(data=X, label=block.y, weight=block.weight, feature_types=self._types)
        return True

    def _nothing(self) -> Block:
        manifest = self._rows.data.manifest
        weight = None if manifest.weight is None else np.zeros(0, np.float32)
        X: Any = np.zeros((0, manifest.schema.n_features), np.float32)
        if manifest.schema.layout == "sparse":
            import scipy.sparse as sp

            X = sp.csr_matrix(X)
        return Block(X, np.zeros(0, np.float32), weight, np.zeros(0, np.int64))
