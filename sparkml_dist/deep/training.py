"""Trains a network over shards with a gang of ranks; the driver's side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang import RankResult, run_gang
from sparkml_dist.cluster.progress import progress
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.job import TrainingJob

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["REQUIRED", "TrainingResult", "rows_per_step", "train_network"]

REQUIRED = ("tensorflow", "keras", "horovod")

_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

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
        ``total``, and ``launch``, ``build``, ``train`` and ``save`` of rank 0.
    best : dict
        ``best_epoch`` (from 0) and ``best`` (its value), where a metric was monitored.
    """

    history: dict[str, list[Any]]
    ranks: list[dict[str, Any]]
    model: dict[str, Any]
    steps: int
    seconds: dict[str, float]
    best: dict[str, Any] = field(default_factory=dict)


def train_network(
    spark: SparkSession,
    job: TrainingJob,
    ranks: int,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    description: str = "train",
) -> TrainingResult:
    """Train a network with a gang of `ranks` data-parallel ranks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    job : TrainingJob
        What to train on what. Its folder gets ``model.keras``, and ``logs/`` with the output of
        every rank.
    ranks : int
        Processes that train at the same time, one Spark task each.
    on_event : callable, optional
        Called with ``training`` and ``epoch`` events.
    description : str, default="train"
        For Spark's UI and the progress bar.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ConfigurationError
        The builder's model cannot be trained on these data.
    ResourceError
        Too few slots, dynamic allocation, or workers without TensorFlow, Keras or Horovod.
    TrainingError
        A rank failed, the loss left the finite numbers, or the ranks' weights differ.
    """
    seen: list[int] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            seen.append(event["epoch"])
        if on_event is not None:
            on_event(event)

    begun = time.perf_counter()
    with progress(job.epochs, description, lambda: len(seen)):
        results = run_gang(
            spark,
            ranks,
            _rank,
            job,
            description=f"{description}: {ranks} ranks, {job.epochs} epochs",
            log_folder=job.folder.child("logs"),
            env={**_ENVIRONMENT, **job.coupling.environment()},
            on_event=follow,
            preload=("sparkml_dist.deep.rank",),
            required=REQUIRED,
        )
    return _result(results, time.perf_counter() - begun)


def _rank(context: RankContext, job: TrainingJob) -> dict[str, Any]:
    from sparkml_dist.deep.rank import train

    return train(context, job)


def _result(results: list[RankResult], total: float) -> TrainingResult:
    first = results[0].value
    phases = {name: float(value) for name, value in first["seconds"].items()}
    return TrainingResult(
        history=first["history"],
        ranks=[
            {
                "rank": r.rank,
                "host": r.host,
                "rows": r.value["rows"],
                "seconds": r.seconds,
                "train_seconds": r.value["seconds"]["train"],
                "waited_seconds": r.value["waited"],
                "peak_rss_mb": r.peak_rss_mb,
            }
            for r in results
        ],
        model=first["model"],
        steps=first["steps"],
        seconds={
            "total": total,
            "launch": total - sum(phases[k] for k in ("build", "train", "save")),
            **{k: phases[k] for k in ("build", "train", "save")},
        },
        best=first["best"],
    )


def rows_per_step(n_rows: int, ranks: int) -> int:
    """Return the rows of a rank's step where the caller names none.

    Small data gets small batches: a network learns little from three updates an epoch.

    Parameters
    ----------
    n_rows : int
        Rows of an epoch.
    ranks : int
        How many share a step.

    Returns
    -------
    int
        A power of two from 16 to 256 that makes about 100 steps of an epoch.
    """
    wanted = n_rows / (100 * max(1, ranks))
    return int(2 ** min(8, max(4, round(math.log2(max(wanted, 1))))))
