"""Trains a network over shards with a gang of ranks; runs on the driver."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang import RankResult
from sparkml_dist.cluster.gang_training import GangTraining, rank_record
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.recovery import Restart
from sparkml_dist.deep.checkpoint.continuation import resumed_job
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.params.checkpoint_settings import CHECKPOINTS, CheckpointSettings
from sparkml_dist.persistence.checkpoints import CheckpointStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["REQUIRED", "TrainingResult", "rows_per_step", "train_network"]

REQUIRED = ("tensorflow", "keras", "horovod")

_logger = logging.getLogger(__name__)

_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes
    ----------
    history : dict of str to list
        Metrics of every epoch over all ranks' rows; ``loss`` is the mean over row weights.
    ranks : list of dict
        For every rank ``rank``, ``host``, ``rows``, ``seconds``, ``train_seconds``,
        ``waited_seconds`` (for data) and ``peak_rss_mb``.
    model : dict
        ``file``, ``sha256``, ``bytes``, ``parameters`` and ``facts`` (see `NetworkFacts`).
    steps : int
        Steps of an epoch.
    seconds : dict
        ``total``, and ``launch``, ``build``, ``train`` and ``save`` of rank 0. Failed launches
        count as ``launch``.
    best : dict
        ``best_epoch`` (from 0) and ``best`` (its value), if a metric was monitored.
    restarts : list of dict
        ``code``, ``message``, ``rank``, ``host`` and ``seconds`` of every launch that the loss of a
        rank ended.
    """

    history: dict[str, list[Any]]
    ranks: list[dict[str, Any]]
    model: dict[str, Any]
    steps: int
    seconds: dict[str, float]
    best: dict[str, Any] = field(default_factory=dict)
    restarts: list[dict[str, Any]] = field(default_factory=list)


def train_network(
    spark: SparkSession,
    job: TrainingJob,
    ranks: int,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    description: str = "train",
    stall_timeout: float | None = 600.0,
    silence_timeout: float | None = 300.0,
    slot_timeout: float = 600.0,
) -> TrainingResult:
    """Train a network with a gang of `ranks` data-parallel ranks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    job : TrainingJob
        Description of the training. Its folder gets ``model.keras``, and ``logs/`` with the output
        of every rank; the training resumes from ``checkpoints/`` in it, also with another number of
        ranks.
    ranks : int
        Processes that train at the same time, one Spark task each.
    on_event : callable, optional
        Called with ``training``, ``epoch``, ``checkpoint``, ``restart`` and ``resumed`` events.
    description : str, default="train"
        Shown in Spark's UI and before the progress bar.
    stall_timeout, silence_timeout, slot_timeout : float
        Those of `run_gang`, in seconds.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ConfigurationError
        The builder's model cannot be trained on these data, or the checkpoint is of another model
        or training.
    ResourceError
        Too few slots, dynamic allocation, or workers without TensorFlow, Keras or Horovod.
    TrainingError
        A rank failed (more often than is allowed), the loss is not finite, or the ranks' weights
        differ.
    """
    store = CheckpointStore(job.folder.child(CHECKPOINTS))
    job = resumed_job(job, ranks, store)
    settings = job.checkpoint or CheckpointSettings(max_restarts=0)

    def follow(event: dict[str, Any]) -> None:
        _log_checkpoints(event)
        if on_event is not None:
            on_event(event)

    training = GangTraining(
        target=_rank,
        job_of=lambda number: replace(job, launch=number),
        folder=job.folder,
        store=store,
        total=job.epochs,
        step="epoch",
        step_field="epoch",
        unit="step",
        preload=("sparkml_dist.deep.train.rank",),
        required=REQUIRED,
        environment={**_ENVIRONMENT, **job.coupling.environment()},
    )
    results, restarts, seconds = training.run(
        spark,
        ranks,
        description=description,
        max_restarts=settings.max_restarts,
        timeouts={
            "stall_timeout": stall_timeout,
            "silence_timeout": silence_timeout,
            "slot_timeout": slot_timeout,
        },
        on_event=follow,
    )
    return _result(results, seconds, restarts)


def _rank(context: RankContext, job: TrainingJob) -> dict[str, Any]:
    from sparkml_dist.deep.train.rank import train

    return train(context, job)


def _result(results: list[RankResult], total: float, restarts: list[Restart]) -> TrainingResult:
    first = results[0].value
    phases = {name: float(value) for name, value in first["seconds"].items()}
    return TrainingResult(
        history=first["history"],
        ranks=[rank_record(r, waited_seconds=r.value["waited"]) for r in results],
        model=first["model"],
        steps=first["steps"],
        seconds={
            "total": total,
            "launch": total - sum(phases[k] for k in ("build", "train", "save")),
            **{k: phases[k] for k in ("build", "train", "save")},
        },
        best=first["best"],
        restarts=[asdict(r) for r in restarts],
    )


def rows_per_step(n_rows: int, ranks: int) -> int:
    """Return the default number of rows in a step of a rank.

    Small data gets small batches, because a network learns little in three updates per epoch.

    Parameters
    ----------
    n_rows : int
        Rows of an epoch.
    ranks : int
        Number of ranks that share a step.

    Returns
    -------
    int
        The power of two from 16 to 256 that gives about 100 steps per epoch.
    """
    wanted = n_rows / (100 * max(1, ranks))
    return int(2 ** min(8, max(4, round(math.log2(max(wanted, 1))))))


def _log_checkpoints(event: dict[str, Any]) -> None:
    """Log an event of rank 0 about checkpoints; ignore others."""
    match event["event"]:
        case "resumed":
            _logger.info(
                "resumes from the checkpoint %s: epoch %d, step %d",
                event["checkpoint"],
                event["epoch"] + 1,
                event["step"],
            )
        case "checkpoint":
            _logger.debug(
                "checkpoint of step %d: %d bytes in %.2f s",
                event["steps"],
                event["bytes"],
                event["seconds"],
            )
        case "checkpoint_skipped":
            _logger.warning(
                "the checkpoint %s is skipped, the previous one is used if there is one: %s",
                event["checkpoint"],
                event["problem"],
            )
        case "checkpoint_failed":
            _logger.warning(
                "no checkpoint was written at step %d, the training continues: %s",
                event["steps"],
                event["problem"],
            )
