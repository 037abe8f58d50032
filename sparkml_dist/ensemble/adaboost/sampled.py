"""Boosts data larger than a task's memory: weights are exact, members learn from samples."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.ensemble.adaboost.job import BoostingJob, WeightedRows
from sparkml_dist.ensemble.adaboost.samme import Round, round_result
from sparkml_dist.ensemble.adaboost.shard_weights import STATE, ShardPass, shard_stem, state_folder
from sparkml_dist.ensemble.adaboost.weighted_sample import Candidates
from sparkml_dist.ensemble.score_curve import ScoreCurve
from sparkml_dist.errors import DataError
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.weighted_rows import as_learner_takes
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SampledBoosting"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _SampleFit:
    """Fits the member of one round on the samples of all shards, in one task."""

    job: BoostingJob
    number: int
    vote_weight: float
    sizes: tuple[int, ...]

    def __call__(self, _: int) -> dict[str, Any]:
        home = state_folder(self.job.folder, self.number)
        with PeakMemory() as memory:
            parts = [
                Candidates.read(home, shard_stem(s), self.job.data.n_features).drawn(
                    size, self.vote_weight
                )
                for s, size in enumerate(self.sizes)
            ]
            rows = _joined(parts, self.job.traits)
            self.job.fit_member(self.number, range(len(self.sizes)), rows, memory)
        return self.job.record(self.number)


def _joined(parts: list[WeightedRows], traits: Traits) -> WeightedRows:
    """Concatenate samples, scale their weights to sum 1, and empty the list to free memory."""
    import scipy.sparse as sp

    y = np.concatenate([p.y for p in parts])
    weight = np.concatenate([p.weight for p in parts])
    key = np.concatenate([p.key for p in parts])
    X: Any
    if sp.issparse(parts[0].X):
        X = as_learner_takes(sp.vstack([p.X for p in parts], format="csr"), traits)
    else:
        X = np.empty((len(y), parts[0].X.shape[1]), traits.dtype)
        at = 0
        while parts:
            part = parts.pop(0)
            X[at : at + len(part.y)] = part.X
            at += len(part.y)
    return WeightedRows(X, y, weight / weight.sum(), key)


class SampledBoosting:
    """AdaBoost whose members learn from samples, with an exact weight for every row.

    Each round is two Spark jobs. In the first, one task fits the member. In the second, one task
    per shard predicts the shard with it, updates the weights, and stores the shard's part of the
    next sample.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    job : BoostingJob
    sample : int
        Number of rows that each member learns from.
    """

    def __init__(self, spark: SparkSession, job: BoostingJob, sample: int) -> None:
        self.spark = spark
        self.job = job
        shards = job.data.shards
        share = sample / job.data.n_rows
        self.sizes = tuple(max(1, round(s.rows * share)) for s in shards)
        self._passes: Folder = job.folder.child("passes")
        self._members = committed_members(job.folder)
        self._grown: list[tuple[float, float]] = []

    def fit(self) -> tuple[list[Round], dict[str, Any] | None]:
        """Run all rounds that are not committed.

        Returns
        -------
        rounds : list of Round
        curve : dict or None
            As returned by `ScoreCurve.to_dict`; None without ``stopping``.
        """
        job, stopping = self.job, self.job.stopping
        curve = None
        if stopping is not None:
            curve = ScoreCurve(stopping.metric, stopping.tol, stopping.patience)
        found = self._pass(0)
        if not found["right"] > 0:
            raise DataError("weight_zero", "All rows that members may learn from have weight 0.")
        self._grown = [(0.0, found["right"])]
        rounds: list[Round] = []
        ended = False
        while len(rounds) < job.rounds and not ended:
            t = len(rounds)
            self._fit_member(t)
            found = self._pass(t + 1)
            total = found["right"] + found["missed"]
            now = round_result(t, found["missed"], total, job.n_classes, job.rate)
            with np.errstate(over="ignore"):
                grown = found["right"] + float(np.exp(now.weight)) * found["missed"]
            if not now.stop and not math.isfinite(grown):
                now = replace(now, stop="overflow")
            rounds.append(now)
            self._grown.append((now.weight, grown))
            _logger.info("round %d: weighted error %.4f", t + 1, now.error)
            self._forget(t)
            ended = bool(now.stop)
            if curve is not None and t >= 1:
                ended = curve.add(_score(found)) or ended
        if curve is None:
            self._forget(None)
            return rounds, None
        members = sum(r.counts for r in rounds)
        if len(curve.scores) < members and math.isfinite(self._grown[-1][1]):
            found = self._pass(len(rounds) + 1, last=True)
            curve.add(_score(found))
        self._forget(None)
        return rounds, curve.to_dict() | {"rows": None}

    def _fit_member(self, number: int) -> None:
        if number in self._members:
            return
        # Samples that an earlier run stored may have been deleted; if so, the pass draws them
        # again.
        self._pass(number, again=True)
        task = _SampleFit(self.job, number, self._grown[number][0], self.sizes)
        outcome = run_tasks(self.spark, [0], task, description=f"fit member {number}")[0]
        if outcome.error:
            raise outcome.error
        self._members[number] = outcome.result

    def _pass(self, version: int, *, again: bool = False, last: bool = False) -> dict[str, Any]:
        """Return the sums of a pass over all shards, read from its record if committed."""
        name = f"pass-{version:05d}.json"
        if self._passes.exists(name) and not (again and self._state_gone(version)):
            found: dict[str, Any] = self._passes.read_json(name)
            return found
        task = ShardPass(
            self.job,
            version,
            tuple(self._grown[:version]),
            tuple(self._members[t] for t in range(version - last)),
            (0,) * len(self.sizes) if version >= self.job.rounds else self.sizes,
        )
        sums = sum_over_shards(
            self.spark, len(self.sizes), task, description=f"weight rows, pass {version}"
        )
        found = {what: float(value) for what, value in sums.items()}
        self._passes.write_json(name, found)
        return found

    def _state_gone(self, version: int) -> bool:
        names = set(state_folder(self.job.folder, version).names(".json"))
        return any(f"{shard_stem(s)}.json" not in names for s in range(len(self.sizes)))

    def _forget(self, round_done: int | None) -> None:
        """Delete states that no later pass needs; all of them if `round_done` is None."""
        if round_done is None:
            self.job.folder.child(STATE).delete()
        elif round_done >= 1:
            state_folder(self.job.folder, round_done - 1).delete()


def _score(found: dict[str, Any]) -> float:
    """Return the weighted mean of the shards' scores; each shard is a random sample."""
    return found["score"] / found["held_out"] if found["held_out"] else math.nan
