"""Anytime ensembles: members are added in waves until a score on kept rows stops improving."""

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
from sparkml_dist.ensemble.combiner import Combiner
from sparkml_dist.ensemble.engine import Engine
from sparkml_dist.errors import DataError
from sparkml_dist.metrics.scores import is_better, score_rows
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

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
        One of `sparkml_dist.metrics.scores`.
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
        the best score), ``predict_seconds`` (of the members, for the kept rows).

    References
    ----------
    Salloum, Huang, He, Chen (2019), "An asymptotic ensemble learning framework for big data
    analysis", doi:10.1109/ACCESS.2018.2889355.
    """
    shards = evaluation_shards(engine.data, stopping.kept.fraction)
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
            # Members are asked side by side; one task adds up what they say.
            done = run_tasks(engine.spark, wave, votes, description=f"ask {len(wave)} members")
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


def evaluation_shards(data: PartitionedDataset, fraction: float) -> tuple[int, ...]:
    """Return as few shards as have enough kept rows, or all."""
    expected = 0.0
    for shard in data.shards:
        expected += shard.rows * fraction
        if expected >= _ENOUGH_ROWS:
            return tuple(range(shard.index + 1))
    return tuple(range(len(data.shards)))


@dataclass(frozen=True)
class _Votes:
    """Asks one member of a wave about kept rows, in a task.

    Attributes
    ----------
    data : PartitionedDataset
    home : Folder
        Where votes and scores lie.
    combiner : Combiner
        Of the wave's members.
    shards : tuple of int
        Where the kept rows are read.
    stopping : Stopping
    before, after : int
        Members before the wave, and after it.
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
        """The wave's scores where an earlier fit came to them."""
        if not self.home.exists(f"{self.name}.json"):
            return None
        found: dict[str, Any] = self.home.read_json(f"{self.name}.json")
        return found

    def member_name(self, member: int) -> str:
        """Return the name of the file with what a member says."""
        return f"votes-{member:05d}.npy"

    def kept_rows(self, shard: int) -> Block | None:
        """Return the kept rows of a shard, if any."""
        block = self.data.read_block(shard)
        rows = np.flatnonzero(self.stopping.kept.mask(block.key))
        if not len(rows):
            return None
        weight = None if block.weight is None else block.weight[rows]
        return Block(block.X[rows], block.y[rows], weight, block.key[rows])

    def __call__(self, member: int) -> dict[str, Any]:
        """Write what a member says of the kept rows."""
        bank = self.combiner.bank
        own = replace(bank, members=(bank.members[member - self.before],))
        staged = replace(self.combiner, bank=own).load_staged()
        parts, seconds = [], 0.0
        for shard in self.shards:
            block = self.kept_rows(shard)
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
    """Scores the first 1, 2, … members on kept rows, in one task."""

    votes: _Votes

    def __call__(self, _: int) -> dict[str, Any]:
        asked, metric = self.votes, self.votes.stopping.metric
        blocks = [b for b in map(asked.kept_rows, asked.shards) if b is not None]
        if not blocks:
            raise DataError(
                "no_validation_rows",
                f"No row was kept for the score {metric!r}.",
                "Raise validationFraction, or give fewer columns as the key.",
            )
        y = np.concatenate([b.y for b in blocks])
        weight = np.concatenate([np.ones(len(b)) if b.weight is None else b.weight for b in blocks])
        del blocks
        home, votes = asked.home, None
        if asked.before:
            votes = read_array(home, f"wave-{asked.before:05d}.npy", rows=len(y))
        # The mean of a regression must be one; of votes any multiple will do.
        regression = asked.combiner.voting == "mean"
        scores = []
        for member in range(asked.before, asked.after):
            added = read_array(home, asked.member_name(member), rows=len(y))
            votes = added if votes is None else votes + added
            shown = votes / (member + 1) if regression else votes
            scores.append(score_rows(metric, y, shown, weight))
        assert votes is not None  # a wave has a member at least
        write_array(home, f"{asked.name}.npy", votes)
        result = {"scores": scores, "rows": len(y)}
        home.write_json(f"{asked.name}.json", result)
        for member in range(asked.before, asked.after):
            home.delete_file(asked.member_name(member))
        return result
