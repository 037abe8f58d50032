"""Trains a booster over shards with a gang of ranks; runs on the driver."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.boosting.boosting_job import CHECKPOINTS, BoostingJob
from sparkml_dist.boosting.checkpoint import read_progress
from sparkml_dist.boosting.saved_booster import loaded_booster
from sparkml_dist.cluster.gang import RankResult
from sparkml_dist.cluster.gang_params import Timeouts
from sparkml_dist.cluster.gang_training import GangTraining, rank_record
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.recovery import Restart
from sparkml_dist.errors import StorageError, TrainingError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["REQUIRED", "BoostingResult", "train_booster"]

REQUIRED = ("xgboost",)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BoostingResult:
    """The result of a training.

    Attributes
    ----------
    history : dict of str to list
        Metrics of every round over all ranks' rows.
    ranks : list of dict
        For every rank ``rank``, ``host``, ``rows``, ``seconds``, ``train_seconds`` and
        ``peak_rss_mb``.
    model : dict
        ``sha256`` and ``bytes`` of the model.
    seconds : dict
        ``total``, and ``launch``, ``bin``, ``train`` and ``save`` of rank 0. Failed launches count
        as ``launch``.
    best : dict
        ``best_round`` (from 0) and ``best`` (its value), with early stopping.
    restarts : list of dict
        ``code``, ``message``, ``rank``, ``host`` and ``seconds`` of every launch that the loss of a
        rank ended.
    """

    history: dict[str, list[float]]
    ranks: list[dict[str, Any]]
    model: dict[str, Any]
    seconds: dict[str, float]
    best: dict[str, Any] = field(default_factory=dict)
    restarts: list[dict[str, Any]] = field(default_factory=list)


def train_booster(
    spark: SparkSession,
    job: BoostingJob,
    ranks: int,
    *,
    max_restarts: int,
    timeouts: Timeouts,
    description: str,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> BoostingResult:
    """Train a booster with a gang of ranks, each on an equal part of the rows.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    job : BoostingJob
        Its folder gets the model, and ``logs/`` with the output of every rank; the training
        resumes from ``checkpoints/`` in it, also with another number of ranks.
    ranks : int
        Processes that train at the same time, one Spark task each.
    max_restarts : int
        Most restarts after the loss of a rank.
    timeouts : Timeouts
        Those of `run_gang`.
    description : str
        Shown in Spark's UI and before the progress bar.
    on_event : callable, optional
        Called with ``round``, ``checkpoint``, ``restart`` and ``resumed`` events.

    Returns
    -------
    BoostingResult

    Raises
    ------
    ResourceError
        Too few slots, dynamic allocation, or workers without XGBoost.
    TrainingError
        A rank failed (more often than is allowed), the scores are not finite, or the ranks' models
        differ.
    """
    store = CheckpointStore(job.folder.child(CHECKPOINTS))
    training = GangTraining(
        target=_rank,
        job_of=lambda number: replace(job, launch=number, resume_from=_last_good(store)),
        folder=job.folder,
        store=store,
        total=job.rounds,
        step="round",
        step_field="number",
        unit="round",
        preload=("sparkml_dist.boosting.train.rank",),
        required=REQUIRED,
    )
    results, restarts, seconds = training.run(
        spark,
        ranks,
        description=description,
        max_restarts=max_restarts,
        timeouts=timeouts,
        on_event=on_event,
    )
    return _result(results, seconds, restarts)


def _rank(context: RankContext, job: BoostingJob) -> dict[str, Any]:
    from sparkml_dist.boosting.train.rank import train

    return train(context, job)


def _last_good(store: CheckpointStore) -> CheckpointId | None:
    """Return the newest checkpoint that is whole."""
    for which in store.ids():
        try:
            loaded_booster(read_progress(store, which)[1], store.folder.location)
        except StorageError as error:
            _logger.warning(
                "the checkpoint %s is skipped, the previous one is used if there is one: %s",
                which,
                error.message,
            )
            continue
        return which
    return None


def _result(results: list[RankResult], total: float, restarts: list[Restart]) -> BoostingResult:
    first = results[0].value
    if len({r.value["sha256"] for r in results}) > 1:
        raise TrainingError(
            "ranks_differ",
            "The ranks have grown different trees from the same sums.",
            "Use the same versions of XGBoost and the same kind of processor on all workers, and "
            "an objective that depends on its arguments only.",
        )
    phases = {name: float(value) for name, value in first["seconds"].items()}
    return BoostingResult(
        history=first["history"],
        ranks=[rank_record(r) for r in results],
        model={"sha256": first["sha256"], "bytes": first["bytes"]},
        seconds={"total": total, "launch": total - sum(phases.values()), **phases},
        best=first["best"],
        restarts=[asdict(r) for r in restarts],
    )
