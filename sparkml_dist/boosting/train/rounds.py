"""The rounds of boosting: a tree, its scores, early stopping, checkpoints; imports XGBoost."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost

from sparkml_dist.boosting.boosting_job import CHECKPOINTS, BoostingJob
from sparkml_dist.boosting.checkpoint import BOOSTER, Progress, read_progress
from sparkml_dist.boosting.extra_params import draws_at_random
from sparkml_dist.boosting.saved_booster import loaded_booster
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.errors import TrainingError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore

__all__ = ["boosted"]

_MAY_BE_UNDEFINED = ("auc", "aucpr")


def boosted(
    context: RankContext, job: BoostingJob, matrices: Mapping[str, Any]
) -> tuple[Any, dict[str, list[float]], dict[str, Any]]:
    """Run the rounds that are left, together with the other ranks.

    Parameters
    ----------
    context : RankContext
    job : BoostingJob
    matrices : mapping of str to xgboost.DMatrix
        The training rows by ``""``, the held-out rows by ``"val_"``: prefixes in the history.

    Returns
    -------
    booster : xgboost.Booster
        Up to the best round where the training stops early.
    history : dict of str to list of float
        Metrics of every round, over the rows of all ranks.
    best : dict
        ``best_round`` (from 0) and ``best`` (its value), with early stopping.
    """
    rounds = _Rounds(context, job, matrices)
    rounds.run()
    progress = rounds.progress
    booster = rounds.booster
    best: dict[str, Any] = {}
    if job.stopping is not None and progress.best_round is not None:
        best = {"best_round": progress.best_round, "best": progress.best}
        booster = booster[: progress.best_round + 1]
    names = job.data.feature_names
    if len(set(names)) == len(names) and not any(set(name) & set("[]<") for name in names):
        booster.feature_names = names
    return booster, progress.history, best


@dataclass
class _Rounds:
    context: RankContext
    job: BoostingJob
    matrices: Mapping[str, Any]
    booster: Any = field(init=False)
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {
            **self.job.parameters,
            "eval_metric": list(self.job.metrics),
            "disable_default_eval_metric": True,
            # Random draws depend on the seed and the round, not on the rounds before it.
            "seed_per_iteration": True,
            "nthread": self.context.cpus,
            "device": "cuda" if self.context.gpus else "cpu",
        }
        self.store = CheckpointStore(self.job.folder.child(CHECKPOINTS))
        function = self.job.objective
        self.objective: Callable[..., Any] | None = (
            None if function is None else pickle.loads(function)  # noqa: S301 - from the driver
        )
        self.progress = Progress()
        content = None
        if self.job.resume_from is not None:
            self.progress, content = read_progress(self.store, self.job.resume_from)
            self._emit("resumed", rounds=self.progress.rounds)
        self._start(content)

    def _start(self, content: bytes | None) -> None:
        """Make a booster, with the trees of a model's content."""
        self.booster = xgboost.Booster(self.parameters, list(self.matrices.values()))
        if content is not None:
            loaded_booster(content, self.store.folder.location, self.booster)
            self.booster.set_param(
                [
                    *((k, v) for k, v in self.parameters.items() if k != "eval_metric"),
                    *(("eval_metric", name) for name in self.job.metrics),
                ]
            )

    def run(self) -> None:
        training = self.matrices[""]
        while self.progress.rounds < self.job.rounds and not self._stopped():
            number = self.progress.rounds
            self.context.advance(f"round {number + 1}")
            self.booster.update(training, number, fobj=self.objective)
            values = self._scores(number)
            self.progress.add(values)
            self._judge(values)
            self._emit("round", number=number, metrics=values)
            self._checkpoint()
        self._keep_end()

    def _scores(self, number: int) -> dict[str, float]:
        named = [(matrix, prefix or "train_") for prefix, matrix in self.matrices.items()]
        text = self.booster.eval_set(named, number)
        found: dict[str, float] = {}
        for part in text.split("\t")[1:]:
            name, _, value = part.rpartition(":")
            of, _, metric = name.partition("-")
            found[metric if of == "train_" else f"val_{metric}"] = float(value)
        for name, value in found.items():
            if not math.isfinite(value) and name.removeprefix("val_") not in _MAY_BE_UNDEFINED:
                raise TrainingError(
                    "diverged",
                    f"{name} is {value} after round {number + 1}.",
                    "Look for labels or features that are very large, lower learningRate, or raise "
                    "regLambda.",
                )
        return found

    def _judge(self, values: dict[str, float]) -> None:
        """Keep the best round."""
        stopping = self.job.stopping
        if stopping is None:
            return
        value, best = values[stopping.metric], self.progress.best
        gain = value - (best or 0.0) if stopping.larger_is_better else (best or 0.0) - value
        if best is None or gain > stopping.tol:
            self.progress.best = value
            self.progress.best_round = self.progress.rounds - 1

    def _stopped(self) -> bool:
        stopping, best = self.job.stopping, self.progress.best_round
        if stopping is None or best is None:
            return False
        return self.progress.rounds - 1 - best >= stopping.patience

    def _checkpoint(self) -> None:
        every, rounds = self.job.checkpoint_rounds, self.progress.rounds
        if not every or rounds % every or rounds >= self.job.rounds:
            return
        content = self._write_checkpoint()
        if draws_at_random(self.parameters):
            # A booster keeps the state of its draws, which no file holds: it begins again here, as
            # one that resumes does, so that both grow the same trees.
            self._start(content)

    def _keep_end(self) -> None:
        """Write a checkpoint that a training with more rounds goes on from."""
        rounds, resumed = self.progress.rounds, self.job.resume_from
        if self.job.keep_checkpoints and (resumed is None or resumed.step < rounds):
            self._write_checkpoint()

    def _write_checkpoint(self) -> bytes:
        """Write a checkpoint, on rank 0; return the booster in UBJSON."""
        rounds = self.progress.rounds
        self.context.advance("checkpoint")
        content = bytes(self.booster.save_raw("ubj"))
        if self.context.rank == 0:
            self.store.write(
                CheckpointId(self.job.launch, rounds),
                {BOOSTER: {"content": np.frombuffer(content, np.uint8)}},
                self.progress.to_dict(),
            )
            self.store.prune(max(2, self.job.keep_checkpoints))
            self._emit("checkpoint", rounds=rounds)
        return content

    def _emit(self, event: str, **fields: Any) -> None:
        if self.context.rank == 0:
            self.context.emit(event, **fields)
