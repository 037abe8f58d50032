"""Boosts rows that one task holds in memory: all rounds in one task, each committed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.ensemble.adaboost.job import BoostingJob, WeightedRows
from sparkml_dist.ensemble.adaboost.samme import (
    Round,
    RoundLog,
    boosted,
    normalised,
    round_result,
    samme_probabilities,
)
from sparkml_dist.ensemble.score_curve import ScoreCurve
from sparkml_dist.errors import DataError
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.members.weighted_rows import as_learner_takes
from sparkml_dist.metrics.scores import score_rows

__all__ = ["BoostingRun"]


@dataclass(frozen=True)
class BoostingRun:
    """Runs AdaBoost on the rows of a group of shards, inside one task.

    Row weights are not stored: they follow from the members and their weights. A task that is run
    again loads the committed members, lets them predict, and goes on with the first missing one.

    Attributes
    ----------
    job : BoostingJob
    groups : tuple of tuple of int
        Shards of each run; the members of run i are numbered from ``i * job.rounds``.
    """

    job: BoostingJob
    groups: tuple[tuple[int, ...], ...]

    def __call__(self, index: int) -> dict[str, Any]:
        """Run the rounds of group `index`; return their number and scores."""
        job, log = self.job, RoundLog.of(self.job.folder)
        first = index * job.rounds
        if job.stopping is None and log.is_complete(first, job.rounds):
            return {"rounds": len(log.run(first, job.rounds)), "curve": None}
        with PeakMemory() as memory:
            rows, held = self._read(self.groups[index])
            return self._boost(index, rows, held, memory)

    def _read(self, shards: tuple[int, ...]) -> tuple[WeightedRows, _HeldOutRows | None]:
        job, traits = self.job, self.job.traits
        block = job.data.read_block(shards, dtype=np.dtype(traits.dtype))
        X = as_learner_takes(block.X, traits)
        weight = np.ones(len(block))
        if block.weight is not None:
            weight = block.weight.astype(np.float64)
        if job.stopping is None:
            return WeightedRows(X, block.y, weight, block.key), None
        learns = job.learns(block.key)
        if learns.all():
            raise DataError(
                "no_validation_rows",
                f"No row is held out for the score {job.stopping.metric!r}.",
                "Raise validationFraction, or use fewer columns as the key.",
            )
        held = _HeldOutRows(X[~learns], block.y[~learns], weight[~learns], job.n_classes)
        return WeightedRows(X[learns], block.y[learns], weight[learns], block.key[learns]), held

    def _boost(
        self, index: int, rows: WeightedRows, held: _HeldOutRows | None, memory: PeakMemory
    ) -> dict[str, Any]:
        job, log, first = self.job, RoundLog.of(self.job.folder), index * self.job.rounds
        committed = committed_members(job.folder)
        curve = None
        if job.stopping is not None:
            curve = ScoreCurve(job.stopping.metric, job.stopping.tol, job.stopping.patience)
        grown = rows.weight
        if not grown.sum() > 0:
            raise DataError(
                "weight_zero",
                f"The rows of shard(s) {', '.join(map(str, self.groups[index]))} that members "
                "may learn from all have weight 0.",
            )
        done = 0
        for number in range(first, first + job.rounds):
            weight = normalised(grown, grown.sum())
            if number in committed:
                member = job.load_member(committed[number])
            else:
                now = replace(rows, weight=weight)
                member = job.fit_member(number, self.groups[index], now, memory)
            missed = job.predict(member, number, self.groups[index], rows.X) != rows.y
            found = log.get(number) or self._round_result(number, missed, weight)
            grown = boosted(weight, found.weight, missed)
            if not found.stop and not np.isfinite(grown.sum()):
                found = replace(found, stop="overflow")
            log.put(found)
            done += 1
            if found.counts and held is not None and curve is not None:
                score = held.score_with(member, found, curve.metric)
                if curve.add(score):
                    break
            if found.stop:
                break
        shown = None if curve is None or held is None else curve.to_dict() | {"rows": len(held.y)}
        return {"rounds": done, "curve": shown}

    def _round_result(
        self, number: int, missed: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64]
    ) -> Round:
        share = float(np.multiply(missed, weight).sum())
        return round_result(number, share, float(weight.sum()), self.job.n_classes, self.job.rate)


class _HeldOutRows:
    """Held-out rows, and the members' votes on them."""

    def __init__(
        self, X: Any, y: npt.NDArray[Any], weight: npt.NDArray[np.float64], n_classes: int
    ) -> None:
        self.X, self.y, self.weight = X, y, weight
        self.votes = np.zeros((len(y), n_classes))

    def score_with(self, member: Any, found: Round, metric: str) -> float:
        """Add a member's vote and return the ensemble's score."""
        codes = np.asarray(member.predict(self.X)).astype(np.int64)
        self.votes[np.arange(len(codes)), codes] += found.weight
        return score_rows(metric, self.y, samme_probabilities(self.votes), self.weight)
