"""Scores the stages of a gradient boosting on rows held out from every learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.ensemble.gradient_boosting.plan import GradientPlan
from sparkml_dist.ensemble.gradient_boosting.state import RowScores
from sparkml_dist.errors import DataError
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.models.scoring import loaded

__all__ = ["StageValidation"]

_NAME = "validation"


@dataclass(frozen=True)
class StageValidation:
    """Scores stages on the held-out rows of a few shards, in one task.

    Attributes
    ----------
    plan : GradientPlan
        Its ``without`` selects the held-out rows.
    metric : str
        One of `sparkml_dist.metrics.scores`.
    shards : tuple of int
        Shards whose held-out rows are used.
    known : int
        Number of stages whose score is known.
    settled : int
        Number of stages that can be scored.
    """

    plan: GradientPlan
    metric: str
    shards: tuple[int, ...]
    known: int
    settled: int

    def __call__(self) -> dict[str, Any]:
        """Return the scores of the stages from `known` to `settled`, and the number of rows."""
        rows_are = (self.plan.data.manifest.content_sha256, self.plan.without, self.shards)
        block: Block = loaded(f"{_NAME}/{self.plan.traits.dtype}/{rows_are}", self._read)
        rows = RowScores(self.plan, _NAME, block, self.known)
        rows.catch_up(self.known)
        scores = []
        weight = np.ones(len(block)) if block.weight is None else block.weight
        for stage in range(self.known, self.settled):
            rows.catch_up(stage + 1)
            shown = self.plan.loss.link(rows.F)
            scores.append(score_rows(self.metric, block.y, shown, weight))
        rows.save()
        return {"scores": scores, "rows": len(block)}

    def _read(self) -> Block:
        assert self.plan.without is not None
        parts = []
        for shard in self.shards:
            block = self.plan.data.read_block(shard, dtype=np.dtype(self.plan.traits.dtype))
            held_out = self.plan.without.mask(block.key)
            weight = None if block.weight is None else block.weight[held_out]
            parts.append(Block(block.X[held_out], block.y[held_out], weight, block.key[held_out]))
        y = np.concatenate([p.y for p in parts])
        if not len(y):
            raise DataError(
                "no_validation_rows",
                f"No row is held out for the score {self.metric!r}.",
                "Raise validationFraction, or use fewer columns as the key.",
            )
        X: Any = [p.X for p in parts]
        X = sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X)
        weights = [p.weight for p in parts if p.weight is not None]
        key = np.concatenate([p.key for p in parts])
        return Block(X, y, np.concatenate(weights) if weights else None, key)
