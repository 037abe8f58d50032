"""Anytime ensembles: members are added in waves until a score on kept rows stops improving."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.combiner import Combiner
from sparkml_dist.ensemble.engine import Engine
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.scores import is_better, score_rows

__all__ = ["Stopping", "evaluation_shards", "fit_in_waves"]

_logger = logging.getLogger(__name__)

WAVES = "waves"
# Rows that tell a score to about 0.005; more shards are read until there are as many.
_ENOUGH_ROWS = 10_000


@dataclass(frozen=True)
class Stopping:
    """When to stop adding members.

    Attributes
    ----------
    metric : str
        One of `sparkml_dist.report.scores`.
    tol : float
        Least improvement that counts, in the metric's unit.
    patience : int
        Waves without one before the end.
    wave : int
        Members of a wave.
    kept : Validation
        Rows that members do not see.
    """

    metric: str
    tol: float
    patience: int
    wave: int
    kept: Validation


def fit_in_waves(
    engine: Engine,
    stopping: Stopping,
    combine: Callable[[Sequence[dict[str, Any]]], Combiner],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Fit members of an engine wave by wave until they no longer help.

    The score is taken on kept rows of the first few shards, which are read again for every wave;
    the votes of earlier members are kept beside the model and not asked for again.

    Parameters
    ----------
    engine : Engine
        Its plans leave out ``stopping.kept``.
    stopping : Stopping
    combine : callable
        From the records of members to what scores with them.

    Returns
    -------
    records : list of dict
        Of all members that were fitted.
    curve : dict
        ``metric``, ``rows``, ``shards`` (read for the score), ``scores`` (of the first 1, 2, …
        members), ``stopped`` (whether members were left out), ``best`` (number of members with
        the best score).

    References
    ----------
    Salloum, Huang, He, Chen (2019), "An asymptotic ensemble learning framework for big data
    analysis", doi:10.1109/ACCESS.2018.2889355.
    """
    shards = evaluation_shards(engine.data, stopping.kept.fraction)
    records: list[dict[str, Any]] = []
    scores: list[float] = []
    best, idle, rows = math.nan, 0, 0
    while len(records) < len(engine.plans):
        wave = range(len(records), min(len(records) + stopping.wave, len(engine.plans)))
        records += engine.fit(wave)
        task = _Evaluation(
            engine.data,
            engine.folder.child(WAVES),
            combine(records[wave.start :]),
            shards,
            stopping,
            wave.start,
            len(records),
        )
        outcome = run_tasks(engine.spark, [0], task, description=f"score {len(records)} members")[0]
        if outcome.error:
            raise outcome.error
        scores += outcome.result["scores"]
        rows = outcome.result["rows"]
        now = scores[-1]
        _logger.info("%d members: %s %.5f", len(records), stopping.metric, now)
        if math.isnan(best) or is_better(stopping.metric, now, best, stopping.tol):
            best, idle = now, 0
        else:
            idle += 1
            if idle >= stopping.patience:
                break
    ranked = max(range(len(scores)), key=lambda i: _rank(stopping.metric, scores[i]))
    return records, {
        "metric": stopping.metric,
        "rows": rows,
        "shards": list(shards),
        "scores": scores,
        "stopped": len(records) < len(engine.plans),
        "best": ranked + 1,
    }


def _rank(metric: str, score: float) -> float:
    if math.isnan(score):
        return -math.inf
    return score if is_better(metric, 1.0, 0.0) else -score


def evaluation_shards(data: PartitionedDataset, fraction: float) -> tuple[int, ...]:
    """Return as few shards as have enough kept rows, or all."""
    expected = 0.0
    for shard in data.shards:
        expected += shard.rows * fraction
        if expected >= _ENOUGH_ROWS:
            return tuple(range(shard.index + 1))
    return tuple(range(len(data.shards)))


@dataclass(frozen=True)
class _Evaluation:
    """Scores the first 1, 2, … members on kept rows, in one task."""

    data: PartitionedDataset
    home: Folder
    combiner: Combiner
    shards: tuple[int, ...]
    stopping: Stopping
    before: int
    after: int

    def __call__(self, _: int) -> dict[str, Any]:
        name = f"wave-{self.after:05d}"
        if self.home.exists(f"{name}.json"):
            found: dict[str, Any] = self.home.read_json(f"{name}.json")
            return found
        staged = self.combiner.load_staged()
        labels, weights, parts = [], [], []
        for shard in self.shards:
            block = self.data.read_block(shard)
            kept = self.stopping.kept.mask(block.key)
            if not kept.any():
                continue
            labels.append(block.y[kept])
            weights.append(np.ones(kept.sum()) if block.weight is None else block.weight[kept])
            parts.append([votes.copy() for votes in staged(block.X[kept])])
        if not labels:
            raise DataError(
                "no_validation_rows",
                f"No row was kept for the score {self.stopping.metric!r}.",
                "Raise validationFraction, or give fewer columns as the key.",
            )
        y, weight = np.concatenate(labels), np.concatenate(weights)
        earlier: Any = 0.0
        if self.before:
            earlier = read_array(self.home, f"wave-{self.before:05d}.npy", rows=len(y))
        scores, votes = [], earlier
        # The mean of a regression must be one; of votes any multiple will do.
        regression = self.combiner.voting == "mean"
        for stage, added in enumerate(zip(*parts, strict=True), start=self.before + 1):
            votes = earlier + np.concatenate(added)
            shown = votes / stage if regression else votes
            scores.append(score_rows(self.stopping.metric, y, shown, weight))
        write_array(self.home, f"{name}.npy", votes)
        result = {"scores": scores, "rows": len(y)}
        self.home.write_json(f"{name}.json", result)
        return result
