"""Anytime ensembles: waves of members are added until a score on held-out rows stops improving."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import DataError
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.engine import Engine
from sparkml_dist.members.held_out import evaluation_shards
from sparkml_dist.metrics.scores import is_better, score_rows
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["Stopping", "fit_in_waves"]

_logger = logging.getLogger(__name__)

WAVES = "waves"


@dataclass(frozen=True)
class Stopping:
    """When to stop adding members.

    Attributes
    ----------
    metric : str
        One of `sparkml_dist.metrics.scores`.
    tol : float
        Smallest improvement that counts, in the metric's unit.
    patience : int
        Waves without such an improvement before the fit stops.
    wave : int
        Number of members of a wave.
    held_out : Validation
        Rows held out from the members.
    """

    metric: str
    tol: float
    patience: int
    wave: int
    held_out: Validation


def fit_in_waves(
    engine: Engine,
    stopping: Stopping,
    combine: Callable[[Sequence[dict[str, Any]]], Combiner],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Fit members of an engine wave by wave until the score stops improving.

    The score is computed on the held-out rows of the first few shards, which are read again for
    every wave. The votes of earlier members are stored and not computed again.

    Parameters
    ----------
    engine : Engine
        Its plans exclude the rows of ``stopping.held_out``.
    stopping : Stopping
    combine : callable
        Makes a combiner of members, given their records.

    Returns
    -------
    records : list of dict
        Of all fitted members.
    curve : dict
        ``metric``, ``rows``, ``shards`` (read for the score), ``scores`` (of the first 1, 2, …
        members), ``stopped`` (whether the fit stopped before the last member), ``best`` (number of
        members with the best score), ``predict_seconds`` (seconds that members took to predict the
        held-out rows).

    References
    ----------
    Salloum, Huang, He, Chen (2019), "An asymptotic ensemble learning framework for big data
    analysis", doi:10.1109/ACCESS.2018.2889355.
    """
    shards = evaluation_shards(engine.data, stopping.held_out.fraction)
    records: list[dict[str, Any]] = []
    scores: list[float] = []
    best, idle, rows, seconds = math.nan, 0, 0, 0.0
    while len(records) < len(engine.plans):
        wave = range(len(records), min(len(records) + stopping.wave, len(engine.plans)))
        records += engine.fit(wave)
        votes = _Votes(
            engine.data,
            engine.folder.child(WAVES),
            combine(records[wave.start :]),
            shards,
            stopping,
            wave.start,
            len(records),
        )
        found = votes.scored
        if found is None:
            # Members predict in parallel; then one task adds up their votes.
            done = run_tasks(engine.spark, wave, votes, description=f"apply {len(wave)} members")
            done += run_tasks(
                engine.spark, [0], _Evaluation(votes), description=f"score {len(records)} members"
            )
            for outcome in done:
                if outcome.error:
                    raise outcome.error
            found = done[-1].result
            seconds += sum(o.result["seconds"] for o in done[:-1])
        scores += found["scores"]
        rows = found["rows"]
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
        "predict_seconds": seconds,
    }


def _rank(metric: str, score: float) -> float:
    if math.isnan(score):
        return -math.inf
    return score if is_better(metric, 1.0, 0.0) else -score


@dataclass(frozen=True)
class _Votes:
    """Computes the votes of one member of a wave on the held-out rows, in a task.

    Attributes
    ----------
    data : PartitionedDataset
    home : Folder
        Folder of the votes and scores.
    combiner : Combiner
        Of the wave's members.
    shards : tuple of int
        Shards whose held-out rows are read.
    stopping : Stopping
    before, after : int
        Number of members before and after the wave.
    """

    data: PartitionedDataset
    home: Folder
    combiner: Combiner
    shards: tuple[int, ...]
    stopping: Stopping
    before: int
    after: int

    @property
    def name(self) -> str:
        """Name of the wave's files."""
        return f"wave-{self.after:05d}"

    @property
    def scored(self) -> dict[str, Any] | None:
        """The wave's scores, if an earlier fit computed them."""
        if not self.home.exists(f"{self.name}.json"):
            return None
        found: dict[str, Any] = self.home.read_json(f"{self.name}.json")
        return found

    def member_name(self, member: int) -> str:
        """Return the name of the file with a member's votes."""
        return f"votes-{member:05d}.npy"

    def held_out_rows(self, shard: int) -> Block | None:
        """Return the held-out rows of a shard, or None if it has none."""
        block = self.data.read_block(shard)
        rows = np.flatnonzero(self.stopping.held_out.mask(block.key))
        if not len(rows):
            return None
        weight = None if block.weight is None else block.weight[rows]
        return Block(block.X[rows], block.y[rows], weight, block.key[rows])

    def __call__(self, member: int) -> dict[str, Any]:
        """Write the votes of a member on the held-out rows."""
        bank = self.combiner.bank
        own = replace(bank, members=(bank.members[member - self.before],))
        staged = replace(self.combiner, bank=own).load_staged()
        parts, seconds = [], 0.0
        for shard in self.shards:
            block = self.held_out_rows(shard)
            if block is None:
                continue
            start = time.perf_counter()
            parts += [votes.copy() for votes in staged(block.X)]
            seconds += time.perf_counter() - start
        if parts:
            write_array(self.home, self.member_name(member), np.concatenate(parts))
        return {"seconds": seconds}


@dataclass(frozen=True)
class _Evaluation:
    """Scores the first 1, 2, … members on the held-out rows, in one task."""

    votes: _Votes

    def __call__(self, _: int) -> dict[str, Any]:
        wave, metric = self.votes, self.votes.stopping.metric
        blocks = [b for b in map(wave.held_out_rows, wave.shards) if b is not None]
        if not blocks:
            raise DataError(
                "no_validation_rows",
                f"No row is held out for the score {metric!r}.",
                "Raise validationFraction, or use fewer columns as the key.",
            )
        y = np.concatenate([b.y for b in blocks])
        weight = np.concatenate([np.ones(len(b)) if b.weight is None else b.weight for b in blocks])
        del blocks
        home, votes = wave.home, None
        if wave.before:
            votes = read_array(home, f"wave-{wave.before:05d}.npy", rows=len(y))
        # A regression is scored by its mean; the scores of votes do not depend on their scale.
        regression = wave.combiner.voting == "mean"
        scores = []
        for member in range(wave.before, wave.after):
            added = read_array(home, wave.member_name(member), rows=len(y))
            votes = added if votes is None else votes + added
            shown = votes / (member + 1) if regression else votes
            scores.append(score_rows(metric, y, shown, weight))
        assert votes is not None  # a wave has at least one member
        write_array(home, f"{wave.name}.npy", votes)
        result = {"scores": scores, "rows": len(y)}
        home.write_json(f"{wave.name}.json", result)
        for member in range(wave.before, wave.after):
            home.delete_file(wave.member_name(member))
        return result
