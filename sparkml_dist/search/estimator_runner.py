"""Runs the trials of this library's own estimators, from a thread of the driver."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.progress import cancel_jobs, job_tag
from sparkml_dist.cluster.rank_memory import rank_memory_limited_to
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.without import write_without
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.models.fit_events import inside_fit
from sparkml_dist.models.scoring import Scorer
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.sequencer import Job
from sparkml_dist.search.trial_record import new_record
from sparkml_dist.search.trial_rows import TrialRows
from sparkml_dist.search.trial_store import TrialStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["MODELS", "TRAINING", "EstimatorRunner", "with_params"]

MODELS = "trial-models"
TRAINING = "training"
_AGAIN_SECONDS = 1.0
# How a trial ended whose fit raised an error of this code.
_STATES = {"rank_memory": "memory", "rank_died": "killed", "rank_lost": "killed"}


def with_params(estimator: ShardEstimator, params: Mapping[str, Any]) -> ShardEstimator:
    """Return a copy of an estimator with Params, and parameters of a learner that a Param holds.

    Raises
    ------
    ConfigurationError
        ``unknown_param``, ``invalid_param`` or ``invalid_estimator_parameter``.
    """
    from sklearn.base import clone

    own: ShardEstimator = estimator.copy()
    inner: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for name, value in params.items():
        holder, _, rest = name.partition("__")
        if rest:
            inner.setdefault(holder, {})[rest] = value
        else:
            plain[name] = value
    own.setParams(**plain)
    for holder, values in inner.items():
        learner = clone(own.getOrDefault(own.getParam(holder)))
        try:
            learner.set_params(**values)
        except (TypeError, ValueError) as error:
            raise ConfigurationError("invalid_estimator_parameter", str(error)) from error
        own.setParams(**{holder: learner})
    return own


@dataclass(frozen=True)
class EstimatorPiece:
    """A trial of an estimator: all of a rung."""

    trial: int
    rung: int
    resource: int
    estimator: ShardEstimator
    grows: bool
    scores: bool = True


@dataclass(frozen=True)
class _Scoring:
    """Scores models on the held-out rows, in a task."""

    rows: TrialRows
    scorers: tuple[Scorer, ...]
    metrics: tuple[str, ...]

    def __call__(self, _: int) -> dict[str, Any]:
        parts: dict[str, list[float]] = {metric: [] for metric in self.metrics}
        seconds, count = 0.0, 0
        for block, scorer in zip(self.rows.scored(), self.scorers, strict=True):
            predict = scorer.load()
            start = time.perf_counter()
            found = np.asarray(predict(block.X), np.float64)
            seconds += time.perf_counter() - start
            count += len(block)
            for metric in self.metrics:
                parts[metric].append(score_rows(metric, block.y, found, block.weight))
        return {
            "scores": {metric: float(np.mean(each)) for metric, each in parts.items()},
            "part_scores": parts,
            "predict_seconds": seconds,
            "scored_rows": count,
        }


@dataclass
class EstimatorRunner:
    """See `sparkml_dist.search.engine.Runner`.

    A trial is fitted through the contract of estimators, on shards that were written without the
    held-out rows. One whose resource its estimator can grow (the epochs of a network, the rounds
    of a booster) resumes in its folder.

    Attributes
    ----------
    spark : pyspark.sql.SparkSession
    rows : TrialRows
    store : TrialStore
    estimators : mapping of str or None to ShardEstimator
    metrics : tuple of str
    resource : str
        ``"shards"``, or the name of a Param.
    all_slots : int
        Held by an estimator that is no gang: its tasks take what there is.
    timeout : float or None
        Seconds of one fit.
    memory : int or None
        Bytes that each rank of a gang may take beyond its imports.
    """

    spark: SparkSession
    rows: TrialRows
    store: TrialStore
    estimators: Mapping[str | None, ShardEstimator]
    metrics: tuple[str, ...]
    resource: str
    all_slots: int
    timeout: float | None
    memory: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def slots(self, job: Job) -> int:
        """Return how many task slots a job holds: those of its gang, or all."""
        given = job.setting.params.get("numRanks")
        estimator = self.estimators[job.setting.estimator]
        if given is None and estimator.hasParam("numRanks"):
            given = estimator.getOrDefault(estimator.getParam("numRanks"))
        return self.all_slots if given is None else int(given)

    def batches(self, job: Job) -> bool:
        """Tell whether a task may run it together with others."""
        return False

    def units(self, job: Job, before: dict[str, Any] | None) -> int:
        """Return into how many pieces a job can be divided."""
        return 1

    def pieces(self, job: Job, before: dict[str, Any] | None, spread: int) -> list[EstimatorPiece]:
        """Return the one piece of a job."""
        own = self.with_resource(job)
        grows = self.resource in own._growing
        if grows and own.hasParam("keepCheckpoints"):
            kept = own.getOrDefault(own.getParam("keepCheckpoints"))
            own.setParams(keepCheckpoints=max(1, kept))
        return [EstimatorPiece(job.run.trial, job.run.rung, job.run.resource, own, grows)]

    def with_resource(self, job: Job) -> ShardEstimator:
        """Return a job's estimator with its parameters, and with its share of the resource."""
        params = dict(job.setting.params)
        if self.resource != "shards":
            params[self.resource] = job.run.resource
        return with_params(self.estimators[job.setting.estimator], params)

    def rest(
        self, job: Job, before: dict[str, Any] | None, records: Sequence[dict[str, Any]]
    ) -> Any:
        """Raise: an estimator's trial is one piece."""
        raise NotImplementedError

    def run(self, pieces: Sequence[EstimatorPiece], seconds: float | None) -> list[dict[str, Any]]:
        """Fit and score a trial; return its record."""
        return [self._run(piece, seconds) for piece in pieces]

    def _run(self, piece: EstimatorPiece, seconds: float | None) -> dict[str, Any]:
        record = new_record(piece.trial, piece.rung, piece.resource)
        limits = [(s, n) for s, n in ((self.timeout, "timeout"), (seconds, "deadline")) if s]
        limit, ending = min(limits, default=(None, ""))
        begun = time.perf_counter()
        with self._limited(limit) as over, rank_memory_limited_to(self.memory):
            try:
                models = [self._fit(piece, part) for part in range(len(self.rows.held_out.parts))]
                record["seconds"] = round(time.perf_counter() - begun, 4)
                record |= self._scored(models)
                record["bytes"] = sum(f.bytes for m in models for f in m.files) // len(models)
                record["peak_rss_mb"] = max(m.summary.get("peak_worker_rss_mb", 0) for m in models)
            except Exception as error:  # noqa: BLE001 - whatever a fit may raise
                record["seconds"] = round(time.perf_counter() - begun, 4)
                if over():
                    text = f"It took more than {limit:g} s."
                    record |= {"state": ending, "reason": text}
                else:
                    record |= _failed(error)
        if record["state"] != "deadline":
            self.store.write_result(record)
        return record

    def _fit(self, piece: EstimatorPiece, part: int) -> ShardModel:
        name = f"trial-{piece.trial:05d}-{part}"
        if not piece.grows:
            name += f"-rung-{piece.rung:02d}"
        home = self.store.folder.child(MODELS).child(name)
        own = piece.estimator.copy()
        own.setParams(modelDir=home.location, resume=True)
        data = self._training(part)
        if self.resource == "shards":
            first = data.manifest.shards[: piece.resource]
            data = PartitionedDataset(data.folder, replace(data.manifest, shards=first))
        with inside_fit(own):  # trials run in threads of their own
            model: ShardModel = own.fit(data)
        return model

    def _training(self, part: int) -> PartitionedDataset:
        with self._lock:  # trials that begin together write it once
            folder: Folder = self.store.folder.child(TRAINING).child(f"part-{part}")
            subset = self.rows.held_out.parts[part]
            return write_without(self.spark, self.rows.data, folder, subset)

    def _scored(self, models: Sequence[ShardModel]) -> dict[str, Any]:
        scoring = _Scoring(self.rows, tuple(m._task_scorer() for m in models), self.metrics)
        (outcome,) = run_tasks(self.spark, [0], scoring, description="score a trial")
        if outcome.error is not None:
            raise outcome.error
        return outcome.result

    @contextmanager
    def _limited(self, seconds: float | None) -> Iterator[Callable[[], bool]]:
        """Cancel the jobs of the block when its time is over; yield whether it is."""
        tag = f"sparkml_dist-trial-{secrets.token_hex(8)}"
        over, ended = threading.Event(), threading.Event()

        def watch() -> None:
            if ended.wait(seconds):
                return
            over.set()
            cancel_jobs(self.spark, tag)
            while not ended.wait(_AGAIN_SECONDS):  # a fit may start further jobs, or a gang again
                cancel_jobs(self.spark, tag)

        watcher = threading.Thread(target=watch, name="sparkml_dist-limit", daemon=True)
        with job_tag(self.spark, tag):
            if seconds is not None:
                watcher.start()
            try:
                yield over.is_set
            finally:
                ended.set()
                if watcher.is_alive():
                    watcher.join()


def _failed(error: Exception) -> dict[str, Any]:
    """Return the fields of a record that say how a fit failed."""
    state, text = "failed", repr(error)
    if isinstance(error, SparkMLDistError):
        state, text = _STATES.get(error.code, state), error.message
    return {"state": state, "reason": text, "trace": str(getattr(error, "trace", ""))}
