"""Trains a classifier's network over shards with a gang of ranks; the driver's side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang import RankResult, run_gang
from sparkml_dist.cluster.progress import progress
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.builder_spec import BuilderFile, resolve_builder
from sparkml_dist.deep.job import TrainingJob
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["REQUIRED", "TrainingResult", "checked_shape", "rows_per_step", "train_classifier"]

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
        ``file``, ``sha256``, ``bytes``, ``parameters``, ``units`` and ``logits``.
    steps : int
        Steps of an epoch.
    seconds : dict
        ``total``, and ``launch``, ``build``, ``train`` and ``save`` of rank 0.
    """

    history: dict[str, list[Any]]
    ranks: list[dict[str, Any]]
    model: dict[str, Any]
    steps: int
    seconds: dict[str, float]


def train_classifier(
    spark: SparkSession,
    data: PartitionedDataset,
    builder: str | Callable[..., Any],
    folder: Folder,
    *,
    ranks: int = 2,
    epochs: int = 10,
    batch_size: int | None = None,
    input_shape: Sequence[int] | None = None,
    seed: int = 0,
    lanes: int | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    description: str = "KerasClassifier",
) -> TrainingResult:
    """Train a compiled Keras model with `ranks` data-parallel ranks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    data : PartitionedDataset
        Shards with classes.
    builder : str or callable
        See `sparkml_dist.deep.builder_spec` and `sparkml_dist.deep.builders`.
    folder : Folder
        Gets ``model.keras``, and ``logs/`` with the output of every rank.
    ranks : int, default=2
        Processes that train at the same time, one Spark task each.
    epochs : int, default=10
        Passes over the data; each row is seen exactly once in each.
    batch_size : int, optional
        Rows of one step on each rank: the network's update is that of ``ranks * batch_size`` rows.
        By default a power of two that makes about 100 steps of an epoch; see `rows_per_step`.
    input_shape : sequence of int, optional
        Shape that a row's features are given; ``(n_features,)`` by default.
    seed : int, default=0
        Decides initial weights, order of rows and dropout.
    lanes : int, optional
        Equal ranges that an epoch is cut into, a multiple of `ranks` (their default). With
        the same number of lanes and the same global batch, a run takes the same batches at any
        number of ranks.
    on_event : callable, optional
        Called with ``training`` and ``epoch`` events.
    description : str, default="KerasClassifier"
        For Spark's UI and the progress bar.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ConfigurationError
        A parameter or the builder's model is wrong.
    ResourceError
        Too few slots, dynamic allocation, or workers without TensorFlow, Keras or Horovod.
    TrainingError
        A rank failed, the loss left the finite numbers, or the ranks' weights differ.
    """
    shape = checked_shape(input_shape, data.n_features)
    if batch_size is None:
        batch_size = rows_per_step(data.n_rows, ranks)
    for name, value in (("ranks", ranks), ("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(
                f"invalid_{name}", f"{name} must be an int >= 1. Got {value!r}."
            )
    lanes = ranks if lanes is None else lanes
    if lanes < 1 or lanes % ranks or (batch_size * ranks) % lanes:
        raise ConfigurationError(
            "invalid_lanes",
            f"lanes must be a multiple of ranks={ranks} that divides the global batch of "
            f"{batch_size * ranks} rows. Got {lanes!r}.",
        )
    if data.classes is None:
        raise DataError("regression_data", "The data has no classes, but a target.")
    function = resolve_builder(builder)
    job = TrainingJob(
        data=data,
        builder=shipped(function, *([] if isinstance(function, BuilderFile) else [function])),
        folder=folder,
        n_classes=len(data.classes),
        input_shape=shape,
        epochs=epochs,
        batch_size=batch_size,
        lanes=lanes,
        seed=seed % 2**32,
    )
    seen: list[int] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            seen.append(event["epoch"])
        if on_event is not None:
            on_event(event)

    begun = time.perf_counter()
    with progress(epochs, description, lambda: len(seen)):
        results = run_gang(
            spark,
            ranks,
            _rank,
            job,
            description=f"{description}: {ranks} ranks, {epochs} epochs",
            log_folder=folder.child("logs"),
            env=_ENVIRONMENT,
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


def checked_shape(shape: Sequence[int] | None, n_features: int) -> tuple[int, ...]:
    """Return the shape of a row as the network takes it.

    Raises
    ------
    ConfigurationError
        ``input_shape_differs`` when it does not hold `n_features` values.
    """
    if shape is None:
        return (n_features,)
    found = tuple(int(s) for s in shape)
    if not found or min(found) < 1 or math.prod(found) != n_features:
        raise ConfigurationError(
            "input_shape_differs",
            f"input_shape must hold the {n_features} features of a row. Got "
            f"{'×'.join(map(str, found)) or '()'}"
            + (f" = {math.prod(found)} values." if found else "."),
        )
    return found
